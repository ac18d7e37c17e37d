//! What a request asks.

use serde_json::{Value, json};

use crate::persona::fields::{is_set, list, text};
use crate::persona::prompt::{Choice, Prompt, Tool, ToolResult, inline, linked};

/// Reads the request.
pub(super) fn read(body: &Value) -> Prompt {
    let messages = list(&body["messages"]);
    let spoken = messages.iter().rposition(|message| message["role"] == "assistant");
    let tail = &messages[spoken.map_or(0, |place| place + 1)..];
    let mut prompt = Prompt {
        tools: list(&body["tools"]).iter().map(tool).collect(),
        choice: choice(&body["tool_choice"]),
        is_one_call_at_most: body["parallel_tool_calls"] == false,
        schema: schema(&body["response_format"]),
        stops: stops(&body["stop"]),
        ..Prompt::default()
    };
    for message in tail {
        match message["role"].as_str() {
            Some("user") => heard(&mut prompt, &message["content"]),
            Some("tool") => prompt.results.push(ToolResult {
                id: text(&message["tool_call_id"]).to_owned(),
                text: flat(&message["content"]),
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
            Some("input_audio") => {
                let audio = &part["input_audio"];
                prompt.attachments.push(inline(
                    &format!("audio/{}", text(&audio["format"])),
                    text(&audio["data"]),
                ));
            }
            Some("file") => prompt.attachments.push(file(&part["file"])),
            _ => {}
        }
    }
}

fn file(file: &Value) -> String {
    if is_set(file, "file_data") {
        linked(text(&file["file_data"]))
    } else {
        text(&file["file_id"]).to_owned()
    }
}

/// The text of a content.
fn flat(content: &Value) -> String {
    let parts: Vec<&str> = list(content).iter().map(|part| text(&part["text"])).collect();
    content.as_str().map_or_else(|| parts.join("\n"), str::to_owned)
}

fn tool(tool: &Value) -> Tool {
    let is_custom = tool["type"] == "custom";
    let definition = if is_custom { &tool["custom"] } else { &tool["function"] };
    Tool {
        name: text(&definition["name"]).to_owned(),
        is_custom,
        schema: definition["parameters"].clone(),
    }
}

fn choice(choice: &Value) -> Choice {
    let kind = choice["type"].as_str().or(choice.as_str());
    match kind {
        Some("none") => Choice::Never,
        Some("required") => Choice::Required,
        Some(kind @ ("function" | "custom")) => Choice::Named(text(&choice[kind]["name"]).to_owned()),
        Some("allowed_tools") if choice["allowed_tools"]["mode"] == "required" => {
            Choice::Named(text(&choice["allowed_tools"]["tools"][0]["function"]["name"]).to_owned())
        }
        _ => Choice::Auto,
    }
}

fn schema(format: &Value) -> Option<Value> {
    match format["type"].as_str() {
        Some("json_object") => Some(json!({})),
        Some("json_schema") => Some(format["json_schema"]["schema"].clone()),
        _ => None,
    }
}

fn stops(stop: &Value) -> Vec<String> {
    let several = list(stop).iter().filter_map(Value::as_str);
    stop.as_str().into_iter().chain(several).map(str::to_owned).collect()
}
