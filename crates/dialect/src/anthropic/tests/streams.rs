use super::*;
use crate::frame::{Frame, Splitter};
use crate::ir::{Class, Content, Finish, FinishReason, Opened, ToolInput, Usage};
use crate::raw::Raw;
use crate::transcode::streamed;
use crate::tree::Node;

/// Holds a stream against what the SDKs demand, and puts its message together as they do.
pub(super) fn accumulated(stream: &[u8]) -> Result<Accumulated, String> {
    let mut splitter = Splitter::default();
    splitter.push(stream).unwrap();
    let mut message = Accumulated::default();
    while let Some(block) = splitter.next_block() {
        let frame = Frame::parse(&block);
        let data = frame.data.ok_or("an event without data")?;
        let node = Node::parse(&data).map_err(|fault| fault.to_string())?;
        let kind = node.get("type").text().ok_or("no type")?;
        if frame.event != kind.as_bytes() {
            return Err(format!("event line differs from {kind}"));
        }
        message
            .take(kind, &node)
            .map_err(|fault| format!("{fault}: {}", node.raw()))?;
    }
    if splitter.held() > 0 {
        return Err("an event is not terminated".into());
    }
    Ok(message)
}

/// A message as a client puts it together.
#[derive(Debug, Default)]
pub(super) struct Accumulated {
    started: bool,
    open: bool,
    pub(super) blocks: Vec<(String, String)>,
    pub(super) stop: Option<String>,
    pub(super) stopped: bool,
    pub(super) error: Option<String>,
    pub(super) usage: Option<Raw>,
    pub(super) start: Option<Raw>,
}

impl Accumulated {
    fn take(&mut self, kind: &str, node: &Node<'_>) -> Result<(), String> {
        let fail = |what: &str| Err(what.to_owned());
        if self.stopped || self.error.is_some() {
            return fail("something follows the end");
        }
        if !self.started && !matches!(kind, "message_start" | "error") {
            return fail("no start");
        }
        let index = node.get("index").u64();
        match kind {
            "message_start" if self.started => return fail("second start"),
            "message_start" => {
                self.started = true;
                let message = node.get("message");
                if !message.get("content").is_array() || !message.get("content").items().is_empty() {
                    return fail("content");
                }
                shape(message.get("usage"))?;
                self.start = Some(message.to_raw());
            }
            "content_block_start" => {
                if self.open || index != Some(self.blocks.len() as u64) {
                    return fail("blocks must be one after the other");
                }
                self.open = true;
                let block = node.get("content_block");
                let kind = block.get("type").string().ok_or("type of block")?;
                let empty = match kind.as_str() {
                    "text" => block.get("text").text() == Some(""),
                    "thinking" => block.get("thinking").text() == Some("") && block.get("signature").text() == Some(""),
                    "tool_use" => {
                        let named = !block.get("id").text_or_empty().is_empty() && block.get("name").is_text();
                        named && block.get("input").raw() == "{}"
                    }
                    _ => true,
                };
                if !empty {
                    return fail("a block must begin empty");
                }
                self.blocks.push((kind, String::new()));
            }
            "content_block_delta" => self.delta(index, node.get("delta"))?,
            "content_block_stop" => {
                if !self.open || index.map(|index| index + 1) != Some(self.blocks.len() as u64) {
                    return fail("no such block is open");
                }
                self.open = false;
            }
            "message_delta" => {
                if self.open || self.stop.is_some() {
                    return fail("too early or twice");
                }
                shape(node.get("usage"))?;
                self.usage = Some(node.get("usage").to_raw());
                self.stop = Some(node.get("delta").get("stop_reason").string().ok_or("stop_reason")?);
            }
            "message_stop" if self.stop.is_none() => return fail("no reason"),
            "message_stop" => self.stopped = true,
            "ping" => {}
            "error" => {
                let error = node.get("error");
                let message = error.get("message").string().ok_or("message")?;
                self.error = Some(format!("{}: {message}", error.get("type").text_or_empty()));
            }
            other => return Err(format!("unknown event {other}")),
        }
        Ok(())
    }

