//! When no target of a model answers, its fallback models are asked, depth first and each once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Received, Reply, Rule, Script, Understudy};
use serde_json::json;
use support::{Gateway, Request};

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

/// `a` falls back to `b` and `d`, `b` to `c`, `c` to `a` again; `e` is a provider's model.
const MODELS: &str = "[models.a]\ntargets = ['up/a1', 'up/a2']\nfallback = ['b', 'd', 'up/e']\n\
    [models.b]\ntargets = ['up/b1']\nfallback = ['c', 'b']\n\
    [models.c]\ntargets = ['up/c1']\nfallback = ['a', 'd']\n\
    [models.d]\ntargets = ['up/d1']\nfallback = ['a']\n";

async fn up(working: &str, clients: &str) -> (Understudy, Gateway) {
    let script = Script::new()
        .rule(Rule::any().model(working).reply(good()))
        .rule(Rule::any().reply(Reply::status(503)));
    let understudy = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nretries = 0\n[providers.up]\nbase_url = '{}'\nmodels = []\n{MODELS}{clients}",
        understudy.url()
    ));
    (understudy, gateway)
}

fn asked(understudy: &Understudy) -> Vec<String> {
    understudy.received().iter().filter_map(Received::model).collect()
}

#[tokio::test]
async fn fallbacks_are_asked_depth_first_and_once() {
    let (understudy, gateway) = up("none", "").await;
    let reply = gateway.chat(r#"{"model":"a"}"#).await;
    assert_eq!((reply.status, reply.header("x-mynah-attempts")), (503, Some("6")));
    assert_eq!(asked(&understudy), ["a1", "a2", "b1", "c1", "d1", "e"]);
    understudy.clear();
    gateway.chat(r#"{"model":"c"}"#).await;
    assert_eq!(asked(&understudy), ["c1", "a1", "a2", "b1", "d1", "e"]);
}

#[tokio::test]
async fn the_first_that_answers_ends_it() {
    for (working, order) in [
        ("a1", vec!["a1"]),
        ("a2", vec!["a1", "a2"]),
        ("c1", vec!["a1", "a2", "b1", "c1"]),
        ("e", vec!["a1", "a2", "b1", "c1", "d1", "e"]),
    ] {
        let (understudy, gateway) = up(working, "").await;
        let reply = gateway.chat(r#"{"model":"a"}"#).await;
        let target = format!("up/{working}");
        assert_eq!(
            (reply.status, reply.header("x-mynah-model")),
            (200, Some(target.as_str()))
        );
        assert_eq!(asked(&understudy), order);
    }
}

const CLIENTS: &str = "[[clients]]\nname = 'names'\nkey = 'key-names'\nmodels = ['a']\n\
    [[clients]]\nname = 'targets'\nkey = 'key-targets'\nmodels = ['up/a2', 'up/c*']\n\
    [[clients]]\nname = 'nothing'\nkey = 'key-nothing'\nmodels = ['up/x']\n";

#[tokio::test]
async fn a_client_gets_what_it_may_use() {
    let chat = |model: &str, key: &str| {
        Request::chat(&format!(r#"{{"model":"{model}"}}"#)).header("authorization", &format!("Bearer {key}"))
    };
    // A name that is allowed leads where it is configured to lead.
    let (understudy, gateway) = up("e", CLIENTS).await;
    let reply = gateway.send(&chat("a", "key-names")).await;
    assert_eq!((reply.status, reply.header("x-mynah-model")), (200, Some("up/e")));
    for model in ["b", "d", "up/e", "up/a1"] {
        let reply = gateway.send(&chat(model, "key-names")).await;
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (403, "model_not_allowed"),
            "{model}"
        );
    }
    // Of other names it gets the targets that are allowed, those of the fallbacks included.
    understudy.clear();
    let reply = gateway.send(&chat("a", "key-targets")).await;
    assert_eq!(reply.status, 503);
    assert_eq!(asked(&understudy), ["a2", "c1"]);
    understudy.clear();
    assert_eq!(gateway.send(&chat("a", "key-nothing")).await.status, 403);
    assert_eq!(understudy.counters().requests, 0);
}

/// A target that rests or is left alone is not waited for while there is a fallback.
#[tokio::test]
async fn a_fallback_goes_before_waiting() {
    for refusal in [
        Reply::status(429).header("retry-after", "2"),
        Reply::status(402),
        Reply::status(401),
    ] {
        let first = Understudy::start(refusal).await.unwrap();
        let gateway = Gateway::start(&format!(
            "[routing]\nmax_wait = '10s'\n[providers.up]\nbase_url = '{}'\nmodels = []\n\
             [models.m]\ntargets = ['up/a']\nfallback = ['mynah/echo']\n",
            first.url()
        ));
        for attempts in ["2", "1", "1"] {
            let reply = gateway
                .chat(r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#)
                .await;
            assert_eq!(
                (
                    reply.status,
                    reply.header("x-mynah-model"),
                    reply.header("x-mynah-attempts")
                ),
                (200, Some("mynah/echo"), Some(attempts))
            );
        }
        assert_eq!(first.counters().requests, 1);
    }
}

/// What a provider does not have, or cannot hold, another one may. It is no fault of anybody's.
#[tokio::test]
async fn who_is_not_suited_hands_over_and_is_asked_again() {
    for refusal in [
        Reply::status(404).body(r#"{"error":{"message":"The model `a` does not exist","code":"model_not_found"}}"#),
        Reply::status(400).body(r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#),
    ] {
        let first = Understudy::start(refusal).await.unwrap();
        let gateway = Gateway::start(&format!(
            "[providers.up]\nbase_url = '{}'\nmodels = []\nbreaker = {{ failures = 1 }}\n\
             [models.m]\ntargets = ['up/a']\nfallback = ['mynah/echo']\n",
            first.url()
        ));
        for count in 1..=4 {
            let reply = gateway
                .chat(r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#)
                .await;
            assert_eq!((reply.status, reply.header("x-mynah-attempts")), (200, Some("2")));
            assert_eq!(first.counters().requests, count);
        }
    }
}
