//! `docs/reference/translation.md` says what becomes of every field in every protocol; its table is made by asking the code.
//!
//! `UPDATE_GOLDEN=1 cargo test -p mynah-dialect --test translation_table` writes it anew.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use mynah_dialect::Protocol;
use mynah_dialect::codec::{Target, upstream_side};
use mynah_dialect::field::Field;
use mynah_dialect::ir::{
    Audio, CacheMark, Content, Effort, Extra, Format, Function, Logprobs, Media, Message, Part, Reasoning,
    ReasoningStyle, Request, Role, Show, Signature, Tool, ToolChoice, ToolInput,
};
use mynah_dialect::loss::Losses;
use mynah_dialect::quirks::Quirks;
use mynah_dialect::raw::Raw;
use mynah_dialect::repair::repair;

const BEGIN: &str = "<!-- the table below is made by tests/translation_table.rs -->\n";
const END: &str = "<!-- end of the table -->\n";

/// The model for which a request is written: a current one of each provider.
fn model(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::OpenaiChat | Protocol::OpenaiResponses => "gpt-5",
        Protocol::Anthropic => "claude-opus-4-6",
        Protocol::Gemini => "gemini-2.5-pro",
        Protocol::Cohere => "command-a-03-2025",
    }
}

#[test]
fn the_documented_table_is_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/translation.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the table has a beginning");
    let (_, after) = rest.split_once(END).expect("the table has an end");
    let expected = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, expected).unwrap();
    } else {
        assert!(
            document == expected,
            "docs/reference/translation.md is out of date: run with UPDATE_GOLDEN=1"
        );
    }
}

fn table() -> String {
    let mut out = String::from("\n| field (OpenAI Chat / Anthropic / Gemini) |");
    for target in Protocol::ALL {
        write!(out, " {target} |").unwrap();
    }
    out.push_str("\n|---|---|---|---|---|---|\n");
    for field in Field::ALL {
        let names =
            [Protocol::OpenaiChat, Protocol::Anthropic, Protocol::Gemini].map(|protocol| field.spelled(protocol));
        let mut row = format!("| {} |", distinct(&names));
        for target in Protocol::ALL {
            write!(row, " {} |", outcome(*field, target)).unwrap();
        }
        out.push_str(&row);
        out.push('\n');
    }
    out.push('\n');
    out
}

