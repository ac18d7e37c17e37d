//! `POST /v1/responses`.

mod stream;

use serde_json::{Value, json};

use super::CREATED;
use super::call::Call;
use super::conversation::{Heard, limited};
use super::errors::ApiError;
use super::tools::{self, ToolCall};
use super::usage;
use crate::reply::Reply;

pub(super) fn answer(call: &Call<'_>) -> Result<Reply, ApiError> {
    let model = call.require_model()?;
    if call.body["input"].is_null() {
        return Err(ApiError::missing("input"));
    }
    let heard = Heard::in_input(&call.body["input"]);
    let calls = tools::due(&call.body, &heard);
    let (text, is_cut) = limited(
        &heard.formatted_reply(&call.body["text"]["format"]),
        &Value::Null,
        call.number("max_output_tokens"),
    );
    let output = if calls.is_empty() {
        vec![message(call, &text, is_cut)]
    } else {
        calls_made(call, &calls)
    };
    let is_cut = is_cut && calls.is_empty();
    let mut response = envelope(call, model);
    response["usage"] = usage::response(usage::count(&call.body["input"]), usage::count(&json!(output)));
    response["output"] = json!(output);
    if is_cut {
        response["status"] = json!("incomplete");
        response["incomplete_details"] = json!({"reason": "max_output_tokens"});
    } else {
        response["status"] = json!("completed");
        response["completed_at"] = json!(CREATED + 1);
    }
    if call.wants_stream() {
        Ok(Reply::stream(stream::events(&response)))
    } else {
        Ok(Reply::json(&response))
    }
}

/// A response in progress, with what it repeats of the request.
fn envelope(call: &Call<'_>, model: &str) -> Value {
    let repeated = |name: &str, otherwise: Value| call.body.get(name).cloned().unwrap_or(otherwise);
    json!({
        "id": call.id("resp_"),
        "object": "response",
        "created_at": CREATED,
        "completed_at": null,
        "status": "in_progress",
        "background": false,
        "error": null,
        "incomplete_details": null,
        "instructions": repeated("instructions", Value::Null),
        "max_output_tokens": repeated("max_output_tokens", Value::Null),
        "model": model,
        "output": [],
        "parallel_tool_calls": repeated("parallel_tool_calls", json!(true)),
        "previous_response_id": repeated("previous_response_id", Value::Null),
        "reasoning": repeated("reasoning", json!({"effort": null, "summary": null})),
        "service_tier": "default",
        "store": repeated("store", json!(true)),
        "temperature": repeated("temperature", json!(1.0)),
        "text": repeated("text", json!({"format": {"type": "text"}})),
        "tool_choice": repeated("tool_choice", json!("auto")),
        "tools": repeated("tools", json!([])),
        "top_p": repeated("top_p", json!(1.0)),
        "truncation": repeated("truncation", json!("disabled")),
        "usage": null,
        "user": repeated("user", Value::Null),
        "metadata": repeated("metadata", json!({})),
    })
}

fn message(call: &Call<'_>, text: &str, is_cut: bool) -> Value {
    json!({
        "id": call.id("msg_"),
        "type": "message",
        "status": if is_cut { "incomplete" } else { "completed" },
        "role": "assistant",
        "content": [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}],
    })
}

fn calls_made(call: &Call<'_>, calls: &[ToolCall]) -> Vec<Value> {
    let number = call.received.number;
    let item = |(place, tool): (usize, &ToolCall)| {
        let call_id = format!("call_understudy{number}_{place}");
        if tool.is_custom {
            json!({
                "id": format!("ctc_understudy{number}_{place}"), "type": "custom_tool_call", "status": "completed",
                "call_id": call_id, "name": tool.name, "input": tool.input,
            })
        } else {
            json!({
                "id": format!("fc_understudy{number}_{place}"), "type": "function_call", "status": "completed",
                "call_id": call_id, "name": tool.name, "arguments": tool.input,
            })
        }
    };
    calls.iter().enumerate().map(item).collect()
}
