//! What a request asks.

use serde_json::Value;

use crate::persona::fields::{list, text};
use crate::persona::prompt::{Choice, Prompt, Tool, ToolResult, inline};

/// Reads the request.
pub(super) fn read(body: &Value) -> Prompt {
    let choice = &body["tool_choice"];
    let mut prompt = Prompt {
        tools: list(&body["tools"]).iter().filter_map(tool).collect(),
        choice: match choice["type"].as_str() {
            Some("none") => Choice::Never,
            Some("any") => Choice::Required,
            Some("tool") => Choice::Named(text(&choice["name"]).to_owned()),
            _ => Choice::Auto,
        },
        is_one_call_at_most: choice["disable_parallel_tool_use"] == true,
        schema: body["output_config"]["format"].get("schema").cloned(),
        stops: list(&body["stop_sequences"])
            .iter()
            .map(|stop| text(stop).to_owned())
            .collect(),
        ..Prompt::default()
    };
    let messages = list(&body["messages"]);
    let spoken = messages.iter().rposition(|message| message["role"] == "assistant");
    let tail = &messages[spoken.map_or(0, |place| place + 1)..];
    for message in tail.iter().filter(|message| message["role"] == "user") {
        if let Some(text) = message["content"].as_str() {
            prompt.say(text);
        }
        for block in list(&message["content"]) {
            heard(&mut prompt, block);
        }
    }
    prompt
}

fn heard(prompt: &mut Prompt, block: &Value) {
    match block["type"].as_str() {
        Some("text") => prompt.say(text(&block["text"])),
        Some("image" | "document") => prompt.attachments.push(attachment(&block["source"])),
        Some("tool_result") => result(prompt, block),
        _ => {}
    }
}

fn result(prompt: &mut Prompt, block: &Value) {
    let texts: Vec<&str> = list(&block["content"])
        .iter()
        .filter_map(|inner| inner["text"].as_str())
        .collect();
    prompt.results.push(ToolResult {
        id: text(&block["tool_use_id"]).to_owned(),
        text: block["content"]
            .as_str()
            .map_or_else(|| texts.join("\n"), str::to_owned),
        is_error: block["is_error"] == true,
    });
    let sources = list(&block["content"]).iter().filter_map(|inner| inner.get("source"));
    prompt.attachments.extend(sources.map(attachment));
}

fn attachment(source: &Value) -> String {
    match source["type"].as_str() {
        Some("base64") => inline(text(&source["media_type"]), text(&source["data"])),
        Some("text") => format!("{}, {} bytes", text(&source["media_type"]), text(&source["data"]).len()),
        Some("url") => text(&source["url"]).to_owned(),
        _ => text(&source["file_id"]).to_owned(),
    }
}

/// A tool that the client is to call; one of Anthropic's own is not.
fn tool(tool: &Value) -> Option<Tool> {
    matches!(tool["type"].as_str(), None | Some("custom")).then(|| Tool {
        name: text(&tool["name"]).to_owned(),
        is_custom: false,
        schema: tool["input_schema"].clone(),
    })
}
