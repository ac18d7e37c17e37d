//! What is said in a provider's own dialect arrives as it was said, in both directions.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use support::{Gateway, Request};

fn config(url: &str) -> String {
    format!(
        "[routing]\nretries = 0\n[providers.up]\nbase_url = '{url}'\napi_key = 'sk-of-the-provider'\nmodels = ['gpt-test', 'org/gpt']\n\
         [models.smart]\ntargets = ['up/gpt-test']\n"
    )
}

async fn up(script: impl Into<Script>) -> (Understudy, Gateway) {
    let understudy = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&config(&understudy.url()));
    (understudy, gateway)
}

/// Unknown fields, key order, number spelling, nulls, spaces, odd unicode, and an escape that a re-encoder would lose.
const ODD: &str = "{ \"temperature\" : 1.0e0,\"zzz\":null ,  \"messages\":[{\"role\":\"user\",\"content\":\"\\ud83d\\u00e9 \u{1f99c}\\/ \u{202e}\"}],\n\t\"big\":12345678901234567890123,\"model\":\"MODEL\", \"a\":{\"model\":\"untouched\"},\"n\":-0.0 }";

#[tokio::test]
async fn a_body_arrives_byte_for_byte_but_for_the_model() {
    let (understudy, gateway) = up(Reply::json(&serde_json::json!({"ok": true}))).await;
    for (asked, sent) in [
        ("smart", "gpt-test"),
        ("up/gpt-test", "gpt-test"),
        ("gpt-test", "gpt-test"),
        ("org/gpt", "org/gpt"),
    ] {
        understudy.clear();
        let reply = gateway.chat(&ODD.replace("MODEL", asked)).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        let received = understudy.wait_received(1).await;
        assert_eq!(received[0].text(), ODD.replace("MODEL", sent));
        assert_eq!(received[0].target, "/v1/chat/completions");
    }
}

#[tokio::test]
async fn a_stream_is_asked_for_its_usage_and_the_usage_stays_here() {
    let content = "data: {\"choices\":[{\"delta\":{\"content\":\"h\u{e9}\"}}],  \"usage\":null}\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}\n\n";
    let done = "data: [DONE]\n\n";
    let (understudy, gateway) = up(Reply::stream([content, usage, done])).await;

    let asked = r#"{"model":"gpt-test","stream":true,"messages":[]}"#;
    let reply = gateway.chat(asked).await;
    assert_eq!(reply.text(), [content, done].concat());
    let asked_for_usage = r#"{"stream_options":{"include_usage":true},"model":"gpt-test","stream":true,"messages":[]}"#;
    assert_eq!(understudy.wait_received(1).await[0].text(), asked_for_usage);

    // A client that asks for it gets it.
    assert_eq!(
        gateway.chat(asked_for_usage).await.text(),
        [content, usage, done].concat()
    );
    assert_eq!(understudy.wait_received(2).await[1].text(), asked_for_usage);
}

#[tokio::test]
async fn the_answer_comes_back_as_it_was_sent() {
    let body = "{ \"id\":\"x\",\r\n\"n\":1.00,\"u\":\"\\u00e9\u{e9}\" , \"usage\":{\"prompt_tokens\":1} }";
    let reply = Reply::bytes(body.as_bytes().to_vec())
        .header("content-type", "application/json")
        .header("x-request-id", "req_provider")
        .header("x-ratelimit-remaining-requests", "59")
        .header("openai-processing-ms", "7")
        .header("set-cookie", "__cf_bm=1")
        .header("strict-transport-security", "max-age=1");
    let (_understudy, gateway) = up(reply).await;
    let reply = gateway.chat(r#"{"model":"smart"}"#).await;
    assert_eq!(reply.text(), body);
    assert_eq!(reply.header("x-request-id"), Some("req_provider"));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("59"));
    assert_eq!(reply.header("openai-processing-ms"), Some("7"));
    assert_eq!(reply.header("x-mynah-model"), Some("up/gpt-test"));
    assert_eq!(reply.header("x-mynah-attempts"), Some("1"));
    assert!(reply.header("server-timing").unwrap().starts_with("gateway;dur="));
    assert_eq!(reply.header("set-cookie"), None);
    assert_eq!(reply.header("strict-transport-security"), None);
    assert_eq!(reply.header("content-length"), Some(body.len().to_string().as_str()));
}

