//! A configuration text as a tree of values, each with the place where it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::Env;
use super::problem::Problem;

/// A parsed configuration text with `${NAME}` replaced from the environment.
#[derive(Debug)]
pub struct Document {
    /// The values.
    pub root: Value,
    name: String,
    /// Offsets at which the lines of the text start.
    lines: Vec<usize>,
    /// Where the value at each path stands.
    places: BTreeMap<String, usize>,
    /// Which variables the value at a path was made with.
    variables: BTreeMap<String, Vec<String>>,
}

impl Document {
    /// Reads TOML. All syntax errors and unset variables are reported at once.
    pub fn parse(name: &str, text: &str, env: &Env) -> Result<Self, Vec<Problem>> {
        let lines = std::iter::once(0)
            .chain(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1))
            .collect();
        let mut document = Self {
            root: Value::Null,
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
        problems.sort_by_key(|problem| problem.at);
        if problems.is_empty() {
            document.root = document.table("", table.get_ref(), env, &mut problems);
        }
        if problems.is_empty() {
            Ok(document)
        } else {
            Err(problems)
        }
    }

    /// Values that stand in no text.
    pub fn of_values(root: Value) -> Self {
        Self {
            root,
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

    fn position(&self, offset: usize) -> String {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        format!("{}:{}:{}", self.name, line, offset - self.lines[line - 1] + 1)
    }

    fn table(&mut self, path: &str, table: &DeTable<'_>, env: &Env, problems: &mut Vec<Problem>) -> Value {
        let mut map = Map::new();
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.places.insert(path.clone(), key.span().start);
            map.insert(key.get_ref().to_string(), self.value(&path, value, env, problems));
        }
        Value::Object(map)
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>, env: &Env, problems: &mut Vec<Problem>) -> Value {
        match value.get_ref() {
            DeValue::String(text) => self.expand(path, text, value.span(), env, problems),
            DeValue::Integer(number) => {
                i64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).map_or(Value::Null, Value::from)
            }
            DeValue::Float(number) => number
                .as_str()
                .replace('_', "")
                .parse::<f64>()
                .map_or(Value::Null, Value::from),
            DeValue::Boolean(truth) => Value::Bool(*truth),
            DeValue::Datetime(time) => Value::String(time.to_string()),
            DeValue::Array(items) => {
                let item = |(index, item): (usize, &Spanned<DeValue<'_>>)| {
                    let path = join(path, &index.to_string());
                    self.places.insert(path.clone(), item.span().start);
                    self.value(&path, item, env, problems)
                };
                Value::Array(items.iter().enumerate().map(item).collect())
            }
            DeValue::Table(table) => self.table(path, table, env, problems),
        }
    }

    /// Replaces `${NAME}`; `$${` stands for a plain `${`.
    fn expand(&mut self, path: &str, text: &str, span: Range<usize>, env: &Env, problems: &mut Vec<Problem>) -> Value {
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
            let Some(end) = after.find('}') else { break };
            expanded.push_str(before);
            let name = &after[2..end];
            self.variables.entry(path.to_owned()).or_default().push(name.to_owned());
            match env.get(name) {
                Some(value) => expanded.push_str(value),
                None => problems.push(Problem {
                    place: self.position(span.start),
                    path: path.to_owned(),
                    message: format!("the environment variable {name} is not set (or empty)"),
                    at: span.start,
                }),
            }
            rest = &after[end + 1..];
        }
        expanded.push_str(rest);
        Value::String(expanded)
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
        let document = Document::parse("f", "x = \"a${A}b${A} $${A} ${\"", &env).unwrap();
        assert_eq!(document.root["x"], "a1b1 ${A} ${");
        assert_eq!(document.variables("x"), ["A", "A"]);
        let problems = Document::parse("f", "x = \"${B}\"\ny = [\"${C}\"]", &env).unwrap_err();
        let places: Vec<&str> = problems.iter().map(|problem| problem.place.as_str()).collect();
        assert_eq!(places, ["f:1:5", "f:2:6"]);
    }

    #[test]
    fn all_syntax_errors_are_reported() {
        let problems = Document::parse("f", "a = \nb = 1\nc = [", &Env::default()).unwrap_err();
        assert!(problems.len() >= 2, "{problems:?}");
        assert!(problems[0].place.starts_with("f:1:"), "{problems:?}");
    }
}
