//! In which order keys are used, and which failures make them rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::json;
use support::{Gateway, Request};

const ASK: &str = r#"{"model":"up/m"}"#;

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

/// A provider that has something against the first key.
async fn up(against_first: Reply, settings: &str) -> (Understudy, Gateway) {
    let script = Script::new()
        .rule(Rule::any().key("key-one").reply(against_first))
        .rule(Rule::any().reply(good()));
    let understudy = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nbackoff = '1ms'\n[providers.up]\nbase_url = '{}'\nmodels = []\n\
         api_keys = ['key-one', 'key-two']\nkey_order = 'listed'\n{settings}\n",
        understudy.url()
    ));
    (understudy, gateway)
}

fn keys(understudy: &Understudy) -> Vec<String> {
    let received = understudy.received();
    received.iter().map(|one| one.key().unwrap_or("-").to_owned()).collect()
}

#[tokio::test]
async fn listed_keys_are_used_in_their_order() {
    let (understudy, gateway) = up(good(), "").await;
    for _ in 0..3 {
        assert_eq!(gateway.chat(ASK).await.status, 200);
    }
    assert_eq!(keys(&understudy), ["key-one"; 3]);
    let (understudy, gateway) = up(Reply::status(401), "").await;
    for _ in 0..3 {
        assert_eq!(gateway.chat(ASK).await.status, 200);
    }
    assert_eq!(keys(&understudy), ["key-one", "key-two", "key-two", "key-two"]);
}

#[tokio::test]
async fn a_key_whose_call_failed_rests_where_that_is_wanted() {
    for failure in [Reply::status(500), Reply::status(529), Reply::hang_up()] {
        let (understudy, gateway) = up(failure, "rest_failed_keys = true\ncooldown = '5m'").await;
        let reply = gateway.chat(ASK).await;
        assert_eq!((reply.status, reply.header("x-mynah-attempts")), (200, Some("2")));
        assert_eq!(gateway.chat(ASK).await.status, 200);
        assert_eq!(keys(&understudy), ["key-one", "key-two", "key-two"]);
    }
    // Otherwise the same key is asked again, after a pause.
    let (understudy, gateway) = up(Reply::status(500), "").await;
    assert_eq!(gateway.chat(ASK).await.status, 500);
    assert_eq!(keys(&understudy), ["key-one"; 3]);
}

#[tokio::test]
async fn without_a_cooldown_each_request_begins_with_the_first_key_and_uses_none_twice() {
    for failure in [Reply::status(429), Reply::status(401), Reply::status(500)] {
        let (understudy, gateway) = up(failure, "rest_failed_keys = true\ncooldown = '0s'").await;
        for _ in 0..2 {
            assert_eq!(gateway.chat(ASK).await.status, 200);
        }
        assert_eq!(keys(&understudy), ["key-one", "key-two", "key-one", "key-two"]);
    }
    let understudy = Understudy::start(Reply::status(429)).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.up]\nbase_url = '{}'\nmodels = []\ncooldown = '0s'\napi_keys = ['key-one', 'key-two']\n",
        understudy.url()
    ));
    assert_eq!(gateway.chat(ASK).await.status, 429);
    assert_eq!(keys(&understudy).len(), 2);
}

#[tokio::test]
async fn the_last_key_is_used_also_when_its_call_failed() {
    let understudy = Understudy::start([Reply::status(500), Reply::status(502), good()])
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nbackoff = '1ms'\n[providers.up]\nbase_url = '{}'\nmodels = []\ncooldown = '5m'\n\
         api_keys = ['key-one', 'key-two']\nkey_order = 'listed'\nrest_failed_keys = true\n",
        understudy.url()
    ));
    assert_eq!(gateway.chat(ASK).await.status, 200);
    assert_eq!(keys(&understudy), ["key-one", "key-two", "key-one"]);
}

#[tokio::test]
async fn while_its_only_key_rests_a_target_is_asked_last() {
    let up = Understudy::start(Reply::status(500)).await.unwrap();
    let other = Understudy::start([good(), good(), Reply::status(500)]).await.unwrap();
    let provider = |name: &str, url: &str| {
        format!(
            "[providers.{name}]\nbase_url = '{url}'\nmodels = []\napi_key = 'k'\ncooldown = '5m'\nrest_failed_keys = true\n"
        )
    };
    let gateway = Gateway::start(&format!(
        "[routing]\nretries = 0\n{}{}[models.m]\ntargets = ['up/m', 'other/m']\n",
        provider("up", &up.url()),
        provider("other", &other.url())
    ));
    for (status, asked) in [(200, (1, 1)), (200, (1, 2)), (500, (2, 3))] {
        let reply = gateway.chat(r#"{"model":"m"}"#).await;
        let counted = (up.counters().requests, other.counters().requests);
        assert_eq!((reply.status, counted), (status, asked));
    }
}

#[tokio::test]
async fn providers_of_one_account_share_what_is_known_of_its_keys() {
    let understudy = Understudy::start(
        Script::new()
            .rule(Rule::any().key("key-one").reply(Reply::status(401)))
            .rule(Rule::any().reply(good())),
    )
    .await
    .unwrap();
    let provider = |name: &str, more: &str| {
        format!(
            "[providers.{name}]\nbase_url = '{}'\nmodels = []\napi_keys = ['key-one', 'key-two']\nkey_order = 'listed'\n{more}\n",
            understudy.url()
        )
    };
    let gateway = Gateway::start(&[provider("up", ""), provider("up-2", "account = 'up'")].concat());
    for model in ["up/m", "up-2/n"] {
        let reply = gateway.send(&Request::chat(&format!(r#"{{"model":"{model}"}}"#))).await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!(keys(&understudy), ["key-one", "key-two", "key-two"]);
}
