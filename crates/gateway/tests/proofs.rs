//! A provider's proof of its reasoning returns to it alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Rule, Script};
use serde_json::{Value, json};
use support::dialects::{model, provider, say, strict};
use support::{Gateway, Request};

/// What Anthropic's callers send after an answer with thoughts and a call.
fn continued(model: &str, answer: &Value) -> Request {
    let call = answer["content"].as_array().unwrap().last().unwrap()["id"].clone();
    let body = json!({"model": model, "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024},
    "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}],
    "messages": [
        {"role": "user", "content": "[[reasoning-tool]] Weather?"},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": "sunny"}]},
    ]});
    Request::post("/v1/messages", &body.to_string())
}

#[tokio::test]
async fn proofs_of_reasoning_return_to_their_maker_and_reach_nobody_else() {
    let kinds = ["responses", "anthropic", "gemini", "chat", "cohere"];
    for maker in ["responses", "gemini"] {
        let (made, others) = (strict(Script::new()).await, strict(Script::new()).await);
        let mut config = provider("maker", maker, &made.url());
        for kind in kinds {
            config += &provider(&format!("other-{kind}"), kind, &others.url());
        }
        let gateway = Gateway::start(&config);
        let model_of_maker = format!("maker/{}", model(maker));
        let first = json!({"model": model_of_maker, "max_tokens": 4000,
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}],
            "messages": [{"role": "user", "content": "[[reasoning-tool]] Weather?"}]});
        let answer = gateway.send(&Request::post("/v1/messages", &first.to_string())).await;
        assert!(answer.text().contains("mynah1."), "{}", answer.text());

        // The maker is strict: without its own proof, as it was issued, it refuses.
        let reply = gateway.send(&continued(&model_of_maker, &answer.json())).await;
        assert_eq!(reply.status, 200, "{maker}: {}", reply.text());
        assert!(!made.received().last().unwrap().text().contains("mynah1."));
        let sent = made.received().last().unwrap().json().unwrap();
        let proof = proof(&sent).expect("the proof comes back");

        for kind in kinds {
            let name = format!("other-{kind}/{}", model(kind));
            let reply = gateway.send(&continued(&name, &answer.json())).await;
            assert_eq!(reply.status, 200, "{maker} to {kind}: {}", reply.text());
            let received = others.received().last().unwrap().text();
            assert!(
                !received.contains(&proof) && !received.contains("mynah1."),
                "{maker} to {kind}: {received}"
            );
        }
    }
}

/// The first proof of reasoning in a request to its maker.
fn proof(value: &Value) -> Option<String> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| match value.as_str() {
            Some(text) if matches!(name.as_str(), "encrypted_content" | "thoughtSignature") => Some(text.to_owned()),
            _ => proof(value),
        }),
        Value::Array(items) => items.iter().find_map(proof),
        _ => None,
    }
}

/// The history of a conversation in which a proof came in an envelope, in the words of a caller.
fn enveloped(caller: &str, model: &str) -> Value {
    let envelope = "mynah1.eyJwIjoiY29oZXJlIiwibyI6ImEiLCJzIjoic2VhbGVkIn0";
    match caller {
        "anthropic" => json!({"model": model, "max_tokens": 10, "messages": [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": envelope}, {"type": "text", "text": "yes?"}]},
            {"role": "user", "content": "go on"}]}),
        "gemini" => json!({"contents": [
            {"role": "user", "parts": [{"text": "hello"}]},
            {"role": "model", "parts": [
                {"text": "yes?", "thoughtSignature": "bXluYWgxLmV5SndJam9pWTI5b1pYSmxJaXdpYnlJNkltRWlMQ0p6SWpvaWMyVmhiR1ZrSW4w"}]},
            {"role": "user", "parts": [{"text": "go on"}]}]}),
        _ => json!({"model": model, "input": [
            {"role": "user", "content": "hello"},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": envelope},
            {"role": "assistant", "content": "yes?"},
            {"role": "user", "content": "go on"}]}),
    }
}

#[tokio::test]
async fn an_envelope_is_not_relayed_within_a_dialect() {
    for kind in ["anthropic", "gemini", "responses"] {
        let up = strict(Script::new()).await;
        let gateway = Gateway::start(&provider("up", kind, &up.url()));
        let name = format!("up/{}", model(kind));
        for streamed in [false, true] {
            let mut asked = enveloped(kind, &name);
            if kind != "gemini" {
                asked["stream"] = json!(streamed);
            }
            let reply = gateway.send(&say(kind, &name, &asked, streamed)).await;
            assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
            let received = up.received().last().unwrap().text();
            assert!(
                !received.contains("mynah1.") && !received.contains("bXluYWgxL"),
                "{kind}: {received}"
            );
            assert!(
                !received.contains("sealed") && received.contains("yes?"),
                "{kind}: {received}"
            );
        }
    }
}

#[tokio::test]
async fn a_proof_that_its_maker_refuses_is_left_out_once() {
    let up = strict(Script::new()).await;
    let gateway = Gateway::start(&provider("maker", "gemini", &up.url()));
    let first = json!({"model": "maker/gemini-3-pro", "max_tokens": 4000,
        "thinking": {"type": "enabled", "budget_tokens": 1024},
        "messages": [{"role": "user", "content": "[[reasoning]] Weather?"}]});
    let answer = gateway
        .send(&Request::post("/v1/messages", &first.to_string()))
        .await
        .json();
    assert!(answer.to_string().contains("mynah1."), "{answer}");
    let refusal =
        json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Thought signature is not valid."}});
    up.set_script(Rule::any().replies([Reply::status(400).body(refusal.to_string()), Reply::persona()]));
    up.clear();
    let next = json!({"model": "maker/gemini-3-pro", "max_tokens": 4000, "messages": [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": answer["content"]},
        {"role": "user", "content": "Really?"}]});
    let reply = gateway.send(&Request::post("/v1/messages", &next.to_string())).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let received: Vec<Value> = up.received().iter().map(|received| received.json().unwrap()).collect();
    assert_eq!(received.len(), 2);
    assert!(
        proof(&received[0]).is_some() && proof(&received[1]).is_none(),
        "{received:?}"
    );

    // That it was left out is not tried for ever.
    up.set_script(Reply::status(400).body(refusal.to_string()));
    up.clear();
    let reply = gateway.send(&Request::post("/v1/messages", &next.to_string())).await;
    assert_eq!((reply.status, up.received().len()), (400, 2), "{}", reply.text());
}