    fn delta(&mut self, index: Option<u64>, delta: &Node<'_>) -> Result<(), String> {
        let fits = self.open && index.map(|index| index + 1) == Some(self.blocks.len() as u64);
        let Some((kind, text)) = self.blocks.last_mut().filter(|_| fits) else {
            return Err("no such block is open".into());
        };
        let (wanted, key) = match delta.get("type").text_or_empty() {
            "text_delta" => ("text", "text"),
            "thinking_delta" => ("thinking", "thinking"),
            "signature_delta" => ("thinking", "signature"),
            "input_json_delta" => ("tool_use", "partial_json"),
            "citations_delta" if kind == "text" && delta.get("citation").is_object() => return Ok(()),
            other => return Err(format!("delta {other}")),
        };
        let piece = delta.get(key).text().ok_or("delta without its member")?;
        if kind != wanted {
            return Err(format!("delta for {wanted} in {kind}"));
        }
        if key == "signature" {
            text.push_str(" signed");
        } else {
            text.push_str(piece);
        }
        Ok(())
    }
}

/// All counts that clients read are there.
fn shape(usage: &Node<'_>) -> Result<(), String> {
    let counts = [
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ];
    let missing = counts.iter().any(|key| usage.get(key).u64().is_none());
    let breakdown = usage.get("cache_creation").get("ephemeral_5m_input_tokens").u64();
    if missing || breakdown.is_none() {
        Err("usage".into())
    } else {
        Ok(())
    }
}

fn told(events: &[Event]) -> Accumulated {
    let (_, stream) = streamed(&Anthropic, events, &asked());
    accumulated(&stream).unwrap_or_else(|fault| panic!("{fault}\n{}", String::from_utf8_lossy(&stream)))
}

/// The answer of a golden stream as a line of text.
fn line(name: &str) -> String {
    let events = listen(&golden("streams", name), 7);
    let response = match collected(events) {
        Ok(response) => response,
        Err(error) => return format!("{:?}: {}", error.class, error.message),
    };
    let candidate = &response.candidates[0];
    let shown = candidate.parts.iter().map(|part| {
        let signed = part
            .signature
            .as_ref()
            .map_or(String::new(), |proof| format!(" by {}", proof.data));
        match &part.content {
            Content::Text { text, citations } => format!("text {text:?}{}", "+".repeat(citations.len())),
            Content::Reasoning { text, redacted, .. } => format!("thought {text:?}{redacted:?}{signed}"),
            Content::ToolCall {
                id,
                name,
                input: ToolInput::Json(input),
                ..
            } => format!("{id} {name} {input}"),
            Content::Foreign { kind, raw, .. } => format!("{kind} {}", raw.as_str()),
            other => format!("{other:?}"),
        }
    });
    let parts: Vec<String> = shown.collect();
    format!("{}; {:?}", parts.join(", "), candidate.finish.reason)
}

