//! Which target is asked first is decided by the strategy of the model.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, body, say};
use support::{Gateway, Request};
use tokio::io::AsyncWriteExt as _;

const ASK: &str = r#"{"model":"m"}"#;

fn good() -> Reply {
    Reply::json(&json!({"choices": []}))
}

fn slow(milliseconds: u64) -> Reply {
    good().first_after(Duration::from_millis(milliseconds))
}

/// A gateway whose model `m` has these targets at the providers `p0`, `p1` and so on.
fn gateway(strategy: &str, understudies: &[&Understudy], targets: &str) -> Gateway {
    let mut config = "[routing]\nretries = 0\n".to_owned();
    for (number, understudy) in understudies.iter().enumerate() {
        let url = understudy.url();
        writeln!(config, "[providers.p{number}]\nbase_url = '{url}'\nmodels = []").unwrap();
    }
    write!(config, "[models.m]\nstrategy = '{strategy}'\ntargets = [{targets}]\n").unwrap();
    Gateway::start(&config)
}

async fn up(script: impl Into<Script>) -> Understudy {
    Understudy::start(script).await.unwrap()
}

async fn answered_by(gateway: &Gateway, request: &Request) -> String {
    let reply = gateway.send(request).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.header("x-mynah-model").unwrap().to_owned()
}

async fn shares(gateway: &Gateway, request: &Request, count: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        *shares.entry(answered_by(gateway, request).await).or_default() += 1;
    }
    shares
}

#[tokio::test]
async fn ordered_asks_the_first() {
    let one = up(good()).await;
    let gateway = gateway("ordered", &[&one, &one], "'p0/a', 'p1/b'");
    let shares = shares(&gateway, &Request::chat(ASK), 20).await;
    assert_eq!(shares, BTreeMap::from([("p0/a".to_owned(), 20)]));
}

#[tokio::test]
async fn weighted_keeps_to_the_weights() {
    let one = up(good()).await;
    let targets = "{ target = 'p0/a', weight = 4 }, 'p1/b'";
    let gateway = gateway("weighted", &[&one, &one], targets);
    let shares = shares(&gateway, &Request::chat(ASK), 300).await;
    let first = shares["p0/a"];
    // Five times the standard deviation.
    assert!((205..=275).contains(&first), "{first} of 300, where 240 is its share");
}

