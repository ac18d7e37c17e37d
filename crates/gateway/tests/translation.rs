//! What holds between dialects: who is asked instead, what is refused, and what is declared lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::json;
use support::dialects::{CALLERS, ask, body, error, model, path, provider, provider_with, say, stream, strict, told};
use support::{Gateway, Request};

/// A gateway whose model `m` has a target of one protocol and then one of another.
fn gateway(first: (&str, &Understudy), second: (&str, &Understudy)) -> Gateway {
    gateway_with("", first, second)
}

/// The same with settings of the first provider.
fn gateway_with(settings: &str, (first, at): (&str, &Understudy), (second, then): (&str, &Understudy)) -> Gateway {
    Gateway::start(&format!(
        "{}{settings}\n{}\n[models.m]\ntargets = ['first/{}', 'second/{}']\n",
        provider("first", first, &at.url()),
        provider("second", second, &then.url()),
        model(first),
        model(second),
    ))
}

#[tokio::test]
async fn every_failure_before_content_hands_over_to_another_dialect() {
    let events = told("anthropic");
    let words = (events.text)("half an answer");
    let overloaded = json!({"type": "error", "error": {"type": "overloaded_error", "message": "overloaded"}});
    let failures = [
        ("401", Reply::status(401)),
        ("403", Reply::status(403)),
        ("408", Reply::status(408)),
        ("429", Reply::status(429).header("retry-after", "1")),
        ("500", Reply::status(500).body("<html>".to_owned())),
        ("529", Reply::status(529).body(overloaded.to_string())),
        ("hang", Reply::hang()),
        ("hang up", Reply::hang_up()),
        ("garbage", Reply::raw(b"\x00\x01 no HTTP\r\n\r\n".to_vec())),
        ("an error as the first event", stream([&events.error])),
        ("a lifecycle and an error", stream([&events.opening, &events.error])),
        ("a lifecycle that ends", stream([&events.opening])),
        (
            "a lifecycle that is cut",
            stream([&events.opening, &words]).cut_at(events.opening.len()),
        ),
        (
            "a lifecycle that stalls",
            stream([&events.opening, &words]).hang_after(events.opening.len()),
        ),
        ("an empty stream", stream([])),
        ("an error in place of a stream", Reply::json(&overloaded)),
        ("a page", Reply::bytes("<html>").header("content-type", "text/html")),
        ("a body that is cut", Reply::json(&json!({"type": "message"})).cut_at(5)),
    ];
    let (first, second) = (strict(Script::new()).await, strict(Script::new()).await);
    for (name, failure) in failures {
        first.set_script(failure);
        for caller in ["chat", "responses", "gemini"] {
            for streamed in [false, true] {
                // What fails is passed over the next time.
                let gateway = gateway_with(
                    "timeouts = { first_token = '300ms' }",
                    ("anthropic", &first),
                    ("gemini", &second),
                );
                let reply = gateway.send(&ask(caller, "m", "hello", streamed)).await;
                assert_eq!(reply.status, 200, "{name}, {caller}, {streamed}: {}", reply.text());
                assert_eq!(reply.header("x-mynah-model"), Some("second/gemini-3-pro"), "{name}");
                assert_eq!(reply.header("x-mynah-attempts"), Some("2"), "{name}");
                assert!(!reply.text().contains("overloaded"), "{name}: {}", reply.text());
            }
        }
    }
}

#[tokio::test]
async fn a_relayed_request_is_translated_for_the_next_target() {
    for caller in CALLERS {
        let events = told(caller);
        let first = strict(stream([&events.opening, &events.error])).await;
        let other = if caller == "gemini" { "anthropic" } else { "gemini" };
        let second = strict(Script::new()).await;
        let gateway = gateway((caller, &first), (other, &second));
        let reply = gateway.send(&ask(caller, "m", "hello", true)).await;
        let target = format!("second/{}", model(other));
        assert_eq!(
            (reply.status, reply.header("x-mynah-model")),
            (200, Some(target.as_str())),
            "{caller}: {}",
            reply.text()
        );
        assert_eq!(
            first.received()[0].path(),
            path(caller, model(caller), true).split('?').next().unwrap()
        );
    }
}

#[tokio::test]
async fn nobody_else_is_asked_after_content() {
    let events = told("anthropic");
    let words = (events.text)("half an answer");
    let first = strict(stream([&events.opening, &words, &events.error])).await;
    let second = strict(Script::new()).await;
    let gateway = gateway(("anthropic", &first), ("gemini", &second));
    for caller in ["chat", "responses", "gemini"] {
        let reply = gateway.send(&ask(caller, "m", "hello", true)).await;
        assert_eq!((reply.status, reply.header("x-mynah-attempts")), (200, Some("1")));
        assert!(reply.text().contains("half an answer"));
        assert!(reply.text().contains("overloaded"), "{}", reply.text());
    }
    assert_eq!(second.received().len(), 0);
}

