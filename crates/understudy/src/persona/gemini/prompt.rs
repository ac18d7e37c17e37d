//! What a request asks.

use serde_json::{Value, json};

use super::check::declarations;
use crate::persona::fields::{list, text};
use crate::persona::prompt::{Choice, Prompt, Tool, ToolResult, inline};

/// Reads the request.
pub(super) fn read(body: &Value) -> Prompt {
    let config = &body["generationConfig"];
    let mut prompt = Prompt {
        tools: declarations(body).into_iter().map(tool).collect(),
        choice: choice(&body["toolConfig"]["functionCallingConfig"]),
        schema: schema(config),
        stops: list(&config["stopSequences"])
            .iter()
            .map(|stop| text(stop).to_owned())
            .collect(),
        ..Prompt::default()
    };
    let contents = list(&body["contents"]);
    let spoken = contents.iter().rposition(|content| content["role"] == "model");
    for content in &contents[spoken.map_or(0, |place| place + 1)..] {
        for part in list(&content["parts"]) {
            heard(&mut prompt, part);
        }
    }
    prompt
}

fn heard(prompt: &mut Prompt, part: &Value) {
    if let Some(text) = part["text"].as_str() {
        prompt.say(text);
    }
    attach(prompt, part);
    let Some(response) = part.get("functionResponse") else {
        return;
    };
    let id = response["id"].as_str().unwrap_or(text(&response["name"]));
    let (said, is_error) = said(&response["response"]);
    prompt.results.push(ToolResult {
        id: id.to_owned(),
        text: said,
        is_error,
    });
    for part in list(&response["parts"]) {
        attach(prompt, part);
    }
}

fn attach(prompt: &mut Prompt, part: &Value) {
    if let Some(blob) = part.get("inlineData") {
        prompt
            .attachments
            .push(inline(text(&blob["mimeType"]), text(&blob["data"])));
    }
    if let Some(file) = part.get("fileData") {
        prompt.attachments.push(text(&file["fileUri"]).to_owned());
    }
}

/// The text of a result, and whether it is that of an error.
fn said(response: &Value) -> (String, bool) {
    let is_alone = response.as_object().is_some_and(|fields| fields.len() == 1);
    let found = ["output", "result", "error"]
        .into_iter()
        .find(|name| is_alone && response.get(name).is_some());
    match found {
        Some(name) => {
            let said = response[name]
                .as_str()
                .map_or_else(|| response[name].to_string(), str::to_owned);
            (said, name == "error")
        }
        None => (response.to_string(), response.get("error").is_some()),
    }
}

fn tool(function: &Value) -> Tool {
    let schema = function.get("parametersJsonSchema").unwrap_or(&function["parameters"]);
    Tool {
        name: text(&function["name"]).to_owned(),
        is_custom: false,
        schema: lower(schema),
    }
}

fn choice(config: &Value) -> Choice {
    match text(&config["mode"]).to_uppercase().as_str() {
        "NONE" => Choice::Never,
        "ANY" => config["allowedFunctionNames"][0]
            .as_str()
            .map_or(Choice::Required, |name| Choice::Named(name.to_owned())),
        _ => Choice::Auto,
    }
}

fn schema(config: &Value) -> Option<Value> {
    if config["responseMimeType"] != "application/json" {
        return None;
    }
    let schema = config
        .get("responseJsonSchema")
        .or_else(|| config.get("responseSchema"));
    Some(schema.map_or_else(|| json!({}), lower))
}

/// A schema with its types in lower case, as JSON schemas have them.
fn lower(schema: &Value) -> Value {
    match schema {
        Value::Array(members) => members.iter().map(lower).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| match value {
                Value::String(kind) if name == "type" => (name.clone(), json!(kind.to_lowercase())),
                value => (name.clone(), lower(value)),
            })
            .collect(),
        other => other.clone(),
    }
}
