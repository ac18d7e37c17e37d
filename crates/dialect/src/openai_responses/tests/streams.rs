//! Writing answers.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::Protocol;
use crate::assembly::{Assembly, Call};
use crate::ir::{
    Citation, Class, Error, Finish, FinishReason, Logprobs, Media, Part, Reasoning, ReasoningStyle, Signature, Start,
    TokenChance, TokenLogprob, Usage,
};

fn written(events: &[Event], request: Request) -> Vec<Value> {
    let mut writer = OpenaiResponses.event_writer(&asked(request));
    let mut out = Vec::new();
    for event in events {
        writer.write(event, &mut out);
    }
    let text = String::from_utf8(out).unwrap();
    let parsed = text.split_terminator("\n\n").map(|block| {
        let (name, data) = block.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"].as_str().unwrap());
        data
    });
    parsed.collect()
}

/// What the clients' accumulators demand of a stream.
fn accept(events: &[Value]) -> Result<(), String> {
    let mut client = Client::default();
    for (at, event) in events.iter().enumerate() {
        let kind = event["type"].as_str().unwrap();
        let is_end = matches!(kind, "response.completed" | "response.incomplete" | "response.failed");
        let outcome = match kind {
            _ if event["sequence_number"] != at => Err("sequence"),
            _ if is_end != (at + 1 == events.len()) => Err("end"),
            _ if (at == 0) != (kind == "response.created") => Err("beginning"),
            _ if at == 1 && kind != "response.in_progress" => Err("beginning"),
            _ if event.get("response").is_some() => client.response(kind, &events[0], event),
            _ if event["output_index"] != client.items.len() => Err("output_index"),
            "response.output_item.added" => client.added(&event["item"]),
            "response.output_item.done" => client.done(&event["item"]),
            _ => client.delta(kind, event),
        };
        outcome.map_err(|what| format!("{what} at {at}: {event}"))?;
    }
    Ok(())
}

/// A client that puts an answer together.
#[derive(Default)]
struct Client {
    items: Vec<Value>,
    open: Option<Value>,
    texts: Vec<String>,
    input: String,
    summary: Option<String>,
}

impl Client {
    fn response(&self, kind: &str, first: &Value, event: &Value) -> Result<(), &'static str> {
        let response = &event["response"];
        if response["id"] != first["response"]["id"] {
            return Err("response id");
        }
        for member in [
            "created_at",
            "model",
            "object",
            "output",
            "parallel_tool_calls",
            "tool_choice",
            "tools",
        ] {
            if response[member].is_null() {
                return Err(member);
            }
        }
        if kind == "response.completed" || kind == "response.incomplete" {
            if self.open.is_some() || response["output"].as_array() != Some(&self.items) {
                return Err("output");
            }
            if !response["usage"]["input_tokens_details"]["cached_tokens"].is_u64() {
                return Err("usage");
            }
        }
        Ok(())
    }

    fn added(&mut self, item: &Value) -> Result<(), &'static str> {
        let is_known = self
            .items
            .iter()
            .any(|known| known["id"] == item["id"] && !item["id"].is_null());
        if self.open.is_some() || is_known {
            return Err("item begun twice");
        }
        self.open = Some(item.clone());
        (self.texts, self.input, self.summary) = (Vec::new(), String::new(), None);
        match item["arguments"].as_str() {
            Some(text) if !text.is_empty() => Err("arguments too early"),
            _ => Ok(()),
        }
    }

    fn done(&mut self, item: &Value) -> Result<(), &'static str> {
        if self.open.take().is_none_or(|open| open["id"] != item["id"]) {
            return Err("item ended without a beginning");
        }
        let content = item["content"].as_array().cloned().unwrap_or_default();
        let said = content
            .iter()
            .map(|part| part["text"].as_str().or(part["refusal"].as_str()).unwrap());
        let given = item["arguments"]
            .as_str()
            .or(item["input"].as_str())
            .unwrap_or_default();
        if !said.eq(self.texts.iter().map(String::as_str)) || given != self.input {
            return Err("item differs from its deltas");
        }
        self.items.push(item.clone());
        Ok(())
    }

    fn delta(&mut self, kind: &str, event: &Value) -> Result<(), &'static str> {
        if self.open.as_ref().is_none_or(|open| open["id"] != event["item_id"]) {
            return Err("item id");
        }
        let last = self.texts.len().checked_sub(1);
        let index = event["content_index"]
            .as_u64()
            .map(|index| usize::try_from(index).unwrap());
        let delta = event["delta"].as_str();
        match kind {
            "response.content_part.added" if index == Some(self.texts.len()) => self.texts.push(String::new()),
            "response.output_text.delta" | "response.refusal.delta" if index == last && index.is_some() => {
                self.texts[index.unwrap()].push_str(delta.unwrap());
            }
            "response.output_text.done" if event["text"] == self.texts[index.unwrap()].as_str() => {}
            "response.refusal.done" if event["refusal"] == self.texts[index.unwrap()].as_str() => {}
            "response.content_part.done" | "response.output_text.annotation.added" if index == last => {}
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                self.input.push_str(delta.unwrap());
            }
            "response.function_call_arguments.done" if event["arguments"] == self.input.as_str() => {}
            "response.custom_tool_call_input.done" if event["input"] == self.input.as_str() => {}
            "response.reasoning_summary_part.added" if self.summary.is_none() => self.summary = Some(String::new()),
            "response.reasoning_summary_text.delta" => {
                self.summary.as_mut().ok_or("no part")?.push_str(delta.unwrap());
            }
            "response.reasoning_summary_text.done" if event["text"].as_str() == self.summary.as_deref() => {}
            "response.reasoning_summary_part.done" | "response.image_generation_call.completed" => {}
            _ => return Err("event"),
        }
        Ok(())
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event["type"].as_str().unwrap().trim_start_matches("response."))
        .collect()
}

