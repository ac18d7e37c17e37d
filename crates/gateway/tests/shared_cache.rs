//! What one node of a cluster has kept is given by the others too, as it was, and no request fails or waits because of Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, ask, model, of, provider, strict};
use support::redis::{Redis, free_port};
use support::{Gateway, PATIENCE, Request, command, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"a secret question"}]}"#;

fn completion(text: &str) -> Value {
    json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })
}

/// A node with the model `m`, which has this `cache`, and further lines.
fn config(understudy: &Understudy, redis: &str, cache: &str, more: &str) -> String {
    format!(
        "[cluster]\nredis = '{redis}'\ntimeout = '2s'\n{more}\n[routing]\nretries = 0\n\
         [providers.up]\nbase_url = '{}'\nmodels = []\napi_key = 'k'\n[models.m]\ntargets = ['up/a']\ncache = {cache}\n",
        understudy.url()
    )
}

/// Two nodes, one Redis and a provider.
async fn two(script: impl Into<Script>, cache: &str, more: &str) -> (Understudy, Redis, [Gateway; 2]) {
    let (understudy, redis) = (Understudy::start(script).await.unwrap(), Redis::start());
    let text = config(&understudy, &redis.url(), cache, more);
    let nodes = [Gateway::start(&text), Gateway::start(&text)];
    (understudy, redis, nodes)
}

fn said(reply: &support::Reply) -> Option<&str> {
    reply.header("x-mynah-cache")
}

/// What the answers in Redis are called.
fn names(redis: &Redis) -> Vec<String> {
    let told = redis.ask(&["KEYS", "{mynah}:answer:*"]);
    told.lines()
        .filter(|line| line.starts_with('{'))
        .map(str::to_owned)
        .collect()
}

async fn has_answers(redis: &Redis, count: usize) {
    until(|| names(redis).len() == count, || format!("{:?}", names(redis))).await;
}

/// What a node says of its cache.
async fn status(node: &Gateway) -> Value {
    node.get("/health/detailed").await.json()["cache"].clone()
}

/// Waits until a node says something of how its answers are shared.
async fn says(node: &Gateway, member: &str, expected: Value) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let told = status(node).await["cluster"].clone();
        if told[member] == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{member} is not {expected}: {told}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_dialect_gets_the_same_bytes_from_another_node_whole_and_streamed() {
    let (redis, mut kept) = (Redis::start(), 0);
    for kind in ["chat", "anthropic"] {
        let up = strict(Script::new()).await;
        let text = format!(
            "[cluster]\nredis = '{}'\ntimeout = '2s'\n{}[models.cached]\ntargets = ['up/{}']\ncache = '1h'\n",
            redis.url(),
            provider("up", kind, &up.url()),
            model(kind)
        );
        let (one, other) = (Gateway::start(&text), Gateway::start(&text));
        for caller in CALLERS {
            for stream in [false, true] {
                let asked = up.received().len() + 1;
                let ask = || of(caller, ask(caller, "cached", "hello", stream));
                let first = one.send(&ask()).await;
                kept += 1;
                has_answers(&redis, kept).await;
                let second = other.send(&ask()).await;
                // Now it is in its own memory too.
                let third = other.send(&ask()).await;
                let case = format!("{caller} of {kind}, streamed: {stream}");
                assert_eq!(
                    (first.status, said(&first)),
                    (200, Some("miss")),
                    "{case}: {}",
                    first.text()
                );
                for reply in [second, third] {
                    assert_eq!((reply.status, said(&reply)), (200, Some("hit")), "{case}");
                    assert!(reply.body == first.body && reply.whole, "{case}");
                    for name in ["content-type", "content-length", "x-mynah-model", "x-mynah-lossy"] {
                        assert_eq!(reply.header(name), first.header(name), "{case}: {name}");
                    }
                    assert_eq!(reply.header("x-mynah-attempts"), Some("0"), "{case}");
                    assert!(reply.header("age").is_some(), "{case}");
                }
                assert_eq!(up.received().len(), asked, "{case}");
            }
        }
        let told = status(&other).await;
        assert_eq!((&told["hits"], &told["misses"]), (&json!(16), &json!(0)), "{told}");
        assert_eq!(
            (&told["answers"], &told["cluster"]["hits"]),
            (&json!(8), &json!(8)),
            "{told}"
        );
        let told = status(&one).await;
        assert_eq!(
            (&told["misses"], &told["cluster"]["kept"]),
            (&json!(8), &json!(8)),
            "{told}"
        );
    }
}

