//! Looking at the record and changing the script from outside, over HTTP.

use serde_json::json;

use crate::received::Received;
use crate::reply::Reply;
use crate::script::Script;
use crate::stage::Stage;

const PREFIX: &str = "/__understudy/";

/// Whether the request is for the understudy itself.
pub(crate) fn is_for(received: &Received) -> bool {
    received.path().starts_with(PREFIX)
}

/// Answers such a request.
pub(crate) fn answer(stage: &Stage, received: &Received) -> Reply {
    let name = received.path().strip_prefix(PREFIX).unwrap_or_default();
    match (received.method.as_str(), name) {
        ("GET", "received") => Reply::json(&json!(stage.record.entries())),
        ("DELETE", "received") => {
            stage.record.clear();
            Reply::status(204)
        }
        ("GET", "counters") => Reply::json(&json!(stage.record.counters())),
        ("PUT", "script") => match Script::from_toml(&received.text()) {
            Ok(script) => {
                stage.set_script(script);
                Reply::status(204)
            }
            Err(error) => Reply::json(&json!({"error": error.to_string()})).with_status(400),
        },
        _ => Reply::json(&json!({"error": format!("no {} {}", received.method, received.path())})).with_status(404),
    }
}
