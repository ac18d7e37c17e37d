//! A stream that is cut goes on from another target, as one answer, where its model allows that.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use mynah_understudy::{Received, Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, ask, body, provider, say, stream, told};
use support::{Gateway, read_head, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// Providers that can be told to go on.
const SEQUELS: [&str; 3] = ["chat", "anthropic", "gemini"];

/// Two providers behind one model, whose answers go on.
struct Pair {
    first: Understudy,
    second: Understudy,
    gateway: Gateway,
}

/// The table of a provider that goes on with what it is given.
fn prefilled(name: &str, kind: &str, url: &str) -> String {
    let quirk = if kind == "chat" {
        "quirks = { prefill = 'continue_final_message' }\n"
    } else {
        ""
    };
    provider(name, kind, url) + quirk
}

async fn pair(first_kind: &str, second_kind: &str) -> Pair {
    let first = Understudy::start(Script::new()).await.unwrap();
    let second = Understudy::start(Script::new()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[log]\nrequests = true\n{}timeouts = {{ idle = '200ms' }}\nbreaker = {{ failures = 1000, volume = 1000 }}\n{}\
         [models.smart]\ntargets = ['first/m', 'second/m']\non_cut = 'continue'\nretries = 0\n",
        prefilled("first", first_kind, &first.url()),
        prefilled("second", second_kind, &second.url()),
    ));
    Pair { first, second, gateway }
}

impl Pair {
    /// Has the first provider break off after two words, and the second say the rest.
    fn cut_and_go_on(&self, first_kind: &str, second_kind: &str) {
        let (events, rest) = (told(first_kind), told(second_kind));
        let (one, two) = ((events.text)("one "), (events.text)("two, "));
        let there = events.opening.len() + one.len() + two.len();
        self.first
            .set_script(stream([&events.opening, &one, &two, &events.ending]).cut_at(there + 3));
        self.second
            .set_script(stream([&rest.opening, &(rest.text)(" three"), &rest.ending]));
    }

    fn log(&self) -> String {
        self.gateway.printed.lock().unwrap().clone()
    }

    /// The lines of the request log, when there are so many.
    async fn requests(&self, count: usize) -> Vec<String> {
        let lines = || -> Vec<String> {
            let log = self.log();
            let lines = log.lines().filter(|line| line.contains("method=POST"));
            lines.map(str::to_owned).collect()
        };
        until(|| lines().len() >= count, || self.log()).await;
        lines()
    }
}