fn assembled(say: impl FnOnce(&mut Assembly)) -> Vec<Event> {
    let mut assembly = Assembly::new(memo(), "s");
    assembly.start(Start {
        id: "chatcmpl-1".into(),
        model: "m-1".into(),
        ..Start::default()
    });
    say(&mut assembly);
    assembly.close();
    assembly.take()
}

fn request() -> Request {
    let mut request = Request::new(Protocol::OpenaiResponses, "mine");
    request.store = Some(false);
    request
}

#[test]
fn text_has_the_order_of_events_that_clients_know() {
    let events = assembled(|it| {
        it.text(0, "Hel");
        it.text(0, "lo");
        it.usage(&Usage {
            input: Some(3),
            ..Usage::default()
        });
        it.finish(0, FinishReason::Stop);
    });
    let events = written(&events, request());
    accept(&events).unwrap();
    assert_eq!(
        kinds(&events),
        [
            "created",
            "in_progress",
            "output_item.added",
            "content_part.added",
            "output_text.delta",
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.done",
            "completed"
        ]
    );
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["id"], "resp_0199");
    assert_eq!(response["model"], "m-1");
    assert_eq!(response["output"][0]["id"], "msg_01990");
    assert_eq!(
        serde_json::to_string(&response["usage"]).unwrap(),
        r#"{"input_tokens":3,"input_tokens_details":{"cached_tokens":0,"cache_write_tokens":0},"output_tokens":0,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3}"#
    );
}