#[tokio::test]
async fn the_callers_own_fault_does_not_hand_over() {
    let (first, second) = (strict(Script::new()).await, strict(Script::new()).await);
    let gateway = gateway(("anthropic", &first), ("gemini", &second));
    let said = json!({"type": "error", "error": {"type": "invalid_request_error", "message": "not like this"}});
    for status in [400, 404, 409, 413, 422] {
        first.set_script(Reply::status(status).body(said.to_string()));
        for caller in ["chat", "responses", "gemini"] {
            for streamed in [false, true] {
                let reply = gateway.send(&ask(caller, "m", "hello", streamed)).await;
                assert!(
                    (400..500).contains(&reply.status),
                    "{status}, {caller}: {}",
                    reply.text()
                );
                assert_eq!(error(caller, &reply).1, "not like this");
            }
        }
    }
    assert_eq!(second.received().len(), 0);
}

#[tokio::test]
async fn anthropics_callers_are_told_the_id_that_is_in_the_log() {
    let up = strict(Script::new()).await;
    let gateway = Gateway::start(&provider("up", "chat", &up.url()));
    for streamed in [false, true] {
        for text in ["hello", "[[error-400]] hello", "[[error-503]] hello"] {
            let request = ask("anthropic", "up/m", text, streamed).header("x-request-id", "from-the-caller-1");
            let reply = gateway.send(&request).await;
            assert_eq!(
                reply.header("request-id"),
                Some("from-the-caller-1"),
                "{text}: {}",
                reply.text()
            );
            if reply.status != 200 {
                error("anthropic", &reply);
            }
        }
    }
}

#[tokio::test]
async fn the_form_of_an_answer_need_not_be_the_one_that_was_asked_for() {
    let events = told("anthropic");
    let in_events = stream([&events.opening, &(events.text)("hello"), &events.ending]);
    let whole = Reply::json(
        &json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m",
        "content": [{"type": "text", "text": "hello"}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 13, "output_tokens": 9}}),
    );
    let up = strict(Script::new()).await;
    let gateway = Gateway::start(&provider("up", "anthropic", &up.url()));
    for caller in ["chat", "responses", "gemini"] {
        for streamed in [false, true] {
            for answer in [&in_events, &whole] {
                up.set_script(answer.clone());
                let reply = gateway.send(&ask(caller, "up/m", "hello", streamed)).await;
                let kind = reply.header("content-type").unwrap();
                assert_eq!(kind.starts_with("text/event-stream"), streamed, "{caller}: {kind}");
                assert!(
                    reply.status == 200 && reply.text().contains("hello"),
                    "{}",
                    reply.text()
                );
            }
        }
    }
}

#[tokio::test]
async fn keys_are_used_in_turn_for_translated_requests_too() {
    for (kind, refusal) in [
        ("anthropic", Reply::status(401)),
        ("responses", Reply::status(429)),
        ("cohere", Reply::status(498)),
        // The persona says 400, API_KEY_INVALID, as Gemini does.
        ("gemini", Reply::persona()),
    ] {
        let up = strict(Rule::any().key("bad-key").reply(refusal)).await;
        let config = provider_with("up", kind, &up.url(), "'bad-key', 'good-key'");
        let gateway = Gateway::start(&config);
        // A key that was refused rests.
        for attempts in ["2", "1", "1"] {
            let reply = gateway
                .send(&ask("chat", &format!("up/{}", model(kind)), "hello", false))
                .await;
            assert_eq!(reply.status, 200, "{kind}: {}", reply.text());
            assert_eq!(reply.header("x-mynah-attempts"), Some(attempts), "{kind}");
        }
    }
}

#[tokio::test]
async fn a_loss_is_declared_and_refused_to_those_who_want_none() {
    let up = strict(Script::new()).await;
    let gateway = Gateway::start(&format!(
        "{}\n[models.any]\ntargets = ['up/claude-opus-4-6']\n[models.exact]\ntargets = ['up/claude-opus-4-6']\nstrict = true\n\
         [[clients]]\nname = 'easy'\nkey = 'key-easy'\n[[clients]]\nname = 'exact'\nkey = 'key-exact'\nstrict = true\n",
        provider("up", "anthropic", &up.url()),
    ));
    let lossy = |model: &str, key: &str, streamed: bool| {
        let mut body = body("chat", model, "hello", streamed);
        (body["seed"], body["logit_bias"]) = (json!(7), json!({"5": 1}));
        say("chat", model, &body, streamed).header("authorization", &format!("Bearer {key}"))
    };
    for streamed in [false, true] {
        let reply = gateway.send(&lossy("any", "key-easy", streamed)).await;
        let lost = reply.header("x-mynah-lossy").unwrap();
        assert!(
            reply.status == 200 && lost.contains("seed=") && lost.contains("logit_bias="),
            "{lost}"
        );
    }
    let nothing_lost = gateway
        .send(&ask("chat", "exact", "hello", false).header("authorization", "Bearer key-exact"))
        .await;
    assert_eq!(
        (nothing_lost.status, nothing_lost.header("x-mynah-lossy")),
        (200, None),
        "{}",
        nothing_lost.text()
    );
    let not_strict = lossy("any", "key-easy", false).header("x-mynah-strict", "false");
    assert_eq!(gateway.send(&not_strict).await.status, 200);
    let asked = up.received().len();
    for request in [
        lossy("any", "key-exact", false),
        lossy("any", "key-exact", true),
        lossy("exact", "key-easy", false),
        lossy("any", "key-easy", false).header("x-mynah-strict", "true"),
    ] {
        let reply = gateway.send(&request).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (400, "lossy_translation"));
        assert!(
            reply.text().contains("seed=") && reply.text().contains("logit_bias="),
            "{}",
            reply.text()
        );
    }
    assert_eq!(up.received().len(), asked, "a request that is refused was sent");
}

