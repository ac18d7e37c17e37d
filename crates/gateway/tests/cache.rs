//! A model with `cache` gives an answer again to an equal request of the same client, as it was, and nothing that was no
//! good answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, ask, model, of, provider, strict, told};
use support::{Gateway, PATIENCE, Request, command, read_head, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// A question that is asked more than once.
const BODY: &str = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
const STREAM: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

fn completion(text: &str) -> Value {
    json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })
}

/// A gateway with the model `m`, which has this `cache`, and further lines.
async fn up(script: impl Into<Script>, cache: &str, more: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&config(&understudy, "a", cache, more));
    (understudy, gateway)
}

fn config(understudy: &Understudy, target: &str, cache: &str, more: &str) -> String {
    format!(
        "{more}\n[routing]\nretries = 0\n[providers.up]\nbase_url = '{}'\nmodels = []\napi_key = 'k'\nbreaker = {{ failures = 1000, volume = 1000 }}\n\
         [models.m]\ntargets = ['up/{target}']\ncache = {cache}\n",
        understudy.url()
    )
}

fn said(reply: &support::Reply) -> Option<&str> {
    reply.header("x-mynah-cache")
}

#[tokio::test]
async fn every_dialect_gets_the_same_bytes_again_whole_and_streamed() {
    for kind in ["chat", "responses", "anthropic", "gemini"] {
        let up = strict(Script::new()).await;
        let gateway = Gateway::start(&format!(
            "{}[models.cached]\ntargets = ['up/{}']\ncache = '1h'\n",
            provider("up", kind, &up.url()),
            model(kind)
        ));
        for caller in CALLERS {
            for stream in [false, true] {
                let before = up.received().len();
                let ask = || of(caller, ask(caller, "cached", "hello", stream));
                let first = gateway.send(&ask()).await;
                let second = gateway.send(&ask()).await;
                let case = format!("{caller} of {kind}, streamed: {stream}");
                assert_eq!((first.status, second.status), (200, 200), "{case}: {}", first.text());
                assert_eq!((said(&first), said(&second)), (Some("miss"), Some("hit")), "{case}");
                assert!(first.body == second.body && second.whole, "{case}");
                assert_eq!((first.header("age"), second.header("age")), (None, Some("0")), "{case}");
                for name in ["content-type", "x-mynah-model", "x-mynah-lossy"] {
                    assert_eq!(first.header(name), second.header(name), "{case}: {name}");
                }
                assert_eq!(
                    first.header("content-length"),
                    second.header("content-length"),
                    "{case}"
                );
                assert_ne!(first.header("x-request-id"), second.header("x-request-id"), "{case}");
                assert_eq!(second.header("x-mynah-attempts"), Some("0"), "{case}");
                assert_eq!(up.received().len(), before + 1, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn other_questions_are_kept_too() {
    let (up, gateway) = up(Script::new(), "'1h'", "").await;
    for (path, body) in [
        ("/v1/embeddings", r#"{"model":"m","input":"text"}"#),
        ("/v1/completions", r#"{"model":"m","prompt":"text"}"#),
        ("/v1/completions", r#"{"model":"m","prompt":"text","stream":true}"#),
        ("/v1/moderations", r#"{"model":"m","input":"text"}"#),
        ("/v1/images/generations", r#"{"model":"m","prompt":"text"}"#),
        ("/v1/rerank", r#"{"model":"m","query":"q","documents":["a","b"]}"#),
        (
            "/v2/embed",
            r#"{"model":"m","texts":["a"],"input_type":"search_query","embedding_types":["float"]}"#,
        ),
    ] {
        let first = gateway.send(&Request::post(path, body)).await;
        let second = gateway.send(&Request::post(path, body)).await;
        assert_eq!(
            (first.status, said(&first)),
            (200, Some("miss")),
            "{path}: {}",
            first.text()
        );
        assert_eq!((said(&second), &second.body), (Some("hit"), &first.body), "{path}");
    }
    let sound = r#"{"model":"m","input":"text","voice":"v"}"#;
    for _ in 0..2 {
        let reply = gateway.send(&Request::post("/v1/audio/speech", sound)).await;
        assert_eq!((reply.status, said(&reply)), (200, None), "it is not known to be whole");
    }
    assert_eq!(up.received().len(), 9);
}

#[tokio::test]
async fn what_differs_in_anything_is_asked_for_itself() {
    let (up, gateway) = up(Reply::json(&completion("hi")), "'1h'", "").await;
    let differing = [
        Request::chat(BODY),
        Request::chat(&BODY.replace(":[", ": [")),
        Request::chat(&BODY.replace("hi", "ho")),
        Request::chat(BODY).header("openai-beta", "x"),
        Request::chat(BODY).header("x-mynah-strict", "true"),
        Request::post("/v1/chat/completions?x=1", BODY),
    ];
    for request in &differing {
        assert_eq!(said(&gateway.send(request).await), Some("miss"));
    }
    for request in &differing {
        // What only tells one request from another does not count.
        let request = request
            .clone()
            .header("x-request-id", "mine")
            .header("x-stainless-retry-count", "1")
            .header("user-agent", "somebody")
            .header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(said(&gateway.send(&request).await), Some("hit"));
    }
    assert_eq!(up.received().len(), differing.len());
    // Whom the caller pins is not the model with the cache.
    let pinned = Request::chat(BODY).header("x-mynah-provider", "up");
    assert_eq!(said(&gateway.send(&pinned).await), None);
}

#[tokio::test]
async fn a_model_without_it_keeps_nothing() {
    let (up, gateway) = up(
        Reply::json(&completion("hi")),
        "'1h'",
        "[models.other]\ntargets = ['up/a']\n",
    )
    .await;
    for model in ["other", "up/a"] {
        for _ in 0..2 {
            let reply = gateway.chat(&BODY.replace("\"m\"", &format!("\"{model}\""))).await;
            assert_eq!((reply.status, said(&reply), reply.header("age")), (200, None, None));
        }
    }
    assert_eq!(up.received().len(), 4);
}

const CLIENTS: &str = "[[clients]]\nname = 'a'\nkey = 'key-a'\n[[clients]]\nname = 'b'\nkey = 'key-b'\n\
                       [[clients]]\nname = 'c'\nkey = 'key-c'\nmodels = ['other']\n\
                       [[clients]]\nname = 'd'\nkey = 'key-d'\nstrict = true\n";

fn by(client: &str) -> Request {
    Request::chat(BODY).header("authorization", &format!("Bearer key-{client}"))
}

#[tokio::test]
async fn no_client_gets_what_another_one_asked_for() {
    let (up, gateway) = up(Reply::json(&completion("hi")), "'1h'", CLIENTS).await;
    for client in ["a", "b"] {
        assert_eq!(said(&gateway.send(&by(client)).await), Some("miss"), "{client}");
        assert_eq!(said(&gateway.send(&by(client)).await), Some("hit"), "{client}");
    }
    assert_eq!(up.received().len(), 2);
}

#[tokio::test]
async fn a_shared_answer_is_for_those_who_may_have_it() {
    let (up, gateway) = up(Reply::json(&completion("hi")), "{ ttl = '1h', shared = true }", CLIENTS).await;
    assert_eq!(said(&gateway.send(&by("a")).await), Some("miss"));
    assert_eq!(said(&gateway.send(&by("b")).await), Some("hit"));
    assert_eq!(gateway.send(&by("c")).await.status, 403);
    assert_eq!(gateway.send(&by("nobody")).await.status, 401);
    // An answer with losses is not for one who does not allow them.
    assert_eq!(said(&gateway.send(&by("d")).await), Some("miss"));
    assert_eq!(up.received().len(), 2);
}

#[tokio::test]
async fn what_is_no_good_answer_is_never_given_again() {
    let whole = told("chat");
    let begun = whole.opening.clone() + &(whole.text)("some words");
    let events = [begun.clone(), whole.ending.clone()];
    let status = |code: u16| Reply::json(&json!({"error": {"message": "m"}})).with_status(code);
    let cases = [
        ("status 400", BODY, status(400)),
        ("status 500", BODY, status(500)),
        ("status 201", BODY, Reply::json(&completion("hi")).with_status(201)),
        (
            "an error with status 200",
            BODY,
            Reply::json(&json!({"error": {"message": "m"}})),
        ),
        (
            "a choice that failed",
            BODY,
            Reply::json(&json!({"choices": [{"finish_reason": "error"}]})),
        ),
        (
            "an answer that is not ready",
            BODY,
            Reply::json(&json!({"status": "queued", "output": []})),
        ),
        (
            "a whole answer that is cut",
            BODY,
            Reply::json(&completion("hi")).cut_at(30),
        ),
        (
            "a stream that is cut",
            STREAM,
            Reply::stream(events.clone()).cut_at(begun.len() + 5),
        ),
        ("one that ends early", STREAM, Reply::stream([begun.clone()])),
        ("one that is reset", STREAM, Reply::stream(events).reset_at(begun.len())),
        ("one that ends in an error", STREAM, Reply::stream([begun, whole.error])),
        (
            "a page",
            BODY,
            Reply::bytes("<html>").header("content-type", "text/html"),
        ),
    ];
    for (what, body, reply) in cases {
        let (up, gateway) = up(reply, "'1h'", "").await;
        for _ in 0..2 {
            assert_ne!(said(&gateway.chat(body).await), Some("hit"), "{what}");
        }
        assert_eq!(up.received().len(), 2, "{what}");
    }
}

#[tokio::test]
async fn a_stream_that_its_caller_left_is_not_kept() {
    let whole = told("chat");
    let begun = whole.opening.clone() + &(whole.text)("some words");
    let script = Script::new().rule(Rule::any().replies([
        Reply::stream([begun.clone(), whole.ending.clone()]).hang_after(begun.len()),
        Reply::stream([begun, whole.ending]),
    ]));
    let (up, gateway) = up(script, "'1h'", "").await;
    let mut caller = gateway.connect().await;
    caller.write_all(&Request::chat(STREAM).bytes()).await.unwrap();
    read_head(&mut caller).await.unwrap();
    caller.read_u8().await.unwrap();
    drop(caller);
    up.wait_aborted(1).await;
    assert_eq!(said(&gateway.chat(STREAM).await), Some("miss"));
    assert_eq!(said(&gateway.chat(STREAM).await), Some("hit"));
}

#[tokio::test]
async fn what_goes_on_with_something_that_changes_is_not_kept() {
    let (up, gateway) = up(Script::new(), "'1h'", "").await;
    let asked = [
        ("conversation", json!("conv_1")),
        ("conversation", json!({"id": "conv_1"})),
        ("background", json!(true)),
    ];
    for (member, value) in &asked {
        let mut body = json!({"model": "m", "input": "hi"});
        body[member] = value.clone();
        for _ in 0..2 {
            let reply = gateway.send(&Request::post("/v1/responses", &body.to_string())).await;
            assert_eq!(said(&reply), None, "{member}: {}", reply.text());
        }
    }
    assert_eq!(up.received().len(), 2 * asked.len());
    let plain = Request::post(
        "/v1/responses",
        r#"{"model":"m","input":"hi","background":false,"conversation":null}"#,
    );
    gateway.send(&plain).await;
    assert_eq!(said(&gateway.send(&plain).await), Some("hit"));
}

#[tokio::test]
async fn a_caller_says_what_it_wants() {
    let (up, gateway) = up(Reply::json(&completion("hi")), "'1h'", "").await;
    let with = |wish: &str| Request::chat(BODY).header("cache-control", wish);
    let expected = [
        ("no-store", "miss", 1),
        ("", "miss", 2),
        ("", "hit", 2),
        ("no-store", "hit", 2),
        ("max-age=3600", "hit", 2),
        ("max-age=0", "bypass", 3),
        ("no-cache", "bypass", 4),
        ("no-cache, no-store", "bypass", 5),
        ("max-stale", "hit", 5),
    ];
    for (at, (wish, what, asked)) in expected.into_iter().enumerate() {
        let reply = gateway.send(&with(wish)).await;
        assert_eq!((said(&reply), up.received().len()), (Some(what), asked), "{at}: {wish}");
    }
}

#[tokio::test]
async fn what_was_asked_anew_takes_the_place_of_the_old() {
    let script = Rule::any().replies([Reply::json(&completion("old")), Reply::json(&completion("new"))]);
    let (_up, gateway) = up(script, "'1h'", "").await;
    gateway.chat(BODY).await;
    gateway
        .send(&Request::chat(BODY).header("cache-control", "no-cache"))
        .await;
    let reply = gateway.chat(BODY).await;
    assert_eq!(said(&reply), Some("hit"));
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "new");
}

#[tokio::test]
async fn an_answer_is_given_until_it_is_too_old() {
    let (up, gateway) = up(Reply::json(&completion("hi")), "'50ms'", "").await;
    let asked_again = tokio::time::timeout(PATIENCE, async {
        while up.received().len() < 3 {
            let reply = gateway.chat(BODY).await;
            assert_eq!(reply.status, 200);
        }
    });
    asked_again.await.expect("an answer was given for ever");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let long = Reply::json(&completion(&"x".repeat(4000)));
    let bounds = "[cache]\nmax_size = '64KiB'\nmax_answer = '5000B'\n";
    let (up, gateway) = up(long, "'1h'", bounds).await;
    let ask = |number: u32| Request::chat(&BODY.replace("hi", &number.to_string()));
    for number in 0..50 {
        assert_eq!(said(&gateway.send(&ask(number)).await), Some("miss"));
    }
    let mut hits = 0;
    for number in 0..50 {
        let request = ask(number).header("cache-control", "no-store");
        hits += u32::from(said(&gateway.send(&request).await) == Some("hit"));
    }
    assert!((10..=15).contains(&hits), "{hits}");
    // What is larger than one answer may be is passed on all the same.
    up.set_script(Reply::json(&completion(&"x".repeat(5000))));
    for _ in 0..2 {
        let reply = gateway.send(&ask(100)).await;
        assert_eq!((reply.status, said(&reply), reply.whole), (200, Some("miss"), true));
    }
    let words = told("chat");
    let many = (0..200).map(|_| (words.text)("words and words"));
    up.set_script(Reply::stream(many.chain([words.ending])));
    for _ in 0..2 {
        let reply = gateway.chat(STREAM).await;
        assert_eq!((reply.status, said(&reply), reply.whole), (200, Some("miss"), true));
    }
}

#[tokio::test]
async fn a_reload_keeps_the_answers_but_not_those_of_another_target() {
    let (up, gateway) = up(Reply::json(&completion("hi")), "'1h'", "").await;
    gateway.chat(BODY).await;
    let models = async |name: &str| {
        let changed = tokio::time::timeout(PATIENCE, async {
            while !gateway.get("/v1/models").await.text().contains(name) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        changed.await.unwrap();
    };
    let other =
        |number: u32| format!("[cache]\nmax_size = '{number}MiB'\n[models.other-{number}]\ntargets = ['up/x']\n");
    gateway.rewrite(&config(&up, "a", "'2h'", &other(8)));
    models("other-8").await;
    assert_eq!(said(&gateway.chat(BODY).await), Some("hit"));
    gateway.rewrite(&config(&up, "b", "'2h'", &other(9)));
    models("other-9").await;
    let reply = gateway.chat(BODY).await;
    assert_eq!(
        (said(&reply), reply.header("x-mynah-model")),
        (Some("miss"), Some("up/b"))
    );
    assert_eq!(up.received().len(), 2);
}

#[tokio::test]
async fn equal_requests_at_a_time_share_the_call_and_keep_its_answer() {
    let cold = STREAM.replace("\"stream\"", "\"temperature\":0,\"stream\"");
    let words = told("chat");
    let events = [
        words.opening.clone(),
        (words.text)("some"),
        (words.text)("words"),
        words.ending,
    ];
    let reply = Reply::stream(events.clone()).pace(Duration::from_millis(20));
    let (up, gateway) = up(reply, "'1h'\nsingle_flight = true", "").await;
    let second = async {
        up.wait_received(1).await;
        gateway.chat(&cold).await
    };
    let (first, second) = tokio::join!(gateway.chat(&cold), second);
    let third = gateway.chat(&cold).await;
    assert_eq!(said(&third), Some("hit"));
    for reply in [first, second, third] {
        assert_eq!(reply.text(), events.concat());
    }
    assert_eq!(up.received().len(), 1);
}

/// What a query finds, once it finds as many rows.
async fn rows(database: &Path, query: &str, count: usize) -> Vec<String> {
    let find = || -> rusqlite::Result<Vec<String>> {
        let connection = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut statement = connection.prepare(query)?;
        let rows = statement.query_map((), |row| row.get::<_, String>(0))?;
        rows.collect()
    };
    until(
        || find().is_ok_and(|rows| rows.len() >= count),
        || format!("{query}: {:?}", find()),
    )
    .await;
    find().unwrap()
}

#[tokio::test]
async fn a_hit_is_a_row_that_used_nothing() {
    let (_up, gateway) = up(Reply::json(&completion("hi")), "'1h'", "[store]\nflush = '20ms'\n").await;
    for _ in 0..3 {
        gateway.chat(BODY).await;
    }
    let database = gateway.directory.path().join("mynah.db");
    let query =
        "SELECT format('%d %s %s %d %s', from_cache, coalesce(input, '-'), coalesce(cost, '-'), attempts, model)
                 FROM requests ORDER BY id";
    let found = rows(&database, query, 3).await;
    assert!(
        found[0].starts_with("0 10 ") && found[0].ends_with(" 1 up/a"),
        "{found:?}"
    );
    assert_eq!(found[1..], ["1 - 0 0 up/a", "1 - 0 0 up/a"]);
    let printed = |arguments: &[&str]| {
        let output = command(gateway.directory.path()).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let usage: Value = serde_json::from_str(&printed(&["usage", "--format", "json"])).unwrap();
    let usage = &usage[0];
    assert_eq!((&usage["requests"], &usage["from_cache"]), (&json!(3), &json!(2)));
    assert_eq!((&usage["input"], &usage["output"]), (&json!(10), &json!(5)));
    let tail = printed(&["requests", "tail"]);
    assert_eq!(tail.matches("from the cache").count(), 2, "{tail}");
}

#[tokio::test]
async fn a_hit_is_a_request_but_takes_no_tokens() {
    let limited = "[[clients]]\nname = 'a'\nkey = 'key-a'\nrequests_per_minute = 4\ntokens_per_minute = 600\n";
    let body = BODY.replace("]}", "],\"max_tokens\":500}");
    let mut long = completion("hi");
    long["usage"] = json!({"prompt_tokens": 100, "completion_tokens": 490, "total_tokens": 590});
    let (up, gateway) = up(Reply::json(&long), "'1h'", limited).await;
    let ask = |body: &str| Request::chat(body).header("authorization", "Bearer key-a");
    assert_eq!(said(&gateway.send(&ask(&body)).await), Some("miss"));
    // There are no tokens left for another question, but for this one none are needed.
    assert_eq!(gateway.send(&ask(&body.replace("hi", "ho"))).await.status, 429);
    for left in ["2", "1", "0"] {
        let reply = gateway.send(&ask(&body)).await;
        assert_eq!((reply.status, said(&reply)), (200, Some("hit")));
        assert_eq!(reply.header("x-ratelimit-remaining-requests"), Some(left));
        assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("10"));
    }
    assert_eq!(gateway.send(&ask(&body)).await.status, 429);
    assert_eq!(up.received().len(), 1);
}

#[test]
fn a_wrong_cache_is_a_problem() {
    for (wrong, what) in [
        ("cache = '0s'", "longer than nothing"),
        ("cache = 'soon'", "soon"),
        ("cache = true", "cache"),
        ("cache = { shared = true }", "ttl"),
        ("cache = { ttl = '1m', share = true }", "share"),
        ("[cache]\nmax_answer = '0B'", "at least 1 byte"),
        ("[cache]\nmax_size = '1MiB'", "twice `cache.max_answer`"),
        ("[cache]\nmax_items = 5", "max_items"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("[models.m]\ntargets = ['mynah/echo']\n{wrong}\n");
        std::fs::write(directory.path().join("mynah.toml"), text).unwrap();
        let output = command(directory.path()).arg("check").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success() && said.contains(what), "{wrong}: {said}");
    }
}
