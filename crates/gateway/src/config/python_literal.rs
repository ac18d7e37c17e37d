//! Reads settings that are written as Python: assignments of literals. Nothing is executed; what is more than a literal is
//! a fault with its place.
//!
//! Understood are texts in all quotes with their escapes, numbers, `True`, `False`, `None`, lists, tuples, dictionaries,
//! comments, imports, names that were assigned before, and `os.environ.get("NAME", default)` with its variants
//! (<https://docs.python.org/3/reference/lexical_analysis.html>).

use std::collections::HashMap;
use std::sync::Arc;

/// Lists and dictionaries in one another.
const MAX_DEPTH: u32 = 32;
/// How variables of the environment are read. Longer ways stand before those that they begin with.
const ENVIRONMENT: [&str; 4] = ["os.environ.get", "os.getenv", "environ.get", "getenv"];
/// The same in brackets, where there is no default.
const ENVIRONMENT_TABLE: [&str; 2] = ["os.environ", "environ"];

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Literal {
    /// The offset in the text.
    pub at: usize,
    /// What it is.
    pub value: Value,
}

/// What a literal is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `None`
    None,
    /// `True` or `False`
    Bool(bool),
    /// As it is written.
    Number(Arc<str>),
    /// A text.
    Text(Arc<str>),
    /// A variable of the environment.
    Variable {
        /// Its name.
        name: Arc<str>,
        /// What holds when it is not set.
        default: Option<Arc<Literal>>,
    },
    /// A list or a tuple.
    List(Vec<Literal>),
    /// A dictionary, in the order in which it is written.
    Dict(Vec<(Literal, Literal)>),
}

/// Why a text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Fault {
    /// The offset in the text.
    pub at: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

/// What a text assigns to each name, the last assignment of each.
pub fn read(text: &str) -> Result<HashMap<String, Arc<Literal>>, Fault> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
        assigned: HashMap::new(),
    };
    reader.statements()?;
    Ok(reader.assigned)
}

/// The line and column of an offset, from 1, as editors count them.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

impl Literal {
    /// What a member of a dictionary is.
    pub fn get(&self, key: &str) -> Option<&Self> {
        let Value::Dict(members) = &self.value else { return None };
        let is_it = |name: &Self| matches!(&name.value, Value::Text(text) if **text == *key);
        // As in Python, the last one counts.
        members.iter().rfind(|(name, _)| is_it(name)).map(|(_, value)| value)
    }

    fn is_plain(&self) -> bool {
        !matches!(self.value, Value::List(_) | Value::Dict(_))
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: u32,
    assigned: HashMap<String, Arc<Literal>>,
}

impl<'t> Reader<'t> {
    fn statements(&mut self) -> Result<(), Fault> {
        self.take("\u{feff}");
        loop {
            let line = self.at;
            self.skip_blank(false);
            if self.take("\n") || self.take("\r") || self.take(";") {
                continue;
            }
            let Some(next) = self.peek() else { return Ok(()) };
            if self.at > line && !self.text[..line].ends_with(';') {
                return Err(self.fault("is indented; only assignments at the beginning of a line are read"));
            }
            match self.word() {
                "import" | "from" => self.skip_line(),
                "pass" => self.at += "pass".len(),
                "" if matches!(next, '"' | '\'') => drop(self.literal()?),
                _ if matches!(
                    self.text[self.at + self.word().len()..].chars().next(),
                    Some('"' | '\'')
                ) =>
                {
                    drop(self.literal()?);
                }
                "" => return Err(self.fault("is no assignment such as `endpoints = […]`")),
                name => self.assignment(name)?,
            }
            self.end_of_statement()?;
        }
    }

    fn assignment(&mut self, name: &'t str) -> Result<(), Fault> {
        let start = self.at;
        self.at += name.len();
        self.skip_blank(false);
        if self.take(":") {
            self.skip_annotation();
        }
        if self.text[self.at..].starts_with("==") || !self.take("=") {
            self.at = start;
            return Err(self.fault("is no assignment of a literal; nothing else is read, and nothing is executed"));
        }
        self.skip_blank(false);
        // Another name for all of a list: no copy, so that many of them take no room.
        let word = self.word();
        let value = match self.assigned.get(word) {
            Some(known) if !known.is_plain() => {
                let known = known.clone();
                self.at += word.len();
                known
            }
            _ => Arc::new(self.literal()?),
        };
        self.assigned.insert(name.to_owned(), value);
        Ok(())
    }

