//! Gemini's answers, as Google's SDKs read them: the events of a stream look like whole answers.

use serde_json::Value;

use super::{Heard, Malformed, text};

/// Reads an event of a stream, or an answer that is none.
pub(super) fn read_event(heard: &mut Heard, answer: &Value) -> Result<(), Malformed> {
    if !answer["error"].is_null() {
        text(answer, "/error/status")?;
        return heard.fail(&answer["error"]);
    }
    let candidate = &answer["candidates"][0];
    for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
        if let Some(said) = part["text"].as_str() {
            let into = if part["thought"] == true {
                &mut heard.reasoning
            } else {
                &mut heard.text
            };
            into.push_str(said);
        }
        if !part["functionCall"].is_null() {
            let call = format!("{} {}", text(part, "/functionCall/name")?, part["functionCall"]["args"]);
            heard.calls.insert(heard.calls.len() as u64, call);
        }
    }
    match candidate["finishReason"].as_str() {
        Some(reason) => heard.finish(reason),
        None => Ok(()),
    }
}
