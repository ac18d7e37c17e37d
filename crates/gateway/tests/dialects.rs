//! Every dialect's callers are answered, counted, unpacked and refused in their own words.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::io::Write as _;

use mynah_understudy::{Persona, Reply, Script, Understudy};
use serde_json::json;
use support::dialects::{CALLERS, ask, body, error, model, of, provider, say, strict};
use support::{Gateway, Request};
use tokio::io::AsyncWriteExt as _;

const CLIENT: &str = "[[clients]]\nname = 'team'\nkey = 'key-of-the-team'\n";

#[tokio::test]
async fn every_failure_is_in_the_callers_dialect() {
    let up = Understudy::start(Reply::json(&json!({}))).await.unwrap();
    let config = provider("up", "chat", &up.url());
    let gateway = Gateway::start(&format!("[server]\nmax_body = '1KiB'\n{CLIENT}{config}"));
    let with = |request: Request, key: &str| request.header("authorization", &format!("Bearer {key}"));
    let huge = "x".repeat(2000);
    for (caller, classes) in [
        (
            "anthropic",
            [
                "not_found_error",
                "invalid_request_error",
                "authentication_error",
                "request_too_large",
            ],
        ),
        (
            "gemini",
            ["NOT_FOUND", "INVALID_ARGUMENT", "UNAUTHENTICATED", "INVALID_ARGUMENT"],
        ),
        ("chat", ["invalid_request_error"; 4]),
        ("responses", ["invalid_request_error"; 4]),
    ] {
        let [unknown, malformed, wrong, large] = classes;
        let here = support::dialects::path(caller, "up/m", false);
        let nowhere = match caller {
            "anthropic" => "/v1/messages/nothing/here",
            "gemini" => "/v1beta/nothing",
            _ => "/v1/nothing",
        };
        let right = "key-of-the-team";
        let not_json = Request::post(&here, "{\"messages\": oops}");
        let not_it = Request::post(&here, "{\"model\":\"up/m\",\"messages\":7,\"contents\":7,\"input\":7}");
        for (request, status, class) in [
            (with(ask(caller, "unknown", "hello", false), right), 404, unknown),
            (with(not_json, right), 400, malformed),
            (with(not_it, right), if caller == "chat" { 200 } else { 400 }, malformed),
            (with(ask(caller, "up/m", "hello", false), "wrong-key"), 401, wrong),
            (ask(caller, "up/m", "hello", false), 401, wrong),
            (with(ask(caller, "up/m", &huge, false), right), 413, large),
            (with(Request::post(nowhere, "{}"), right), 404, unknown),
            (
                with(of(caller, Request::new("GET", "/v1/nothing")), right),
                404,
                unknown,
            ),
            (with(of(caller, Request::new("PUT", &here)), right), 405, malformed),
        ] {
            let reply = gateway.send(&request).await;
            assert_eq!(reply.status, status, "{caller}, {class}: {}", reply.text());
            if status != 200 {
                assert_eq!(error(caller, &reply).0, class, "{caller}, {status}");
            }
            assert!(reply.header("x-request-id").is_some(), "{caller}, {status}");
        }
    }
}

