//! Values of the proxy's files as a `mynah.toml` has them.

use serde_json::Value;

use crate::config::env::Env;
use crate::config::presets::literal;

/// A number of seconds as a duration. Less than nothing is nothing.
pub(super) fn span(seconds: f64) -> String {
    if seconds.fract() == 0.0 {
        format!("{}s", seconds.max(0.0))
    } else {
        format!("{}ms", (seconds.max(0.0) * 1000.0).round())
    }
}

/// A text in which `${NAME}` stands for a variable; or which one is not set.
pub(super) fn with_variables(text: &str, env: &Env) -> Result<String, String> {
    let mut rest = text;
    let mut made = String::new();
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, end)) = after.split_once('}') else {
            break;
        };
        if env.get(name).is_none() {
            return Err(format!("the variable {name} is not set"));
        }
        made.extend([before, "${", name, "}"]);
        rest = end;
    }
    Ok(made + &literal(rest))
}

/// A value whose texts hold no variables, whatever they look like.
pub(super) fn escaped(value: &Value) -> Value {
    match value {
        Value::String(text) => literal(text).into(),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| (name.clone(), escaped(member)))
            .collect(),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_durations() {
        for (seconds, expected) in [(60.0, "60s"), (0.25, "250ms"), (-1.0, "0s"), (-0.5, "0ms"), (0.0, "0s")] {
            assert_eq!(span(seconds), expected);
        }
    }

    #[test]
    fn variables_stay_what_they_are() {
        let env = Env::from([("HOST", "h")]);
        let made = |text| with_variables(text, &env);
        assert_eq!(
            made("https://${HOST}/${HOST}/v1"),
            Ok("https://${HOST}/${HOST}/v1".to_owned())
        );
        assert_eq!(made("a${HOST"), Ok("a$${HOST".to_owned()));
        assert_eq!(made("${PORT}"), Err("the variable PORT is not set".to_owned()));
    }
}
