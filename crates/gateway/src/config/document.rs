//! A configuration text as a tree of values, each with the place where it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::Env;
use super::problem::Problem;

/// A parsed configuration text with `${NAME}` replaced from the environment.
#[derive(Debug)]
pub struct Document {
    /// The values.
    pub root: Value,
    /// The values that cannot be used: made with variables that are not set, and numbers that are none.
    pub unusable: Vec<Problem>,
    name: String,
    /// Offsets at which the lines of the text start.
    lines: Vec<usize>,
    /// Where the value at each path stands.
    places: BTreeMap<String, usize>,
    /// Which variables the value at a path was made with.
    variables: BTreeMap<String, Vec<String>>,
}

impl Document {
    /// Reads TOML, or tells all syntax errors.
    pub fn parse(name: &str, text: &str, env: &Env) -> Result<Self, Vec<Problem>> {
        let lines = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1))
            .collect();
        let mut document = Self {
            root: Value::Null,
            unusable: Vec::new(),
            name: name.to_owned(),
            lines,
            places: BTreeMap::new(),
            variables: BTreeMap::new(),
        };
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut problems: Vec<Problem> = errors
            .iter()
            .map(|error| Problem {
                place: document.position(error.span().map_or(0, |span| span.start)),
                path: String::new(),
                message: error.message().to_owned(),
                at: error.span().map_or(0, |span| span.start),
            })
            .collect();
        if !problems.is_empty() {
            problems.sort_by_key(|problem| problem.at);
            return Err(problems);
        }
        document.root = document.table("", table.get_ref(), env);
        Ok(document)
    }

    /// Values that stand in no text.
    pub fn of_values(root: Value) -> Self {
        Self {
            root,
            unusable: Vec::new(),
            name: String::new(),
            lines: Vec::new(),
            places: BTreeMap::new(),
            variables: BTreeMap::new(),
        }
    }

    /// A problem with the value at `path`, or with the nearest value around it.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Problem {
        let at = self.offset(path);
        let place = at.map_or_else(|| self.name.clone(), |at| self.position(at));
        Problem {
            place,
            path: path.to_owned(),
            message: message.into(),
            at: at.unwrap_or(0),
        }
    }

    /// `file:line:column` of the value at `path` or the nearest one around it; `None` when no part of the path is
    /// in the text.
    pub fn place(&self, path: &str) -> Option<String> {
        self.offset(path).map(|offset| self.position(offset))
    }

    fn offset(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(&offset) = self.places.get(path) {
                return Some(offset);
            }
            path = &path[..path.rfind('.')?];
        }
    }

    /// Whether the value at exactly this path is in the text.
    pub fn contains(&self, path: &str) -> bool {
        self.places.contains_key(path)
    }

    /// The environment variables that the value at `path` was made with.
    pub fn variables(&self, path: &str) -> &[String] {
        self.variables.get(path).map(Vec::as_slice).unwrap_or_default()
    }

    /// Leaves the value at a path out. Returns whether that could be done without another one: not for a whole section, on
    /// which others rely, nor for an item of a list, behind which others would move up.
    pub fn leave_out(&mut self, path: &str) -> bool {
        let Value::Object(sections) = &mut self.root else {
            return false;
        };
        sections
            .iter_mut()
            .any(|(key, section)| below(path, key).is_some_and(|path| leave_out(section, path)))
    }

    fn position(&self, offset: usize) -> String {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        format!("{}:{}:{}", self.name, line, offset - self.lines[line - 1] + 1)
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, env: &Env) -> Value {
        let mut map = Map::new();
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.places.insert(path.clone(), key.span().start);
            map.insert(key.get_ref().to_string(), self.value(&path, value, env));
        }
        Value::Object(map)
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, env: &Env) -> Value {
        match value.get_ref() {
            DeValue::String(text) => self.expand(path, text, value.span(), env),
            DeValue::Integer(number) => {
                let read = i64::from_str_radix(&number.as_str().replace('_', ""), number.radix());
                self.number(path, number.as_str(), read.ok().map(Number::from), value.span())
            }
            DeValue::Float(number) => {
                let read = number.as_str().replace('_', "").parse();
                let read = read.ok().and_then(Number::from_f64);
                self.number(path, number.as_str(), read, value.span())
            }
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Array(items) => {
                let item = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                    let path = join(path, &index.to_string());
                    self.places.insert(path.clone(), item.span().start);
                    self.value(&path, item, env)
                };
                Value::Array(items.iter().enumerate().map(item).collect())
            }
            DeValue::Table(table) => self.table(path, table, env),
        }
    }

    /// A number as far as it could be `read`: TOML has some that are none here.
    fn number(&mut self, path: &str, text: &str, read: Option<Number>, span: Range<usize>) -> Value {
        if read.is_none() {
            let message = format!(
                "`{text}` is not a number that can be used: write one of at most 18 digits, or leave the key out"
            );
            self.cannot_use(path, message, span);
        }
        read.map_or(Value::Null, Value::Number)
    }

    fn cannot_use(&mut self, path: &str, message: String, span: Range<usize>) {
        self.unusable.push(Problem {
            place: self.position(span.start),
            path: path.to_owned(),
            message,
            at: span.start,
        });
    }

    /// Replaces `${NAME}`; `$${` stands for a plain `${`.
    fn expand(&mut self, path: &str, text: &str, span: Range<usize>, env: &Env) -> Value {
        let mut expanded = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, after) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str("${");
                rest = &after[2..];
                continue;
            }
            let Some(end) = after.find('}') else {
                let message = "`${` has no `}`: write `${NAME}` for an environment variable, or `$${` for a plain `${`";
                self.cannot_use(path, message.to_owned(), span.clone());
                break;
            };
            expanded.push_str(before);
            let name = &after[2..end];
            self.variables.entry(path.to_owned()).or_default().push(name.to_owned());
            if let Some(value) = env.get(name) {
                expanded.push_str(value);
            } else {
                let message = format!("the environment variable {name} is not set (or empty)");
                self.cannot_use(path, message, span.clone());
            }
            rest = &after[end + 1..];
        }
        expanded.push_str(rest);
        Value::String(expanded)
    }
}

