use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::Protocol;
use crate::assembly::Assembly;
use crate::codec::Memo;
use crate::ir::{Class, Content, Event, Part, ReasoningStyle};
use crate::transcode::collected;

fn read(body: &[u8]) -> (Result<Completion, String>, Vec<String>) {
    let mut lost = Losses::new(Protocol::OpenaiChat);
    let read = read_request(body, &mut lost).map_err(|fault| fault.to_string());
    let lost = lost
        .listed()
        .iter()
        .map(|loss| format!("{}: {}", loss.field, loss.reason));
    (read, lost.collect())
}

fn golden(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/completions");
    std::fs::read(folder.join(format!("{name}.json"))).unwrap()
}

fn asked(name: &str) -> Completion {
    read(&golden(name)).0.unwrap()
}

fn heading() -> Heading {
    Heading {
        id: "cmpl-1".into(),
        created: 7,
    }
}

/// An answer with these texts as its candidates.
fn answer(texts: &[&str]) -> Vec<Event> {
    let mut assembly = Assembly::new(Memo::default(), "s");
    for (candidate, text) in (0..).zip(texts) {
        assembly.reasoning(candidate, ReasoningStyle::Full, "hm");
        assembly.text(candidate, *text);
        assembly.finish(candidate, FinishReason::Stop);
    }
    assembly.usage(&Usage {
        input: Some(3),
        output: Some(2),
        ..Usage::default()
    });
    assembly.close();
    assembly.take()
}

fn streamed(completion: &Completion, events: impl IntoIterator<Item = Event>) -> String {
    let mut writer = completion.event_writer(heading());
    let mut out = Vec::new();
    for event in events {
        writer.write(&event, &mut out);
    }
    String::from_utf8(out).unwrap()
}

fn chunk(text: &str, index: u32, finish: &str, usage: &str) -> String {
    format!(
        r#"data: {{"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{{"text":"{text}","index":{index},"logprobs":null,"finish_reason":{finish}}}]{usage}}}"#
    ) + "\n\n"
}

#[test]
fn a_prompt_becomes_a_message() {
    let completion = asked("all-fields");
    assert_eq!(completion.prompts, ["Say hi"]);
    let request = &completion.requests[0];
    assert_eq!(request.messages[0].parts, [Part::text("Say hi")]);
    assert_eq!((request.max_tokens, request.candidates), (Some(5), Some(2)));
    assert_eq!(
        (request.sampling.temperature, request.sampling.seed),
        (Some(0.5), Some(3))
    );
    assert_eq!(
        (request.stop.len(), request.user.as_deref(), request.extra.0.len()),
        (1, Some("u"), 1)
    );
    assert!(completion.stream && completion.include_usage && completion.echo);
    let small = asked("prompts");
    assert_eq!(
        (small.requests.len(), small.requests[1].max_tokens, small.n),
        (2, Some(16), 1)
    );
}

