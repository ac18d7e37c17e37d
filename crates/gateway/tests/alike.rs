//! Every rule about failures holds on every route alike: relayed and translated, streamed or not, JSON or a form.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::fmt::Write as _;

use mynah_understudy::{Reply, Script, Understudy};
use support::dialects::{ask, model, provider_with, strict};
use support::{Gateway, Request};
use tokio::io::AsyncWriteExt as _;

/// One kind of question, and the kind of provider that answers it.
struct Route {
    name: &'static str,
    provider: &'static str,
    request: fn(&str) -> Request,
}

const ROUTES: [Route; 20] = [
    route("chat", "chat", |model| ask("chat", model, "hello", false)),
    route("chat-stream", "chat", |model| ask("chat", model, "hello", true)),
    route("responses", "responses", |model| {
        ask("responses", model, "hello", false)
    }),
    route("responses-stream", "responses", |model| {
        ask("responses", model, "hello", true)
    }),
    route("messages", "anthropic", |model| ask("anthropic", model, "hello", false)),
    route("messages-stream", "anthropic", |model| {
        ask("anthropic", model, "hello", true)
    }),
    route("gemini", "gemini", |model| ask("gemini", model, "hello", false)),
    route("gemini-stream", "gemini", |model| ask("gemini", model, "hello", true)),
    route("translated", "anthropic", |model| ask("chat", model, "hello", false)),
    route("translated-stream", "gemini", |model| {
        ask("responses", model, "hello", true)
    }),
    route("embeddings", "chat", embeddings),
    route("embeddings-translated", "gemini", embeddings),
    route("rerank", "chat", rerank),
    route("rerank-translated", "cohere", rerank),
    route("completions", "chat", completions),
    route("completions-translated", "anthropic", completions),
    route("images", "chat", |model| {
        json(
            "/v1/images/generations",
            &format!(r#"{{"model":"{model}","prompt":"a bird"}}"#),
        )
    }),
    route("count", "anthropic", |model| {
        let body = format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"hello"}}]}}"#);
        json("/v1/messages/count_tokens", &body)
    }),
    route("transcriptions", "chat", |model| {
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n\
             --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n--b--\r\n"
        );
        Request::new("POST", "/v1/audio/transcriptions")
            .header("content-type", "multipart/form-data; boundary=b")
            .body(body.as_bytes())
    }),
    route("speech", "chat", |model| {
        json(
            "/v1/audio/speech",
            &format!(r#"{{"model":"{model}","input":"hello","voice":"alloy"}}"#),
        )
    }),
];

const fn route(name: &'static str, provider: &'static str, request: fn(&str) -> Request) -> Route {
    Route {
        name,
        provider,
        request,
    }
}

fn json(path: &str, body: &str) -> Request {
    Request::post(path, body)
}

