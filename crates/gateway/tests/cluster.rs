//! Nodes that share Redis hold their limits together, and go on without it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::sync::Arc;
use std::time::Duration;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::json;
use support::postgres::Postgres;
use support::redis::Redis;
use support::{Gateway, PATIENCE, Request};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What [`completion`] costs of gpt-4o, in nano-dollars.
const COST: u64 = 10 * 2_500 + 5 * 10_000;

fn completion() -> Reply {
    Reply::json(&json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }))
}

/// A node whose client `a` has these limits.
fn config(understudy: &Understudy, redis: &Redis, limits: &str, more: &str) -> String {
    format!(
        "[cluster]\nredis = '{}'\ntimeout = '2s'\n{more}\n[providers.openai]\nbase_url = '{}'\napi_key = 'k'\nmodels = []\n\
         [[clients]]\nname = 'a'\nkey = 'key-a'\n{limits}\n",
        redis.url(),
        understudy.url(),
    )
}

fn chat(more: &str) -> Request {
    let words = "Somewhat more than ten tokens of a prompt, which is answered by two letters.";
    let body = format!(
        r#"{{"model":"openai/gpt-4o","max_tokens":10,"messages":[{{"role":"user","content":"{words}"}}]{more}}}"#
    );
    Request::chat(&body).header("authorization", "Bearer key-a")
}

async fn three(config: &str) -> Vec<Arc<Gateway>> {
    let nodes: Vec<_> = (0..3).map(|_| Arc::new(Gateway::start(config))).collect();
    for node in &nodes {
        sees(node, "shared", 3).await;
    }
    nodes
}

