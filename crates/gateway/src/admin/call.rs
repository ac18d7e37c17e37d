//! What a handler of the admin API gets: a request that was let in, with its body and its query as types.

use std::collections::HashSet;
use std::sync::Arc;

use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use bytes::Bytes;
use mynah_dialect::tree::Node;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Admin;
use crate::app::App;
use crate::config::document::Document;
use crate::config::problem::Problem;
use crate::config::schema;
use crate::failure::Failure;

/// A request that was let in.
pub struct Call {
    /// The admin API's own.
    pub admin: Arc<Admin>,
    /// The gateway.
    pub app: Arc<App>,
    /// The head.
    pub parts: Parts,
    /// The body.
    pub body: Bytes,
    /// What stands in the path where the route has a parameter, decoded.
    pub named: String,
}

impl Call {
    /// The body as a type. Fields that the type does not have are refused.
    pub fn json<T: JsonSchema + DeserializeOwned>(&self) -> Result<T, Failure> {
        let kind = self.parts.headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
        // A form of a web page cannot say this without having asked first.
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            return Err(Failure::not_sent_as_json());
        }
        let unreadable = |error| Failure::body_unreadable(format!("The body is not JSON: {error}."), None);
        let value: Value = serde_json::from_slice(&self.body).map_err(unreadable)?;
        let body = Node::parse(&self.body).unwrap_or_default();
        if let Some(name) = twice(&body) {
            return Err(Failure::field_refused(name.to_owned(), "This field is there twice."));
        }
        typed(value)
    }

    /// The query as a type. Parameters that the type does not have are refused.
    pub fn query<T: JsonSchema + DeserializeOwned>(&self) -> Result<T, Failure> {
        let schema = schemars::schema_for!(T).to_value();
        let mut members = Map::new();
        let pairs = self.parts.uri.query().unwrap_or_default().split('&');
        for pair in pairs.filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name), decoded(value));
            if members.contains_key(&name) {
                return Err(Failure::field_refused(name, "This parameter is there twice."));
            }
            let value = as_type(value, &schema["properties"][&name]);
            members.insert(name, value);
        }
        typed(Value::Object(members))
    }
}

/// A name that an object has twice, if there is one: two readers might choose differently.
fn twice<'n>(node: &'n Node<'_>) -> Option<&'n str> {
    let mut seen = HashSet::new();
    let mut names = node.members().iter().map(|(name, _)| name.as_ref());
    let within = || {
        let members = node.members().iter().map(|(_, member)| member);
        members.chain(node.items()).find_map(twice)
    };
    names.find(|name| !seen.insert(*name)).or_else(within)
}

/// A text out of a URL.
fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " "))
        .decode_utf8_lossy()
        .into_owned()
}

/// A text as the number or truth that a schema wants; else as it is, which the schema then complains about.
fn as_type(text: String, schema: &Value) -> Value {
    let wants = |name: &str| match &schema["type"] {
        Value::Array(names) => names.iter().any(|one| one == name),
        one => one == name,
    };
    let parsed = match () {
        () if wants("integer") => text.parse::<u64>().ok().map(Value::from),
        () if wants("boolean") => text.parse::<bool>().ok().map(Value::from),
        () => None,
    };
    parsed.unwrap_or(Value::String(text))
}

fn typed<T: JsonSchema + DeserializeOwned>(value: Value) -> Result<T, Failure> {
    schema::read_as(&Document::of_values(value)).map_err(|problems| refused(&problems))
}

/// All that is wrong, in one message; the first of the fields is named.
fn refused(problems: &[Problem]) -> Failure {
    let path = problems.first().map(|problem| problem.path.clone()).unwrap_or_default();
    let message: Vec<String> = problems.iter().map(ToString::to_string).collect();
    Failure::field_refused(path, format!("{}.", message.join("; ").trim_end_matches(['.', '?'])))
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::config::secret::Secret;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Body {
        requests_per_minute: Option<u64>,
        key: Option<Secret>,
    }

    #[test]
    fn unknown_fields_and_masked_values_are_refused() {
        for (body, param, message) in [
            (
                json!({"requests_per_minut": 5}),
                "requests_per_minut",
                "did you mean `requests_per_minute`",
            ),
            (json!({"key": "sk-…abcd"}), "key", "not the credential itself"),
            (json!({"key": "***"}), "key", "not the credential itself"),
            (
                json!({"requests_per_minute": "5"}),
                "requests_per_minute",
                "a whole number",
            ),
            (json!([]), "", "a table is expected"),
        ] {
            let failure = typed::<Body>(body.clone()).unwrap_err();
            assert_eq!(failure.param.as_deref().unwrap_or_default(), param, "{body}");
            assert!(failure.message.contains(message), "{body}: {}", failure.message);
        }
        assert!(typed::<Body>(json!({"requests_per_minute": 5, "key": "sk-real"})).is_ok());
    }

    #[test]
    fn a_name_that_is_there_twice_is_found() {
        let found = |text: &str| twice(&Node::parse_text(text).unwrap()).map(str::to_owned);
        assert_eq!(found(r#"{"a":1,"b":{"a":2}}"#), None);
        assert_eq!(found(r#"{"a":1,"\u0061":2}"#).as_deref(), Some("a"));
        assert_eq!(found(r#"{"a":[1,{"b":1,"c":2,"b":1}]}"#).as_deref(), Some("b"));
    }

    #[test]
    fn a_query_is_typed_by_its_schema() {
        let schema = schemars::schema_for!(Body).to_value();
        let typed = |text: &str| as_type(text.to_owned(), &schema["properties"]["requests_per_minute"]);
        assert_eq!((typed("5"), typed("five")), (json!(5), json!("five")));
        assert_eq!(decoded("a%20b+c%2F"), "a b c/");
    }
}
