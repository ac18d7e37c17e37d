//! No client spends more than its budgets, whatever happens.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::path::Path;
use std::sync::Arc;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use rusqlite::Connection;
use serde_json::json;
use support::dialects::{CALLERS, ask, error, of};
use support::{Gateway, Request};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

/// What [`completion`] costs of gpt-4o, in nano-dollars.
const COST: u64 = 10 * 2_500 + 5 * 10_000;

fn completion() -> Reply {
    Reply::json(&json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }))
}

fn config(understudy: &Understudy, database: &Path, budget: &str) -> String {
    format!(
        "[store]\nurl = 'sqlite://{}'\nflush = '20ms'\n[providers.openai]\nbase_url = '{}'\napi_key = 'k'\nmodels = []\n\
         [[clients]]\nname = 'a'\nkey = 'key-a'\n{budget}\n",
        database.display(),
        understudy.url(),
    )
}

/// A request of gpt-4o that is thought to need somewhat more than [`completion`] says that it did.
fn chat(more: &str) -> Request {
    chat_of("key-a", more)
}

fn chat_of(key: &str, more: &str) -> Request {
    let words = "Somewhat more than ten tokens of a prompt, which is answered by two letters.";
    let body = format!(
        r#"{{"model":"openai/gpt-4o","max_tokens":10,"messages":[{{"role":"user","content":"{words}"}}]{more}}}"#
    );
    Request::chat(&body).header("authorization", &format!("Bearer {key}"))
}

fn query(database: &Path, query: &str) -> u64 {
    let connection = Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY);
    let found = connection.and_then(|connection| connection.query_row(query, (), |row| row.get::<_, Option<u64>>(0)));
    found.ok().flatten().unwrap_or(0)
}