/// The data of a stream's events.
fn events(text: &str) -> Vec<Value> {
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter(|data| *data != "[DONE]")
        .map(|data| serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {text}")))
        .collect()
}

/// The text that a caller makes of a stream.
fn text_of(caller: &str, text: &str) -> String {
    let piece = |event: &Value| -> String {
        let piece = match caller {
            "chat" => &event["choices"][0]["delta"]["content"],
            "responses" if event["type"] == "response.output_text.delta" => &event["delta"],
            "anthropic" => &event["delta"]["text"],
            "gemini" => &event["candidates"][0]["content"]["parts"][0]["text"],
            _ => &Value::Null,
        };
        piece.as_str().unwrap_or_default().to_owned()
    };
    events(text).iter().map(piece).collect()
}

/// That a stream is one answer: it begins and ends once, and well.
fn is_one_answer(caller: &str, text: &str) {
    let once: &[&str] = match caller {
        "chat" => &["\"role\":\"assistant\"", "\"finish_reason\":\"stop\"", "data: [DONE]"],
        "responses" => &["event: response.created", "event: response.completed"],
        "anthropic" => &[
            "event: message_start",
            "event: content_block_start",
            "event: message_stop",
        ],
        _ => &["\"finishReason\":\"STOP\""],
    };
    for mark in once {
        assert_eq!(text.matches(mark).count(), 1, "{mark} for {caller}: {text}");
    }
    assert!(!text.contains("\"error\":{"), "{text}");
}

/// That a stream ends in the error of its provider.
fn ends_in_error(caller: &str, text: &str) {
    let marks = match caller {
        "responses" => ["response.failed", "response.completed"],
        "anthropic" => ["event: error", "message_stop"],
        "gemini" => ["\"error\":{", "finishReason"],
        _ => ["\"error\":{", "[DONE]"],
    };
    assert!(text.contains(marks[0]) && !text.contains(marks[1]), "{caller}: {text}");
}

/// The beginning of the answer, as a provider gets it.
fn beginning(kind: &str, received: &Received) -> String {
    let body = received.json().unwrap();
    let last = |list: &str| body[list].as_array().unwrap().last().unwrap().clone();
    let said = match kind {
        "gemini" => last("contents")["parts"][0]["text"].clone(),
        _ => last("messages")["content"].clone(),
    };
    if kind == "chat" {
        assert_eq!(body["continue_final_message"], true, "{body}");
    }
    said.as_str().unwrap_or_else(|| panic!("{body}")).to_owned()
}

#[tokio::test]
async fn a_stream_that_is_cut_goes_on_for_every_caller() {
    for (number, first_kind) in ["chat", "responses", "anthropic", "gemini"].into_iter().enumerate() {
        for second_kind in [SEQUELS[number % 3], SEQUELS[(number + 1) % 3]] {
            let pair = pair(first_kind, second_kind).await;
            let (events, rest) = (told(first_kind), told(second_kind));
            let (one, two) = ((events.text)("one \u{1f99c} "), (events.text)("two, "));
            let there = events.opening.len() + one.len() + two.len();
            let whole = || stream([&events.opening, &one, &two, &events.ending]);
            pair.second.set_script(stream([
                &rest.opening,
                &(rest.text)(" th"),
                &(rest.text)("ree"),
                &rest.ending,
            ]));
            for (name, broken) in [
                ("cut", whole().cut_at(there + 3)),
                ("reset", whole().reset_at(there)),
                ("stalled", whole().hang_after(there)),
                ("ended early", stream([&events.opening, &one, &two]).until_close()),
                ("failed", stream([&events.opening, &one, &two, &events.error])),
            ] {
                pair.first.set_script(broken);
                for caller in CALLERS {
                    let context = format!("{name}, {first_kind} to {second_kind} for {caller}");
                    let reply = pair.gateway.send(&ask(caller, "smart", "hello", true)).await;
                    let text = reply.text();
                    assert!(reply.status == 200 && reply.whole, "{context}: {text}");
                    assert_eq!(text_of(caller, text), "one \u{1f99c} two, three", "{context}: {text}");
                    is_one_answer(caller, text);
                    let remark = text.contains(": mynah continued by second/m\n\n");
                    assert_eq!(remark, caller != "gemini", "{context}: {text}");
                    let received = pair.second.received();
                    let sent = beginning(second_kind, received.last().unwrap());
                    assert_eq!(sent, "one \u{1f99c} two,", "{context}");
                }
            }
            let lines = pair.requests(20).await;
            assert!(
                lines.iter().all(|line| line.contains("continued=\"second/m\"")
                    && line.contains("attempts=2")
                    && line.contains("model=\"first/m\"")
                    && !line.contains("error=")),
                "{lines:?}"
            );
        }
    }
}

#[tokio::test]
async fn it_goes_on_wherever_it_is_cut() {
    let pair = pair("anthropic", "anthropic").await;
    let events = told("anthropic");
    let words = ["one", " \u{1f99c}", "\n\ntwo"].map(events.text);
    let mut whole = vec![events.opening.clone()];
    whole.extend(words.clone());
    whole.push(events.ending.clone());
    let answer = "one \u{1f99c}\n\ntwo";
    // The second says what is missing, whatever that is.
    pair.second.set_script(Rule::any().answer_with(move |received| {
        let events = told("anthropic");
        let sent = beginning("anthropic", received);
        stream([&events.opening, &(events.text)(&answer[sent.len()..]), &events.ending])
    }));
    let begin = events.opening.len() + words[0].len();
    let end = whole.iter().map(String::len).sum::<usize>() - 1;
    for place in (begin..end).step_by(7) {
        pair.first.set_script(Reply::stream(whole.clone()).cut_at(place));
        for caller in ["chat", "anthropic"] {
            let reply = pair.gateway.send(&ask(caller, "smart", "hello", true)).await;
            assert_eq!(text_of(caller, reply.text()), answer, "{place}: {}", reply.text());
            is_one_answer(caller, reply.text());
        }
    }
}

#[tokio::test]
async fn a_call_of_a_tool_does_not_go_on() {
    let called = json!({"type": "content_block_start", "index": 1,
        "content_block": {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}});
    let events = told("anthropic");
    let called = format!(
        "event: content_block_stop\ndata: {}\n\nevent: content_block_start\ndata: {called}\n\n",
        json!({"type": "content_block_stop", "index": 0})
    );
    let pair = pair("anthropic", "anthropic").await;
    let said = (events.text)("I look.");
    let there = events.opening.len() + said.len() + called.len();
    pair.first
        .set_script(stream([&events.opening, &said, &called, &events.ending]).cut_at(there));
    for caller in CALLERS {
        let mut body = body(caller, "smart", "hello", true);
        let schema = json!({"type": "object", "properties": {}});
        body["tools"] = match caller {
            "chat" => json!([{"type": "function", "function": {"name": "look", "parameters": schema}}]),
            "responses" => json!([{"type": "function", "name": "look", "parameters": schema}]),
            "anthropic" => json!([{"name": "look", "input_schema": schema}]),
            _ => json!([{"functionDeclarations": [{"name": "look", "parameters": schema}]}]),
        };
        let reply = pair.gateway.send(&say(caller, "smart", &body, true)).await;
        ends_in_error(caller, reply.text());
    }
    assert!(pair.second.received().is_empty());
}

#[tokio::test]
async fn who_does_not_want_to_go_on_is_passed_over() {
    let events = told("chat");
    let one = (events.text)("one");
    let there = events.opening.len() + one.len();
    let first = Understudy::start(stream([&events.opening, &one, &events.ending]).cut_at(there))
        .await
        .unwrap();
    let refusing = Understudy::start(Reply::status(400).body("{\"error\":{\"message\":\"no prefill\"}}"))
        .await
        .unwrap();
    let failing = Understudy::start(Reply::status(503)).await.unwrap();
    let willing = Understudy::start(stream([&events.opening, &(events.text)(" two"), &events.ending]))
        .await
        .unwrap();
    let unable = Understudy::start(Script::new()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{}{}{}{}{}\
         [models.good]\ntargets = ['first/m', 'unable/m', 'refusing/m', 'failing/m', 'willing/m']\non_cut = 'continue'\n\
         [models.bad]\ntargets = ['first/m', 'unable/m', 'refusing/m', 'failing/m']\non_cut = 'continue'\nretries = 0\n",
        // It is asked first every time, however often it breaks off.
        provider("first", "chat", &first.url()) + "breaker = { failures = 100 }\n",
        provider("unable", "chat", &unable.url()),
        prefilled("refusing", "chat", &refusing.url()),
        prefilled("failing", "chat", &failing.url()),
        prefilled("willing", "chat", &willing.url()),
    ));
    for caller in CALLERS {
        let reply = gateway.send(&ask(caller, "good", "hello", true)).await;
        assert_eq!(text_of(caller, reply.text()), "one two", "{}", reply.text());
        is_one_answer(caller, reply.text());
        let reply = gateway.send(&ask(caller, "bad", "hello", true)).await;
        assert!(text_of(caller, reply.text()).starts_with("one"), "{}", reply.text());
        ends_in_error(caller, reply.text());
    }
    assert!(unable.received().is_empty());
}

