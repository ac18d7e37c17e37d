//! Writes a whole answer.

use super::{citations, usage, words};
use crate::codec::Asked;
use crate::field::Field;
use crate::ir::{Content, Finish, FinishReason, Part, Response, Signature, Usage};
use crate::loss::Losses;
use crate::protocol::Protocol;
use crate::signature::REDACTED;
use crate::writer::{self, Array, Object};

pub(super) fn write(response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
    let mut body = Vec::with_capacity(1024);
    if response.candidates.len() > 1 {
        lost.note(Field::Candidates, "only the first answer can be told");
    }
    let candidate = response.candidates.first();
    let parts = candidate.map_or(&[][..], |candidate| &candidate.parts);
    let finish = candidate.map(|candidate| &candidate.finish);
    if candidate.is_some_and(|candidate| !candidate.logprobs.is_empty()) {
        lost.note(Field::Logprobs, "not supported");
    }
    writer::object(&mut body, |it| {
        it.text("id", &message_id(&response.id, &asked.id));
        it.text("type", "message");
        it.text("role", "assistant");
        it.text("model", model(&response.model, &asked.request.model));
        it.array("content", |it| parts.iter().for_each(|part| write_part(it, part, lost)));
        match finish {
            Some(finish) => write_stop(it, finish),
            None => write_stop(it, &FinishReason::Stop.into()),
        }
        it.object("usage", |it| {
            let nothing = Usage::default();
            usage::write(it, response.usage.as_ref().unwrap_or(&nothing));
            it.text("service_tier", words::tier_to_answer(response.service_tier.as_deref()));
        });
    });
    body
}

/// The provider's id if it is one of this protocol.
pub(super) fn message_id(id: &str, asked: &str) -> String {
    if id.starts_with("msg_") {
        id.to_owned()
    } else {
        format!("msg_{asked}")
    }
}

/// The model that answers; the one that was asked where the provider does not say.
pub(super) fn model<'a>(model: &'a str, asked: &'a str) -> &'a str {
    if model.is_empty() { asked } else { model }
}

/// Writes the members that say why an answer ends.
pub(super) fn write_stop(it: &mut Object<'_>, finish: &Finish) {
    it.text_or_null("stop_reason", words::stop_reason(finish));
    it.text_or_null("stop_sequence", finish.stop_sequence.as_deref());
    if matches!(finish.reason, FinishReason::Refusal | FinishReason::ContentFilter) {
        it.object("stop_details", |it| {
            it.text("type", "refusal");
            it.null("category");
            it.text_or_null("explanation", finish.message.as_deref());
        });
    }
}

fn write_part(it: &mut Array<'_>, part: &Part, lost: &mut Losses) {
    match &part.content {
        Content::Text { text, citations } => {
            if citations.iter().any(|citation| !citations::can_be_written(citation)) {
                lost.note(Field::Citations, "a source without an address dropped");
            }
            write_text(it, text, |it| {
                if citations.iter().any(citations::can_be_written) {
                    it.array("citations", |it| citations::write_all(it, citations));
                }
            });
        }
        Content::Refusal { text } => write_text(it, text, |_| {}),
        Content::Reasoning { text, redacted, .. } => {
            write_reasoning(it, text, redacted.as_deref(), part.signature.as_ref());
        }
        Content::ToolCall {
            id,
            name,
            namespace,
            input,
        } => {
            if let Some(signature) = &part.signature {
                write_thinking(it, "", &proof_of_call(signature));
            }
            let (object, wrapped) = input.to_object();
            if wrapped {
                lost.note(Field::ToolArguments, "wrapped as an object");
            }
            it.object(|it| {
                it.text("type", "tool_use");
                it.text("id", id);
                it.text("name", &full_name(namespace.as_deref(), name));
                it.raw("input", &object);
            });
        }
        Content::Foreign { protocol, raw, .. } if *protocol == Protocol::Anthropic => it.raw(raw),
        Content::Foreign { .. } => lost.note(Field::HostedTool, "an item of another provider dropped"),
        other => {
            lost.note(Field::ImageData, "told as a text");
            write_text(it, &spoken(other), |_| {});
        }
    }
}

fn write_text(it: &mut Array<'_>, text: &str, rest: impl FnOnce(&mut Object<'_>)) {
    // Clients send back what they got, and an empty text is refused.
    if text.is_empty() {
        return;
    }
    it.object(|it| {
        it.text("type", "text");
        it.text("text", text);
        rest(it);
    });
}

fn write_reasoning(it: &mut Array<'_>, text: &str, redacted: Option<&str>, signature: Option<&Signature>) {
    if let Some(data) = redacted_data(redacted, signature) {
        return it.object(|it| {
            it.text("type", "redacted_thinking");
            it.text("data", &data);
        });
    }
    let proof = signature.map(|proof| proof.enclose(Protocol::Anthropic));
    if !text.is_empty() || proof.is_some() {
        write_thinking(it, text, proof.as_deref().unwrap_or_default());
    }
}

fn write_thinking(it: &mut Array<'_>, text: &str, signature: &str) {
    it.object(|it| {
        it.text("type", "thinking");
        it.text("thinking", text);
        it.text("signature", signature);
    });
}

/// What a `redacted_thinking` block carries, if the part is one.
pub(super) fn redacted_data(redacted: Option<&str>, signature: Option<&Signature>) -> Option<String> {
    match (redacted, signature) {
        (_, Some(proof)) if proof.item.as_deref() == Some(REDACTED) => Some(proof.enclose(Protocol::Anthropic)),
        (Some(data), None) => Some(data.to_owned()),
        _ => None,
    }
}

/// The proof of a call as it travels in a block of thoughts before the call.
pub(super) fn proof_of_call(signature: &Signature) -> String {
    let mut carried = signature.clone();
    carried.for_call = true;
    carried.enclose(Protocol::Anthropic)
}

/// A tool's name with the group that it belongs to.
pub(super) fn full_name(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}__{name}"))
}

/// What can be said of a part that the protocol has no block for.
pub(super) fn spoken(content: &Content) -> String {
    match content {
        Content::Text { text, .. } | Content::Refusal { text } => text.clone(),
        Content::Audio {
            transcript: Some(transcript),
            ..
        } => transcript.clone(),
        Content::Image { source, .. } => match source {
            crate::ir::Media::Url { url, .. } => format!("![image]({url})"),
            _ => "[an image]".to_owned(),
        },
        Content::Audio { .. } => "[a sound]".to_owned(),
        Content::Video { .. } => "[a film]".to_owned(),
        _ => "[a document]".to_owned(),
    }
}