/// Waits until the ledger has so many requests that were answered.
async fn answered(database: &Path, count: u64) {
    let has = || query(database, "SELECT count(*) FROM requests WHERE status = 200") == count;
    support::until(has, || format!("there are not {count} rows")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_requests_at_once_do_not_overspend() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    // Of a thousand, some three hundred fit.
    let limit = 300 * COST;
    let usd = format!("0.{limit:09}");
    let gateway = Arc::new(Gateway::start(&config(
        &understudy,
        &database,
        &format!("budget = {{ usd = {usd}, per = 'total' }}"),
    )));
    let mut sending = JoinSet::new();
    for _ in 0..1000 {
        let gateway = gateway.clone();
        sending.spawn(async move { gateway.send(&chat("")).await.status });
    }
    let statuses = sending.join_all().await;
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count() as u64;
    assert_eq!(count(200) + count(402) + count(429), 1000, "{statuses:?}");
    // What is reserved in vain is free again: now the budget can be spent to its edge.
    loop {
        let reply = gateway.send(&chat("")).await;
        if reply.status == 402 {
            break;
        }
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    let answers = understudy.received().len() as u64;
    answered(&database, answers).await;
    let spent = query(&database, "SELECT sum(cost) FROM requests");
    assert_eq!(spent, answers * COST);
    let estimate_at_most = 3 * COST;
    assert!(spent <= limit && spent + estimate_at_most > limit, "{spent} of {limit}");
}

#[tokio::test]
async fn being_killed_with_requests_under_way_changes_no_total() {
    let endless = Reply::stream([
        "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n",
        "data: 2\n\n",
    ])
    .hang_after(60);
    let script = Script::new()
        .rule(Rule::any().asks_for_stream().reply(endless))
        .rule(Rule::any().reply(completion()));
    let understudy = Understudy::start(script).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    let limits = "requests_per_day = 100\ntokens_per_day = 100000\nbudget = [{ usd = 1, per = 'day' }, { usd = 0.001, per = 'total' }]";
    let config = config(&understudy, &database, limits);
    let mut total = 0;
    for round in 1..=3 {
        let gateway = Gateway::start(&config);
        for _ in 0..2 {
            let reply = gateway.send(&chat("")).await;
            total += 1;
            assert_eq!(reply.status, 200, "{}", reply.text());
            let left = reply.header("x-ratelimit-remaining-requests").unwrap().to_owned();
            assert_eq!(left, (100 - total).to_string(), "round {round}");
        }
        answered(&database, total).await;
        let mut stream = gateway.connect().await;
        stream.write_all(&chat(r#","stream":true"#).bytes()).await.unwrap();
        support::read_head(&mut stream).await.unwrap();
        gateway.signal("KILL");
    }
    let gateway = Gateway::start(&config);
    let reply = gateway.send(&chat(r#","n":5"#)).await;
    assert_eq!(reply.status, 402, "{}", reply.text());
    let spent = format!(
        "${:.5} of $0.001 in total are spent",
        6.0 * f64::from(u32::try_from(COST).unwrap()) / 1e9
    );
    assert!(reply.text().contains(&spent), "{spent} not in {}", reply.text());
    assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some("94"));
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("99910"));
}

#[tokio::test]
async fn who_is_over_budget_is_told_which_and_until_when() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = config(&understudy, &directory.path().join("kept.db"), "group = 'team'");
    let gateway = Gateway::start(&format!(
        "{config}[[groups]]\nname = 'team'\nbudget = {{ usd = 0.003, per = 'day' }}\n"
    ));
    while gateway.send(&chat("")).await.status == 200 {}
    for caller in CALLERS {
        let request = of(caller, ask(caller, "openai/gpt-4o", &"word ".repeat(40), false));
        let reply = gateway.send(&request.header("authorization", "Bearer key-a")).await;
        let (class, message) = error(caller, &reply);
        let status = if caller == "gemini" { 429 } else { 402 };
        assert_eq!(reply.status, status, "{caller}: {message}");
        let expected = match caller {
            "anthropic" => "billing_error",
            "gemini" => "RESOURCE_EXHAUSTED",
            _ => "insufficient_quota",
        };
        assert_eq!(class, expected, "{message}");
        assert!(
            message.starts_with("The budget of the group `team` is used up: $0.0"),
            "{message}"
        );
        assert!(
            message.contains(" of $0.003 per day are spent") && message.contains("T00:00:00Z."),
            "{message}"
        );
        assert_eq!(reply.header("retry-after"), None);
    }
    // What the whole budget is too small for is another matter.
    let reply = gateway.send(&chat(r#","n":50"#)).await;
    assert_eq!(
        (reply.status, reply.error_code().as_str()),
        (400, "request_exceeds_limit")
    );
}

#[tokio::test]
async fn who_hangs_up_leaves_no_reservation() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let script = Script::new()
        .rule(
            Rule::any()
                .asks_for_stream()
                .reply(Reply::stream([event, event]).hang_after(event.len())),
        )
        .rule(Rule::any().reply(completion()));
    let understudy = Understudy::start(script).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    // Two at a time are thought to fit, but not three.
    let gateway = Gateway::start(&config(
        &understudy,
        &database,
        "budget = { usd = 0.0005, per = 'month' }",
    ));
    let mut streams = Vec::new();
    for _ in 0..2 {
        let mut stream = gateway.connect().await;
        stream.write_all(&chat(r#","stream":true"#).bytes()).await.unwrap();
        assert_eq!(support::read_head(&mut stream).await.unwrap().status, 200);
        streams.push(stream);
    }
    let reply = gateway.send(&chat("")).await;
    assert_eq!(
        (reply.status, reply.error_code().as_str()),
        (429, "rate_limit_exceeded"),
        "{}",
        reply.text()
    );
    assert!(reply.text().contains("reserved for requests under way"));
    drop(streams);
    understudy.wait_aborted(2).await;
    let hung_up = || {
        query(
            &database,
            "SELECT count(*) FROM requests WHERE error = 'caller_hung_up'",
        ) == 2
    };
    support::until(hung_up, || "the rows of those who hung up are missing".to_owned()).await;
    let spent = query(&database, "SELECT sum(cost) FROM requests");
    let reply = gateway.send(&chat("")).await;
    assert_eq!(reply.status, 200, "{spent} were spent: {}", reply.text());
}

#[tokio::test]
async fn what_is_paid_by_the_piece_is_reserved_before_it_is_made() {
    let understudy = Understudy::start(Reply::json(&json!({"created": 1, "data": [{"b64_json": "AAAA"}]})))
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let prices = "[prices.'openai/draw']\nimage = 0.04\n[prices.'openai/paint']\nimages = { 'hd 1024x1792' = 0.12 }\n\
         [prices.'openai/say']\ncharacter = 10000\n";
    let config = config(
        &understudy,
        &directory.path().join("kept.db"),
        &format!("budget = {{ usd = 0.2, per = 'day' }}\n{prices}"),
    );
    let gateway = Gateway::start(&config);
    let send = async |path: &str, kind: &str, body: &str| {
        let request = Request::new("POST", path).header("authorization", "Bearer key-a");
        gateway
            .send(&request.header("content-type", kind).body(body.as_bytes()))
            .await
    };
    let form = |count: &str| {
        let fields = [("model", "openai/draw"), ("n", count)]
            .map(|(name, value)| format!("--b\r\ncontent-disposition: form-data; name={name}\r\n\r\n{value}\r\n"));
        fields.concat() + "--b--\r\n"
    };
    let (images, json) = ("/v1/images/generations", "application/json");
    let (variations, multipart) = ("/v1/images/variations", "multipart/form-data; boundary=b");
    let spoken = format!(r#"{{"model":"openai/say","input":"{}"}}"#, "é".repeat(30));
    let painted = r#"{"model":"openai/paint","n":2,"quality":"hd","size":"1024x1792"}"#;
    for (path, kind, body, cost) in [
        (images, json, r#"{"model":"openai/draw","n":100}"#, "$4.00"),
        (images, json, painted, "$0.24"),
        (variations, multipart, &form("6"), "$0.24"),
        ("/v1/audio/speech", json, &spoken, "$0.30"),
    ] {
        let reply = send(path, kind, body).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        let expected =
            format!("This request may cost {cost}, and the whole budget of the client `a` is $0.20 per day.");
        assert!(reply.text().contains(&expected), "{path}: {}", reply.text());
    }
    assert!(understudy.received().is_empty());
    let fits = send(variations, multipart, &form("5")).await;
    assert_eq!(fits.status, 200, "{}", fits.text());
    // One was made: of the others nothing is held any more.
    let fits = send(images, json, r#"{"model":"openai/draw","n":4}"#).await;
    assert_eq!(fits.status, 200, "{}", fits.text());
}

#[tokio::test]
async fn what_has_no_price_counts_nothing() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    let config = config(&understudy, &database, "budget = { usd = 0.0001, per = 'hour' }");
    let gateway = Gateway::start(&config);
    for _ in 0..5 {
        let request = Request::chat(r#"{"model":"openai/no-such-price","messages":[]}"#);
        assert_eq!(
            gateway
                .send(&request.header("authorization", "Bearer key-a"))
                .await
                .status,
            200
        );
    }
    answered(&database, 5).await;
    assert_eq!(query(&database, "SELECT count(*) FROM requests WHERE cost IS NULL"), 5);
}

#[tokio::test]
async fn what_was_spent_is_known_after_its_rows_are_deleted() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    let config = config(&understudy, &database, "budget = { usd = 0.0004, per = 'total' }");
    let mut gateway = Gateway::start(&config);
    while gateway.send(&chat("")).await.status == 200 {}
    gateway.signal("TERM");
    gateway.ended().await;
    let spent = query(&database, "SELECT sum(cost) FROM requests");
    // The thread that writes begins with what is too old.
    let mut gateway = Gateway::start(&config.replace("[store]", "[store]\nmax_age = '1ms'"));
    let is_empty = || query(&database, "SELECT count(*) FROM requests WHERE status = 200") == 0;
    support::until(is_empty, || "old rows are still there".to_owned()).await;
    assert_eq!(gateway.send(&chat("")).await.status, 402);
    gateway.signal("TERM");
    gateway.ended().await;
    let gateway = Gateway::start(&config);
    assert_eq!(gateway.send(&chat("")).await.status, 402);
    assert_eq!(query(&database, "SELECT sum(cost) FROM deleted"), spent);
    assert!(spent > COST);
}

#[tokio::test]
async fn a_group_has_spent_what_those_spent_who_have_left_it() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    let groups = "[[groups]]\nname = 'above'\nbudget = { usd = 0.0004, per = 'total' }\n\
        [[groups]]\nname = 'team'\ngroup = 'above'\n\
        [[groups]]\nname = 'others'\nbudget = { usd = 0.0004, per = 'month' }\n\
        [[clients]]\nname = 'b'\nkey = 'key-b'\ngroup = 'team'";
    let with = |client: &str| config(&understudy, &database, client);
    let before = with(&format!("group = 'team'\n{groups}"));
    let mut gateway = Gateway::start(&before);
    while gateway.send(&chat("")).await.status == 200 {}
    gateway.signal("TERM");
    gateway.ended().await;
    // One has moved to another group; the other stays, and so does what both have spent, with their rows or without.
    let moved = with(&format!("group = 'others'\n{groups}"));
    let forgetful = moved.replace("[store]", "[store]\nmax_age = '1ms'");
    for config in [&moved, &forgetful, &moved] {
        let mut gateway = Gateway::start(config);
        assert_eq!(gateway.send(&chat_of("key-b", "")).await.status, 402);
        assert_eq!(gateway.send(&chat("")).await.status, 200);
        let is_empty = || query(&database, "SELECT count(*) FROM requests WHERE client_group = 'team'") == 0;
        if config == &forgetful {
            support::until(is_empty, || "old rows are still there".to_owned()).await;
        }
        gateway.signal("TERM");
        gateway.ended().await;
    }
    let of_team = "SELECT sum(cost) FROM deleted WHERE client = 'a' AND client_group = 'team'";
    assert!(query(&database, of_team) > COST);
}

#[test]
fn what_a_budget_does_not_see_is_told_beforehand() {
    let directory = tempfile::tempdir().unwrap();
    let check = |config: &str| {
        std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
        let output = support::command(directory.path()).arg("check").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let providers = "[providers.openai]\napi_key = 'k'\n[providers.box]\nbase_url = 'http://10.0.0.5:8000/v1'\n\
        models = ['qwen3', 'llama']\n[models.smart]\ntargets = ['openai/gpt-4o']\nfallback = ['own']\n[models.own]\ntargets = ['box/own']\n";
    let client = "[[clients]]\nname = 'a'\nkey = 'k'\n";
    assert_eq!(check(&format!("{providers}{client}")), "");
    let told = check(&format!("{providers}{client}budget = {{ usd = 1, per = 'day' }}\n"));
    assert_eq!(
        told.lines().collect::<Vec<_>>(),
        [
            "warning: mynah.toml:14:1: `clients.0.budget`: without a table [store], what was spent is forgotten when the gateway stops: add one",
            "warning: mynah.toml:14:1: `clients.0.budget`: no price is known of `box/llama`, `box/own`, `box/qwen3`: what is asked of them is not counted as spent, unless [prices] has it",
        ]
    );
    // What a client cannot reach costs it nothing; what answers in place of another is reached.
    let group = "group = 'g'\n[[groups]]\nname = 'g'\nbudget = { usd = 1, per = 'day' }\n";
    let store = "[store]\n";
    let told = check(&format!("{store}{providers}{client}models = ['smart']\n{group}"));
    assert!(
        told.contains("`groups.0.budget`: no price is known of `box/own`: "),
        "{told}"
    );
    assert_eq!(
        check(&format!("{store}{providers}{client}models = ['openai/*']\n{group}")),
        ""
    );
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_keeps_nobody_out() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("kept.db");
    std::fs::write(&database, "my diary, which is no database").unwrap();
    let limits = "requests_per_day = 1\nbudget = { usd = 1, per = 'month' }";
    let gateway = Gateway::start(&config(&understudy, &database, limits));
    gateway.printed("limits and budgets begin at zero").await;
    assert_eq!(gateway.send(&chat("")).await.status, 200);
    assert_eq!(gateway.send(&chat("")).await.status, 429);
}