#[tokio::test]
async fn least_pending_avoids_who_is_busy() {
    let (busy, other) = (up(Reply::hang()).await, up(good()).await);
    let gateway = gateway("least-pending", &[&busy, &other], "'p0/a', 'p1/b'");
    let mut held = Vec::new();
    for count in 1..=3 {
        let mut stream = gateway.connect().await;
        let direct = Request::chat(r#"{"model":"p0/a"}"#);
        stream.write_all(&direct.bytes()).await.unwrap();
        busy.wait_received(count).await;
        held.push(stream);
    }
    busy.set_script(good());
    let shares = shares(&gateway, &Request::chat(ASK), 20).await;
    assert_eq!(shares, BTreeMap::from([("p1/b".to_owned(), 20)]));
    drop(held);
    busy.wait_aborted(3).await;
    let again = async { while answered_by(&gateway, &Request::chat(ASK)).await != "p0/a" {} };
    tokio::time::timeout(support::PATIENCE, again)
        .await
        .expect("who is no longer busy is never asked");
}

#[tokio::test]
async fn lowest_latency_settles_on_the_quicker_and_returns() {
    let (first, second) = (up(slow(500)).await, up(good()).await);
    let gateway = gateway("lowest-latency", &[&first, &second], "'p0/a', 'p1/b'");
    let ask = Request::chat(ASK);
    let only = |name: &str, count| BTreeMap::from([(name.to_owned(), count)]);
    // Each is tried once.
    assert_eq!(shares(&gateway, &ask, 2).await.len(), 2);
    assert_eq!(shares(&gateway, &ask, 10).await, only("p1/b", 10));
    // They change places, and the one that has become slow is noticed by one request.
    first.set_script(good());
    second.set_script(slow(1500));
    assert_eq!(answered_by(&gateway, &ask).await, "p1/b");
    assert_eq!(shares(&gateway, &ask, 10).await, only("p0/a", 10));
    // And back.
    first.set_script(slow(4000));
    second.set_script(good());
    assert_eq!(answered_by(&gateway, &ask).await, "p0/a");
    assert_eq!(shares(&gateway, &ask, 10).await, only("p1/b", 10));
}

#[tokio::test]
async fn cheapest_asks_who_costs_least_and_then_the_next() {
    let (dear, cheap, middle) = (up(good()).await, up(good()).await, up(good()).await);
    let targets = "'p0/unknown', { target = 'p0/dear', price = { input = 10, output = 30 } }, \
        { target = 'p1/cheap', price = { input = 0.1, output = 0.4 } }, \
        { target = 'p2/middle', price = { input = 1, output = 3 } }";
    let gateway = gateway("cheapest", &[&dear, &cheap, &middle], targets);
    let ask = Request::chat(ASK);
    assert_eq!(
        shares(&gateway, &ask, 5).await.into_keys().collect::<Vec<_>>(),
        ["p1/cheap"]
    );
    cheap.set_script(Reply::status(503));
    assert_eq!(
        shares(&gateway, &ask, 5).await.into_keys().collect::<Vec<_>>(),
        ["p2/middle"]
    );
    middle.set_script(Reply::status(503));
    assert_eq!(
        shares(&gateway, &ask, 5).await.into_keys().collect::<Vec<_>>(),
        ["p0/dear"]
    );
    dear.set_script(
        Script::new()
            .rule(Rule::any().model("dear").reply(Reply::status(503)))
            .rule(Rule::any().reply(good())),
    );
    assert_eq!(
        shares(&gateway, &ask, 5).await.into_keys().collect::<Vec<_>>(),
        ["p0/unknown"]
    );
}

/// Four targets at one understudy of the usual kind.
async fn affine() -> (Understudy, Gateway) {
    let one = up(Script::new()).await;
    let gateway = gateway("affinity", &[&one; 4], "'p0/a', 'p1/a', 'p2/a', 'p3/a'");
    (one, gateway)
}

/// A conversation in the words of a caller after so many turns.
fn turns(caller: &str, beginning: &str, count: usize) -> Value {
    let mut body = body(caller, "m", beginning, false);
    let field = match caller {
        "responses" => "input",
        "gemini" => "contents",
        _ => "messages",
    };
    for number in 0..count {
        for (role, text) in [("assistant", "I see."), ("user", &format!("And {number}?"))] {
            let message = match (caller, role) {
                ("gemini", "user") => json!({"role": "user", "parts": [{"text": text}]}),
                ("gemini", _) => json!({"role": "model", "parts": [{"text": text}]}),
                _ => json!({"role": role, "content": text}),
            };
            body[field].as_array_mut().unwrap().push(message);
        }
    }
    body
}

#[tokio::test]
async fn a_conversation_stays_where_it_began() {
    let (_one, gateway) = affine().await;
    for caller in CALLERS {
        let mut places = BTreeMap::new();
        for number in 0..12 {
            let beginning = format!("Tell me about bird number {number}.");
            let ask = |count| say(caller, "m", &turns(caller, &beginning, count), false);
            let place = answered_by(&gateway, &ask(0)).await;
            for count in 1..4 {
                assert_eq!(answered_by(&gateway, &ask(count)).await, place, "{caller}, {number}");
            }
            // Streamed or not is all the same.
            let mut streamed = turns(caller, &beginning, 4);
            if caller != "gemini" {
                streamed["stream"] = json!(true);
            }
            assert_eq!(answered_by(&gateway, &say(caller, "m", &streamed, true)).await, place);
            *places.entry(place).or_insert(0) += 1;
        }
        assert!(places.len() > 1, "{caller}: {places:?}");
    }
}

#[tokio::test]
async fn a_conversation_in_another_protocol_is_the_same() {
    let (_one, gateway) = affine().await;
    for beginning in ["Tell me about mynahs.", "Tell me about starlings."] {
        let mut places = BTreeMap::new();
        for caller in CALLERS {
            let place = answered_by(&gateway, &say(caller, "m", &turns(caller, beginning, 1), false)).await;
            places.insert(place, caller);
        }
        assert_eq!(places.len(), 1, "{places:?}");
    }
}

#[tokio::test]
async fn a_session_stays_whatever_is_said_in_it() {
    let (_one, gateway) = affine().await;
    for caller in CALLERS {
        let mut all = BTreeMap::new();
        for session in 0..12 {
            let mut places = BTreeMap::new();
            for number in 0..4 {
                let body = turns(caller, &format!("Something else: {number}"), 0);
                let request = say(caller, "m", &body, false).header("x-mynah-session", &format!("session-{session}"));
                *places.entry(answered_by(&gateway, &request).await).or_insert(0) += 1;
            }
            assert_eq!(places.len(), 1, "{caller}: {places:?}");
            all.extend(places);
        }
        assert!(all.len() > 1, "{caller}: {all:?}");
    }
}

#[tokio::test]
async fn a_cache_key_stays_whatever_is_said_with_it() {
    let (_one, gateway) = affine().await;
    for caller in ["chat", "responses"] {
        let mut all = BTreeMap::new();
        for key in 0..12 {
            let mut places = BTreeMap::new();
            for number in 0..4 {
                let mut body = turns(caller, &format!("Something else: {number}"), 0);
                body["prompt_cache_key"] = json!(format!("key-{key}"));
                *places
                    .entry(answered_by(&gateway, &say(caller, "m", &body, false)).await)
                    .or_insert(0) += 1;
            }
            assert_eq!(places.len(), 1, "{caller}: {places:?}");
            all.extend(places);
        }
        assert!(all.len() > 1, "{caller}: {all:?}");
    }
}

/// Embeddings and forms have no conversation; a session is one all the same.
#[tokio::test]
async fn what_is_no_conversation_is_spread_and_held_by_a_session() {
    let (_one, gateway) = affine().await;
    let ask = Request::post("/v1/embeddings", r#"{"model":"m","input":"hello"}"#);
    assert!(shares(&gateway, &ask, 30).await.len() > 1);
    let ask = ask.header("x-mynah-session", "one");
    assert_eq!(shares(&gateway, &ask, 10).await.len(), 1);
}

#[tokio::test]
async fn a_conversation_moves_only_while_its_target_is_away() {
    let understudies = [
        up(Script::new()).await,
        up(Script::new()).await,
        up(Script::new()).await,
    ];
    let [a, b, c] = &understudies;
    let gateway = gateway("affinity", &[a, b, c], "'p0/a', 'p1/a', 'p2/a'");
    let ask = say("chat", "m", &turns("chat", "Tell me about mynahs.", 0), false);
    let place = answered_by(&gateway, &ask).await;
    let home = &understudies[place[1..2].parse::<usize>().unwrap()];
    home.set_script(Reply::status(400).body(r#"{"error":{"code":"model_not_found"}}"#));
    let other = answered_by(&gateway, &ask).await;
    assert_ne!(other, place);
    assert_eq!(answered_by(&gateway, &ask).await, other);
    home.set_script(Script::new());
    assert_eq!(answered_by(&gateway, &ask).await, place);
}

#[tokio::test]
async fn a_model_that_several_providers_list_is_spread_over_them() {
    let list = Reply::json(&json!({"object": "list", "data": [{"id": "shared"}, {"id": "own"}]}));
    let script = || Script::new().rule(Rule::path("/v1/models").reply(list.clone()));
    let (one, two) = (up(script()).await, up(script()).await);
    let gateway = Gateway::start(&format!(
        "[providers.p0]\nbase_url = '{}'\n[providers.p1]\nbase_url = '{}'\n[providers.p2]\nbase_url = '{}'\nmodels = ['shared']\n",
        one.url(),
        two.url(),
        one.url()
    ));
    let all = shares(
        &gateway,
        &Request::chat(r#"{"model":"shared","messages":[{"role":"user","content":"hello"}]}"#),
        60,
    )
    .await;
    assert_eq!(all.keys().collect::<Vec<_>>(), ["p0/shared", "p1/shared", "p2/shared"]);
    assert!(all.values().all(|share| *share >= 5), "{all:?}");
    let own = shares(
        &gateway,
        &Request::chat(r#"{"model":"own","messages":[{"role":"user","content":"hello"}]}"#),
        40,
    )
    .await;
    assert_eq!(own.keys().collect::<Vec<_>>(), ["p0/own", "p1/own"]);
}
