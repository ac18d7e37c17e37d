//! Every dialect's callers find their routes and models where their SDKs look for them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{body, error, of, provider, strict};
use support::{Gateway, Request};
use tokio::io::AsyncWriteExt as _;

const CLIENT: &str = "[[clients]]\nname = 'team'\nkey = 'key-of-the-team'\n";

#[tokio::test]
async fn geminis_paths_are_understood_however_they_are_written() {
    let up = strict(Script::new()).await;
    let gateway = Gateway::start(&provider("up", "gemini", &up.url()));
    let body = body("gemini", "", "hello", false).to_string();
    for asked in [
        "/v1beta/models/up/gemini-3-pro:generateContent",
        "/v1/models/up/gemini-3-pro:generateContent",
        "/v1beta/models/models/up/gemini-3-pro:generateContent",
        "/v1beta/models/up%2Fgemini-3-pro:generateContent",
        "/v1beta/models/up/gemini-3-pro%3AgenerateContent",
        "/v1/models/models%2Fup%2Fgemini-3-pro%3AgenerateContent",
        "/v1beta/up/gemini-3-pro:generateContent",
        "/v1/up/gemini-3-pro:generateContent",
        "/v1beta/models/gemini-3-pro:generateContent",
    ] {
        let request = Request::post(asked, &body).header("x-mynah-provider", "up");
        let request = if asked.contains("up") {
            Request::post(asked, &body)
        } else {
            request
        };
        let reply = gateway.send(&request).await;
        assert_eq!(reply.status, 200, "{asked}: {}", reply.text());
        assert_eq!(
            up.received().last().unwrap().target,
            "/v1beta/models/gemini-3-pro:generateContent"
        );
    }
    // Web pages take another way to the same place.
    let page = Request::post("/v1beta/up/gemini-3-pro:generateContent", &body).header("origin", "http://localhost");
    assert_eq!(gateway.send(&page).await.status, 200);
    for asked in [
        "/v1beta/models/up/m:unheardOf",
        "/v1beta/up/m:unheardOf",
        "/v1beta/models/up/m",
        "/v1beta/models/up/%ff:generateContent",
    ] {
        let reply = gateway.send(&Request::post(asked, &body)).await;
        assert_eq!(
            (reply.status, error("gemini", &reply).0.as_str()),
            (404, "NOT_FOUND"),
            "{asked}"
        );
    }
    assert_eq!(up.received().len(), 10);
}

#[tokio::test]
async fn a_body_of_geminis_names_the_model_that_its_path_names() {
    let up = Understudy::start(Reply::json(&json!({}))).await.unwrap();
    let config = provider("up", "gemini", &up.url()) + "[models.emb]\ntargets = ['up/gemini-embedding-001']\n";
    let gateway = Gateway::start(&config);
    let (batch, one) = (
        r#"{"requests": [{"model":"MODEL","content":{}},{"content":{}}, {"model":"MODEL"}]}"#,
        r#"{"content":{"parts":[{"text":"x"}]}, "model" : "MODEL" }"#,
    );
    let count = r#"{"generateContentRequest":{"contents":[],"model":"MODEL"}}"#;
    for (asked, sent) in [
        ("up/gemini-embedding-001", "models/gemini-embedding-001"),
        ("emb", "models/gemini-embedding-001"),
        ("up/tunedModels/mine", "tunedModels/mine"),
    ] {
        for (verb, body) in [
            ("batchEmbedContents", batch),
            ("embedContent", one),
            ("countTokens", count),
            ("generateContent", one),
        ] {
            // As the SDKs say it, and as it is right already.
            for said in [format!("models/{asked}"), sent.to_owned()] {
                up.clear();
                let body = |model: &str| body.replace("MODEL", model);
                let request = Request::post(&format!("/v1beta/models/{asked}:{verb}"), &body(&said));
                assert_eq!(gateway.send(&request).await.status, 200, "{asked} {verb}");
                let received = up.wait_received(1).await;
                assert_eq!(received[0].target, format!("/v1beta/{sent}:{verb}"));
                assert_eq!(received[0].text(), body(sent));
            }
        }
    }
}