const CLIENTS: &str = "[[clients]]\nname = 'a'\nkey = 'key-a'\n[[clients]]\nname = 'b'\nkey = 'key-b'\n";

fn by(client: &str) -> Request {
    Request::chat(BODY).header("authorization", &format!("Bearer key-{client}"))
}

#[tokio::test]
async fn no_client_gets_what_another_one_asked_for_at_another_node() {
    let (up, redis, [one, other]) = two(Reply::json(&completion("hi")), "'1h'", CLIENTS).await;
    assert_eq!(said(&one.send(&by("a")).await), Some("miss"));
    has_answers(&redis, 1).await;
    assert_eq!(said(&other.send(&by("b")).await), Some("miss"));
    assert_eq!(said(&other.send(&by("a")).await), Some("hit"));
    assert_eq!(up.received().len(), 2);
    has_answers(&redis, 2).await;
    // The names tell nothing.
    for name in names(&redis) {
        let digest = name.strip_prefix("{mynah}:answer:").unwrap();
        assert!(
            digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{name}"
        );
        let kept = redis.ask(&["GET", &name]);
        assert!(!kept.contains("secret question") && !kept.contains("key-"), "{kept}");
    }
}

#[tokio::test]
async fn what_is_for_all_clients_is_for_those_of_all_nodes() {
    let cache = "{ ttl = '1h', shared = true }";
    let (up, redis, [one, other]) = two(Reply::json(&completion("hi")), cache, CLIENTS).await;
    assert_eq!(said(&one.send(&by("a")).await), Some("miss"));
    has_answers(&redis, 1).await;
    assert_eq!(said(&other.send(&by("b")).await), Some("hit"));
    assert_eq!(other.send(&by("nobody")).await.status, 401);
    assert_eq!(up.received().len(), 1);
}

#[tokio::test]
async fn an_answer_has_its_age_at_every_node_and_no_node_has_it_for_longer() {
    let (up, redis, [one, other]) = two(Reply::json(&completion("hi")), "'1h'", "").await;
    one.chat(BODY).await;
    has_answers(&redis, 1).await;
    let name = names(&redis).remove(0);
    // Ten of its minutes pass.
    redis.ask(&["PEXPIRE", &name, "3000000"]);
    let wish = |most: u32| Request::chat(BODY).header("cache-control", &format!("max-age={most}"));
    let reply = other.send(&wish(3600)).await;
    let age: u64 = reply.header("age").unwrap().parse().unwrap();
    assert_eq!(said(&reply), Some("hit"));
    assert!((600..640).contains(&age), "{age}");
    // It is not as old as somebody wants it: one is asked for, and is there for all.
    assert_eq!(said(&other.send(&wish(60)).await), Some("bypass"));
    assert_eq!(up.received().len(), 2);
    let third = Gateway::start(&config(&up, &redis.url(), "'1h'", ""));
    let left = || {
        redis
            .ask(&["PTTL", &name])
            .trim_start_matches(':')
            .trim()
            .parse::<u64>()
            .unwrap()
    };
    until(|| left() > 3_500_000, || left().to_string()).await;
    assert_eq!(said(&third.send(&wish(60)).await), Some("hit"));
    // When it is too old it is nowhere.
    redis.ask(&["PEXPIRE", &name, "1"]);
    has_answers(&redis, 0).await;
    let fourth = Gateway::start(&config(&up, &redis.url(), "'1h'", ""));
    assert_eq!(said(&fourth.chat(BODY).await), Some("miss"));
    assert_eq!(up.received().len(), 3);
}

