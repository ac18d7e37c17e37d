//! Every recorded request, answer, stream and error, translated to every protocol, is what it was when it was last looked at.
//!
//! An input is a file of `tests/golden`; adding a case is adding a file. What it becomes stands in `tests/snapshots`.
//! `UPDATE_GOLDEN=1 cargo test -p mynah-dialect --test golden` writes the snapshots anew: read the difference before
//! committing it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mynah_dialect::codec::{Address, Asked, Memo, Target, client_side, upstream_side};
use mynah_dialect::ir::Request;
use mynah_dialect::loss::Losses;
use mynah_dialect::quirks::Quirks;
use mynah_dialect::repair::repair;
use mynah_dialect::transcode::{Transcoder, translate_whole};
use mynah_dialect::{Protocol, tree};
use serde_json::Value;

/// Models whose names decide how a request is written, by the protocol of their provider.
fn models(protocol: Protocol) -> &'static [&'static str] {
    match protocol {
        Protocol::OpenaiChat | Protocol::OpenaiResponses => &["gpt-5"],
        Protocol::Anthropic => &["claude-3-7-sonnet-20250219", "claude-opus-4-6"],
        Protocol::Gemini => &["gemini-2.5-pro", "gemini-3-pro"],
        Protocol::Cohere => &["command-a-03-2025"],
    }
}

#[test]
fn requests() {
    check("requests", &["json"], |protocol, _, body| {
        let Some(client) = client_side(protocol) else {
            return String::new();
        };
        let address = Address {
            model: Some("asked-model"),
            stream: None,
            events: true,
        };
        let request = match client.read_request(body, &address) {
            Ok(request) => request,
            Err(malformed) => return format!("malformed: {malformed}\n"),
        };
        let mut out = String::new();
        for target in Protocol::ALL {
            for model in models(target) {
                write!(out, "=== {target} {model}\n{}", written(&request, target, model)).unwrap();
            }
        }
        out
    });
}

fn written(request: &Request, protocol: Protocol, model: &str) -> String {
    let (mut request, quirks) = (request.clone(), Quirks::default());
    let mut lost = Losses::new(request.from);
    if request.from != protocol {
        repair(&mut request, &mut lost);
    }
    let target = Target {
        provider: "golden",
        model,
        quirks: &quirks,
    };
    let outgoing = match upstream_side(protocol).write_request(&request, &target, &mut lost) {
        Ok(outgoing) => outgoing,
        Err(unsayable) => return format!("refused: {unsayable}\n"),
    };
    let mut out = format!("POST {}\n", outgoing.path);
    for (name, value) in &outgoing.headers {
        writeln!(out, "{name}: {value}").unwrap();
    }
    for loss in lost.listed() {
        writeln!(out, "lost {}: {}", loss.field, loss.reason).unwrap();
    }
    let mut tools: Vec<_> = outgoing.memo.tools.iter().collect();
    tools.sort_by_key(|(wire, _)| wire.as_str());
    for (wire, tool) in tools {
        writeln!(out, "tool {wire}: {tool:?}").unwrap();
    }
    if let Some(tool) = &outgoing.memo.answer_tool {
        writeln!(out, "answer tool: {tool}").unwrap();
    }
    out + &pretty(&outgoing.body)
}

#[test]
fn responses() {
    check("responses", &["json"], |protocol, _, body| {
        each_client(|client, asked| {
            let mut lost = Losses::new(client);
            let codec = client_side(client).unwrap();
            let translated = translate_whole(upstream_side(protocol), codec, body, memo(), asked, &mut lost);
            match translated {
                Ok((_, body)) => {
                    let mut out = String::new();
                    for loss in lost.listed() {
                        writeln!(out, "lost {}: {}", loss.field, loss.reason).unwrap();
                    }
                    out + &pretty(&body)
                }
                Err(error) => format!("{error:?}\n"),
            }
        })
    });
}