    /// What stands between a name and its value: `list[dict[str, str]]`.
    fn skip_annotation(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find(['=', '\n', '#', '"', '\'']).unwrap_or(rest.len());
    }

    fn end_of_statement(&mut self) -> Result<(), Fault> {
        self.skip_blank(false);
        match self.peek() {
            None | Some('\n' | '\r' | ';') => Ok(()),
            Some(_) => Err(self.fault("is unexpected: a value is a literal, not something to be computed")),
        }
    }

    fn literal(&mut self) -> Result<Literal, Fault> {
        let at = self.at;
        let value = match self.peek() {
            Some('[') => Value::List(self.items("]")?.0),
            Some('(') => self.in_parentheses()?,
            Some('{') => self.dictionary()?,
            Some('"' | '\'') => self.texts()?,
            Some(first) if first.is_ascii_digit() || matches!(first, '-' | '+' | '.') => self.number()?,
            Some(_) if !self.word().is_empty() => self.named()?,
            Some(_) => return Err(self.fault("is not a value")),
            None => return Err(self.fault("the file ends where a value should be")),
        };
        Ok(Literal { at, value })
    }

    /// What is in brackets, which may go over several lines, and whether it ends with a comma.
    fn items(&mut self, end: &str) -> Result<(Vec<Literal>, bool), Fault> {
        self.descend()?;
        let (mut items, mut comma) = (Vec::new(), false);
        while !self.take_after_blank(end) {
            items.push(self.literal()?);
            comma = self.take_after_blank(",");
            if !comma && !self.text[self.at..].starts_with(end) {
                return Err(self.expected(end));
            }
        }
        self.depth -= 1;
        Ok((items, comma))
    }

    /// A tuple, or one value in parentheses.
    fn in_parentheses(&mut self) -> Result<Value, Fault> {
        let (mut items, is_tuple) = self.items(")")?;
        match items.pop() {
            Some(only) if items.is_empty() && !is_tuple => Ok(only.value),
            last => {
                items.extend(last);
                Ok(Value::List(items))
            }
        }
    }

    fn dictionary(&mut self) -> Result<Value, Fault> {
        self.descend()?;
        let mut members = Vec::new();
        while !self.take_after_blank("}") {
            let key = self.literal()?;
            if !self.take_after_blank(":") {
                return Err(self.expected(":"));
            }
            self.skip_blank(true);
            members.push((key, self.literal()?));
            if !self.take_after_blank(",") && !self.text[self.at..].starts_with('}') {
                return Err(self.expected("}"));
            }
        }
        self.depth -= 1;
        Ok(Value::Dict(members))
    }

    /// Goes into brackets, past the first of them.
    fn descend(&mut self) -> Result<(), Fault> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault("is nested too deeply"));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Result<Value, Fault> {
        let rest = &self.text[self.at..];
        let is_part = |(at, letter): (usize, char)| {
            let follows_exponent = at > 0 && rest[..at].ends_with(['e', 'E']);
            letter.is_ascii_alphanumeric()
                || matches!(letter, '.' | '_')
                || (matches!(letter, '-' | '+') && (at == 0 || follows_exponent))
        };
        let length = rest.char_indices().take_while(|part| is_part(*part)).count();
        let plain = rest[..length].replace('_', "");
        if plain.parse::<f64>().is_err() || !plain.contains(|letter: char| letter.is_ascii_digit()) {
            return Err(self.fault("is not a decimal number"));
        }
        self.at += length;
        Ok(Value::Number(plain.into()))
    }

    /// What begins with a letter: a constant, a text with a prefix, a variable, or a name that was assigned before.
    fn named(&mut self) -> Result<Value, Fault> {
        let rest = &self.text[self.at..];
        let word = self.word();
        if rest[word.len()..].starts_with(['"', '\'']) {
            return self.texts();
        }
        if let Some(way) = ENVIRONMENT.iter().find(|way| is_call(rest, way, '(')) {
            return self.variable(way, ")");
        }
        if let Some(way) = ENVIRONMENT_TABLE.iter().find(|way| is_call(rest, way, '[')) {
            return self.variable(way, "]");
        }
        let value = match word {
            "None" => Value::None,
            "True" => Value::Bool(true),
            "False" => Value::Bool(false),
            _ => match self.assigned.get(word) {
                Some(known) if known.is_plain() => known.value.clone(),
                _ => {
                    let message = format!(
                        "`{word}` is not a literal: write a text, a number, a list, a dictionary, or os.environ.get(\"NAME\")"
                    );
                    return Err(Fault { at: self.at, message });
                }
            },
        };
        self.at += word.len();
        Ok(value)
    }