#[tokio::test]
async fn the_same_goes_on_when_there_is_no_other_but_not_for_ever() {
    let events = told("chat");
    let piece = |word: &str| {
        let text = (events.text)(word);
        let there = events.opening.len() + text.len();
        stream([&events.opening, &text, &events.ending]).cut_at(there)
    };
    let whole = stream([&events.opening, &(events.text)(" two"), &events.ending]);
    let only = Understudy::start([piece("one"), whole]).await.unwrap();
    let gateway = Gateway::start(&format!(
        "{}[models.smart]\ntargets = ['only/m']\non_cut = 'continue'\nretries = 0\n",
        prefilled("only", "chat", &only.url()),
    ));
    let reply = gateway.send(&ask("chat", "smart", "hello", true)).await;
    assert_eq!(text_of("chat", reply.text()), "one two", "{}", reply.text());
    assert!(reply.text().contains(": mynah continued by only/m\n\n"));
    // It breaks off every time.
    only.clear();
    only.set_script(piece(" more"));
    let reply = gateway.send(&ask("anthropic", "smart", "hello", true)).await;
    assert_eq!(text_of("anthropic", reply.text()), " more more more more");
    ends_in_error("anthropic", reply.text());
    assert_eq!(only.received().len(), 4);
}

#[tokio::test]
async fn what_a_provider_repeats_is_left_out() {
    let events = told("chat");
    let one = (events.text)("one ");
    let there = events.opening.len() + one.len();
    let first = Understudy::start(stream([&events.opening, &one, &events.ending]).cut_at(there))
        .await
        .unwrap();
    let again = ["o", "ne", " two"].map(events.text).concat();
    let second = Understudy::start(stream([&events.opening, &again, &events.ending]))
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "{}{}quirks = {{ prefill = 'prefix', repeats_prefill = true }}\n\
         [models.smart]\ntargets = ['first/m', 'second/m']\non_cut = 'continue'\n",
        provider("first", "chat", &first.url()),
        provider("second", "chat", &second.url()),
    ));
    let reply = gateway.send(&ask("chat", "smart", "hello", true)).await;
    assert_eq!(text_of("chat", reply.text()), "one two", "{}", reply.text());
    let received = second.received();
    let body = received.last().unwrap().json().unwrap();
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "one", "prefix": true})
    );
}

