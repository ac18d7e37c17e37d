mod answers;
mod laws;
mod media;
mod requests;
mod streams;
mod translations;

use std::path::PathBuf;

use super::Gemini;
use crate::codec::{Address, Asked, ClientSide, Memo, Target, UpstreamSide};
use crate::ir::{Content, Event, Finish, Media, Part, Request, Response, ToolInput};
use crate::loss::Losses;
use crate::protocol::Protocol;
use crate::quirks::Quirks;
use crate::repair::repair;

/// The files of a folder of the golden suite, by name.
fn golden(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(folder)
        .join("gemini");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn golden_file(folder: &str, name: &str) -> Vec<u8> {
    let files = golden(folder);
    files
        .into_iter()
        .find(|(found, _)| found == name)
        .unwrap_or_else(|| panic!("{name}"))
        .1
}

fn read(body: &[u8]) -> Request {
    let address = Address {
        model: Some("models/gemini-2.5-flash"),
        stream: Some(false),
        events: true,
    };
    Gemini.read_request(body, &address).unwrap()
}

/// The path, the body, what was noted for the way back, and the losses.
fn written_for(request: &Request, model: &str) -> (String, String, Memo, Vec<String>) {
    let mut request = request.clone();
    let mut lost = Losses::new(request.from);
    repair(&mut request, &mut lost);
    let target = Target {
        provider: "google",
        model,
        quirks: &Quirks::default(),
    };
    let outgoing = Gemini.write_request(&request, &target, &mut lost).unwrap();
    let losses = lost
        .listed()
        .iter()
        .map(|loss| format!("{}: {}", loss.field, loss.reason))
        .collect();
    (
        outgoing.path,
        String::from_utf8(outgoing.body).unwrap(),
        outgoing.memo,
        losses,
    )
}

fn written(request: &Request) -> String {
    written_for(request, "gemini-2.5-flash").1
}

fn asked(events: bool) -> Asked {
    Asked {
        request: Request::new(Protocol::Gemini, "gemini-2.5-flash"),
        events,
        id: "req1".into(),
        now: 0,
    }
}

fn memo() -> Memo {
    Memo {
        provider: "google".into(),
        ..Memo::default()
    }
}

fn part_told(part: &Part) -> String {
    let signed = part
        .signature
        .as_ref()
        .map_or(String::new(), |signature| format!(" signed {}", signature.data));
    let told = match &part.content {
        Content::Text { text, citations } => {
            let cited: Vec<String> = citations
                .iter()
                .map(|citation| {
                    format!(
                        " [{}-{} {}]",
                        citation.start.unwrap_or(99),
                        citation.end.unwrap_or(99),
                        citation.url.as_deref().unwrap_or("?")
                    )
                })
                .collect();
            format!("text {text:?}{}", cited.concat())
        }
        Content::Reasoning { text, .. } => format!("reasoning {text:?}"),
        Content::ToolCall {
            id,
            name,
            input: ToolInput::Json(input),
            ..
        } => format!("call {id} {name} {input}"),
        Content::ToolResult {
            id,
            name,
            content,
            is_error,
            ..
        } => {
            let content: Vec<String> = content.iter().map(part_told).collect();
            format!(
                "result {id} {} {:?} [{}]",
                name.as_deref().unwrap_or("?"),
                is_error,
                content.join(", ")
            )
        }
        Content::Image { source, .. } => format!("image {}", media_told(source)),
        Content::Audio { source, .. } => format!("audio {}", media_told(source)),
        Content::Video { source } => format!("video {}", media_told(source)),
        Content::Document { source, .. } => format!("document {}", media_told(source)),
        Content::Foreign { kind, .. } => format!("foreign {kind}"),
        other => format!("{other:?}"),
    };
    format!("{told}{signed}")
}

fn media_told(source: &Media) -> String {
    match source {
        Media::Url { url, .. } => format!("at {url}"),
        Media::Data { mime, data, .. } => format!("{} {}", mime.as_deref().unwrap_or("?"), &data[..data.len().min(4)]),
        Media::File { id, .. } => format!("file {id}"),
        Media::Text { text, .. } => format!("text {text:?}"),
    }
}

fn finish_told(finish: &Finish) -> String {
    let message = finish
        .message
        .as_ref()
        .map_or(String::new(), |message| format!(" ({message})"));
    format!("{:?}{message}", finish.reason)
}

/// An answer as a line of text.
fn told(response: &Response) -> String {
    let candidates: Vec<String> = response
        .candidates
        .iter()
        .map(|candidate| {
            let parts: Vec<String> = candidate.parts.iter().map(part_told).collect();
            format!("{}; {}", parts.join(", "), finish_told(&candidate.finish))
        })
        .collect();
    candidates.join(" | ")
}

fn told_events(events: Vec<Event>) -> String {
    match crate::transcode::collected(events) {
        Ok(response) => told(&response),
        Err(error) => format!("error {:?} {:?}: {}", error.class, error.retry_after, error.message),
    }
}

fn told_conversation(request: &Request) -> String {
    let messages: Vec<String> = request
        .messages
        .iter()
        .map(|message| {
            let parts: Vec<String> = message.parts.iter().map(part_told).collect();
            format!("{:?}[{}]", message.role, parts.join(", "))
        })
        .collect();
    messages.join(" ")
}

fn call(id: &str, name: &str) -> Part {
    Content::ToolCall {
        id: id.into(),
        name: name.into(),
        namespace: None,
        input: ToolInput::Json("{}".into()),
    }
    .into()
}

fn result(id: &str, text: &str) -> Part {
    Content::ToolResult {
        id: id.into(),
        name: None,
        content: vec![Part::text(text)],
        is_error: None,
        custom: false,
    }
    .into()
}

fn refused(request: &Request, model: &str) -> String {
    let mut lost = Losses::new(request.from);
    let target = Target {
        provider: "google",
        model,
        quirks: &Quirks::default(),
    };
    Gemini
        .write_request(request, &target, &mut lost)
        .unwrap_err()
        .to_string()
}
