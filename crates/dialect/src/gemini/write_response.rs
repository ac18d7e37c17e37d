//! Writes a whole answer.

use super::citations::write_citations;
use super::logprobs::write_logprobs;
use super::usage::write_usage;
use super::words;
use super::write_media::Blob;
use crate::codec::Asked;
use crate::field::Field;
use crate::ir::{Candidate, Content, Extra, Finish, Part, Request, Response, Show, Signature};
use crate::loss::Losses;
use crate::protocol::Protocol;
use crate::raw::Raw;
use crate::writer::{self, Array, Object};

/// Writes an answer for a client.
pub(super) fn write_response(response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    let blocked = blocked(&response.candidates);
    writer::object(&mut body, |it| {
        if let Some(finish) = blocked {
            write_block(it, finish);
        } else {
            it.array("candidates", |it| {
                for candidate in &response.candidates {
                    it.object(|it| write_candidate(it, candidate, asked, lost));
                }
            });
        }
        if let Some(usage) = &response.usage {
            write_usage(it, usage);
        }
        write_names(it, &response.model, &response.id, asked);
    });
    body
}

/// The end of an answer in which a filter let nothing be said.
fn blocked(candidates: &[Candidate]) -> Option<&Finish> {
    match candidates {
        [only] if only.parts.is_empty() && words::block_word(&only.finish).is_some() => Some(&only.finish),
        _ => None,
    }
}

/// Writes a `promptFeedback`.
pub(super) fn write_block(it: &mut Object<'_>, finish: &Finish) {
    it.object("promptFeedback", |it| {
        it.text("blockReason", words::block_word(finish).unwrap_or("SAFETY"));
        it.some_text("blockReasonMessage", finish.message.as_deref());
    });
}

/// Writes the model and the id.
pub(super) fn write_names(it: &mut Object<'_>, model: &str, id: &str, asked: &Asked) {
    it.text(
        "modelVersion",
        if model.is_empty() { &asked.request.model } else { model },
    );
    it.text("responseId", if id.is_empty() { &asked.id } else { id });
}

fn write_candidate(it: &mut Object<'_>, candidate: &Candidate, asked: &Asked, lost: &mut Losses) {
    it.object("content", |it| {
        it.text("role", "model");
        it.array("parts", |it| {
            for part in &candidate.parts {
                write_part(it, part, shows_thoughts(&asked.request), lost);
            }
        });
    });
    write_finish(it, &candidate.finish);
    it.number("index", candidate.index);
    let texts = candidate.parts.iter().filter_map(|part| match &part.content {
        Content::Text { text, citations } => Some((text.as_str(), citations)),
        _ => None,
    });
    let (texts, citations): (Vec<_>, Vec<_>) = texts.unzip();
    write_citations(it, citations.into_iter().flatten(), &texts.concat());
    write_logprobs(it, &candidate.logprobs);
}

/// Writes why a candidate ends.
pub(super) fn write_finish(it: &mut Object<'_>, finish: &Finish) {
    it.text("finishReason", words::finish_word(finish));
    it.some_text("finishMessage", finish.message.as_deref());
}

/// Whether the caller wants to see thoughts.
pub(super) fn shows_thoughts(request: &Request) -> bool {
    !request
        .reasoning
        .as_ref()
        .is_some_and(|reasoning| reasoning.show == Show::Nothing)
}

fn write_part(it: &mut Array<'_>, part: &Part, shows_thoughts: bool, lost: &mut Losses) {
    let proof = part.signature.as_ref();
    match &part.content {
        Content::Text { text, .. } | Content::Refusal { text } => {
            if !text.is_empty() || proof.is_some() {
                write_text(it, text, false, proof);
            }
        }
        Content::Reasoning { text, redacted, .. } => {
            if redacted.is_some() && proof.is_none() {
                lost.note(Field::ReasoningHistory, "hidden thoughts have no counterpart");
            }
            let text = if shows_thoughts { text.as_str() } else { "" };
            if !text.is_empty() || proof.is_some() {
                write_text(it, text, !text.is_empty(), proof);
            }
        }
        Content::ToolCall { id, name, input, .. } => {
            let (args, wrapped) = input.to_object();
            if wrapped {
                lost.note(Field::ToolArguments, "wrapped in an object");
            }
            write_call(it, id, name, &args, proof);
        }
        Content::ToolResult { .. } => lost.note(Field::HostedTool, "no counterpart in an answer"),
        other => {
            if !write_whole(it, other, proof) {
                lost.note(Field::HostedTool, "a part that only its provider knows");
            }
        }
    }
}

/// Writes a text or a thought.
pub(super) fn write_text(it: &mut Array<'_>, text: &str, thought: bool, proof: Option<&Signature>) {
    it.object(|it| {
        it.text("text", text);
        if thought {
            it.bool("thought", true);
        }
        write_proof(it, proof);
    });
}

/// Writes a call.
pub(super) fn write_call(it: &mut Array<'_>, id: &str, name: &str, args: &Raw, proof: Option<&Signature>) {
    it.object(|it| {
        it.object("functionCall", |it| {
            it.text("id", id);
            it.text("name", name);
            it.raw("args", args);
        });
        write_proof(it, proof);
    });
}

/// Writes media, and what only Gemini knows; `false` when it is neither.
pub(super) fn write_whole(it: &mut Array<'_>, content: &Content, proof: Option<&Signature>) -> bool {
    if let Content::Foreign {
        protocol: Protocol::Gemini,
        raw,
        ..
    } = content
    {
        it.object(|it| {
            for (name, value) in raw.node().members() {
                it.raw(name, &value.to_raw());
            }
            write_proof(it, proof);
        });
        return true;
    }
    let Some(blob) = Blob::of(content) else {
        return false;
    };
    it.object(|it| {
        blob.write(it, Some(&Extra::default()));
        write_proof(it, proof);
    });
    if let Content::Audio {
        transcript: Some(words),
        ..
    } = content
    {
        write_text(it, words, false, None);
    }
    true
}

fn write_proof(it: &mut Object<'_>, proof: Option<&Signature>) {
    let enclosed = proof.map(|proof| proof.enclose(Protocol::Gemini));
    it.some_text("thoughtSignature", enclosed.as_deref());
}