#[tokio::test]
async fn an_answer_is_gone_from_redis_when_it_is_too_old() {
    let (up, redis, [one, other]) = two(Reply::json(&completion("hi")), "'200ms'", "").await;
    one.chat(BODY).await;
    says(&one, "kept", json!(1)).await;
    has_answers(&redis, 0).await;
    assert_eq!(said(&other.chat(BODY).await), Some("miss"));
    assert_eq!(up.received().len(), 2);
}

#[tokio::test]
async fn what_was_asked_anew_is_what_other_nodes_find() {
    let script = Rule::any().replies([Reply::json(&completion("old")), Reply::json(&completion("new"))]);
    let (_up, _redis, [one, other]) = two(script, "'1h'", "").await;
    one.chat(BODY).await;
    one.send(&Request::chat(BODY).header("cache-control", "no-cache")).await;
    says(&one, "kept", json!(2)).await;
    let reply = other.chat(BODY).await;
    assert_eq!(said(&reply), Some("hit"));
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "new");
    // Who wants its answer kept by nobody is heeded.
    let body = BODY.replace("secret", "private");
    one.send(&Request::chat(&body).header("cache-control", "no-store"))
        .await;
    assert_eq!(said(&other.chat(&body).await), Some("miss"));
}

#[tokio::test]
async fn without_redis_requests_go_on_and_with_it_again_answers_are_shared_again() {
    let (up, mut redis, [one, other]) = two(Reply::json(&completion("hi")), "'1h'", "").await;
    let ask = |number: u32| BODY.replace("secret", &number.to_string());
    one.chat(&ask(0)).await;
    has_answers(&redis, 1).await;
    redis.kill();
    // What is in its memory is still given, and everything else is asked for.
    assert_eq!(said(&one.chat(&ask(0)).await), Some("hit"));
    for number in 0..20 {
        assert_eq!(other.chat(&ask(number)).await.status, 200);
    }
    assert_eq!(up.received().len(), 21);
    for node in [&one, &other] {
        says(node, "state", json!("alone")).await;
        node.printed("answers are not shared").await;
    }
    assert!(status(&other).await["cluster"]["error"].is_string());
    assert_eq!(said(&other.chat(&ask(7)).await), Some("hit"));
    redis.start_again();
    for node in [&one, &other] {
        says(node, "state", json!("shared")).await;
    }
    assert_eq!(said(&one.chat(&ask(100)).await), Some("miss"));
    has_answers(&redis, 1).await;
    assert_eq!(said(&other.chat(&ask(100)).await), Some("hit"));
}

#[tokio::test]
async fn a_redis_that_hangs_is_waited_for_once() {
    let (up, redis) = (
        Understudy::start(Reply::json(&completion("hi"))).await.unwrap(),
        Redis::start(),
    );
    let text = config(&up, &redis.url(), "'1h'", "").replace("'2s'", "'300ms'");
    let node = Gateway::start(&text);
    says(&node, "state", json!("shared")).await;
    redis.signal("STOP");
    let begun = Instant::now();
    let ask = |number: u32| BODY.replace("secret", &number.to_string());
    for number in 0..50 {
        assert_eq!(said(&node.chat(&ask(number)).await), Some("miss"));
    }
    // Had each of them waited it were fifteen seconds.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    says(&node, "state", json!("alone")).await;
    let told = status(&node).await["cluster"].clone();
    assert!(
        told["failures"].as_u64().unwrap() >= 1 && told["left_out"].as_u64().unwrap() >= 1,
        "{told}"
    );
    redis.signal("CONT");
    says(&node, "state", json!("shared")).await;
    node.chat(&ask(100)).await;
    has_answers(&redis, 1).await;
}