#[test]
fn what_a_chat_cannot_do_is_refused_or_noted() {
    for (body, expected) in [
        (r#"{"model":"m"}"#, "`prompt` is missing"),
        (r#"{"model":"m","prompt":""}"#, "`prompt` must not be empty"),
        (r#"{"model":"m","prompt":[]}"#, "`prompt` must not be empty"),
        (
            r#"{"model":"m","prompt":[1,2]}"#,
            "`prompt` must be text: the provider does not take tokens",
        ),
        (
            r#"{"model":"m","prompt":[[1],[2]]}"#,
            "`prompt` must be text: the provider does not take tokens",
        ),
        (
            r#"{"model":"m","prompt":["a",1]}"#,
            "`prompt` must be a string or an array of strings",
        ),
        (
            r#"{"model":"m","prompt":"a","suffix":"z"}"#,
            "`suffix` needs a model that fills in the middle; this one chats",
        ),
        (r#"{"model":"m","prompt":"a","n":0}"#, "`n` must be from 1 to 128"),
        (
            r#"{"model":"m","prompt":"a","n":3,"best_of":2}"#,
            "`best_of` must not be less than `n`",
        ),
        (
            r#"{"model":"m","prompt":"a","temperature":"hot"}"#,
            "`temperature` must be a number",
        ),
        (r#"{"prompt":"a"}"#, "`model` must be a string"),
        ("[]", "`body` must be an object"),
    ] {
        assert_eq!(read(body.as_bytes()).0.unwrap_err(), expected);
    }
    assert!(read(&golden("tokens")).0.is_err() && read(&golden("suffix")).0.is_err());
    let (read, lost) = read(br#"{"model":"m","prompt":"a","best_of":3,"logprobs":0,"suffix":"","n":1}"#);
    assert!(read.is_ok());
    assert_eq!(lost, ["best_of: not supported", "logprobs: not supported"]);
}

#[test]
fn answers_are_numbered_through() {
    let completion = Completion {
        n: 2,
        echo: true,
        ..asked("prompts")
    };
    let answers = [["x", "y"], ["z", "w"]].map(|texts| collected(answer(&texts)).unwrap());
    let body = String::from_utf8(completion.write_response(&answers, &heading()).unwrap()).unwrap();
    assert_eq!(
        body,
        r#"{"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[{"text":"onex","index":0,"logprobs":null,"finish_reason":"stop"},{"text":"oney","index":1,"logprobs":null,"finish_reason":"stop"},{"text":"twoz","index":2,"logprobs":null,"finish_reason":"stop"},{"text":"twow","index":3,"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":4,"total_tokens":10}}"#
    );
}

#[test]
fn an_answer_that_failed_is_an_error() {
    let mut response = collected(answer(&["x"])).unwrap();
    response.candidates[0].finish.reason = FinishReason::Error;
    let error = asked("prompts").write_response(&[response], &heading()).unwrap_err();
    assert_eq!(error.class, Class::Server);
}

#[test]
fn the_end_has_one_of_three_words() {
    assert_eq!(finish_word(FinishReason::ToolCalls), "stop");
    assert_eq!(finish_word(FinishReason::ContextWindow), "length");
    assert_eq!(finish_word(FinishReason::ContentFilter), "content_filter");
}

#[test]
fn streams_are_written_prompt_after_prompt() {
    let completion = asked("prompts");
    let events = answer(&["x"]).into_iter().chain(answer(&["y"]));
    let expected = [
        chunk("x", 0, "null", ""),
        chunk("", 0, "\"stop\"", ""),
        chunk("y", 1, "null", ""),
        chunk("", 1, "\"stop\"", ""),
        "data: [DONE]\n\n".to_owned(),
    ];
    assert_eq!(streamed(&completion, events), expected.concat());
}

#[test]
fn a_stream_repeats_the_prompt_and_tells_the_usage_when_asked() {
    let completion = Completion {
        prompts: vec!["one".into()],
        n: 2,
        echo: true,
        include_usage: true,
        ..asked("prompts")
    };
    let none = ",\"usage\":null";
    let usage = r#"data: {"id":"cmpl-1","object":"text_completion","created":7,"model":"m","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}"#;
    let expected = [
        chunk("one", 0, "null", none),
        chunk("x", 0, "null", none),
        chunk("one", 1, "null", none),
        chunk("", 0, "\"stop\"", none),
        chunk("", 1, "\"stop\"", none),
        format!("{usage}\n\ndata: [DONE]\n\n"),
    ];
    // The second answer is empty, and the third was not asked for.
    let streamed = streamed(&completion, answer(&["x", "", "z"]));
    let mut chunks: Vec<&str> = streamed.split_inclusive("\n\n").collect();
    let mut expected: Vec<String> = expected.concat().split_inclusive("\n\n").map(str::to_owned).collect();
    assert_eq!(chunks.split_off(4), expected.split_off(4));
    chunks.sort_unstable();
    expected.sort_unstable();
    assert_eq!(chunks, expected);
}

#[test]
fn a_stream_that_breaks_off_says_so_and_is_not_done() {
    let completion = asked("prompts");
    let mut events = answer(&["x"]);
    events.truncate(3);
    events.push(Event::Error(Error::new(Class::RateLimited, "slow down")));
    events.push(Event::End);
    let streamed = streamed(&completion, events);
    assert!(streamed.ends_with(
        "data: {\"error\":{\"message\":\"slow down\",\"type\":\"rate_limit_error\",\"param\":null,\"code\":null}}\n\n"
    ));
}

proptest! {
    #[test]
    fn arbitrary_json_never_panics(json in crate::embeddings::tests::any_json()) {
        let _ = read(json.as_bytes());
    }

    /// A stream says the same as a whole answer.
    #[test]
    fn both_ways_say_the_same(texts in prop::collection::vec(prop::collection::vec("[a-z\"é]{0,5}", 2), 2), echo: bool) {
        let completion = Completion { n: 2, echo, ..asked("prompts") };
        let answers: Vec<Vec<Event>> = texts.iter().map(|texts| answer(&texts.iter().map(String::as_str).collect::<Vec<_>>())).collect();
        let responses: Vec<Response> = answers.iter().map(|events| collected(events.clone()).unwrap()).collect();
        let whole = completion.write_response(&responses, &heading()).unwrap();
        let whole: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        let mut heard = vec![String::new(); 4];
        for line in streamed(&completion, answers.concat()).lines().filter_map(|line| line.strip_prefix("data: {")) {
            let chunk: serde_json::Value = serde_json::from_str(&format!("{{{line}")).unwrap();
            let choice = &chunk["choices"][0];
            heard[usize::try_from(choice["index"].as_u64().unwrap()).unwrap()].push_str(choice["text"].as_str().unwrap());
        }
        for (index, choice) in whole["choices"].as_array().unwrap().iter().enumerate() {
            prop_assert_eq!(choice["text"].as_str().unwrap(), heard[index].as_str());
        }
    }
}

#[test]
fn thoughts_and_calls_are_not_told() {
    let mut response = collected(answer(&["x"])).unwrap();
    response.candidates[0].parts.push(
        Content::Reasoning {
            text: "secret".into(),
            style: ReasoningStyle::Full,
            redacted: None,
        }
        .into(),
    );
    let body = asked("prompts").write_response(&[response], &heading()).unwrap();
    assert!(String::from_utf8(body).unwrap().contains(r#""text":"x""#));
}