#[test]
fn streams() {
    check("streams", &["sse"], |protocol, _, body| {
        each_client(|client, asked| {
            let codec = client_side(client).unwrap();
            let mut transcoder = Transcoder::new(upstream_side(protocol), codec, memo(), asked);
            let mut out = transcoder.push(body).to_vec();
            out.extend_from_slice(&transcoder.finish());
            let mut bytewise = Transcoder::new(upstream_side(protocol), codec, memo(), asked);
            let mut same: Vec<u8> = body.iter().flat_map(|byte| bytewise.push(&[*byte])).collect();
            same.extend_from_slice(&bytewise.finish());
            let (out, same) = (String::from_utf8(out).unwrap(), String::from_utf8(same).unwrap());
            assert_eq!(out, same, "the chunking changes the stream");
            out
        })
    });
}

#[test]
fn errors() {
    check("errors", &["json", "html", "txt"], |protocol, name, body| {
        let status = name.split('-').next().and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("{name} does not begin with a status"));
        let error = upstream_side(protocol).read_error(status, body);
        let mut out = format!("{error:?}\n");
        for client in Protocol::ALL {
            let Some(codec) = client_side(client) else { continue };
            let (status, body) = codec.write_error(&error, "req_golden");
            write!(out, "=== {client} {status}\n{}", pretty(&body)).unwrap();
        }
        out
    });
}

fn memo() -> Memo {
    Memo {
        provider: "golden".to_owned(),
        ..Memo::default()
    }
}

fn each_client(translate: impl Fn(Protocol, &Asked) -> String) -> String {
    let mut out = String::new();
    for client in Protocol::ALL {
        if client_side(client).is_none() {
            continue;
        }
        let mut request = Request::new(client, "asked-model");
        request.stream = true;
        request.include_usage = true;
        let asked = Asked {
            request,
            events: true,
            id: "golden".to_owned(),
            now: 1_700_000_000,
        };
        write!(out, "=== {client}\n{}", translate(client, &asked)).unwrap();
    }
    out
}

fn pretty(body: &[u8]) -> String {
    // Numbers that a double cannot hold would change on the way through serde_json: those stand as they are written.
    let text = String::from_utf8(body.to_vec()).unwrap();
    let node = tree::Node::parse_text(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
    match serde_json::from_str::<Value>(node.raw()) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap() + "\n",
        Err(_) => text + "\n",
    }
}

/// Runs every input of a kind and compares the outcome with its snapshot.
fn check(kind: &str, extensions: &[&str], translate: impl Fn(Protocol, &str, &[u8]) -> String) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differing = Vec::new();
    let mut count = 0;
    for protocol in Protocol::ALL {
        for input in inputs(kind, protocol, extensions) {
            count += 1;
            let name = input.file_stem().unwrap().to_str().unwrap().to_owned();
            let outcome = translate(protocol, &name, &fs::read(&input).unwrap());
            let snapshot = snapshots(kind, protocol).join(format!("{name}.snap"));
            if update {
                fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
                fs::write(&snapshot, &outcome).unwrap();
            } else if fs::read_to_string(&snapshot).unwrap_or_default() != outcome {
                differing.push(first_difference(&snapshot, &outcome));
            }
        }
    }
    assert!(count > 0, "no {kind} at all");
    assert!(
        differing.is_empty(),
        "{} of {count} {kind} differ from their snapshots:\n{}",
        differing.len(),
        differing.join("\n")
    );
}

fn first_difference(snapshot: &Path, outcome: &str) -> String {
    let expected = fs::read_to_string(snapshot).unwrap_or_default();
    let mut lines = expected.lines().zip(outcome.lines()).enumerate();
    let different = lines.find(|(_, (before, now))| before != now);
    let shown = different.map_or("the length".to_owned(), |(line, (before, now))| {
        format!("line {}:\n    was {before}\n    is  {now}", line + 1)
    });
    format!("  {}, {shown}", snapshot.display())
}

fn snapshots(kind: &str, protocol: Protocol) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/snapshots")
        .join(kind)
        .join(protocol.name())
}

fn inputs(kind: &str, protocol: Protocol, extensions: &[&str]) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(kind)
        .join(protocol.name());
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let is_input = |path: &PathBuf| {
        path.extension()
            .is_some_and(|is| extensions.iter().any(|extension| is == *extension))
    };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).filter(is_input).collect();
    paths.sort();
    paths
}