/// A way to Redis on which everything comes late that is told over connections for answers, while it is slow. Returns its port.
async fn way(redis: &Redis, is_slow: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, redis) = (listener.local_addr().unwrap().port(), redis.port);
    tokio::spawn(async move {
        while let Ok((node, _)) = listener.accept().await {
            let is_slow = is_slow.clone();
            tokio::spawn(carry(node, redis, is_slow));
        }
    });
    port
}

async fn carry(mut node: TcpStream, redis: u16, is_slow: Arc<AtomicBool>) -> std::io::Result<()> {
    let mut redis = TcpStream::connect(("127.0.0.1", redis)).await?;
    let (mut asked, mut told) = (vec![0; 65_536], vec![0; 65_536]);
    let mut for_answers = false;
    loop {
        tokio::select! {
            count = node.read(&mut asked) => {
                let asked = &asked[..count?];
                for_answers |= memchr::memmem::find(asked, b"INFO").is_some();
                if asked.is_empty() {
                    return Ok(());
                }
                redis.write_all(asked).await?;
            }
            count = redis.read(&mut told) => {
                let told = &told[..count?];
                if for_answers && is_slow.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
                if told.is_empty() {
                    return Ok(());
                }
                node.write_all(told).await?;
            }
        }
    }
}

#[tokio::test]
async fn answers_that_come_too_late_hold_up_nobody_nor_limits() {
    let (up, redis) = (
        Understudy::start(Reply::json(&completion("hi"))).await.unwrap(),
        Redis::start(),
    );
    let is_slow = Arc::new(AtomicBool::new(false));
    let url = format!("redis://127.0.0.1:{}", way(&redis, is_slow.clone()).await);
    let text = config(
        &up,
        &url,
        "'1h'",
        &CLIENTS.replace("'key-a'", "'key-a'\nrequests_per_day = 1000"),
    );
    let node = Gateway::start(&text.replace("'2s'", "'200ms'"));
    let health = Request::new("GET", "/health/detailed").header("authorization", "Bearer key-a");
    let states = async |cluster: &str, cache: &str| {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let told = node.send(&health).await.json();
            if told["cluster"]["state"] == cluster && told["cache"]["cluster"]["state"] == cache {
                return told;
            }
            assert!(Instant::now() < deadline, "{told}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    states("shared", "shared").await;
    is_slow.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    for number in 0..50 {
        let body = BODY.replace("secret", &number.to_string());
        let request = Request::chat(&body).header("authorization", "Bearer key-a");
        assert_eq!(said(&node.send(&request).await), Some("miss"));
    }
    // Had each of them waited it were ten seconds.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let told = states("shared", "alone").await;
    assert!(
        told["cache"]["cluster"]["error"]
            .as_str()
            .unwrap()
            .contains("within 200 ms"),
        "{told}"
    );
    is_slow.store(false, Ordering::Relaxed);
    states("shared", "shared").await;
}

#[tokio::test]
async fn redis_is_spoken_to_over_tls() {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name).display().to_string();
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) = (
        file("cert.pem", &cert.pem()),
        file("key.pem", &signing_key.serialize_pem()),
    );
    let port = free_port();
    let redis = Redis::start_with(
        [
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
        ]
        .into_iter()
        .chain(["--tls-auth-clients", "no", "--tls-ca-cert-file", &certificate])
        .map(str::to_owned)
        .collect(),
    );
    let up = Understudy::start(Reply::json(&completion(&"x".repeat(900_000))))
        .await
        .unwrap();
    let url = format!("rediss://127.0.0.1:{port}");
    let trusting = config(&up, &url, "'1h'", &format!("[network]\nca = ['{certificate}']\n"));
    let (one, other) = (Gateway::start(&trusting), Gateway::start(&trusting));
    let first = one.chat(BODY).await;
    has_answers(&redis, 1).await;
    let second = other.chat(BODY).await;
    assert_eq!((said(&second), second.body == first.body), (Some("hit"), true));
    assert_eq!(other.get("/health/detailed").await.json()["cluster"]["state"], "shared");
    // Whom nobody vouches for is told nothing.
    let wary = Gateway::start(&config(&up, &url, "'1h'", ""));
    assert_eq!(said(&wary.chat(BODY).await), Some("miss"));
    let told = wary.get("/health/detailed").await.json();
    for error in [&told["cluster"]["error"], &told["cache"]["cluster"]["error"]] {
        assert!(error.as_str().unwrap().contains("certificate"), "{told}");
    }
}

