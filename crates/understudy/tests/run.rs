//! All personas let an agent run a command, and quote what it printed.
#![cfg(test)]

mod support;

use serde_json::{Value, json};
use support::Stage;

const HEADERS: &[(&str, &str)] = &[
    ("authorization", "Bearer good"),
    ("anthropic-version", "2023-06-01"),
    ("x-client-name", "test"),
];
const ASKED: &str = "[[run echo $((6*7))]] please";

fn schema() -> Value {
    json!({"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]})
}

fn read_schema() -> Value {
    json!({"type": "object", "properties": {"path": {"type": "string"}}})
}

/// The call in an answer, and the text of the answer to a request that has the result of the call.
async fn played(
    path: &str,
    asking: &Value,
    call: &str,
    result: impl Fn(&Value) -> Value,
    said: &str,
) -> (Value, String) {
    let mut stage = Stage::new(HEADERS).await;
    let first = stage.ask(path, asking).await;
    assert_eq!(first.status, 200, "{}", first.text());
    let first = first.json();
    let second = stage.ask(path, &result(&first)).await;
    assert_eq!(second.status, 200, "{}", second.text());
    let text = second.json().pointer(said).and_then(Value::as_str).unwrap().to_owned();
    (first.pointer(call).unwrap().clone(), text)
}

/// The request with more behind its conversation.
fn longer(asking: &Value, name: &str, more: [Value; 2]) -> Value {
    let mut asking = asking.clone();
    asking[name].as_array_mut().unwrap().extend(more);
    asking
}

#[tokio::test]
async fn chat_completions() {
    let tool =
        |name: &str, schema: Value| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    let asking = json!({
        "model": "m", "messages": [{"role": "user", "content": ASKED}],
        "tools": [tool("Read", read_schema()), tool("Bash", schema())],
    });
    let result = |first: &Value| {
        let message = &first["choices"][0]["message"];
        let id = &message["tool_calls"][0]["id"];
        let output = json!({"role": "tool", "tool_call_id": id, "content": "42"});
        longer(&asking, "messages", [message.clone(), output])
    };
    let call = "/choices/0/message/tool_calls/0/function";
    let (call, said) = played(
        "/v1/chat/completions",
        &asking,
        call,
        result,
        "/choices/0/message/content",
    )
    .await;
    assert_eq!(call["name"], "Bash");
    assert_eq!(call["arguments"], r#"{"command":"echo $((6*7))"}"#);
    assert!(said.starts_with("Tool said:") && said.ends_with("42"), "{said}");
}

#[tokio::test]
async fn responses() {
    let asking = json!({
        "model": "m", "store": false, "input": [{"role": "user", "content": ASKED}],
        "tools": [
            {"type": "function", "name": "Read", "parameters": read_schema()},
            {"type": "function", "name": "exec_command", "parameters": schema()},
        ],
    });
    let result = |first: &Value| {
        let call = &first["output"][0];
        let output = json!({"type": "function_call_output", "call_id": call["call_id"], "output": "42"});
        longer(&asking, "input", [call.clone(), output])
    };
    let (call, said) = played(
        "/v1/responses",
        &asking,
        "/output/0",
        result,
        "/output/0/content/0/text",
    )
    .await;
    assert_eq!(call["name"], "exec_command");
    assert_eq!(call["arguments"], r#"{"command":"echo $((6*7))"}"#);
    assert!(said.starts_with("Tool said:") && said.ends_with("42"), "{said}");
}

#[tokio::test]
async fn anthropic() {
    let asking = json!({
        "model": "m", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 2000},
        "messages": [{"role": "user", "content": ASKED.replace("run", "reasoning-run")}],
        "tools": [{"name": "Read", "input_schema": read_schema()}, {"name": "Bash", "input_schema": schema()}],
    });
    let result = |first: &Value| {
        assert_eq!(first["content"][0]["type"], "thinking");
        let message = json!({"role": "assistant", "content": first["content"]});
        let id = &first["content"][1]["id"];
        let output = json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": id, "content": "42"}]});
        longer(&asking, "messages", [message, output])
    };
    let (call, said) = played("/v1/messages", &asking, "/content/1", result, "/content/0/text").await;
    assert_eq!(call["name"], "Bash");
    assert_eq!(call["input"], json!({"command": "echo $((6*7))"}));
    assert!(said.starts_with("Tool said:") && said.ends_with("42"), "{said}");
}

#[tokio::test]
async fn gemini() {
    let asking = json!({
        "contents": [{"role": "user", "parts": [{"text": ASKED}]}],
        "tools": [{"functionDeclarations": [
            {"name": "Read", "parametersJsonSchema": read_schema()},
            {"name": "Bash", "parameters": {"type": "OBJECT", "properties": {"command": {"type": "STRING"}}}},
        ]}],
    });
    let result = |first: &Value| {
        let output = json!({"functionResponse": {"name": "Bash", "response": {"output": "42"}}});
        let answer = json!({"role": "user", "parts": [output]});
        longer(&asking, "contents", [first["candidates"][0]["content"].clone(), answer])
    };
    let path = "/v1beta/models/gemini-2.5-flash:generateContent?key=good";
    let (call, said) = played(
        path,
        &asking,
        "/candidates/0/content/parts/0/functionCall",
        result,
        "/candidates/0/content/parts/0/text",
    )
    .await;
    assert_eq!(call["name"], "Bash");
    assert_eq!(call["args"], json!({"command": "echo $((6*7))"}));
    assert!(said.starts_with("Tool said:") && said.contains("42"), "{said}");
}

#[tokio::test]
async fn cohere() {
    let tool =
        |name: &str, schema: Value| json!({"type": "function", "function": {"name": name, "parameters": schema}});
    let asking = json!({
        "model": "m", "messages": [{"role": "user", "content": ASKED}],
        "tools": [tool("Read", read_schema()), tool("Bash", schema())],
    });
    let result = |first: &Value| {
        let calls = &first["message"]["tool_calls"];
        let message = json!({"role": "assistant", "tool_calls": calls});
        let output = json!({"role": "tool", "tool_call_id": calls[0]["id"], "content": "42"});
        longer(&asking, "messages", [message, output])
    };
    let call = "/message/tool_calls/0/function";
    let (call, said) = played("/v2/chat", &asking, call, result, "/message/content/0/text").await;
    assert_eq!(call["name"], "Bash");
    assert_eq!(call["arguments"], r#"{"command":"echo $((6*7))"}"#);
    assert!(said.starts_with("Tool said:") && said.ends_with("42"), "{said}");
}