/// Waits until a node is in a state.
async fn sees(node: &Gateway, state: &str, nodes: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let cluster = status(node).await;
        if cluster["state"] == state && cluster["nodes"] == nodes {
            return;
        }
        assert!(Instant::now() < deadline, "{cluster}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn sees_state(node: &Gateway, state: &str) {
    let deadline = Instant::now() + PATIENCE;
    while status(node).await["state"] != state {
        assert!(Instant::now() < deadline, "it is not {state}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn status(node: &Gateway) -> serde_json::Value {
    let request = Request::new("GET", "/health/detailed").header("authorization", "Bearer key-a");
    node.send(&request).await.json()["cluster"].clone()
}

/// Sends so many requests, to the nodes in turn, so many at a time. Returns how many had each status.
async fn storm(nodes: &[Arc<Gateway>], count: usize, at_a_time: usize) -> std::collections::BTreeMap<u16, u64> {
    let mut sending = JoinSet::new();
    for worker in 0..at_a_time {
        let nodes = nodes.to_vec();
        sending.spawn(async move {
            let mut statuses = Vec::new();
            for number in (worker..count).step_by(at_a_time) {
                statuses.push(nodes[number % nodes.len()].send(&chat("")).await.status);
            }
            statuses
        });
    }
    let mut counts = std::collections::BTreeMap::new();
    for status in sending.join_all().await.into_iter().flatten() {
        *counts.entry(status).or_insert(0) += 1;
    }
    counts
}

/// Waits until something holds of Redis.
async fn redis_has(redis: &Redis, key: &str, field: &str, number: u64) {
    support::until(
        || redis.number(key, field) == number,
        || format!("{key} {field} is {}, not {number}", redis.number(key, field)),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_hold_one_limit() {
    let (redis, understudy) = (Redis::start(), Understudy::start(completion()).await.unwrap());
    let nodes = three(&config(&understudy, &redis, "requests_per_minute = 600", "")).await;
    let counts = storm(&nodes, 1500, 30).await;
    assert_eq!(counts, [(200, 600), (429, 900)].into());
    assert_eq!(understudy.received().len(), 600);
    let reply = nodes[1].send(&chat("")).await;
    assert!(reply.text().contains("600/600 requests per minute"), "{}", reply.text());
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("0"));
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_spend_one_budget() {
    let (redis, understudy) = (Redis::start(), Understudy::start(completion()).await.unwrap());
    let limit = 100 * COST;
    let budget = format!("budget = {{ usd = 0.{limit:09}, per = 'total' }}");
    let nodes = three(&config(&understudy, &redis, &budget, "")).await;
    let counts = storm(&nodes, 600, 60).await;
    assert_eq!(counts.values().sum::<u64>(), 600, "{counts:?}");
    assert!(
        counts.keys().all(|status| [200, 402, 429].contains(status)),
        "{counts:?}"
    );
    // What was reserved in vain is free again: the budget can be spent to its edge.
    while nodes[0].send(&chat("")).await.status != 402 {}
    let answers = understudy.received().len() as u64;
    let key = "{mynah}:client:a:usd:total";
    redis_has(&redis, key, "s", answers * COST).await;
    redis_has(&redis, key, "r", 0).await;
    let spent = answers * COST;
    assert!(spent <= limit && spent + 3 * COST > limit, "{spent} of {limit}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_holds_that_is_killed_is_released() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let endless = Reply::stream([event, event]).hang_after(event.len());
    let script = Script::new()
        .rule(Rule::any().asks_for_stream().reply(endless))
        .rule(Rule::any().reply(completion()));
    let (redis, understudy) = (Redis::start(), Understudy::start(script).await.unwrap());
    let limits = "max_concurrent = 2\nbudget = { usd = 1, per = 'total' }";
    let nodes = three(&config(&understudy, &redis, limits, "")).await;
    let mut streams = Vec::new();
    for node in &nodes[..2] {
        let mut stream = node.connect().await;
        stream.write_all(&chat(r#","stream":true"#).bytes()).await.unwrap();
        assert_eq!(support::read_head(&mut stream).await.unwrap().status, 200);
        streams.push(stream);
    }
    let reply = nodes[2].send(&chat("")).await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (429, Some("1")),
        "{}",
        reply.text()
    );
    nodes[0].signal("KILL");
    let deadline = Instant::now() + PATIENCE;
    while nodes[2].send(&chat("")).await.status != 200 {
        assert!(Instant::now() < deadline, "what the dead node held is still held");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The other one, which lives, holds what it held.
    redis_has(&redis, "{mynah}:client:a:concurrent", "r", 1).await;
    drop(streams);
    redis_has(&redis, "{mynah}:client:a:concurrent", "r", 0).await;
    redis_has(&redis, "{mynah}:client:a:usd:total", "r", 0).await;
}

#[tokio::test]
async fn a_place_that_was_given_back_is_free_for_the_next_request_of_the_same_node() {
    let (redis, understudy) = (Redis::start(), Understudy::start(completion()).await.unwrap());
    let node = Gateway::start(&config(&understudy, &redis, "max_concurrent = 1", ""));
    for _ in 0..100 {
        assert_eq!(node.send(&chat("")).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_no_request_fails_and_nothing_is_lost() {
    let (mut redis, understudy) = (Redis::start(), Understudy::start(completion()).await.unwrap());
    let limits = "requests_per_day = 100000\nbudget = { usd = 100, per = 'total' }";
    let nodes = three(&config(&understudy, &redis, limits, "").replace("'2s'", "'100ms'")).await;
    let (spent, day) = ("{mynah}:client:a:usd:total", "{mynah}:client:a:requests:day");
    let answered = async |count| assert_eq!(storm(&nodes, count, 12).await, [(200, count as u64)].into());
    answered(60).await;
    redis_has(&redis, spent, "s", 60 * COST).await;
    redis_has(&redis, day, "s", 60).await;
    // It hangs: the nodes go on, and tell it later.
    redis.signal("STOP");
    answered(60).await;
    for node in &nodes {
        sees(node, "alone", 3).await;
        node.printed("redis is away").await;
    }
    answered(60).await;
    redis.signal("CONT");
    for node in &nodes {
        sees(node, "shared", 3).await;
    }
    answered(60).await;
    redis_has(&redis, spent, "s", 240 * COST).await;
    redis_has(&redis, spent, "r", 0).await;
    // Who asked when Redis began to hang may be counted twice in windows, but nobody is forgotten.
    let counted = redis.number(day, "s");
    assert!((240..=240 + 36).contains(&counted), "{counted}");
    // It is gone, and comes back without a memory: the nodes tell it what they know.
    redis.kill();
    answered(60).await;
    for node in &nodes {
        sees(node, "alone", 3).await;
    }
    redis.start_again();
    for node in &nodes {
        sees(node, "shared", 3).await;
    }
    answered(60).await;
    redis_has(&redis, spent, "s", 360 * COST).await;
    redis_has(&redis, spent, "r", 0).await;
    redis_has(&redis, day, "s", 360).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_has_forgotten_hears_what_all_nodes_have_spent_from_their_ledger() {
    let (mut redis, understudy) = (Redis::start(), Understudy::start(completion()).await.unwrap());
    let postgres = Postgres::start();
    let limits = "budget = { usd = 100, per = 'total' }";
    let store = format!("[store]\nurl = '{}'\nflush = '20ms'\n", postgres.url());
    let text = store + &config(&understudy, &redis, limits, "");
    let nodes = three(&text).await;
    assert_eq!(storm(&nodes, 60, 6).await, [(200, 60)].into());
    let spent = "{mynah}:client:a:usd:total";
    redis_has(&redis, spent, "s", 60 * COST).await;
    let deadline = Instant::now() + PATIENCE;
    while postgres.find("SELECT count(*) FROM requests").await.unwrap() != ["60"] {
        assert!(Instant::now() < deadline, "rows are missing");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What a node has spent that is gone is known to the ledger alone.
    let [first, rest @ ..] = &nodes[..] else { unreachable!() };
    first.signal("KILL");
    assert_eq!(storm(rest, 20, 2).await, [(200, 20)].into());
    redis_has(&redis, spent, "s", 80 * COST).await;
    redis.kill();
    assert_eq!(storm(rest, 20, 2).await, [(200, 20)].into());
    redis.start_again();
    for node in rest {
        sees_state(node, "shared").await;
    }
    redis_has(&redis, spent, "s", 100 * COST).await;
    assert_eq!(storm(rest, 10, 2).await, [(200, 10)].into());
    redis_has(&redis, spent, "s", 110 * COST).await;
}

#[tokio::test]
async fn a_rest_that_one_node_was_told_keeps_the_others_from_asking() {
    let script = Script::new()
        .rule(
            Rule::any()
                .model("gpt-4o")
                .reply(Reply::status(429).header("retry-after", "60")),
        )
        .rule(Rule::any().model("gpt-5").reply(Reply::status(401)));
    let (redis, understudy) = (Redis::start(), Understudy::start(script).await.unwrap());
    let nodes = three(&config(&understudy, &redis, "requests_per_day = 1000", "")).await;
    let resting = async |node: &Gateway| {
        let request = Request::new("GET", "/health/detailed").header("authorization", "Bearer key-a");
        node.send(&request).await.json()["providers"][0]["resting"].clone()
    };
    assert_eq!(nodes[0].send(&chat("")).await.status, 429);
    assert_eq!(understudy.received().len(), 1);
    for node in &nodes[1..] {
        let deadline = Instant::now() + PATIENCE;
        while resting(node).await.as_array().unwrap().is_empty() {
            assert!(Instant::now() < deadline, "nobody has told");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let rests = resting(node).await;
        assert_eq!(
            (&rests[0]["model"], &rests[0]["reason"]),
            (&json!("gpt-4o"), &json!("throttled"))
        );
        let left = rests[0]["seconds"].as_u64().unwrap();
        assert!((50..=60).contains(&left), "{rests}");
        assert_eq!(node.send(&chat("")).await.status, 429);
    }
    assert_eq!(understudy.received().len(), 1);
    // Neither the key nor its hash is in Redis, and nonsense in it does no harm.
    let kept = redis.ask(&["HGETALL", "{mynah}:rests"]);
    assert!(kept.contains("openai ") && !kept.contains("key-a"), "{kept}");
    for (field, value) in [
        ("openai", "9 x"),
        ("a\nb", "99999999999999999999 rejected"),
        ("x", "\u{0}"),
    ] {
        redis.ask(&["HSET", "{mynah}:rests", field, value]);
    }
    redis.ask(&["HINCRBY", "{mynah}:rests", "number", "1"]);
    // A key that is refused rests for all models.
    let other = Request::chat(r#"{"model":"openai/gpt-5","messages":[{"role":"user","content":"hi"}]}"#);
    nodes[1].send(&other.header("authorization", "Bearer key-a")).await;
    let deadline = Instant::now() + PATIENCE;
    while !resting(&nodes[0])
        .await
        .as_array()
        .unwrap()
        .iter()
        .any(|rest| rest["reason"] == "rejected")
    {
        assert!(Instant::now() < deadline, "nobody has told");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_cannot_be_written_to_is_as_good_as_away() {
    let (redis, understudy) = (Redis::start(), Understudy::start(completion()).await.unwrap());
    let node = Arc::new(Gateway::start(&config(
        &understudy,
        &redis,
        "requests_per_day = 90",
        "nodes = 3",
    )));
    sees(&node, "shared", 3).await;
    let ways = [
        (["CONFIG", "SET", "maxmemory", "1"], ["CONFIG", "SET", "maxmemory", "0"]),
        (["REPLICAOF", "127.0.0.1", "1", ""], ["REPLICAOF", "NO", "ONE", ""]),
    ];
    for (make, undo) in ways {
        let words = |words: [&'static str; 4]| words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>();
        redis.ask(&words(make));
        assert_eq!(storm(std::slice::from_ref(&node), 10, 2).await, [(200, 10)].into());
        sees(&node, "alone", 3).await;
        redis.ask(&words(undo));
        sees(&node, "shared", 3).await;
    }
    redis_has(&redis, "{mynah}:client:a:requests:day", "s", 20).await;
    // Somebody empties it: the script is known no more than what was counted.
    redis.ask(&["FLUSHALL"]);
    redis.ask(&["SCRIPT", "FLUSH"]);
    assert_eq!(storm(std::slice::from_ref(&node), 5, 1).await, [(200, 5)].into());
    redis_has(&redis, "{mynah}:client:a:requests:day", "s", 25).await;
}

#[tokio::test]
async fn a_node_that_never_saw_redis_has_its_share_and_says_so() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let node = Gateway::start(&format!(
        "[cluster]\nredis = 'redis://:secret@127.0.0.1:1'\nnodes = 3\n[providers.openai]\nbase_url = '{}'\napi_key = 'k'\nmodels = []\n\
         [[clients]]\nname = 'a'\nkey = 'key-a'\nrequests_per_minute = 10\n",
        understudy.url()
    ));
    for _ in 0..3 {
        assert_eq!(node.send(&chat("")).await.status, 200);
    }
    let reply = node.send(&chat("")).await;
    assert!(
        reply.status == 429 && reply.text().contains("3/3 requests per minute"),
        "{}",
        reply.text()
    );
    let told = status(&node).await;
    assert_eq!((&told["state"], &told["nodes"]), (&json!("alone"), &json!(3)));
    assert!(
        told["error"].as_str().unwrap().contains("refused") && told["since"].is_string(),
        "{told}"
    );
    assert!(!node.printed.lock().unwrap().contains("secret"));
}
