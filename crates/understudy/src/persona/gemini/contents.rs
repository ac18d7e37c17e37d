//! What the contents of a request must be like.

use serde_json::Value;

use super::SEAL;
use super::check::{is_function_name, known_at};
use super::errors::ApiError;
use super::spelling::snake;
use crate::base64;
use crate::persona::fields::{is_set, list, text};
use crate::persona::seal::is_sealed;

/// What Google documents as the way around a signature that is not at hand.
const SKIP: &str = "skip_thought_signature_validator";
const DATA_FIELDS: [&str; 9] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
];
const MODIFIERS: [&str; 5] = [
    "thought",
    "thoughtSignature",
    "videoMetadata",
    "mediaResolution",
    "partMetadata",
];

/// Fails as Google does if it does not like the contents.
pub(super) fn check(model: &str, body: &Value) -> Result<(), ApiError> {
    let contents = list(&body["contents"]);
    if contents.is_empty() {
        return Err(ApiError::invalid(
            "* GenerateContentRequest.contents: contents is not specified\n",
        ));
    }
    for (index, content) in contents.iter().enumerate() {
        one(&format!("contents[{index}]"), content)?;
    }
    if is_model(&contents[0]) {
        return Err(ApiError::invalid(
            "Please ensure that multiturn requests begin with a user turn, and alternate between user and model.",
        ));
    }
    for (index, content) in contents.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| &contents[before]);
        turn(before, content)?;
        if model.starts_with("gemini-3") {
            signed(index, content)?;
        }
    }
    let last = &contents[contents.len() - 1];
    if !calls(last).is_empty() {
        return Err(wrong_count());
    }
    Ok(())
}

fn one(path: &str, content: &Value) -> Result<(), ApiError> {
    known_at(path, content, &["role", "parts"])?;
    if !["", "user", "model", "function", "tool"].contains(&text(&content["role"])) {
        return Err(ApiError::invalid("Please use a valid role: user, model."));
    }
    if list(&content["parts"]).is_empty() {
        return Err(ApiError::invalid(format!(
            "* GenerateContentRequest.{path}.parts: contents.parts must not be empty.\n"
        )));
    }
    for (index, it) in list(&content["parts"]).iter().enumerate() {
        part(&format!("{path}.parts[{index}]"), it)?;
    }
    Ok(())
}

fn part(path: &str, part: &Value) -> Result<(), ApiError> {
    known_at(path, part, &[&DATA_FIELDS[..], &MODIFIERS].concat())?;
    let data = DATA_FIELDS.iter().filter(|name| is_set(part, name)).count();
    if data != 1 {
        return Err(ApiError::invalid(format!(
            "* GenerateContentRequest.{path}.data: required oneof field 'data' must have one initialized field\n"
        )));
    }
    signature(path, part)?;
    blob(path, part)?;
    function_call(path, &part["functionCall"])?;
    function_response(path, &part["functionResponse"])
}

/// A signature is one of this persona's, or the way around it.
fn signature(path: &str, part: &Value) -> Result<(), ApiError> {
    let signature = text(&part["thoughtSignature"]);
    if signature.is_empty() || signature == SKIP || is_sealed(SEAL, signature) {
        return Ok(());
    }
    match base64::decode(signature) {
        Some(bytes) if bytes == SKIP.as_bytes() => Ok(()),
        Some(_) => Err(ApiError::invalid("Corrupted thought signature.")),
        None => Err(ApiError::invalid(format!(
            "Invalid value at '{}.thought_signature' (TYPE_BYTES), Base64 decoding failed for \"{signature}\"",
            snake(path)
        ))),
    }
}

fn blob(path: &str, part: &Value) -> Result<(), ApiError> {
    let inline = &part["inlineData"];
    known_at(
        &format!("{path}.inlineData"),
        inline,
        &["mimeType", "data", "displayName"],
    )?;
    let file = &part["fileData"];
    known_at(
        &format!("{path}.fileData"),
        file,
        &["mimeType", "fileUri", "displayName"],
    )?;
    if inline.is_null() {
        return Ok(());
    }
    if text(&inline["mimeType"]).is_empty() {
        return Err(ApiError::invalid(format!(
            "* GenerateContentRequest.{}.inline_data.mime_type: mime_type must be specified.\n",
            snake(path)
        )));
    }
    if base64::decode(text(&inline["data"])).is_none_or(|bytes| bytes.is_empty()) {
        return Err(ApiError::invalid(format!(
            "Invalid value at '{}.inline_data.data' (TYPE_BYTES), Base64 decoding failed",
            snake(path)
        )));
    }
    Ok(())
}