#[tokio::test]
async fn a_target_that_cannot_be_asked_this_is_passed_over() {
    let (first, second) = (strict(Script::new()).await, strict(Script::new()).await);
    let gateway = gateway(("anthropic", &first), ("gemini", &second));
    let mut two = body("chat", "m", "hello", false);
    two["n"] = json!(2);
    let reply = gateway.send(&say("chat", "m", &two, false)).await;
    assert_eq!(
        reply.header("x-mynah-model"),
        Some("second/gemini-3-pro"),
        "{}",
        reply.text()
    );
    assert_eq!(reply.json()["choices"].as_array().unwrap().len(), 2);
    // Strict callers pass over those who would lose something in the same way.
    let mut seeded = body("chat", "m", "hello", false);
    seeded["seed"] = json!(7);
    let reply = gateway
        .send(&say("chat", "m", &seeded, false).header("x-mynah-strict", "1"))
        .await;
    assert_eq!(
        reply.header("x-mynah-model"),
        Some("second/gemini-3-pro"),
        "{}",
        reply.text()
    );
    assert_eq!(first.received().len(), 0);

    // With nobody else it is the caller's fault, and says what cannot be said.
    two["model"] = json!("first/claude-opus-4-6");
    let reply = gateway.send(&say("chat", "m", &two, false)).await;
    assert_eq!((reply.status, &reply.json()["error"]["param"]), (400, &json!("n")));
}

#[tokio::test]
async fn what_a_provider_stores_is_not_asked_of_another() {
    let up = strict(Script::new()).await;
    let gateway = Gateway::start(&provider("up", "cohere", &up.url()));
    for (caller, field, value) in [
        ("responses", "previous_response_id", json!("resp_1")),
        ("responses", "conversation", json!("conv_1")),
        ("responses", "prompt", json!({"id": "pmpt_1"})),
        ("responses", "background", json!(true)),
        ("anthropic", "thread", json!({"id": "thread_1"})),
        ("gemini", "cachedContent", json!("cachedContents/1")),
    ] {
        let model = "up/command-a-03-2025";
        let mut asked = body(caller, model, "hello", false);
        asked[field] = value;
        let reply = gateway.send(&say(caller, model, &asked, false)).await;
        let (class, message) = error(caller, &reply);
        assert_eq!(reply.status, 400, "{field}");
        assert!(
            message.contains(field) && class.to_lowercase().contains("invalid"),
            "{class}: {message}"
        );
        asked[field] = json!(null);
        assert_eq!(
            gateway.send(&say(caller, model, &asked, false)).await.status,
            200,
            "{field}"
        );
    }
    assert_eq!(up.received().len(), 6);
}

#[tokio::test]
async fn an_address_that_a_provider_does_not_have_is_remembered() {
    for (route, body) in [
        ("/v1/responses", r#"{"model":"up/m","input":"hello"}"#),
        ("/v1/completions", r#"{"model":"up/m","prompt":"hello"}"#),
    ] {
        let gone = Reply::status(404).body("{\"detail\":\"Not Found\"}");
        let up = Understudy::start(Rule::path(route).reply(gone)).await.unwrap();
        let gateway = Gateway::start(&format!("[providers.up]\nbase_url = '{}'\nmodels = []\n", up.url()));
        for _ in 0..3 {
            let reply = gateway.send(&Request::post(route, body)).await;
            assert_eq!(reply.status, 200, "{route}: {}", reply.text());
            assert!(reply.text().contains("understudy heard: hello"), "{}", reply.text());
        }
        let paths: Vec<String> = up
            .received()
            .iter()
            .map(|received| received.path().to_owned())
            .collect();
        let chat = "/v1/chat/completions";
        assert_eq!(paths, [route, chat, chat, chat]);
    }
}

#[tokio::test]
async fn a_404_about_the_model_is_not_taken_for_a_missing_address() {
    for (route, body) in [
        ("/v1/responses", r#"{"model":"up/m","input":"hello"}"#),
        ("/v1/completions", r#"{"model":"up/m","prompt":"hello"}"#),
    ] {
        let unknown = "{\"error\":{\"message\":\"The model `m` does not exist\",\"code\":\"model_not_found\"}}";
        let up = Understudy::start(Reply::status(404).body(unknown)).await.unwrap();
        let gateway = Gateway::start(&format!("[providers.up]\nbase_url = '{}'\nmodels = []\n", up.url()));
        for _ in 0..2 {
            let reply = gateway.send(&Request::post(route, body)).await;
            assert_eq!((reply.status, reply.text()), (404, unknown));
        }
        assert!(up.received().iter().all(|received| received.path() == route));
    }
}