#[tokio::test]
async fn what_no_node_has_written_is_no_answer() {
    let (up, redis, [one, other]) = two(Reply::json(&completion("hi")), "'1h'", "").await;
    one.chat(BODY).await;
    has_answers(&redis, 1).await;
    let name = names(&redis).remove(0);
    let kept = redis.ask(&["GET", &name]);
    let form = kept.split_once("\r\n").unwrap().1.trim_end_matches("\r\n").to_owned();
    let (newer, long) = (
        form.replace("\"version\":1", "\"version\":2"),
        "x".repeat(2 * 1024 * 1024),
    );
    let cut = &form[..form.len() - 3];
    for (at, garbage) in [
        "",
        "\0\n{}",
        "{\"version\":1}\n",
        &newer,
        cut,
        &long,
        "a list",
        "for ever",
    ]
    .into_iter()
    .enumerate()
    {
        let body = BODY.replace("secret", &at.to_string());
        redis.ask(&["DEL", &name]);
        one.chat(&body).await;
        has_answers(&redis, 1).await;
        let name = names(&redis).remove(0);
        match garbage {
            "a list" => {
                redis.ask(&["DEL", &name]);
                redis.ask(&["RPUSH", &name, "x"]);
            }
            "for ever" => drop(redis.ask(&["PERSIST", &name])),
            _ => drop(redis.ask(&["SET", &name, garbage, "PX", "3600000"])),
        }
        let asked = up.received().len();
        assert_eq!(said(&other.chat(&body).await), Some("miss"), "{at}");
        assert_eq!(up.received().len(), asked + 1, "{at}");
        // Its own answer takes the place of that.
        says(&other, "kept", json!(at + 1)).await;
        redis.ask(&["RENAME", &name, "x"]);
        redis.ask(&["DEL", "x"]);
    }
    says(&other, "state", json!("shared")).await;
}

#[tokio::test]
async fn what_is_too_large_to_be_shared_stays_with_its_node() {
    let (up, redis, [one, other]) = two(
        Reply::json(&completion(&"x".repeat(1_100_000))),
        "'1h'",
        "[cache]\nmax_answer = '2MiB'\n",
    )
    .await;
    for node in [&one, &other] {
        assert_eq!(said(&node.chat(BODY).await), Some("miss"));
        assert_eq!(said(&node.chat(BODY).await), Some("hit"));
        says(node, "left_out", json!(1)).await;
    }
    assert_eq!(up.received().len(), 2);
    assert!(names(&redis).is_empty());
    // One that is nearly as large is shared.
    up.set_script(Reply::json(&completion(&"x".repeat(1_000_000))));
    let body = BODY.replace("secret", "short");
    let first = one.chat(&body).await;
    has_answers(&redis, 1).await;
    let second = other.chat(&body).await;
    assert_eq!((said(&second), second.body == first.body), (Some("hit"), true));
}