#[test]
fn thoughts_come_before_words_and_calls_have_items_of_their_own() {
    let proof = Signature::made_by(Protocol::Anthropic, "claude", "sig");
    let events = assembled(|it| {
        it.reasoning(0, ReasoningStyle::Full, "Hm");
        it.signature(0, proof.clone());
        it.text(0, "I look.");
        it.whole_call(0, 0, call("f"), "{\"x\":1}");
        it.whole_call(
            0,
            1,
            Call {
                free_text: true,
                ..call("g")
            },
            "patch",
        );
        it.finish(0, FinishReason::ToolCalls);
    });
    let events = written(&events, request());
    accept(&events).unwrap();
    let output = events.last().unwrap()["response"]["output"].as_array().unwrap().clone();
    let types: Vec<&str> = output.iter().map(|item| item["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["reasoning", "message", "function_call", "custom_tool_call"]);
    let ids: Vec<&str> = output.iter().map(|item| item["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["rs_01990", "msg_01991", "fc_01992", "ctc_01993"]);
    let sealed = output[0]["encrypted_content"].as_str().unwrap();
    assert_eq!(Signature::open(Protocol::OpenaiResponses, sealed), proof);
    assert!(kinds(&events).contains(&"custom_tool_call_input.done"));
    let added = events
        .iter()
        .find(|event| event["type"] == "response.output_item.added")
        .unwrap();
    assert!(added["item"]["encrypted_content"].is_null());
}

#[test]
fn proofs_are_only_for_those_who_want_them() {
    let say = |it: &mut Assembly| {
        it.signature(0, Signature::made_by(Protocol::OpenaiResponses, "p", "sig"));
        it.text(0, "x");
        let signature = Some(Signature::made_by(Protocol::Gemini, "google", "g"));
        it.whole_call(0, 0, Call { signature, ..call("f") }, "{}");
        it.finish(0, FinishReason::Stop);
    };
    let types = |request: Request| {
        let events = written(&assembled(say), request);
        accept(&events).unwrap();
        let output = events.last().unwrap()["response"]["output"].clone();
        let types = output
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["type"].as_str().unwrap().to_owned());
        types.collect::<Vec<_>>()
    };
    assert_eq!(types(request()), ["reasoning", "message", "reasoning", "function_call"]);
    let mut stored = request();
    stored.store = None;
    assert_eq!(types(stored.clone()), ["message", "function_call"]);
    stored.reasoning = Some(Reasoning {
        encrypted: true,
        ..Reasoning::default()
    });
    assert_eq!(types(stored).len(), 4);
}

#[test]
fn the_proof_of_a_call_returns_to_it() {
    let events = assembled(|it| {
        let signature = Some(Signature::made_by(Protocol::Gemini, "google", "g"));
        it.whole_call(0, 0, Call { signature, ..call("f") }, "{}");
        it.finish(0, FinishReason::Stop);
    });
    let events = written(&events, request());
    let output = &events.last().unwrap()["response"]["output"];
    let body = serde_json::json!({"model": "m", "input": output});
    let mut back = read(body.to_string().as_bytes());
    crate::repair::repair(&mut back, &mut Losses::new(Protocol::OpenaiResponses));
    assert_eq!(back.messages[0].parts.len(), 1);
    assert_eq!(back.messages[0].parts[0].signature.as_ref().unwrap().data, "g");
}

#[test]
fn redacted_thoughts_travel_as_proofs() {
    let redacted = Part {
        signature: Some(Signature::made_by(Protocol::Anthropic, "claude", "")),
        ..Content::Reasoning {
            text: String::new(),
            style: ReasoningStyle::Full,
            redacted: Some("secret".into()),
        }
        .into()
    };
    let events = assembled(|it| {
        it.whole(0, redacted.clone());
        it.text(0, "x");
        it.finish(0, FinishReason::Stop);
    });
    let events = written(&events, request());
    accept(&events).unwrap();
    let output = &events.last().unwrap()["response"]["output"];
    let body = serde_json::json!({"model": "m", "input": output});
    let back = read(body.to_string().as_bytes());
    assert!(
        matches!(&back.messages[0].parts[0].content, Content::Reasoning { redacted: Some(data), .. } if data == "secret")
    );
}

#[test]
fn early_ends_say_why() {
    for (reason, kind, word, status) in [
        (
            FinishReason::Length,
            "incomplete",
            Some("max_output_tokens"),
            "incomplete",
        ),
        (
            FinishReason::ContentFilter,
            "incomplete",
            Some("content_filter"),
            "incomplete",
        ),
        (FinishReason::MalformedToolCall, "failed", None, "incomplete"),
        (FinishReason::Other, "completed", None, "completed"),
    ] {
        let events = assembled(|it| {
            it.text(0, "half");
            it.finish(0, reason);
        });
        let events = written(&events, request());
        accept(&events).unwrap();
        assert_eq!(*kinds(&events).last().unwrap(), kind);
        let response = &events.last().unwrap()["response"];
        assert_eq!(response["status"], kind);
        assert_eq!(response["incomplete_details"]["reason"].as_str(), word);
        assert_eq!(response["output"][0]["status"], status);
        assert_eq!(response["error"].is_object(), kind == "failed");
    }
}

#[test]
fn a_refusal_without_words_gets_some() {
    let events = assembled(|it| {
        it.finish(
            0,
            Finish {
                message: Some("Not this.".into()),
                ..FinishReason::Refusal.into()
            },
        );
    });
    let events = written(&events, request());
    accept(&events).unwrap();
    let output = &events.last().unwrap()["response"]["output"];
    assert_eq!(output[0]["content"][0]["refusal"], "Not this.");
}

#[test]
fn failures_have_the_codes_that_codex_knows() {
    for (class, code) in [
        (Class::ContextTooLong, "context_length_exceeded"),
        (Class::Billing, "insufficient_quota"),
        (Class::RateLimited, "rate_limit_exceeded"),
        (Class::Overloaded, "server_is_overloaded"),
        (Class::BadRequest, "invalid_prompt"),
        (Class::Server, "server_error"),
    ] {
        let error = Error {
            retry_after: Some(2.0),
            ..Error::new(class, "No.")
        };
        for started in [true, false] {
            let mut events = vec![Event::Start(Start::default()), Event::Error(error.clone())];
            if !started {
                events.remove(0);
            }
            let events = written(&events, request());
            accept(&events).unwrap();
            let response = &events.last().unwrap()["response"];
            assert_eq!(response["status"], "failed");
            assert_eq!(response["error"]["code"], code);
            let message = response["error"]["message"].as_str().unwrap();
            assert_eq!(message.contains("try again in 2s"), class == Class::RateLimited);
        }
    }
}

#[test]
fn pictures_citations_and_probabilities_have_their_places() {
    let mut wants = request();
    wants.logprobs = Some(Logprobs { top: Some(0) });
    let chance = TokenLogprob {
        chosen: TokenChance {
            token: "a".into(),
            logprob: -0.5,
            bytes: None,
        },
        top: Vec::new(),
    };
    let events = assembled(|it| {
        let source = Media::Data {
            mime: Some("image/png".into()),
            data: "aGk=".into(),
            filename: None,
        };
        it.whole(0, Content::Image { source, detail: None }.into());
        it.text(0, "añb");
        it.logprobs(0, vec![chance]);
        it.citation(
            0,
            Citation {
                url: Some("https://e.com".into()),
                ..Citation::default()
            },
        );
        it.finish(0, FinishReason::Stop);
    });
    let streamed = written(&events, wants.clone());
    accept(&streamed).unwrap();
    let output = streamed.last().unwrap()["response"]["output"].clone();
    assert_eq!(
        serde_json::to_string(&output).unwrap(),
        concat!(
            r#"[{"id":"ig_01990","type":"image_generation_call","status":"completed","result":"aGk="},"#,
            r#"{"id":"msg_01991","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","text":"añb","#,
            r#""annotations":[{"type":"url_citation","start_index":0,"end_index":3,"url":"https://e.com","title":"https://e.com"}],"#,
            r#""logprobs":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]}]}]"#
        )
    );
    let response = collected(events).unwrap();
    let mut lost = Losses::new(Protocol::OpenaiResponses);
    let body = OpenaiResponses.write_response(&response, &asked(wants), &mut lost);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["output"], output);
    assert!(lost.is_empty());
}

#[test]
fn of_several_answers_the_first_is_told() {
    let events = assembled(|it| {
        it.text(0, "a");
        it.text(1, "b");
        it.finish(0, FinishReason::Stop);
        it.finish(1, FinishReason::Length);
    });
    let streamed = written(&events, request());
    accept(&streamed).unwrap();
    assert_eq!(*kinds(&streamed).last().unwrap(), "completed");
    let mut lost = Losses::new(Protocol::OpenaiResponses);
    let body = OpenaiResponses.write_response(&collected(events).unwrap(), &asked(request()), &mut lost);
    assert!(told(whole(&body)).starts_with("text \"a\"") && lost.listed().len() == 1);
}

#[test]
fn nothing_follows_an_error() {
    let mut writer = OpenaiResponses.event_writer(&asked(request()));
    let mut out = Vec::new();
    writer.write(&Event::Error(Error::new(Class::Server, "x")), &mut out);
    let length = out.len();
    writer.write(&Event::Ping, &mut out);
    writer.write(&Event::End, &mut out);
    assert_eq!(out.len(), length);
    assert!(!String::from_utf8(out).unwrap().contains("[DONE]"));
}

#[test]
fn a_ping_is_an_event_too() {
    let events = [Event::Start(Start::default()), Event::Ping, Event::Ping];
    assert_eq!(
        kinds(&written(&events, request())),
        ["created", "in_progress", "in_progress", "in_progress"]
    );
}

#[test]
fn the_settings_are_repeated() {
    let request = read(&one("requests", "codex"));
    let events = written(&assembled(|it| it.finish(0, FinishReason::Stop)), request);
    let response = &events.last().unwrap()["response"];
    assert!(response["instructions"].as_str().unwrap().starts_with("You are Codex"));
    assert_eq!(response["reasoning"]["summary"], "auto");
    assert_eq!(response["store"], false);
    let types: Vec<&str> = response["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["type"].as_str().unwrap())
        .collect();
    assert_eq!(types, ["function", "namespace", "custom", "web_search", "function"]);
    assert_eq!(response["tools"][2]["format"]["syntax"], "lark");
}

#[test]
fn answers_survive_reading_and_writing() {
    for (name, body) in golden("responses") {
        let Ok(response) = collected(whole(&body)) else {
            continue;
        };
        let mut wants = request();
        wants.logprobs = Some(Logprobs { top: None });
        let mut lost = Losses::new(Protocol::OpenaiResponses);
        let again = OpenaiResponses.write_response(&response, &asked(wants), &mut lost);
        let mut again = collected(whole(&again)).unwrap();
        assert!(lost.is_empty(), "{name}");
        // Proofs are sealed, and thoughts are told as a summary.
        for part in &mut again.candidates[0].parts {
            if let Some(proof) = &mut part.signature {
                *proof = Signature::open(Protocol::OpenaiResponses, &proof.data);
            }
        }
        assert_eq!(
            line(&again),
            line(&response).replace(r#"Full "raw""#, r#"Summary "raw""#),
            "{name}"
        );
        assert_eq!(
            (again.usage.is_some(), again.candidates[0].logprobs.len()),
            (true, response.candidates[0].logprobs.len())
        );
    }
}

fn call(name: &str) -> Call {
    Call {
        id: format!("call_{name}"),
        name: name.to_owned(),
        ..Call::default()
    }
}

type Piece = (u8, u64, String);

fn pieces() -> impl Strategy<Value = Vec<Piece>> {
    prop::collection::vec((0..12u8, 0..3u64, "[a-z{}\"é]{0,3}"), 0..30)
}

fn say(assembly: &mut Assembly, (kind, key, text): Piece) {
    match kind {
        0 | 1 => assembly.text(0, text),
        2 => assembly.refusal(0, text),
        3 => assembly.reasoning(0, ReasoningStyle::Summary, text),
        4 => assembly.signature(0, Signature::made_by(Protocol::Gemini, "p", text)),
        5 => assembly.part_end(0),
        6 | 7 => assembly.call(
            0,
            key,
            Call {
                free_text: key == 1,
                ..call("f")
            },
        ),
        8 => assembly.arguments(0, key, text),
        9 => assembly.call_end(0, key),
        10 => assembly.citation(
            0,
            Citation {
                url: Some(text),
                ..Citation::default()
            },
        ),
        _ => assembly.whole(0, Part::text(text)),
    }
}

proptest! {
    #[test]
    fn whatever_is_told_clients_accept(pieces in pieces(), cut in 0..60usize, sealed: bool, long: bool) {
        let mut events = assembled(|it| {
            for piece in pieces {
                say(it, piece);
            }
            it.finish(0, if long { FinishReason::Length } else { FinishReason::Stop });
        });
        let mut request = request();
        request.store = Some(!sealed);
        if cut < events.len() {
            events.truncate(cut);
            events.push(Event::Error(Error::new(Class::Server, "cut")));
        }
        let written = written(&events, request);
        prop_assert_eq!(accept(&written), Ok(()));
        if cut < events.len() {
            prop_assert_eq!(&written.last().unwrap()["type"], "response.failed");
        }
    }
}
