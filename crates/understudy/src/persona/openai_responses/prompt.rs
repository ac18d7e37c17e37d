//! What a request asks.

use serde_json::{Value, json};

use crate::persona::fields::{list, text};
use crate::persona::prompt::{Choice, Prompt, Tool, ToolResult, inline, linked};

/// Reads the request.
pub(super) fn read(body: &Value) -> Prompt {
    let mut prompt = Prompt {
        tools: list(&body["tools"]).iter().flat_map(tools).collect(),
        choice: choice(&body["tool_choice"]),
        is_one_call_at_most: body["parallel_tool_calls"] == false,
        schema: match body["text"]["format"]["type"].as_str() {
            Some("json_object") => Some(json!({})),
            Some("json_schema") => Some(body["text"]["format"]["schema"].clone()),
            _ => None,
        },
        ..Prompt::default()
    };
    if let Some(text) = body["input"].as_str() {
        prompt.say(text);
    }
    let items = list(&body["input"]);
    let spoken = items.iter().rposition(is_spoken);
    for item in &items[spoken.map_or(0, |place| place + 1)..] {
        match item["type"].as_str() {
            Some("function_call_output" | "custom_tool_call_output") => result(&mut prompt, item),
            None | Some("message") if item["role"] == "user" => heard(&mut prompt, &item["content"]),
            _ => {}
        }
    }
    prompt
}

/// Whether an item came from the model.
fn is_spoken(item: &Value) -> bool {
    let kind = item["type"].as_str();
    item["role"] == "assistant" || matches!(kind, Some("function_call" | "custom_tool_call" | "reasoning"))
}

fn result(prompt: &mut Prompt, item: &Value) {
    let texts: Vec<&str> = list(&item["output"])
        .iter()
        .filter_map(|part| part["text"].as_str())
        .collect();
    prompt.results.push(ToolResult {
        id: text(&item["call_id"]).to_owned(),
        text: item["output"].as_str().map_or_else(|| texts.join("\n"), str::to_owned),
        is_error: false,
    });
    attach(prompt, &item["output"]);
}

fn heard(prompt: &mut Prompt, content: &Value) {
    if let Some(text) = content.as_str() {
        prompt.say(text);
    }
    for text in list(content).iter().filter_map(|part| part["text"].as_str()) {
        prompt.say(text);
    }
    attach(prompt, content);
}

fn attach(prompt: &mut Prompt, content: &Value) {
    for part in list(content) {
        let first = |names: [&str; 3]| {
            let found = names.iter().find_map(|name| part[name].as_str());
            linked(found.unwrap_or_default())
        };
        match part["type"].as_str() {
            Some("input_image") => prompt.attachments.push(first(["image_url", "file_id", ""])),
            Some("input_file") => prompt.attachments.push(first(["file_data", "file_url", "file_id"])),
            Some("input_audio") => {
                let audio = &part["input_audio"];
                let media_type = format!("audio/{}", text(&audio["format"]));
                prompt.attachments.push(inline(&media_type, text(&audio["data"])));
            }
            _ => {}
        }
    }
}

/// The tools that are to be called by the client; a namespace has several.
fn tools(tool: &Value) -> Vec<Tool> {
    match tool["type"].as_str() {
        Some("namespace") => list(&tool["tools"]).iter().flat_map(tools).collect(),
        Some(kind @ ("function" | "custom")) => vec![Tool {
            name: text(&tool["name"]).to_owned(),
            is_custom: kind == "custom",
            schema: tool["parameters"].clone(),
        }],
        _ => Vec::new(),
    }
}

fn choice(choice: &Value) -> Choice {
    match choice["type"].as_str().or(choice.as_str()) {
        Some("none") => Choice::Never,
        Some("required") => Choice::Required,
        Some("function" | "custom") => Choice::Named(text(&choice["name"]).to_owned()),
        Some("allowed_tools") if choice["mode"] == "required" => {
            Choice::Named(text(&choice["tools"][0]["name"]).to_owned())
        }
        _ => Choice::Auto,
    }
}