/// What follows a key in a path. A key may have dots of its own.
fn below<'p>(path: &'p str, key: &str) -> Option<&'p str> {
    path.strip_prefix(key)?.strip_prefix('.')
}

fn leave_out(value: &mut Value, path: &str) -> bool {
    match value {
        Value::Object(members) if members.contains_key(path) => members.remove(path).is_some(),
        Value::Object(members) => members
            .iter_mut()
            .any(|(key, member)| below(path, key).is_some_and(|path| leave_out(member, path))),
        Value::Array(items) => {
            let (index, path) = path.split_once('.').unwrap_or_default();
            let item = index.parse().ok().and_then(|index: usize| items.get_mut(index));
            item.is_some_and(|item| leave_out(item, path))
        }
        _ => false,
    }
}

/// The path of a member.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        key.to_owned()
    } else {
        format!("{path}.{key}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_place() {
        let text = "[server]\nlisten = \"x\"\n\n[[clients]]\nname = 'a'\n[[clients]]\nmodels = [\"m\",\n \"n\"]\n";
        let document = Document::parse("f", text, &Env::default()).unwrap();
        assert_eq!(document.place("server.listen").unwrap(), "f:2:1");
        assert_eq!(document.place("clients.1.models.1").unwrap(), "f:8:2");
        assert_eq!(document.place("clients.0.key").unwrap(), "f:4:1");
        assert_eq!(document.place("nothing"), None);
        assert_eq!(document.root["clients"][1]["models"][1], "n");
    }

    #[test]
    fn variables_are_replaced_and_missing_ones_reported_together() {
        let env = Env::from([("A", "1")]);
        let document = Document::parse("f", "x = \"a${A}b${A} $${A} $${\"", &env).unwrap();
        assert_eq!(document.root["x"], "a1b1 ${A} ${");
        assert_eq!(document.variables("x"), ["A", "A"]);
        let document = Document::parse("f", "x = \"${B}\"\ny = [\"${C}\"]", &env).unwrap();
        let places: Vec<&str> = document.unusable.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, ["f:1:5", "f:2:6"]);
    }

    #[test]
    fn values_that_cannot_be_used_are_reported_with_their_places() {
        for (value, named) in [
            ("99999999999999999999", "`99999999999999999999`"),
            ("-9223372036854775809", "`-9223372036854775809`"),
            ("inf", "`inf`"),
            ("-inf", "`-inf`"),
            ("nan", "`nan`"),
            ("1e999", "`1e999`"),
            ("\"${A\"", "`${` has no `}`"),
        ] {
            let document = Document::parse("f", &format!("[a]\nb = [1, {value}]"), &Env::default()).unwrap();
            let told: Vec<String> = document.unusable.iter().map(ToString::to_string).collect();
            assert!(
                told.len() == 1 && told[0].starts_with(&format!("f:2:9: `a.b.1`: {named}")),
                "{told:?}"
            );
        }
        let text = "a = [9223372036854775807, 0x7fff_ffff, 1_000.5, -0.0, 1e300]";
        let document = Document::parse("f", text, &Env::default()).unwrap();
        assert!(document.unusable.is_empty(), "{:?}", document.unusable);
    }

    #[test]
    fn values_are_left_out_where_nothing_else_moves() {
        let text = "a = 1\n[b]\nc = 1\n\"d.e\" = { f = 1 }\n[[g]]\nh = 1\ni = [1, 2]\n";
        let mut document = Document::parse("f", text, &Env::default()).unwrap();
        for path in ["b.c", "b.d.e.f", "g.0.h"] {
            assert!(document.leave_out(path) && !document.leave_out(path), "{path}");
        }
        for path in ["", "a", "b", "b.x", "g.0", "g.1.h", "g.0.i.1", "g.x.h"] {
            assert!(!document.leave_out(path), "{path}");
        }
        let left = serde_json::json!({"a": 1, "b": {"d.e": {}}, "g": [{"i": [1, 2]}]});
        assert_eq!(document.root, left);
    }

    #[test]
    fn all_syntax_errors_are_reported() {
        let problems = Document::parse("f", "a = \nb = 1\nc = [", &Env::default()).unwrap_err();
        assert!(problems.len() >= 2, "{problems:?}");
        assert!(problems[0].place.starts_with("f:1:"), "{problems:?}");
    }
}