fn function_call(path: &str, call: &Value) -> Result<(), ApiError> {
    if call.is_null() {
        return Ok(());
    }
    let path = format!("{path}.functionCall");
    known_at(&path, call, &["name", "args", "id", "partialArgs", "willContinue"])?;
    if !is_function_name(text(&call["name"])) {
        return Err(empty_name(&path));
    }
    if is_set(call, "args") && !call["args"].is_object() {
        return Err(no_struct(&format!("{path}.args"), &call["args"]));
    }
    Ok(())
}

fn function_response(path: &str, response: &Value) -> Result<(), ApiError> {
    if response.is_null() {
        return Ok(());
    }
    let path = format!("{path}.functionResponse");
    known_at(
        &path,
        response,
        &["name", "response", "id", "parts", "willContinue", "scheduling"],
    )?;
    if !is_function_name(text(&response["name"])) {
        return Err(empty_name(&path));
    }
    if !response["response"].is_object() {
        return Err(no_struct(&format!("{path}.response"), &response["response"]));
    }
    for (index, part) in list(&response["parts"]).iter().enumerate() {
        known_at(&format!("{path}.parts[{index}]"), part, &["inlineData", "fileData"])?;
        blob(&format!("{path}.parts[{index}]"), part)?;
    }
    Ok(())
}

fn empty_name(path: &str) -> ApiError {
    ApiError::invalid(format!(
        "* GenerateContentRequest.{}.name: Name cannot be empty.\n",
        snake(path)
    ))
}

fn no_struct(path: &str, value: &Value) -> ApiError {
    let path = snake(path);
    ApiError::invalid(format!(
        "Invalid value at '{path}' (type.googleapis.com/google.protobuf.Struct), {value}"
    ))
}

fn wrong_count() -> ApiError {
    ApiError::invalid(
        "Please ensure that the number of function response parts is equal to the number of function call parts of the \
         function call turn.",
    )
}

fn is_model(content: &Value) -> bool {
    content["role"] == "model"
}

fn calls(content: &Value) -> Vec<&Value> {
    list(&content["parts"])
        .iter()
        .filter_map(|part| part.get("functionCall"))
        .collect()
}

fn responses(content: &Value) -> Vec<&Value> {
    list(&content["parts"])
        .iter()
        .filter_map(|part| part.get("functionResponse"))
        .collect()
}

/// Fails if a turn may not follow the one before it.
fn turn(before: Option<&Value>, content: &Value) -> Result<(), ApiError> {
    let Some(before) = before else {
        return if responses(content).is_empty() {
            Ok(())
        } else {
            Err(ApiError::invalid(
                "Please ensure that function response turn comes immediately after a function call turn.",
            ))
        };
    };
    if is_model(before) == is_model(content) {
        return Err(ApiError::invalid(
            "Please ensure that multiturn requests alternate between user and model.",
        ));
    }
    let (asked, given) = (calls(before), responses(content));
    if asked.len() != given.len() {
        return Err(wrong_count());
    }
    for response in &given {
        // Where there are ids they pair the two, else the order does not matter but the names do.
        let pairs = |call: &&&Value| {
            call["name"] == response["name"] && (response["id"].is_null() || call["id"] == response["id"])
        };
        let wanted = asked.iter().filter(pairs).count();
        let same = |other: &&&Value| other["name"] == response["name"] && other["id"] == response["id"];
        if wanted < given.iter().filter(same).count() {
            return Err(ApiError::invalid(format!(
                "Please ensure that each function response has the name and the id of a function call of the turn before: {}.",
                text(&response["name"])
            )));
        }
    }
    Ok(())
}

/// The first call of a step must carry a signature.
fn signed(index: usize, content: &Value) -> Result<(), ApiError> {
    let first = list(&content["parts"]).iter().find(|part| is_set(part, "functionCall"));
    let Some(first) = first.filter(|part| text(&part["thoughtSignature"]).is_empty()) else {
        return Ok(());
    };
    Err(ApiError::invalid(format!(
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and \
         missing thought_signature may lead to degraded model performance. Additional data, function call `default_api:{}` , \
         position {}. Please refer to https://ai.google.dev/gemini-api/docs/thought-signatures for more details.",
        text(&first["functionCall"]["name"]),
        index + 1
    )))
}