#[tokio::test]
async fn what_cannot_go_on_is_relayed_and_ends_in_an_error() {
    let pair = pair("chat", "chat").await;
    pair.cut_and_go_on("chat", "chat");
    let plain = body("chat", "smart", "hello", true);
    for (name, value) in [
        ("n", json!(2)),
        ("logprobs", json!(true)),
        ("response_format", json!({"type": "json_object"})),
    ] {
        let mut body = plain.clone();
        body[name] = value;
        let reply = pair.gateway.send(&say("chat", "smart", &body, true)).await;
        ends_in_error("chat", reply.text());
    }
    assert!(pair.second.received().is_empty());
    // Neither does an answer of a model that does not ask for it.
    let reply = pair.gateway.send(&ask("chat", "first/m", "hello", true)).await;
    ends_in_error("chat", reply.text());
    let reply = pair.gateway.send(&say("chat", "smart", &plain, true)).await;
    is_one_answer("chat", reply.text());
}

#[tokio::test]
async fn all_that_was_spent_is_logged() {
    let pair = pair("anthropic", "anthropic").await;
    pair.cut_and_go_on("anthropic", "anthropic");
    let reply = pair.gateway.send(&ask("anthropic", "smart", "hello", true)).await;
    let told = events(reply.text());
    let usage = told.iter().find_map(|event| event["usage"].as_object()).unwrap();
    // The prompt that was sent, and what both wrote.
    assert_eq!(usage["input_tokens"], 13);
    let written = usage["output_tokens"].as_u64().unwrap();
    assert!(written > 9, "{usage:?}");
    let line = pair.requests(1).await.remove(0);
    assert!(
        line.contains("input_tokens=26") && line.contains(&format!("output_tokens={written}")),
        "{line}"
    );
}

#[tokio::test]
async fn hanging_up_cancels_the_continuation() {
    let pair = pair("chat", "anthropic").await;
    pair.cut_and_go_on("chat", "anthropic");
    pair.second.set_script(Reply::hang());
    let mut connection = pair.gateway.connect().await;
    connection
        .write_all(&ask("chat", "smart", "hello", true).bytes())
        .await
        .unwrap();
    read_head(&mut connection).await.unwrap();
    connection.read_u8().await.unwrap();
    pair.second.wait_received(1).await;
    drop(connection);
    pair.second.wait_aborted(1).await;
    assert!(pair.requests(1).await.remove(0).contains("caller_hung_up"));
}

#[tokio::test]
async fn the_wait_for_the_rest_is_limited() {
    let pair = pair("chat", "anthropic").await;
    pair.cut_and_go_on("chat", "anthropic");
    pair.second.set_script(Reply::hang());
    let request = ask("chat", "smart", "hello", true).header("x-mynah-timeout", "1");
    let reply = tokio::time::timeout(Duration::from_secs(10), pair.gateway.send(&request)).await;
    let reply = reply.unwrap();
    ends_in_error("chat", reply.text());
    assert!(pair.requests(1).await.remove(0).contains("error=\"upstream_broken\""));
}