#[tokio::test]
async fn a_key_in_the_query_goes_nowhere() {
    let up = strict(Script::new()).await;
    let mut config = format!("[log]\nlevel = 'debug'\nrequests = true\n{CLIENT}");
    config += &provider("gem", "gemini", &up.url());
    config += &provider("claude", "anthropic", &up.url());
    let gateway = Gateway::start(&config);
    for target in ["gem/gemini-3-pro", "claude/claude-opus-4-6"] {
        for query in [
            "key=key-of-the-team",
            "alt=sse&key=key-of-the-team",
            "key=key-of-the-team&alt=json",
        ] {
            let path = format!("/v1beta/models/{target}:generateContent?{query}");
            let body = body("gemini", target, "hello", false);
            let reply = gateway.send(&Request::post(&path, &body.to_string())).await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        }
        let wrong = format!("/v1beta/models/{target}:generateContent?key=key-of-nobody");
        assert_eq!(gateway.send(&Request::post(&wrong, "{}")).await.status, 401);
    }
    let list = gateway.get("/v1beta/models?key=key-of-the-team").await;
    assert_eq!(list.status, 200, "{}", list.text());
    gateway.printed("asked=\"claude/claude-opus-4-6\"").await;
    for received in up.received() {
        assert!(!format!("{received:?}").contains("key-of-the-team"), "{received:?}");
    }
    let printed = gateway.printed.lock().unwrap();
    assert!(
        !printed.contains("key-of-the-team") && !printed.contains("key-of-nobody"),
        "{printed}"
    );
}

#[tokio::test]
async fn models_are_listed_in_the_shape_of_the_callers_sdk() {
    let gateway = Gateway::start(
        "[providers.up]\nbase_url = 'http://127.0.0.1:1'\nmodels = ['one', 'org/two']\n[models.smart]\ntargets = ['up/one']\n",
    );
    let list = async |caller: &str, path: &str| gateway.send(&of(caller, Request::new("GET", path))).await.json();
    let names = |list: &Value, at: &str, key: &str| -> Vec<String> {
        list[at]
            .as_array()
            .unwrap()
            .iter()
            .map(|it| it[key].as_str().unwrap().to_owned())
            .collect()
    };
    let expected = ["smart", "one", "org/two", "mynah/echo"];
    let openai = list("chat", "/v1/models").await;
    assert_eq!(
        (names(&openai, "data", "id"), &openai["object"]),
        (expected.map(String::from).into(), &json!("list"))
    );
    assert_eq!(openai.get("models"), None);
    let codex = list("responses", "/v1/models?client_version=0.169.0").await;
    assert_eq!(
        (names(&codex, "data", "id"), &codex["models"]),
        (expected.map(String::from).into(), &json!([]))
    );

    let anthropic = list("anthropic", "/v1/models?limit=1000").await;
    assert_eq!(names(&anthropic, "data", "id"), expected);
    assert_eq!(anthropic["has_more"], false);
    assert_eq!(
        (&anthropic["first_id"], &anthropic["last_id"]),
        (&json!("smart"), &json!("mynah/echo"))
    );
    assert_eq!(anthropic["data"][0]["type"], "model");
    assert_eq!(anthropic["data"][0]["created_at"], "1970-01-01T00:00:00Z");

    for gemini in [list("chat", "/v1beta/models").await, list("gemini", "/v1/models").await] {
        assert_eq!(
            names(&gemini, "models", "name"),
            expected.map(|name| format!("models/{name}"))
        );
        let methods = gemini["models"][0]["supportedGenerationMethods"].as_array().unwrap();
        assert!(methods.contains(&json!("generateContent")));
    }
    assert_eq!(list("chat", "/v1beta/models/org/two").await["name"], "models/org/two");
    assert_eq!(
        list("anthropic", "/v1/models/org%2Ftwo").await["display_name"],
        "org/two"
    );
    let unknown = gateway.get("/v1beta/models/unknown").await;
    assert_eq!(
        (unknown.status, error("gemini", &unknown).0.as_str()),
        (404, "NOT_FOUND")
    );
    let unknown = gateway
        .send(&of("anthropic", Request::new("GET", "/v1/models/unknown")))
        .await;
    assert_eq!(
        (unknown.status, error("anthropic", &unknown).0.as_str()),
        (404, "not_found_error")
    );
}