fn distinct(names: &[&str]) -> String {
    let mut seen: Vec<String> = Vec::new();
    for name in names {
        let name = format!("`{name}`");
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen.join(", ")
}

fn outcome(field: Field, target: Protocol) -> String {
    let from = match target {
        Protocol::Anthropic => Protocol::OpenaiResponses,
        _ => Protocol::Anthropic,
    };
    let mut request = sample(field, from);
    let mut lost = Losses::new(from);
    repair(&mut request, &mut lost);
    let quirks = Quirks::default();
    let addressee = Target {
        provider: "table",
        model: model(target),
        quirks: &quirks,
    };
    match upstream_side(target).write_request(&request, &addressee, &mut lost) {
        Err(unsayable) => format!("refused: {}", unsayable.reason),
        Ok(_) if lost.is_empty() => "yes".to_owned(),
        Ok(_) => {
            let mut reasons: Vec<&str> = lost.listed().iter().map(|loss| loss.reason).collect();
            reasons.dedup();
            reasons.join("; ")
        }
    }
}

/// A request in which the field matters.
#[expect(clippy::too_many_lines, reason = "one line for each field")]
fn sample(field: Field, from: Protocol) -> Request {
    let mut request = Request::new(from, "m");
    request.messages.push(user(Part::text("Hello")));
    let foreign = |raw: &str, kind: &str| (from, kind.to_owned(), Raw::parse(raw).unwrap());
    match field {
        Field::System => request.system.push(Part::text("Be brief.")),
        Field::LateSystem => {
            request
                .messages
                .push(Message::new(Role::Assistant, vec![Part::text("Hi")]));
            request
                .messages
                .push(Message::new(Role::System, vec![Part::text("Be brief.")]));
            request.messages.push(user(Part::text("Go on")));
        }
        Field::Messages => request.messages.push(user(Part::text("Are you there?"))),
        Field::MessageName => request.messages[0].name = Some("ann".into()),
        Field::Prefill => request
            .messages
            .push(Message::new(Role::Assistant, vec![Part::text("{")])),
        Field::CacheMark => request.messages[0].parts[0].cache = Some(CacheMark { ttl: None }),
        Field::CacheKey => request.cache_key = Some("k".into()),
        Field::ImageUrl => say(&mut request, image(url("https://example.com/a.png"), None)),
        Field::ImageData => say(&mut request, image(data("image/png"), None)),
        Field::ImageDetail => say(&mut request, image(data("image/png"), Some("high".into()))),
        Field::Document => say(&mut request, document(data("application/pdf"), None)),
        Field::DocumentTitle => say(&mut request, document(data("application/pdf"), Some("T".into()))),
        Field::FileId => {
            let file = Media::File {
                protocol: from,
                id: "file_1".into(),
            };
            say(&mut request, document(file, None));
        }
        Field::AudioInput => {
            let audio = Content::Audio {
                source: data("audio/wav"),
                format: Some("wav".into()),
                transcript: None,
                id: None,
            };
            say(&mut request, audio.into());
        }
        Field::Video => say(
            &mut request,
            Content::Video {
                source: data("video/mp4"),
            }
            .into(),
        ),
        Field::AudioOutput => {
            request.audio = Some(Audio {
                voice: None,
                format: Some("wav".into()),
            });
        }
        Field::MaxTokens => request.max_tokens = Some(100),
        Field::Temperature => request.sampling.temperature = Some(1.5),
        Field::TopP => request.sampling.top_p = Some(0.5),
        Field::TopK => request.sampling.top_k = Some(40),
        Field::MinP => request.sampling.min_p = Some(0.1),
        Field::FrequencyPenalty => request.sampling.frequency_penalty = Some(-0.5),
        Field::PresencePenalty => request.sampling.presence_penalty = Some(-0.5),
        Field::RepetitionPenalty => request.sampling.repetition_penalty = Some(1.1),
        Field::LogitBias => request.sampling.logit_bias = Some(Raw::parse("{\"1\":2}").unwrap()),
        Field::Seed => request.sampling.seed = Some(7),
        Field::Stop => request.stop = vec!["END".into()],
        Field::Candidates => request.candidates = Some(2),
        Field::Logprobs => request.logprobs = Some(Logprobs { top: Some(2) }),
        Field::JsonObject => request.format = Format::JsonObject,
        Field::JsonSchema => request.format = schema(),
        Field::Verbosity => request.verbosity = Some("low".into()),
        Field::ToolSchema => request.tools.push(function("f")),
        Field::ToolName => request.tools.push(function("a.very:odd/name")),
        Field::StrictTool => request.tools.push(Tool::Function(Function {
            strict: Some(true),
            ..plain("f")
        })),
        Field::CustomTool => request.tools.push(Tool::Custom {
            name: "patch".into(),
            namespace: None,
            description: Some("Applies a patch.".into()),
            format: None,
            extra: Extra::default(),
        }),
        Field::ToolNamespace => request.tools.push(Tool::Function(Function {
            namespace: Some("files".into()),
            ..plain("f")
        })),
        Field::HostedTool => {
            let (protocol, kind, raw) = foreign(r#"{"type":"web_search"}"#, "web_search");
            request.tools.push(Tool::Foreign { protocol, kind, raw });
        }
        Field::ToolChoice => choose(&mut request, ToolChoice::Tool { name: "f".into() }),
        Field::AllowedTools => choose(
            &mut request,
            ToolChoice::Allowed {
                names: vec!["f".into()],
                required: false,
            },
        ),
        Field::ParallelTools => {
            request.tools.push(function("f"));
            request.parallel_tools = Some(false);
        }
        Field::ToolArguments => called(&mut request, "[1]", vec![Part::text("ok")], None),
        Field::ToolId => called(&mut request, "{}", vec![Part::text("ok")], None),
        Field::ToolError => called(&mut request, "{}", vec![Part::text("broken")], Some(true)),
        Field::ToolResultImage => called(&mut request, "{}", vec![image(data("image/png"), None)], None),
        Field::Reasoning => {
            request.reasoning = Some(Reasoning {
                effort: Some(Effort::High),
                ..Reasoning::default()
            });
        }
        Field::ReasoningBudget => {
            request.reasoning = Some(Reasoning {
                budget: Some(4000),
                ..Reasoning::default()
            });
        }
        Field::ReasoningShow => {
            request.reasoning = Some(Reasoning {
                effort: Some(Effort::High),
                show: Show::Summary("auto".into()),
                ..Reasoning::default()
            });
        }
        Field::ReasoningHistory => {
            let thought = Part {
                signature: Some(Signature::open(from, "sig")),
                ..Content::Reasoning {
                    text: "Hm.".into(),
                    style: ReasoningStyle::Full,
                    redacted: None,
                }
                .into()
            };
            request
                .messages
                .push(Message::new(Role::Assistant, vec![thought, Part::text("Hi")]));
            request.messages.push(user(Part::text("Go on")));
        }
        Field::Citations => {
            let (protocol, kind, raw) = foreign(r#"{"type":"search_result"}"#, "search_result");
            say(&mut request, Content::Foreign { protocol, kind, raw }.into());
        }
        Field::Store => request.store = Some(true),
        Field::State => request.extra.keep("container", Raw::parse("\"c\"").unwrap()),
        Field::Metadata => request.metadata = Some(Raw::parse("{\"a\":\"b\"}").unwrap()),
        Field::User => request.user = Some("u".into()),
        Field::ServiceTier => request.service_tier = Some("flex".into()),
    }
    request
}

fn user(part: Part) -> Message {
    Message::new(Role::User, vec![part])
}

fn say(request: &mut Request, part: Part) {
    request.messages[0].parts.push(part);
}

fn choose(request: &mut Request, choice: ToolChoice) {
    request.tools = vec![function("f"), function("g")];
    request.tool_choice = Some(choice);
}

fn called(request: &mut Request, arguments: &str, content: Vec<Part>, is_error: Option<bool>) {
    let id = "functions.f:0".to_owned();
    let call = Content::ToolCall {
        id: id.clone(),
        name: "f".into(),
        namespace: None,
        input: ToolInput::Json(arguments.into()),
    };
    let result = Content::ToolResult {
        id,
        name: None,
        content,
        is_error,
        custom: false,
    };
    request.tools.push(function("f"));
    request.messages.push(Message::new(Role::Assistant, vec![call.into()]));
    request.messages.push(user(result.into()));
}

fn url(url: &str) -> Media {
    Media::Url {
        url: url.into(),
        mime: None,
    }
}

fn data(mime: &str) -> Media {
    Media::Data {
        mime: Some(mime.into()),
        data: "AAAA".into(),
        filename: None,
    }
}

fn image(source: Media, detail: Option<String>) -> Part {
    Content::Image { source, detail }.into()
}

fn document(source: Media, title: Option<String>) -> Part {
    Content::Document {
        source,
        title,
        context: None,
        citations: false,
    }
    .into()
}

fn schema() -> Format {
    Format::JsonSchema {
        name: Some("answer".into()),
        description: None,
        schema: Raw::parse(
            r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}"#,
        )
        .unwrap(),
        strict: Some(true),
    }
}

fn plain(name: &str) -> Function {
    Function {
        name: name.into(),
        schema: Some(Raw::parse(r#"{"type":"object","properties":{}}"#).unwrap()),
        ..Function::default()
    }
}

fn function(name: &str) -> Tool {
    Tool::Function(plain(name))
}