#[tokio::test]
async fn the_providers_errors_come_back_as_they_were_sent() {
    for status in [400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503, 529] {
        let body =
            format!(r#"{{"error": {{"message":"from the provider","type":"t","param":null,"code":{status}}} }}"#);
        let script = Reply::status(status)
            .header("content-type", "application/json; charset=utf-8")
            .header("retry-after", "7")
            .header("x-request-id", "req_1")
            .body(body.clone().into_bytes());
        let (understudy, gateway) = up(script).await;
        let reply = gateway.chat(r#"{"model":"smart"}"#).await;
        assert_eq!((reply.status, reply.text()), (status, body.as_str()));
        assert_eq!(reply.header("retry-after"), Some("7"));
        assert_eq!(reply.header("x-request-id"), Some("req_1"));
        assert_eq!(understudy.received().len(), 1);
    }
}

#[tokio::test]
async fn credentials_and_hops_stay_where_they_belong() {
    let (understudy, gateway) = up(Reply::json(&serde_json::json!({}))).await;
    let request = Request::chat(r#"{"model":"smart"}"#)
        .header("Authorization", "Bearer sk-of-the-client")
        .header("x-api-key", "sk-of-the-client")
        .header("Cookie", "session=1")
        .header("Accept-Encoding", "gzip, br")
        .header("OpenAI-Organization", "org-of-the-client")
        .header("X-Forwarded-For", "10.0.0.7")
        .header("OpenAI-Beta", "assistants=v2")
        .header("X-Stainless-Lang", "python");
    gateway.send(&request).await;
    let received = understudy.wait_received(1).await;
    let received = &received[0];
    assert_eq!(received.header_text("authorization"), Some("Bearer sk-of-the-provider"));
    assert_eq!(received.header_text("accept-encoding"), Some("identity"));
    for name in ["x-api-key", "cookie", "openai-organization", "x-forwarded-for"] {
        assert_eq!(received.header_text(name), None, "{name}");
    }
    assert_eq!(received.header_text("openai-beta"), Some("assistants=v2"));
    assert_eq!(received.header_text("x-stainless-lang"), Some("python"));
    assert_eq!(
        received.header_text("content-length"),
        Some(r#"{"model":"gpt-test"}"#.len().to_string().as_str())
    );
}

#[tokio::test]
async fn a_key_that_a_provider_repeats_is_taken_out() {
    let reply = Reply::status(400).body(b"{\"error\":{\"message\":\"bad: Bearer sk-of-the-provider\"}}".to_vec());
    let (_understudy, gateway) = up(reply).await;
    let reply = gateway.chat(r#"{"model":"smart"}"#).await;
    assert_eq!(reply.text(), "{\"error\":{\"message\":\"bad: Bearer [redacted]\"}}");
    assert!(reply.whole);
}

#[tokio::test]
async fn every_route_that_names_a_model_is_relayed() {
    let (understudy, gateway) = up(Reply::json(&serde_json::json!({"ok": 1}))).await;
    for path in [
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/responses",
        "/v1/moderations",
        "/v1/images/generations",
        "/v1/audio/speech",
    ] {
        understudy.clear();
        let reply = gateway
            .send(&Request::post(path, r#"{"input":1,"model":"smart"}"#))
            .await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        let received = understudy.wait_received(1).await;
        assert_eq!(
            (received[0].path(), received[0].text().as_ref()),
            (path, r#"{"input":1,"model":"gpt-test"}"#)
        );
    }
}

#[tokio::test]
async fn a_form_is_routed_by_its_model_without_being_encoded_again() {
    let (understudy, gateway) = up(Reply::json(&serde_json::json!({"text": "hi"}))).await;
    let form = |model: &str| {
        let mut body = b"--b0\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n".to_vec();
        body.extend((0..=255).cycle().take(100_000));
        body.extend_from_slice(
            format!("\r\n--b0\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n--b0--\r\n")
                .as_bytes(),
        );
        body
    };
    for path in [
        "/v1/audio/transcriptions",
        "/v1/audio/translations",
        "/v1/images/edits",
        "/v1/images/variations",
    ] {
        understudy.clear();
        let request = Request::new("POST", path)
            .header("content-type", "multipart/form-data; boundary=b0")
            .body(&form("smart"));
        assert_eq!(gateway.send(&request).await.status, 200);
        let received = understudy.wait_received(1).await;
        assert_eq!(received[0].path(), path);
        assert!(received[0].body == form("gpt-test"), "{path}: the body changed");
    }
}

#[tokio::test]
async fn routes_without_a_model_are_passed_through() {
    let (understudy, gateway) = up(Reply::json(&serde_json::json!({"ok": 1}))).await;
    for (method, path) in [
        ("GET", "/v1/files?limit=2&after=x"),
        ("POST", "/v1/files"),
        ("DELETE", "/v1/files/file-1"),
        ("GET", "/v1/files/file-1/content"),
        ("POST", "/v1/batches"),
        ("GET", "/v1/fine_tuning/jobs"),
        ("POST", "/v1/vector_stores/vs_1/search"),
        ("POST", "/v1/assistants"),
        ("POST", "/v1/threads/t/runs"),
        ("GET", "/v1/responses/resp_1"),
        ("POST", "/v1/responses/resp_1/cancel"),
        ("GET", "/v1/chat/completions/c_1/messages"),
    ] {
        understudy.clear();
        let body = if method == "POST" { "{\"a\": 1.0}" } else { "" };
        let reply = gateway.send(&Request::new(method, path).body(body.as_bytes())).await;
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
        let received = understudy.wait_received(1).await;
        assert_eq!(
            (received[0].method.as_str(), received[0].target.as_str()),
            (method, path)
        );
        assert_eq!(received[0].text(), body);
    }
}

#[tokio::test]
async fn what_is_passed_through_is_not_lost_to_a_connection_that_is_being_closed() {
    let ok = || Reply::json(&serde_json::json!({"ok": 1}));
    let (understudy, gateway) = up([ok(), Reply::hang_up(), ok()]).await;
    for received in [1, 3] {
        let reply = gateway.send(&Request::post("/v1/batches", "{\"a\": 1.0}")).await;
        assert_eq!((reply.status, reply.header("x-mynah-attempts")), (200, Some("1")));
        let received = understudy.wait_received(received).await;
        assert!(received.iter().all(|received| received.text() == "{\"a\": 1.0}"));
    }
}

#[tokio::test]
async fn a_header_names_the_provider() {
    let first = Understudy::start(Reply::json(&serde_json::json!({"who": 1})))
        .await
        .unwrap();
    let second = Understudy::start(Reply::json(&serde_json::json!({"who": 2})))
        .await
        .unwrap();
    let config = |default: &str| {
        format!(
            "[server]\n{default}\n[providers.first]\nbase_url = '{}'\n[providers.second]\nbase_url = '{}'\n",
            first.url(),
            second.url()
        )
    };
    let gateway = Gateway::start(&config(""));
    assert_eq!(gateway.get("/v1/files").await.error_code(), "provider_missing");
    let to = |name: &str| Request::new("GET", "/v1/files").header("x-mynah-provider", name);
    assert_eq!(gateway.send(&to("second")).await.json()["who"], 2);
    let reply = gateway.send(&to("secnd")).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (400, "provider_not_found"));
    assert!(reply.text().contains("did you mean `second`"), "{}", reply.text());
    let pinned = Request::chat(r#"{"model":"whatever"}"#).header("x-mynah-provider", "second");
    assert_eq!(gateway.send(&pinned).await.json()["who"], 2);
    let gateway = Gateway::start(&config("default_provider = 'second'"));
    assert_eq!(gateway.get("/v1/files").await.json()["who"], 2);
}

#[tokio::test]
async fn a_path_cannot_climb_out_of_the_api() {
    let (understudy, gateway) = up(Reply::json(&serde_json::json!({}))).await;
    for path in [
        "/v1/files/../../admin",
        "/v1/files/%2e%2e/%2E%2e/admin",
        "/v1/files/.",
        "/v1/files/a%2f..%2fb",
    ] {
        let reply = gateway.get(path).await;
        assert!(matches!(reply.status, 400 | 404), "{path}: {}", reply.status);
    }
    assert_eq!(understudy.received().len(), 0);
}

#[tokio::test]
async fn azure_has_the_model_in_its_path() {
    let understudy = Understudy::start(Reply::json(&serde_json::json!({}))).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.azure]\nbase_url = '{0}'\napi_key = 'k'\napi_version = '2024-10-21'\n\
         [providers.azure-v1]\nkind = 'azure'\nbase_url = '{0}/'\napi_key = 'k'\n",
        understudy.url()
    ));
    assert_eq!(gateway.chat(r#"{"model":"azure/my deploy"}"#).await.status, 200);
    assert_eq!(gateway.chat(r#"{"model":"azure-v1/d"}"#).await.status, 200);
    let received = understudy.wait_received(2).await;
    assert_eq!(
        received[0].target,
        "/openai/deployments/my%20deploy/chat/completions?api-version=2024-10-21"
    );
    assert_eq!(received[0].header_text("api-key"), Some("k"));
    assert_eq!(received[0].header_text("authorization"), None);
    assert_eq!(received[1].target, "/openai/v1/chat/completions");
}

#[tokio::test]
async fn a_provider_that_does_not_know_usage_options_is_not_asked() {
    let understudy = Understudy::start(Reply::stream(["data: [DONE]\n\n"])).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\nquirks = {{ stream_usage = false }}\n",
        understudy.url()
    ));
    let body = r#"{"model":"m","stream":true}"#;
    gateway.chat(&body.replace("\"m\"", "\"up/m\"")).await;
    assert_eq!(understudy.wait_received(1).await[0].text(), body);
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = Understudy::start(Reply::json(&serde_json::json!({}))).await.unwrap();
    let script = Rule::any().reply(Reply::status(307).header("location", elsewhere.url()));
    let (_understudy, gateway) = up(script).await;
    assert_eq!(gateway.chat(r#"{"model":"smart"}"#).await.status, 307);
    assert_eq!(elsewhere.received().len(), 0);
}