#[test]
fn every_golden_stream_is_understood() {
    let broke = "Server: The provider's answer broke off before its end.";
    let cases = [
        ("blocks-left-open", r#"thought "hm"None by S, text "Hi!"; Stop"#),
        ("cache-usage-in-the-delta", r#"text "Hi"; Stop"#),
        ("citations", r#"text "Blue."+; Stop"#),
        ("cut-inside-an-event", broke),
        ("cut-off", broke),
        ("deltas-without-starts", r#"thought "hm"None, text "Hi"; Stop"#),
        ("done-marker", r#"text "Hi"; Stop"#),
        ("error-at-once", "RateLimited: Slow down, try again in 2s"),
        ("error-in-the-middle", "Overloaded: Overloaded"),
        ("input-in-the-start", r#"toolu_1 f {"x":1}; ToolCalls"#),
        (
            "interleaved-calls",
            r#"toolu_1 f {"x":1}, toolu_2 g {"y":2}; ToolCalls"#,
        ),
        (
            "interleaved-thinking",
            r#"thought "a"None by S1, toolu_1 f {}, thought "b"None by S2, toolu_2 g {"x":1}; ToolCalls"#,
        ),
        ("max-tokens-inside-a-call", r#"toolu_1 f {"text":"once up; Length"#),
        (
            "parallel-tool-calls",
            r#"text "Looking.", toolu_1 get_weather {"city": "Paris"}, toolu_2 get_time {}; ToolCalls"#,
        ),
        (
            "cut-inside-a-call",
            "Server: The provider's answer broke off before its end.",
        ),
        ("refusal", "; Refusal"),
        ("returns-and-comments", r#"text "Grüße 😀"; Stop"#),
        (
            "server-tools",
            r#"server_tool_use {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"news"}}, web_search_tool_result {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[]}, text "News."; Stop"#,
        ),
        ("stop-sequence", r#"text "One"; StopSequence"#),
        ("stop-without-a-reason", r#"text "Hi"; Other"#),
        ("surrogates-cut", r#"text "a😀b"; Stop"#),
        ("text", r#"text "Hello"; Stop"#),
        (
            "thinking",
            r#"thought "Let me think"None by EqQB, thought ""Some("Em0") by Em0, text "Hi"; Stop"#,
        ),
        ("thinking-omitted", r#"thought ""None by EqQB, text "Hi"; Stop"#),
        (
            "unknown-events",
            r#"compaction {"type":"compaction","content":"Summary"}, text "Hi"; Pause"#,
        ),
        ("without-event-lines", r#"text "Hi"; Stop"#),
    ];
    let all = all_golden("streams");
    assert_eq!(all.len(), cases.len());
    for (name, expected) in cases {
        assert_eq!(line(&format!("{name}.sse")), expected, "{name}");
    }
}

#[test]
fn every_golden_stream_is_told_again_as_the_sdks_want_it() {
    for (name, stream) in all_golden("streams") {
        let events = listen(&stream, stream.len());
        for cut in 1..=events.len() {
            let mut events = events[..cut].to_vec();
            if cut < listen(&stream, stream.len()).len() {
                events.push(Event::Error(Error::new(Class::Timeout, "late")));
            }
            let message = told(&events);
            assert!(message.stopped != message.error.is_some(), "{name}");
        }
    }
}

#[test]
fn a_stream_comes_out_as_it_went_in() {
    let stream = golden("streams", "text.sse");
    let (_, out) = streamed(&Anthropic, &listen(&stream, 3), &asked());
    let out = String::from_utf8(out.to_vec()).unwrap();
    let types: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(
        types,
        [
            "message_start",
            "ping",
            "content_block_start",
            "content_block_delta",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop"
        ]
    );
    assert!(out.ends_with("event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"input_tokens\":10,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"cache_creation\":{\"ephemeral_5m_input_tokens\":0,\"ephemeral_1h_input_tokens\":0},\"output_tokens\":5}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"), "{out}");
}

#[test]
fn counts_are_joined_from_both_ends() {
    let events = listen(&golden("streams", "cache-usage-in-the-delta.sse"), 100);
    let usage = collected(events.clone()).unwrap().usage.unwrap();
    assert_eq!((usage.input, usage.cache_write_5m), (Some(123), Some(0)));
    let message = told(&events);
    let node = message.usage.unwrap();
    assert_eq!(node.node().get("input_tokens").u64(), Some(3));
    assert_eq!(node.node().get("cache_read_input_tokens").u64(), Some(100));
}

#[test]
fn a_call_without_arguments_has_no_delta() {
    for (pieces, expected) in [
        (vec!["{}"], ""),
        (vec!["", "{", "}"], r"{}"),
        (vec!["{}", " "], ""),
        (vec!["{\"a\"", ":1}"], r#"{"a":1}"#),
        (vec![" ", "{\"a\":1}"], r#" {"a":1}"#),
        (vec!["[1", "]"], r#"{"value":[1]}"#),
        (vec!["nonsense"], r#"{"_raw":"nonsense"}"#),
        (vec!["null"], ""),
        (vec!["{\"cut"], "{\"cut"),
    ] {
        let events = call_events(&pieces, false);
        assert_eq!(told(&events).blocks[0].1, expected, "{pieces:?}");
    }
    let free = call_events(&["a\"", "\nb"], true);
    assert_eq!(told(&free).blocks[0].1, r#"{"input":"a\"\nb"}"#);
}

fn call_events(pieces: &[&str], custom: bool) -> Vec<Event> {
    let mut events = vec![
        Event::Start(crate::ir::Start::default()),
        Event::PartStart {
            candidate: 0,
            part: 0,
            opened: Opened::ToolCall {
                id: "c".into(),
                name: "f".into(),
                namespace: None,
                custom,
                signature: None,
            },
        },
    ];
    events.extend(pieces.iter().map(|piece| Event::Delta {
        candidate: 0,
        part: 0,
        delta: crate::ir::Delta::Arguments((*piece).into()),
    }));
    events.push(Event::PartEnd { candidate: 0, part: 0 });
    events.extend(end(FinishReason::ToolCalls.into()));
    events
}

fn end(finish: Finish) -> [Event; 2] {
    [Event::Finish { candidate: 0, finish }, Event::End]
}

#[test]
fn the_proof_of_a_call_goes_before_it() {
    let mut events = call_events(&["{}"], false);
    if let Event::PartStart {
        opened: Opened::ToolCall { signature, .. },
        ..
    } = &mut events[1]
    {
        *signature = Some(crate::ir::Signature::made_by(Protocol::Gemini, "google", "G"));
    }
    let kinds: Vec<_> = told(&events).blocks;
    assert_eq!(
        kinds,
        [
            ("thinking".into(), " signed".to_owned()),
            ("tool_use".into(), String::new())
        ]
    );
}

#[test]
fn the_start_has_the_whole_shape_before_anything_is_known() {
    let mut events = vec![Event::Start(crate::ir::Start::default()), Event::Ping];
    events.push(Event::Usage(Usage {
        input: Some(9),
        output: Some(1),
        ..Usage::default()
    }));
    events.extend(end(Finish {
        stop_sequence: Some("END".into()),
        ..FinishReason::StopSequence.into()
    }));
    let message = told(&events);
    let start = message.start.unwrap();
    assert!(start.as_str().starts_with(
        r#"{"id":"msg_id1","type":"message","role":"assistant","model":"asked-model","content":[],"stop_reason":null,"#
    ));
    assert_eq!(message.usage.unwrap().node().get("input_tokens").u64(), Some(9));
    assert_eq!(message.stop.as_deref(), Some("stop_sequence"));
}

#[test]
fn a_failure_is_never_a_clean_finish() {
    let mut events = vec![Event::Start(crate::ir::Start::default())];
    events.extend(end(Finish {
        message: Some("it broke".into()),
        ..FinishReason::Error.into()
    }));
    let message = told(&events);
    assert_eq!(message.error.as_deref(), Some("api_error: it broke"));
    let message = told(&[Event::Error(Error::new(Class::ContextTooLong, "5 > 4"))]);
    assert_eq!(
        message.error.as_deref(),
        Some("invalid_request_error: prompt is too long: 5 > 4")
    );
}

#[test]
fn a_refusal_says_so() {
    let (_, out) = streamed(&Anthropic, &listen(&golden("streams", "refusal.sse"), 64), &asked());
    let out = String::from_utf8(out.to_vec()).unwrap();
    assert!(out.contains(r#""delta":{"stop_reason":"refusal","stop_sequence":null,"stop_details":{"type":"refusal","category":null,"explanation":"No."}}"#), "{out}");
}
