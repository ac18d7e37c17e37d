//! Every request has a row in the ledger, and every attempt.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use mynah_understudy::{Reply, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, ask, model, provider, stream, strict, told};
use support::rows::{find, rows};
use support::{Gateway, PATIENCE, Request, command, read_head};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const STORE: &str = "[store]\nflush = '20ms'\n";

fn completion() -> Reply {
    Reply::json(&json!({
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {
            "prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15,
            "prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2},
        },
    }))
}

#[tokio::test]
async fn without_a_store_no_file_is_written() {
    let gateway = Gateway::start("");
    assert_eq!(
        gateway.chat(r#"{"model":"mynah/echo","messages":[]}"#).await.status,
        200
    );
    let files: Vec<_> = std::fs::read_dir(gateway.directory.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    assert_eq!(files, ["mynah.toml"]);
    for arguments in [&["usage"][..], &["requests", "tail"]] {
        let output = command(gateway.directory.path()).args(arguments).output().unwrap();
        assert!(!output.status.success());
        assert!(String::from_utf8_lossy(&output.stderr).contains("no table [store]"));
    }
}

#[tokio::test]
async fn relayed_and_translated_and_refused_requests_have_rows() {
    let relayed = Understudy::start(completion()).await.unwrap();
    let translated = strict(Reply::persona()).await;
    let gateway = Gateway::start(&format!(
        "{STORE}[[clients]]\nname = 'team'\nkey = 'key-of-the-team'\n\
         [providers.openai]\nbase_url = '{}'\nmodels = []\napi_key = 'sk-provider'\n\
         [models.smart]\ntargets = ['openai/gpt-4o']\n{}",
        relayed.url(),
        provider("up", "anthropic", &translated.url()),
    ));
    let database = gateway.directory.path().join("mynah.db");
    let send = async |request: Request, id: &str| {
        let request = request
            .header("authorization", "Bearer key-of-the-team")
            .header("x-request-id", id);
        gateway.send(&request).await.status
    };
    assert_eq!(send(Request::chat(r#"{"model":"smart"}"#), "relayed").await, 200);
    let tagged = Request::chat(r#"{"model":"nobody"}"#).header("x-mynah-tags", "eu");
    assert_eq!(send(tagged, "unknown").await, 404);
    for (id, stream) in [("translated", false), ("streamed", true)] {
        assert_eq!(send(ask("chat", "up/claude-opus-4-6", "hello", stream), id).await, 200);
    }
    let stream = ask("anthropic", "up/claude-opus-4-6", "hello", true);
    assert_eq!(send(stream, "relayed-stream").await, 200);
    assert_eq!(gateway.chat(r#"{"model":"smart"}"#).await.status, 401);
    let what = "SELECT coalesce(request, '?'), client, path, dialect, streamed, asked, model, provider, status, error,
            attempts, tags FROM requests ORDER BY id";
    let mut found = rows(&database, what, 6).await;
    let anonymous = found.pop().unwrap();
    assert!(
        anonymous.ends_with("- /v1/chat/completions openai 0 - - - 401 missing_api_key 0 -"),
        "{anonymous}"
    );
    let chat = "team /v1/chat/completions openai";
    assert_eq!(
        found,
        [
            format!("relayed {chat} 0 smart openai/gpt-4o openai 200 - 1 -"),
            format!("unknown {chat} 0 nobody - - 404 model_not_found 0 eu"),
            format!("translated {chat} 0 up/claude-opus-4-6 up/claude-opus-4-6 up 200 - 1 -"),
            format!("streamed {chat} 1 up/claude-opus-4-6 up/claude-opus-4-6 up 200 - 1 -"),
            "relayed-stream team /v1/messages anthropic 1 up/claude-opus-4-6 up/claude-opus-4-6 up 200 - 1 -"
                .to_owned(),
        ]
    );
    let ways = "SELECT request, route, provider_dialect, fault FROM requests WHERE client = 'team' ORDER BY id";
    assert_eq!(
        rows(&database, ways, 5).await,
        [
            "relayed smart openai -",
            "unknown - - caller",
            "translated up/claude-opus-4-6 anthropic -",
            "streamed up/claude-opus-4-6 anthropic -",
            "relayed-stream up/claude-opus-4-6 anthropic -",
        ]
    );
    let tokens = "SELECT input, cached, output, reasoning, estimated, cost FROM requests WHERE request = 'relayed'";
    // 6 at 2.5, 4 at 1.25 and 5 at 10 dollars for a million.
    assert_eq!(rows(&database, tokens, 1).await, ["6 4 3 2 0 70000"]);
    let metered = "SELECT request FROM requests WHERE input > 0 AND output > 0 AND cost > 0 ORDER BY id";
    let metered = rows(&database, metered, 4).await;
    assert_eq!(metered, ["relayed", "translated", "streamed", "relayed-stream"]);
    let times = "SELECT count(*) FROM requests WHERE time > 1700000000000 AND total > 0
        AND (status = 200) = coalesce(waited > 0 AND own > 0 AND waited + own <= total, 0)";
    assert_eq!(
        rows(&database, times, 1).await,
        ["6"],
        "those that nobody answered waited for nobody"
    );
    let attempts =
        "SELECT number, target, attempts.key, outcome, attempts.status, latency > 0, attempts.dialect, begun > 0
        FROM attempts JOIN requests ON requests.id = attempts.request WHERE requests.request = 'relayed'";
    // The SHA-256 of `sk-provider` begins so.
    assert_eq!(
        rows(&database, attempts, 1).await,
        ["1 openai/gpt-4o daa3580b answered 200 1 openai 1"]
    );

    let told = |arguments: &[&str]| {
        let output = command(gateway.directory.path()).args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let csv = told(&["usage", "--by", "provider", "--format", "csv", "--since", "1h"]);
    assert!(csv.contains("\nopenai,1,0,6,4,0,0,0,3,2,0,0,0.00007,0,0,0\n"), "{csv}");
    let usage: Value = serde_json::from_str(&told(&["usage", "--by", "client", "--format", "json"])).unwrap();
    assert_eq!(
        (&usage[0]["name"], &usage[0]["requests"], &usage[0]["errors"]),
        (&json!("team"), &json!(5), &json!(1))
    );
    let tail = told(&["requests", "tail", "-n", "2"]);
    let lines: Vec<&str> = tail.lines().collect();
    assert_eq!(lines.len(), 2, "{tail}");
    assert!(
        lines[0].contains(" 200 team up/claude-opus-4-6 -> up/claude-opus-4-6 "),
        "{tail}"
    );
    assert!(lines[1].ends_with(" missing_api_key"), "{tail}");
}

/// A command that goes on for as long as the test does.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn requests_are_told_as_json_and_followed() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}[providers.openai]\nbase_url = '{}'\nmodels = []\napi_key = 'k'\n",
        understudy.url()
    ));
    let send = async |model: &str, id: &str| {
        let request = Request::chat(&json!({"model": model}).to_string()).header("x-request-id", id);
        gateway.send(&request).await;
    };
    send("openai/gpt-4o", "first").await;
    send("nobody", "second").await;
    rows(&gateway.directory.path().join("mynah.db"), "SELECT id FROM requests", 2).await;
    let mut command = command(gateway.directory.path());
    command.args(["requests", "tail", "--format", "json", "--follow"]);
    let mut tail = Following(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = BufReader::new(tail.0.stdout.take().unwrap()).lines();
    let (tell, mut told) = tokio::sync::mpsc::channel::<Value>(9);
    std::thread::spawn(move || {
        while let Some(Ok(line)) = lines.next() {
            tell.blocking_send(serde_json::from_str(&line).unwrap()).unwrap();
        }
    });
    let mut next = async || tokio::time::timeout(PATIENCE, told.recv()).await.unwrap().unwrap();
    let (first, second) = (next().await, next().await);
    assert_eq!(
        (&first["request"], &first["status"], &first["cost_nano_usd"]),
        (&json!("first"), &json!(200), &json!(70_000))
    );
    assert_eq!(
        (&second["request"], &second["error"], &second["cost_nano_usd"]),
        (&json!("second"), &json!("model_not_found"), &Value::Null)
    );
    send("openai/gpt-4o", "third").await;
    assert_eq!(next().await["request"], "third");
}

#[tokio::test]
async fn every_attempt_has_a_row() {
    let (first, second) = (
        Understudy::start(Reply::status(503)).await.unwrap(),
        Understudy::start(completion()).await.unwrap(),
    );
    let gateway = Gateway::start(&format!(
        "{STORE}[providers.first]\nbase_url = '{}'\nmodels = []\n[providers.second]\nbase_url = '{}'\nmodels = []\n\
         [models.m]\ntargets = ['first/a', 'second/b']\n",
        first.url(),
        second.url()
    ));
    assert_eq!(gateway.chat(r#"{"model":"m"}"#).await.status, 200);
    let database = gateway.directory.path().join("mynah.db");
    let attempts = "SELECT attempts.number, target, outcome, attempts.status, requests.attempts, model FROM attempts
        JOIN requests ON requests.id = attempts.request ORDER BY number";
    assert_eq!(
        rows(&database, attempts, 2).await,
        ["1 first/a faulty 503 2 second/b", "2 second/b answered 200 2 second/b"]
    );
}

#[tokio::test]
async fn who_hangs_up_has_a_row() {
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let understudy = Understudy::start([Reply::hang(), Reply::stream([event, event]).hang_after(event.len())])
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "{STORE}[providers.up]\nbase_url = '{}'\nmodels = []\n",
        understudy.url()
    ));
    let database = gateway.directory.path().join("mynah.db");
    for (count, has_begun) in [(1, false), (2, true)] {
        let mut stream = gateway.connect().await;
        let request = Request::chat(r#"{"model":"up/m","stream":true}"#);
        stream.write_all(&request.bytes()).await.unwrap();
        understudy.wait_received(count).await;
        if has_begun {
            read_head(&mut stream).await.unwrap();
            stream.read_u8().await.unwrap();
        }
        drop(stream);
        understudy.wait_aborted(count).await;
    }
    let query = "SELECT requests.status, error, fault, requests.attempts, target, outcome, latency > 0 FROM requests
        JOIN attempts ON requests.id = attempts.request ORDER BY requests.time";
    assert_eq!(
        rows(&database, query, 2).await,
        [
            "499 caller_hung_up caller 1 up/m hung_up -",
            "200 caller_hung_up caller 1 up/m answered 1"
        ]
    );
}

#[tokio::test]
async fn a_stream_that_fails_midway_has_failed() {
    let responses = |kind: &str, status: &str| {
        let response = json!({"id": "resp_1", "status": status, "error": null, "incomplete_details": {"reason": "max_output_tokens"}});
        format!(
            "event: {kind}\ndata: {}\n\n",
            json!({"type": kind, "response": response})
        )
    };
    let failed = responses("response.failed", "failed");
    let incomplete = responses("response.incomplete", "incomplete");
    let too_long = "data: {\"error\":{\"message\":\"too long\",\"code\":\"context_length_exceeded\"}}\n\n";
    for kind in CALLERS {
        let events = told(kind);
        let one = (events.text)("one");
        let end = |ending: &str| stream([&events.opening, &one, ending]);
        let mut ends = vec![
            (end(&events.error), "upstream_broken provider"),
            (end(&events.ending), "- -"),
            // Where that is translated: nobody tells why there is no more.
            (end(""), "upstream_broken provider"),
        ];
        if kind != "gemini" {
            // Whole, but for the end of its body.
            let text = [&*events.opening, &one, &events.ending].concat();
            ends.push((stream([&text]).cut_at(text.len()), "- -"));
        }
        match kind {
            "chat" => ends.push((end(too_long), "upstream_broken caller")),
            "responses" => ends.extend([(end(&failed), "upstream_broken provider"), (end(&incomplete), "- -")]),
            _ => {}
        }
        let up = Understudy::start(Reply::hang()).await.unwrap();
        let gateway = Gateway::start(&format!("{STORE}{}", provider("up", kind, &up.url())));
        let mut count = 0;
        for (at, (reply, expected)) in ends.into_iter().enumerate() {
            up.set_script(reply);
            for caller in CALLERS.into_iter().filter(|caller| at != 2 || *caller != kind) {
                gateway
                    .send(&ask(caller, &format!("up/{}", model(kind)), "hello", true))
                    .await;
                count += 1;
                let query = "SELECT error, fault FROM requests ORDER BY id";
                let rows = rows(&gateway.directory.path().join("mynah.db"), query, count).await;
                assert_eq!(rows[count - 1], expected, "end {at} of {kind} for {caller}");
            }
        }
    }
}

#[tokio::test]
async fn the_signal_to_stop_loses_nothing() {
    let understudy = Understudy::start(completion()).await.unwrap();
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let endless = Understudy::start(Reply::stream([event, event]).hang_after(event.len()))
        .await
        .unwrap();
    // A window in which all of them still wait.
    let mut gateway = Gateway::start(&format!(
        "[server]\ndrain = '100ms'\n[store]\nflush = '60s'\n[providers.up]\nbase_url = '{}'\nmodels = []\n\
         [providers.endless]\nbase_url = '{}'\nmodels = []\n",
        understudy.url(),
        endless.url(),
    ));
    for _ in 0..20 {
        assert_eq!(gateway.chat(r#"{"model":"up/m"}"#).await.status, 200);
    }
    let mut streams = Vec::new();
    for caller in CALLERS {
        let mut stream = gateway.connect().await;
        let request = ask(caller, "endless/m", "hello", true);
        stream.write_all(&request.bytes()).await.unwrap();
        read_head(&mut stream).await.unwrap();
        streams.push(stream);
    }
    understudy.set_script(Reply::hang());
    let mut waiting = gateway.connect().await;
    let request = Request::chat(r#"{"model":"up/m"}"#);
    waiting.write_all(&request.bytes()).await.unwrap();
    understudy.wait_received(21).await;
    gateway.signal("TERM");
    for (caller, mut stream) in CALLERS.into_iter().zip(streams) {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        let rest = String::from_utf8(rest).unwrap();
        assert!(rest.contains("The gateway was stopped"), "{caller}: {rest}");
        assert!(rest.ends_with("\r\n0\r\n\r\n"), "{caller}: {rest}");
    }
    assert_eq!(gateway.ended().await, Some(0));
    let database = gateway.directory.path().join("mynah.db");
    let query = "SELECT status, error, fault, provider, count(*) FROM requests GROUP BY 1, 2, 3, 4 ORDER BY 4, 1";
    assert_eq!(
        find(&database, query).unwrap(),
        [
            "499 shutting_down gateway - 1",
            "200 shutting_down gateway endless 4",
            "200 - - up 20",
        ]
    );
}

#[tokio::test]
async fn prompts_and_answers_are_kept_only_where_that_is_wanted() {
    let event = |text: &str| format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n");
    let stream = [event("Hello sk-abc1 "), event("there"), "data: [DONE]\n\n".to_owned()];
    let understudy = Understudy::start([completion(), Reply::stream(stream.clone()), completion()])
        .await
        .unwrap();
    let upstream = format!("[providers.up]\nbase_url = '{}'\nmodels = []\n", understudy.url());
    let gateway = Gateway::start(&format!(
        "{STORE}log_content = true\nmax_content = '1KiB'\nredact = ['sk-[a-z0-9]+']\nredact_keys = ['password']\n{upstream}"
    ));
    let whole = r#"{"model":"up/m","password":"hush","user":"sk-abc1"}"#;
    let streamed = format!(r#"{{"model":"up/m","stream":true,"user":"{}"}}"#, "x".repeat(5000));
    for body in [whole, &streamed] {
        let request = Request::chat(body).header("authorization", "Bearer header-secret");
        assert_eq!(gateway.send(&request).await.status, 200);
    }
    assert_eq!(gateway.chat(r#"{"model":"nobody"}"#).await.status, 404);
    let database = gateway.directory.path().join("mynah.db");
    let query = "SELECT prompt, answer, is_cut FROM contents ORDER BY request";
    let found = rows(&database, query, 3).await;
    assert!(
        found[0].starts_with(r#"{"model":"up/m","password":"[redacted]","user":"[redacted]"} {"#),
        "{}",
        found[0]
    );
    assert!(
        found[0].contains(r#""content":"hi""#) && found[0].ends_with(" 0"),
        "{}",
        found[0]
    );
    let expected = format!(
        "{} {} 1",
        &streamed[..1024],
        stream.concat().replace("sk-abc1", "[redacted]")
    );
    assert_eq!(found[1], expected);
    assert!(found[2].starts_with(r#"{"model":"nobody"} -"#), "{}", found[2]);
    let file = std::fs::read(&database).unwrap();
    let log = std::fs::read(database.with_extension("db-wal")).unwrap_or_default();
    for secret in ["header-secret", "sk-abc1", "hush"] {
        let has = |bytes: &[u8]| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!has(&file) && !has(&log), "{secret}");
    }

    let gateway = Gateway::start(&format!("{STORE}{upstream}"));
    assert_eq!(gateway.chat(whole).await.status, 200);
    let database = gateway.directory.path().join("mynah.db");
    rows(&database, "SELECT id FROM requests", 1).await;
    assert!(find(&database, query).unwrap().is_empty());
}