    /// `os.environ.get("NAME", default)`, from behind whose `way` its name stands in brackets.
    fn variable(&mut self, way: &str, end: &str) -> Result<Value, Fault> {
        let start = self.at;
        self.at += way.len();
        self.skip_blank(false);
        let mut items = self.items(end)?.0.into_iter();
        let (name, default) = (items.next().map(|name| name.value), items.next());
        let Some(Value::Text(name)) = name else {
            self.at = start;
            return Err(self.fault("needs the name of a variable, as a text"));
        };
        if items.next().is_some()
            || default
                .as_ref()
                .is_some_and(|default| !default.is_plain() || end == "]")
        {
            self.at = start;
            return Err(self.fault("has too many values: write a name, and a text for when it is not set"));
        }
        Ok(Value::Variable {
            name,
            default: default.map(Arc::new),
        })
    }

    /// Texts that stand beside one another are one.
    fn texts(&mut self) -> Result<Value, Fault> {
        let mut all = String::new();
        loop {
            self.one_text(&mut all)?;
            let end = self.at;
            self.skip_blank(self.depth > 0);
            let word = self.word();
            if !self.text[self.at + word.len()..].starts_with(['"', '\'']) || word.len() > 2 {
                self.at = end;
                return Ok(Value::Text(all.into()));
            }
        }
    }

    fn one_text(&mut self, into: &mut String) -> Result<(), Fault> {
        let start = self.at;
        let prefix = self.word().to_ascii_lowercase();
        let is_raw = match prefix.as_str() {
            "" | "u" => false,
            "r" => true,
            _ => return Err(self.fault("is a text of another kind: only plain ones and r\"…\" are read")),
        };
        self.at += prefix.len();
        let quote = &self.text[self.at..=self.at];
        let tripled = quote.repeat(3);
        let quote = if self.text[self.at..].starts_with(&tripled) {
            tripled.as_str()
        } else {
            quote
        };
        self.at += quote.len();
        while !self.take(quote) {
            let Some(letter) = self.peek().filter(|letter| *letter != '\n' || quote.len() == 3) else {
                self.at = start;
                return Err(self.fault("is a text without its end"));
            };
            self.at += letter.len_utf8();
            match letter {
                '\\' if is_raw => {
                    into.push('\\');
                    // A quote behind it does not end the text, and it stays.
                    if let Some(next) = self.peek() {
                        into.push(next);
                        self.at += next.len_utf8();
                    }
                }
                '\\' => self.escape(into)?,
                letter => into.push(letter),
            }
        }
        Ok(())
    }

    /// What stands behind a backslash.
    fn escape(&mut self, into: &mut String) -> Result<(), Fault> {
        let Some(letter) = self.peek() else { return Ok(()) };
        let start = self.at - 1;
        self.at += letter.len_utf8();
        let code = match letter {
            '\n' => return Ok(()),
            '\\' | '\'' | '"' => u32::from(letter),
            'a' => 7,
            'b' => 8,
            't' => 9,
            'n' => 10,
            'v' => 11,
            'f' => 12,
            'r' => 13,
            'x' => self.digits(2, 16),
            'u' => self.digits(4, 16),
            'U' => self.digits(8, 16),
            '0'..='7' => {
                self.at -= 1;
                let rest = self.text[self.at..].chars();
                let length = rest.take(3).take_while(|digit| digit.is_digit(8)).count();
                self.digits(length, 8)
            }
            'N' => u32::MAX,
            _ => {
                // As in Python, one that means nothing stays as it is.
                into.extend(['\\', letter]);
                return Ok(());
            }
        };
        let Some(letter) = char::from_u32(code) else {
            self.at = start;
            return Err(self.fault("is not the code of a letter"));
        };
        into.push(letter);
        Ok(())
    }

    /// A number of so many digits; one that is no letter's code when they are not there.
    fn digits(&mut self, count: usize, radix: u32) -> u32 {
        let end = self.at + count;
        let Some(digits) = self.text.get(self.at..end).filter(|digits| !digits.starts_with('+')) else {
            return u32::MAX;
        };
        self.at = end;
        u32::from_str_radix(digits, radix).unwrap_or(u32::MAX)
    }

