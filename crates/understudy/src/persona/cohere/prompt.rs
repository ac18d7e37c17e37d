//! What a request asks.

use serde_json::{Value, json};

use crate::persona::fields::{list, text};
use crate::persona::prompt::{Choice, Prompt, Tool, ToolResult, linked};

/// Reads the request.
pub(super) fn read(body: &Value) -> Prompt {
    let mut prompt = Prompt {
        tools: list(&body["tools"]).iter().map(tool).collect(),
        choice: match body["tool_choice"].as_str() {
            Some("REQUIRED") => Choice::Required,
            Some("NONE") => Choice::Never,
            _ => Choice::Auto,
        },
        schema: (body["response_format"]["type"] == "json_object").then(|| {
            body["response_format"]
                .get("json_schema")
                .cloned()
                .unwrap_or_else(|| json!({}))
        }),
        stops: list(&body["stop_sequences"])
            .iter()
            .map(|stop| text(stop).to_owned())
            .collect(),
        ..Prompt::default()
    };
    let messages = list(&body["messages"]);
    let spoken = messages.iter().rposition(|message| message["role"] == "assistant");
    for message in &messages[spoken.map_or(0, |place| place + 1)..] {
        match message["role"].as_str() {
            Some("user") => heard(&mut prompt, &message["content"]),
            Some("tool") => prompt.results.push(ToolResult {
                id: text(&message["tool_call_id"]).to_owned(),
                text: result(&message["content"]),
                is_error: false,
            }),
            _ => {}
        }
    }
    prompt
}

fn heard(prompt: &mut Prompt, content: &Value) {
    if let Some(text) = content.as_str() {
        prompt.say(text);
    }
    for part in list(content) {
        match part["type"].as_str() {
            Some("text") => prompt.say(text(&part["text"])),
            Some("image_url") => prompt.attachments.push(linked(text(&part["image_url"]["url"]))),
            _ => {}
        }
    }
}

fn result(content: &Value) -> String {
    let part = |part: &Value| match part["type"].as_str() {
        Some("document") => part["document"]["data"].to_string(),
        _ => text(&part["text"]).to_owned(),
    };
    let parts: Vec<String> = list(content).iter().map(part).collect();
    content.as_str().map_or_else(|| parts.join("\n"), str::to_owned)
}

fn tool(tool: &Value) -> Tool {
    Tool {
        name: text(&tool["function"]["name"]).to_owned(),
        is_custom: false,
        schema: tool["function"]["parameters"].clone(),
    }
}