fn embeddings(model: &str) -> Request {
    json("/v1/embeddings", &format!(r#"{{"model":"{model}","input":"hello"}}"#))
}

fn rerank(model: &str) -> Request {
    json(
        "/v1/rerank",
        &format!(r#"{{"model":"{model}","query":"bird","documents":["a fish","a mynah"]}}"#),
    )
}

fn completions(model: &str) -> Request {
    json("/v1/completions", &format!(r#"{{"model":"{model}","prompt":"hello"}}"#))
}

/// Routes whose answers nobody can tell from something else: sound, or text.
fn is_opaque(route: &Route) -> bool {
    matches!(route.name, "transcriptions" | "speech")
}

/// A gateway with a model for each route, which has two targets at providers of its own. What one route meets is
/// nothing to the others.
fn gateway(settings: &str, first: &Understudy, second: &Understudy) -> Gateway {
    let mut config = String::new();
    for Route { name, provider, .. } in &ROUTES {
        for (place, understudy) in [("first", first), ("second", second)] {
            let table = provider_with(&format!("{place}-{name}"), provider, &understudy.url(), "'key-of-mine'");
            writeln!(config, "{table}timeouts = {{ first_token = '1s' }}").unwrap();
        }
        let model = model(provider);
        writeln!(
            config,
            "[models.{name}]\ntargets = ['first-{name}/{model}', 'second-{name}/{model}']\n{settings}"
        )
        .unwrap();
    }
    Gateway::start(&config)
}

#[tokio::test]
async fn every_failure_hands_over_on_every_route() {
    let quota = r#"{"error":{"message":"You exceeded your current quota","code":"insufficient_quota"}}"#;
    let failures = [
        ("401", Reply::status(401)),
        ("402", Reply::status(402)),
        ("403", Reply::status(403)),
        ("408", Reply::status(408)),
        ("429", Reply::status(429).header("retry-after", "60")),
        ("a used up quota", Reply::status(429).body(quota)),
        ("500", Reply::status(500).body("<html>".to_owned())),
        ("503", Reply::status(503)),
        ("529", Reply::status(529)),
        ("hang", Reply::hang()),
        ("hang up", Reply::hang_up()),
        ("garbage", Reply::raw(b"\x00\x01 no HTTP\r\n\r\n".to_vec())),
        (
            "a head that is cut",
            Reply::json(&serde_json::json!({})).cut_head_at(30),
        ),
    ];
    every_one_hands_over(failures.into(), |_| true).await;
}

#[tokio::test]
async fn what_is_no_answer_hands_over_on_every_route_whose_answers_are_known() {
    let json = |text: &str| Reply::bytes(text.to_owned()).header("content-type", "application/json");
    let whole = r#"{"id":"x","choices":[],"data":[],"content":[],"candidates":[],"output":[],"results":[]"#;
    let error = r#"{"error":{"message":"overloaded","type":"server_error"}}"#;
    let failures = [
        (
            "a page",
            Reply::bytes("<html>hello</html>").header("content-type", "text/html"),
        ),
        ("a page called JSON", json("<!doctype html><html></html>")),
        ("nothing", json("")),
        ("nothing at all", Reply::bytes("")),
        ("an error as text", json("ERROR: out of memory")),
        ("text", Reply::bytes("ERROR: no").header("content-type", "text/plain")),
        ("an error", json(error)),
        ("JSON that breaks off", json(whole)),
        ("a length that is not kept", json(&format!("{whole}}}")).cut_at(40)),
        ("chunks that end", json(&format!("{whole}}}")).chunked().cut_at(40)),
        ("a connection that ends", json(whole).until_close()),
    ];
    every_one_hands_over(failures.into(), |route| !is_opaque(route)).await;
}

async fn every_one_hands_over(failures: Vec<(&str, Reply)>, concerns: fn(&Route) -> bool) {
    let (first, second) = (strict(Script::new()).await, strict(Script::new()).await);
    let mut wrong = Vec::new();
    for (failure, reply) in failures {
        first.set_script(reply);
        let gateway = gateway("", &first, &second);
        for route in ROUTES.iter().filter(|route| concerns(route)) {
            let reply = gateway.send(&(route.request)(route.name)).await;
            let expected = format!("second-{}/{}", route.name, model(route.provider));
            let seen = (
                reply.status,
                reply.header("x-mynah-model"),
                reply.header("x-mynah-attempts"),
            );
            if seen != (200, Some(&expected), Some("2")) {
                let body = String::from_utf8_lossy(&reply.body);
                wrong.push(format!("{failure}, {}: {seen:?} {body}", route.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A model of the first provider alone.
fn alone(route: &Route) -> Request {
    (route.request)(&format!("first-{}/{}", route.name, model(route.provider)))
}

#[tokio::test]
async fn the_callers_own_fault_hands_over_on_no_route() {
    let (first, second) = (strict(Script::new()).await, strict(Script::new()).await);
    let gateway = gateway("", &first, &second);
    for status in [400, 413, 422] {
        first.set_script(Reply::status(status).body(r#"{"error":{"message":"not like this"}}"#));
        for route in &ROUTES {
            let reply = gateway.send(&(route.request)(route.name)).await;
            let name = route.name;
            assert!((400..500).contains(&reply.status), "{status}, {name}: {}", reply.status);
            assert_eq!(reply.header("x-mynah-attempts"), Some("1"), "{status}, {name}");
            assert!(
                reply.text().contains("not like this"),
                "{status}, {name}: {}",
                reply.text()
            );
        }
    }
    assert_eq!(second.counters().requests, 0);
}

#[tokio::test]
async fn a_failure_that_may_pass_is_tried_again_on_every_route() {
    let first = strict(Script::new()).await;
    let gateway = gateway("", &first, &first);
    for failure in [Reply::status(500), Reply::status(503)] {
        for route in &ROUTES {
            first.set_script([failure.clone(), Reply::persona()]);
            let reply = gateway.send(&alone(route)).await;
            let seen = (reply.status, reply.header("x-mynah-attempts"));
            let body = String::from_utf8_lossy(&reply.body);
            assert_eq!(seen, (200, Some("2")), "{}: {body}", route.name);
        }
    }
}

#[tokio::test]
async fn a_rest_is_kept_on_every_route() {
    let first = strict(Reply::status(429).header("retry-after", "60")).await;
    let gateway = gateway("", &first, &first);
    for route in &ROUTES {
        let before = first.counters().requests;
        for _ in 0..3 {
            let reply = gateway.send(&alone(route)).await;
            let left: u32 = reply.header("retry-after").unwrap_or("0").parse().unwrap();
            assert!(
                reply.status == 429 && (20..=60).contains(&left),
                "{}: {left}",
                route.name
            );
        }
        assert_eq!(first.counters().requests, before + 1, "{}", route.name);
    }
}

#[tokio::test]
async fn the_callers_time_is_kept_on_every_route() {
    let first = strict(Reply::hang()).await;
    let gateway = gateway("", &first, &first);
    for route in &ROUTES {
        let before = first.counters();
        let reply = gateway.send(&alone(route).header("x-mynah-timeout", "300ms")).await;
        assert_eq!(reply.status, 504, "{}: {}", route.name, reply.text());
        assert_eq!(first.counters().requests, before.requests + 1, "{}", route.name);
        first.wait_aborted(before.aborted + 1).await;
    }
}

#[tokio::test]
async fn hanging_up_ends_the_call_on_every_route() {
    let first = strict(Reply::hang()).await;
    let second = strict(Script::new()).await;
    let gateway = gateway("", &first, &second);
    for route in &ROUTES {
        let before = first.counters();
        let mut stream = gateway.connect().await;
        stream.write_all(&(route.request)(route.name).bytes()).await.unwrap();
        first.wait_until(|now| now.requests > before.requests).await;
        drop(stream);
        first.wait_aborted(before.aborted + 1).await;
    }
    assert_eq!(second.counters().requests, 0);
}
