//! A chat request such as people send.

use serde_json::{Value, json};

/// What is said in turn; newlines and quotes make it a little harder to read, as they do in earnest.
const TURNS: [(&str, &str); 4] = [
    (
        "system",
        "You are a \"careful\" assistant.\nAnswer in short sentences, and say so if you do not know.",
    ),
    (
        "user",
        "Here is a log:\n\t[warn] queue \"ingest\" is full\n\t[warn] retrying in 5 s\nWhat does it mean?",
    ),
    (
        "assistant",
        "The queue named \"ingest\" takes nothing more.\nWho writes to it waits five seconds and tries again.",
    ),
    (
        "user",
        "And if it stays full?\nPlease show me the \"worst\" case, line by line, with C:\\paths\\and all.",
    ),
];

/// A chat request of about so many bytes, for a stream if that is wanted.
///
/// As the clients in use send it: the messages come before the model.
pub fn body(bytes: usize, model: &str, is_stream: bool) -> String {
    let mut messages: Vec<Value> = TURNS
        .iter()
        .map(|(role, text)| json!({"role": role, "content": text}))
        .collect();
    let written = |messages: &[Value]| {
        let mut body = json!({"messages": messages, "model": model, "temperature": 0.7});
        if is_stream {
            body["stream"] = json!(true);
        }
        body.to_string()
    };
    if written(&messages).len() > bytes {
        messages = vec![json!({"role": "user", "content": ""})];
    }
    let room = bytes.saturating_sub(written(&messages).len());
    if let Some(Value::String(content)) = messages.last_mut().and_then(|message| message.get_mut("content")) {
        content.push_str(&filling(room));
    }
    written(&messages)
}

/// A text that takes up so many bytes in JSON, or one less.
fn filling(bytes: usize) -> String {
    let phrase = "The quick brown fox said \"jump\" to the lazy dog.\n";
    let mut text = String::with_capacity(bytes);
    let mut room = bytes;
    for character in phrase.chars().cycle() {
        let width = if matches!(character, '"' | '\n') { 2 } else { 1 };
        if width > room {
            break;
        }
        room -= width;
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_about_as_long_as_asked_for() {
        for bytes in [200, 1024, 10_000] {
            let body = body(bytes, "m", true);
            assert!((bytes - 1..=bytes).contains(&body.len()), "{bytes}: {}", body.len());
            let parsed: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(parsed["stream"], true);
        }
        assert!(body(1024, "m", false).find("\"model\"") > body(1024, "m", false).find("\"messages\""));
    }
}