#[tokio::test]
async fn limits_have_the_rest_of_a_redis_that_has_a_bound() {
    let clients = "[[clients]]\nname = 'a'\nkey = 'key-a'\nrequests_per_day = 1000\n";
    let (up, redis, [one, _]) = two(Reply::json(&completion(&"x".repeat(100_000))), "'1h'", clients).await;
    let health = Request::new("GET", "/health/detailed").header("authorization", "Bearer key-a");
    redis.ask(&["CONFIG", "SET", "maxmemory", "16000000"]);
    redis.ask(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let ask = |number: u32| {
        let body = BODY.replace("secret", &number.to_string());
        Request::chat(&body).header("authorization", "Bearer key-a")
    };
    let deadline = Instant::now() + PATIENCE;
    let mut number = 0;
    let told = loop {
        assert_eq!(one.send(&ask(number)).await.status, 200);
        number += 1;
        let told = one.send(&health).await.json();
        // What is too little for one more is no room.
        let left_out = told["cache"]["cluster"]["left_out"].as_u64().unwrap();
        if left_out > 20 && number > 100 {
            break told;
        }
        assert!(Instant::now() < deadline, "{told}");
    };
    let used = redis.ask(&["INFO", "memory"]);
    let used: u64 = used
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"))
        .unwrap()
        .parse()
        .unwrap();
    assert!(used < 9_000_000, "{used}");
    assert!(!names(&redis).is_empty());
    assert_eq!(
        (&told["cluster"]["state"], &told["cache"]["cluster"]["state"]),
        (&json!("shared"), &json!("shared"))
    );
    assert_eq!(redis.number("{mynah}:client:a:requests:day", "s"), u64::from(number));
    assert_eq!(up.received().len(), number as usize);
}

#[tokio::test]
async fn a_hit_from_another_node_is_a_row_that_used_nothing() {
    let more = "[store]\nflush = '20ms'\n[[clients]]\nname = 'a'\nkey = 'key-a'\nrequests_per_minute = 4\ntokens_per_minute = 600\n";
    let (_up, redis, [one, other]) = two(Reply::json(&completion("hi")), "'1h'", more).await;
    one.send(&by("a")).await;
    has_answers(&redis, 1).await;
    let reply = other.send(&by("a")).await;
    assert_eq!((reply.status, said(&reply)), (200, Some("hit")));
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("2"));
    let usage = || {
        let output = command(other.directory.path())
            .args(["usage", "--format", "json"])
            .output()
            .unwrap();
        serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()[0].clone()
    };
    until(|| usage()["from_cache"] == 1, || usage().to_string()).await;
    let usage = usage();
    assert_eq!(
        (&usage["requests"], &usage["input"], &usage["cost_nano_usd"]),
        (&json!(1), &json!(0), &json!(0))
    );
}

#[tokio::test]
async fn answers_stay_in_memory_until_the_operator_wants_them_shared() {
    let (up, redis, [one, other]) = two(Reply::json(&completion("hi")), "'1h'", "[cache]\ncluster = false\n").await;
    for node in [&one, &other] {
        assert_eq!(said(&node.chat(BODY).await), Some("miss"));
        assert_eq!(status(node).await["cluster"], Value::Null);
    }
    assert!(names(&redis).is_empty());
    let body = BODY.replace("secret", "public");
    for node in [&one, &other] {
        node.rewrite(&config(&up, &redis.url(), "'1h'", ""));
        says(node, "state", json!("shared")).await;
        // What was in memory is there yet.
        assert_eq!(said(&node.chat(BODY).await), Some("hit"));
    }
    one.chat(&body).await;
    has_answers(&redis, 1).await;
    assert_eq!(said(&other.chat(&body).await), Some("hit"));
}

#[test]
fn answers_cannot_be_shared_by_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[models.m]\ntargets = ['mynah/echo']\ncache = '1h'\n[cache]\ncluster = true\n";
    std::fs::write(directory.path().join("mynah.toml"), text).unwrap();
    let output = command(directory.path()).arg("check").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("`cache.cluster`"), "{said}");
    assert!(said.contains("no table [cluster]"), "{said}");
}