#[tokio::test]
async fn a_path_may_ask_for_the_stream() {
    let up = strict(Script::new()).await;
    let config = provider("claude", "anthropic", &up.url()) + &provider("oai", "chat", &up.url());
    let gateway = Gateway::start(&config);
    for (caller, paths) in [
        ("chat", ["/v1/chat/completions/stream", "/v1/chat/completions-stream"]),
        ("anthropic", ["/v1/messages/stream", "/v1/messages-stream"]),
    ] {
        for path in paths {
            for target in ["claude/claude-opus-4-6", "oai/some-model"] {
                let mut body = body(caller, target, "hello", false);
                body.as_object_mut().unwrap().remove("stream");
                let reply = gateway.send(&Request::post(path, &body.to_string())).await;
                let kind = reply.header("content-type").unwrap();
                assert!(
                    kind.starts_with("text/event-stream"),
                    "{path}, {target}: {}",
                    reply.text()
                );
                let received = up.received().last().unwrap().json().unwrap();
                assert_eq!(received["stream"], true, "{path}, {target}");
            }
        }
    }
}

#[tokio::test]
async fn what_agents_probe_first_is_answered() {
    let gateway = Gateway::start("");
    for path in ["/", "/api/hello"] {
        let mut connection = gateway.connect().await;
        let head = Request::new("HEAD", path).header("connection", "close");
        connection.write_all(&head.bytes()).await.unwrap();
        let reply = support::read_head(&mut connection).await.unwrap();
        assert_eq!(reply.status, 200, "{path}");
        assert_eq!(gateway.get(path).await.json()["name"], "mynah");
    }
    let upgrade = Request::new("GET", "/v1/responses")
        .header("connection", "Upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let reply = gateway.send(&upgrade).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (426, "upgrade_required"));
}

#[tokio::test]
async fn metrics_tell_of_what_the_caller_may_use() {
    let good = Understudy::start(Reply::json(
        &serde_json::json!({"object": "chat.completion", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}]}),
    ))
    .await
    .unwrap();
    let bad = Understudy::start(Reply::status(500)).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nretries = 0\n[providers.good]\nbase_url = '{}'\nmodels = []\napi_key = 'k'\n[providers.bad]\nbase_url = '{}'\nmodels = []\n\
         [models.m]\ntargets = ['bad/a', 'good/b']\n[[clients]]\nname = 'c'\nkey = 'all'\n[[clients]]\nname = 'd'\nkey = 'some'\nmodels = ['good/*']\n",
        good.url(),
        bad.url()
    ));
    let keyed = |request: Request, key: &str| request.header("authorization", &format!("Bearer {key}"));
    for _ in 0..2 {
        let chat = Request::chat(r#"{"model":"m","messages":[]}"#);
        assert_eq!(gateway.send(&keyed(chat, "all")).await.status, 200);
    }
    let metrics = || Request::new("GET", "/metrics");
    assert_eq!(gateway.send(&metrics()).await.status, 401);
    let reply = gateway.send(&keyed(metrics(), "all")).await;
    assert_eq!(
        reply.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    for line in [
        "# TYPE mynah_target_replies_total counter",
        "mynah_requests_in_flight 0",
        "mynah_target_replies_total{target=\"good/b\"} 2",
        "mynah_target_failures_total{target=\"good/b\"} 0",
        "mynah_target_replies_total{target=\"bad/a\"} 2",
        "mynah_target_failures_total{target=\"bad/a\"} 2",
        "mynah_provider_keys_available{provider=\"good\"} 1",
    ] {
        assert!(
            reply.text().lines().any(|told| told == line),
            "{line} in {}",
            reply.text()
        );
    }
    let some = gateway.send(&keyed(metrics(), "some")).await;
    assert!(
        some.text().contains("good/b") && !some.text().contains("bad"),
        "{}",
        some.text()
    );
}