    /// Skips blanks and comments, and with `lines` ends of lines too.
    fn skip_blank(&mut self, lines: bool) {
        loop {
            let rest = &self.text[self.at..];
            let is_blank =
                |letter: char| matches!(letter, ' ' | '\t' | '\u{c}') || (lines && matches!(letter, '\n' | '\r'));
            let skipped = rest.len() - rest.trim_start_matches(is_blank).len();
            let rest = &rest[skipped..];
            self.at += skipped;
            if rest.starts_with('#') {
                self.skip_line();
            } else if rest.starts_with("\\\n") {
                self.at += 2;
            } else {
                return;
            }
        }
    }

    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn take_after_blank(&mut self, text: &str) -> bool {
        self.skip_blank(true);
        self.take(text)
    }

    fn take(&mut self, text: &str) -> bool {
        let is_here = self.text[self.at..].starts_with(text);
        if is_here {
            self.at += text.len();
        }
        is_here
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    /// The name that begins here; empty when none does.
    fn word(&self) -> &'t str {
        let rest = &self.text[self.at..];
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
        let length = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
        let word = &rest[..length];
        if word.starts_with(|first: char| first.is_numeric()) {
            ""
        } else {
            word
        }
    }

    fn expected(&self, what: &str) -> Fault {
        Fault {
            at: self.at,
            message: format!("expected `{what}` here"),
        }
    }

    /// A fault with what stands here.
    fn fault(&self, message: &str) -> Fault {
        let line = self.text[self.at..].lines().next().unwrap_or_default();
        let shown: String = line.chars().take(20).collect();
        Fault {
            at: self.at,
            message: if shown.is_empty() {
                message.to_owned()
            } else {
                format!("`{shown}` {message}")
            },
        }
    }
}