#[tokio::test]
async fn at_capacity_everybody_is_told_in_their_own_words() {
    let up = Understudy::start(Reply::hang()).await.unwrap();
    let config = provider("up", "chat", &up.url());
    let gateway = Gateway::start(&format!("[server]\nmax_requests = 1\n{config}"));
    let mut waiting = gateway.connect().await;
    waiting
        .write_all(&ask("chat", "up/m", "hello", false).bytes())
        .await
        .unwrap();
    up.wait_received(1).await;
    for (caller, class) in [
        ("chat", "server_error"),
        ("responses", "server_error"),
        ("anthropic", "overloaded_error"),
        ("gemini", "UNAVAILABLE"),
    ] {
        let reply = gateway.send(&ask(caller, "up/m", "hello", false)).await;
        // 529 is Anthropic's own status for it.
        assert_eq!(reply.status, if caller == "anthropic" { 529 } else { 503 });
        assert_eq!(error(caller, &reply).0, class);
        assert_eq!(reply.header("retry-after"), Some("1"));
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zstd(text: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
}

#[tokio::test]
async fn compressed_bodies_are_unpacked_within_bounds() {
    let up = strict(Script::new()).await;
    let config = provider("up", "anthropic", &up.url());
    let gateway = Gateway::start(&format!("[server]\nmax_body = '64KiB'\n{config}"));
    for caller in CALLERS {
        let model = "up/claude-opus-4-6";
        let send = |encoding: &str, packed: Vec<u8>| {
            Request::new("POST", &support::dialects::path(caller, model, false))
                .header("content-type", "application/json")
                .header("content-encoding", encoding)
                .body(&packed)
        };
        let plain = body(caller, model, "squeezed", false).to_string().into_bytes();
        let bomb = [plain.clone(), vec![b' '; 100_000]].concat();
        for (encoding, packed, bomb) in [("gzip", gzip(&plain), gzip(&bomb)), ("zstd", zstd(&plain), zstd(&bomb))] {
            let reply = gateway.send(&send(encoding, packed)).await;
            assert!(
                reply.status == 200 && reply.text().contains("squeezed"),
                "{}",
                reply.text()
            );
            assert_eq!(up.received().last().unwrap().header_text("content-encoding"), None);
            assert!(bomb.len() < 2000);
            let reply = gateway.send(&send(encoding, bomb)).await;
            assert_eq!(reply.status, 413, "{caller}, {encoding}");
            error(caller, &reply);
        }
        let reply = gateway.send(&send("br", plain.clone())).await;
        assert_eq!(reply.status, 415, "{caller}");
        error(caller, &reply);
        assert_eq!(gateway.send(&send("gzip", plain)).await.status, 400, "{caller}");
    }
    assert_eq!(up.received().len(), 8);
}

#[tokio::test]
async fn tokens_are_counted_by_the_provider_or_estimated() {
    let kinds = ["anthropic", "gemini", "responses", "chat", "cohere"];
    let up = Understudy::builder().persona(Persona::Strict).start().await.unwrap();
    let config: String = kinds.iter().map(|kind| provider(kind, kind, &up.url())).collect();
    let gateway = Gateway::start(&config);
    let count = |target: &str| {
        let body = json!({"model": target, "messages": [{"role": "user", "content": "one two three"}]});
        Request::post("/v1/messages/count_tokens", &body.to_string())
    };
    for kind in kinds {
        let target = format!("{kind}/{}", model(kind));
        let gemini = body("gemini", &target, "one two three", false).to_string();
        for (request, field) in [
            (count(&target), "input_tokens"),
            (
                Request::post(&format!("/v1beta/models/{target}:countTokens"), &gemini),
                "totalTokens",
            ),
        ] {
            let asked = up.received().len();
            let reply = gateway.send(&request).await;
            let native = matches!(kind, "anthropic" | "gemini" | "responses");
            assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
            assert_eq!(reply.header("x-mynah-usage-estimated").is_none(), native, "{kind}");
            assert_eq!(up.received().len() - asked, usize::from(native), "{kind}");
            let tokens = reply.json()[field].as_u64().unwrap();
            assert!(
                if native {
                    tokens == 13
                } else {
                    (1..50).contains(&tokens)
                },
                "{kind}: {tokens}"
            );
        }
    }
    // Who turns out not to count is no reason to fail.
    up.set_script(Reply::status(404).body("{}"));
    let reply = gateway.send(&count("responses/gpt-5")).await;
    assert_eq!(
        (reply.status, reply.header("x-mynah-usage-estimated")),
        (200, Some("true")),
        "{}",
        reply.text()
    );
    // A key that the provider does not accept is an error in the caller's words.
    up.set_script(Reply::status(401).body("{\"error\":{\"message\":\"no\"}}"));
    let reply = gateway.send(&count("gemini/gemini-3-pro")).await;
    assert_eq!(
        (reply.status, reply.json()["error"]["type"].clone()),
        (401, json!("authentication_error"))
    );
}

#[tokio::test]
async fn the_built_in_model_answers_in_every_dialect() {
    let gateway = Gateway::start("");
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    for caller in CALLERS {
        for stream in [false, true] {
            let reply = gateway.send(&ask(caller, "mynah/echo", "hello", stream)).await;
            assert!(
                reply.status == 200 && reply.text().contains("hello"),
                "{caller}: {}",
                reply.text()
            );
            let mut asked = body(caller, "mynah/echo", "Call weather", stream);
            let (tools, called) = match caller {
                "chat" => (
                    json!([{"type": "function", "function": {"name": "weather", "parameters": schema}}]),
                    "tool_calls",
                ),
                "responses" => (
                    json!([{"type": "function", "name": "weather", "parameters": schema}]),
                    "function_call",
                ),
                "anthropic" => (json!([{"name": "weather", "input_schema": schema}]), "tool_use"),
                _ => (
                    json!([{"functionDeclarations": [{"name": "weather", "parameters": schema}]}]),
                    "functionCall",
                ),
            };
            asked["tools"] = tools;
            let reply = gateway.send(&say(caller, "mynah/echo", &asked, stream)).await;
            assert_eq!(reply.status, 200, "{caller}: {}", reply.text());
            assert!(
                reply.text().contains(called) && reply.text().contains("weather"),
                "{caller}: {}",
                reply.text()
            );
            assert_eq!(
                reply.header("content-type").unwrap().starts_with("text/event-stream"),
                stream,
                "{caller}"
            );
        }
    }
}

#[tokio::test]
async fn an_error_that_is_no_json_is_told_in_the_callers_dialect() {
    let page = "<html><head><title>503 Service Unavailable</title></head>sk-of-the-provider</html>";
    for (body, told) in [
        (
            page.to_owned(),
            "up/m answered with status 503: 503 Service Unavailable",
        ),
        (
            format!("{page}{}", " ".repeat(300_000)),
            "up/m answered with status 503: 503 Service Unavailable",
        ),
        ("no upstream\n".to_owned(), "up/m answered with status 503: no upstream"),
        (String::new(), "up/m answered with status 503 and did not say why."),
    ] {
        let proxy = Reply::status(503)
            .header("retry-after", "7")
            .header("x-request-id", "req_1");
        let proxy = proxy.header("content-type", "text/html").body(body.into_bytes());
        let up = Understudy::start(proxy).await.unwrap();
        for caller in CALLERS {
            let provider = provider("up", caller, &up.url());
            let gateway = Gateway::start(&format!("[routing]\nretries = 0\n{provider}"));
            for stream in [false, true] {
                let reply = gateway.send(&ask(caller, "up/m", "hello", stream)).await;
                assert_eq!(reply.status, 503, "{caller}");
                assert_eq!(error(caller, &reply).1, told, "{caller}");
                assert_eq!(reply.header("retry-after"), Some("7"));
                assert_eq!(reply.header("x-request-id"), Some("req_1"));
            }
        }
        // What is passed through stays as it is.
        let provider = provider("up", "chat", &up.url());
        let gateway = Gateway::start(&format!("[routing]\nretries = 0\n{provider}"));
        let reply = gateway.get("/v1/files").await;
        assert_eq!((reply.status, reply.header("content-type")), (503, Some("text/html")));
    }
}

#[tokio::test]
async fn an_error_that_comes_compressed_is_read_all_the_same() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let credit = r#"{"error":{"message":"You exceeded your current quota","type":"t","param":null,"code":"insufficient_quota"}}"#;
    encoder.write_all(credit.as_bytes()).unwrap();
    let packed = Reply::json(&json!({})).body(encoder.finish().unwrap());
    let packed = packed.with_status(400).header("content-encoding", "gzip");
    let first = Understudy::start(packed).await.unwrap();
    let second = Understudy::start(Reply::status(500)).await.unwrap();
    for (kind, caller) in [("chat", "chat"), ("chat", "anthropic")] {
        let (one, two) = (
            provider("one", kind, &first.url()),
            provider("two", kind, &second.url()),
        );
        let gateway = Gateway::start(&format!(
            "[routing]\nretries = 0\n[models.m]\ntargets = ['one/m', 'two/m']\n{one}{two}"
        ));
        let reply = gateway.send(&ask(caller, "m", "hello", false)).await;
        // Its credit is used up, so that the other one was asked.
        assert!(second.received().len() == 1, "{caller}");
        assert_eq!(reply.header("content-encoding"), None);
        assert_eq!(error(caller, &reply).1, "You exceeded your current quota", "{caller}");
        assert_eq!(
            first.received().last().unwrap().header_text("accept-encoding"),
            Some("identity")
        );
        second.clear();
    }
}