/// Whether a text begins with a function or a table and its bracket.
fn is_call(text: &str, way: &str, bracket: char) -> bool {
    let rest = text.strip_prefix(way);
    rest.is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(bracket))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A value as JSON, or the fault with its line and column.
    fn value(text: &str) -> String {
        let text = format!("x = {text}");
        match read(&text) {
            Ok(assigned) => assigned.get("x").map_or_else(String::new, |literal| shown(literal)),
            Err(fault) => {
                let (line, column) = line_and_column(&text, fault.at);
                format!("{line}:{column}: {fault}")
            }
        }
    }

    fn shown(literal: &Literal) -> String {
        let joined = |items: Vec<String>| items.join(",");
        match &literal.value {
            Value::None => "None".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(text) => format!("{text:?}"),
            Value::Variable { name, default } => {
                let default = default.as_ref().map(|default| format!(":{}", shown(default)));
                format!("${name}{}", default.unwrap_or_default())
            }
            Value::List(items) => format!("[{}]", joined(items.iter().map(shown).collect())),
            Value::Dict(members) => {
                let member = |(key, value): &(Literal, Literal)| format!("{}:{}", shown(key), shown(value));
                format!("{{{}}}", joined(members.iter().map(member).collect()))
            }
        }
    }

    #[test]
    fn literals_are_read_as_python_reads_them() {
        for (text, expected) in [
            ("None", "None"),
            ("[True, False]", "[true,false]"),
            ("(1_000, -2.5e-3, .5)", "[1000,-2.5e-3,.5]"),
            ("()", "[]"),
            ("(1)", "1"),
            ("(1, # one\n)", "[1]"),
            (r#"'a' "b" r'\c' u"d""#, r#""ab\\cd""#),
            ("('a'\n  'b')", r#""ab""#),
            (r"'\n\x41\u00e9\U0001F600\101\q'", r#""\nAé😀A\\q""#),
            ("'\\\n'", r#""""#),
            ("\"\"\"a\n'b'\"\"\"", r#""a\n'b'""#),
            ("'''it''s'''", r#""it''s""#),
            ("'#' # a comment", r##""#""##),
            ("{\n  # first\n  'a': 1, 'b': {'c': [],},\n}", r#"{"a":1,"b":{"c":[]}}"#),
            ("os.environ.get('K')", "$K"),
            ("os.getenv( \"K\" , 'none' )", r#"$K:"none""#),
            ("getenv('K', None)", "$K:None"),
            ("os.environ['K']", "$K"),
        ] {
            assert_eq!(value(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_literal_is_a_fault_with_its_place() {
        for (text, expected) in [
            ("", "1:5: the file ends where a value should be"),
            ("open('/etc/passwd')", "1:5: `open` is not a literal"),
            (
                "[\n  1,\n  __import__('os').system('x'),\n]",
                "3:3: `__import__` is not a literal",
            ),
            ("'a' + 'b'", "1:9: `+ 'b'` is unexpected"),
            ("[x for x in y]", "1:6: `x` is not a literal"),
            ("['a' 1]", "1:10: expected `]` here"),
            ("{'a' 1}", "1:10: expected `:` here"),
            ("{'a', 'b'}", "1:9: expected `:` here"),
            ("'a", "1:5: `'a` is a text without its end"),
            ("'''a\n", "1:5: `'''a` is a text without its end"),
            ("f'{x}'", "1:5: `f'{x}'` is a text of another kind"),
            ("b'x'", "1:5: `b'x'` is a text of another kind"),
            (r"'\xzz'", r"1:6: `\xzz'` is not the code of a letter"),
            (r"'\ud800'", r"1:6: `\ud800'` is not the code of a letter"),
            ("0x10", "1:5: `0x10` is not a decimal number"),
            ("-inf", "1:5: `-inf` is not a decimal number"),
            ("os.environ.get(1)", "1:5: `os.environ.get(1)` needs the name"),
            (
                "os.environ['K', 'd']",
                "1:5: `os.environ['K', 'd']` has too many values",
            ),
            ("@", "1:5: `@` is not a value"),
        ] {
            let found = value(text);
            assert!(found.starts_with(expected), "{text}: {found}");
        }
        assert!(value(&"[".repeat(40)).ends_with("is nested too deeply"));
        assert_eq!(value(&["[".repeat(32), "]".repeat(32)].concat()).len(), 64);
    }

    #[test]
    fn a_file_has_more_than_assignments() {
        let text = "\u{feff}#!/usr/bin/env python\n\"\"\"The endpoints.\"\"\"\nimport os\nfrom typing import Any\r\n\n\
                    KEY = 'k'; OTHER = KEY\nall_of_them: list[dict[str, Any]] = [\n    {'key': OTHER},\n]\n\
                    endpoints = all_of_them\nendpoints = endpoints  # the same\npass\n";
        let assigned = read(text).unwrap();
        assert_eq!(shown(&assigned["endpoints"]), r#"[{"key":"k"}]"#);
        assert_eq!(assigned.len(), 4);
        for (text, expected) in [
            (
                "x = 1\nif True:\n    x = 2\n",
                "2:1: `if True:` is no assignment of a literal",
            ),
            ("x = []\nx.append(1)\n", "2:1: `x.append(1)` is no assignment"),
            ("x = 1\nx += 1", "2:1: `x += 1` is no assignment"),
            ("x = 1\n  y = 2", "2:3: `y = 2` is indented"),
            ("x = [1]\ny = [x]", "2:6: `x` is not a literal"),
            ("print('x')", "1:1: `print('x')` is no assignment"),
        ] {
            let fault = read(text).unwrap_err();
            let (line, column) = line_and_column(text, fault.at);
            let found = format!("{line}:{column}: {fault}");
            assert!(found.starts_with(expected), "{text}: {found}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_at_a_place_in_it(
            text in r#"([xX =\[\](){},:.'"\\#\n\r;+\-0-9a-fruéN]|endpoints = |os\.environ\.get\()*"#
        ) {
            if let Err(fault) = read(&text) {
                prop_assert!(text.is_char_boundary(fault.at), "{fault:?}");
            }
        }

        #[test]
        fn a_text_comes_back_however_it_is_quoted(
            text in any::<String>(),
            quote in prop::sample::select(vec!["'", "\"", "'''"]),
        ) {
            let escape = |letter: char| match letter {
                '\\' | '\'' | '"' | '\n' | '\r' => format!("\\x{:02x}", u32::from(letter)),
                letter => letter.to_string(),
            };
            let quoted: String = text.chars().map(escape).collect();
            let assigned = read(&format!("x = {quote}{quoted}{quote}")).unwrap();
            prop_assert_eq!(&assigned["x"].value, &Value::Text(text.into()));
        }
    }
}
