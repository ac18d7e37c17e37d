//! Writes whole answers.

use std::ops::Range;

use super::read_request::LEGACY;
use super::{details, logprobs, usage, words};
use crate::Protocol;
use crate::codec::Asked;
use crate::field::Field;
use crate::ir::{Candidate, Citation, Content, FinishReason, Media, Part, Response, Show, Signature, ToolInput};
use crate::loss::Losses;
use crate::writer::{self, Array, Object};

/// For how long a sound that was made can be referred to, as far as the client is told, in seconds.
const SOUND_LIVES: u64 = 3600;

/// What the caller wants of an answer beside its text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// It knows `function_call`, but not tools.
    pub(super) legacy: bool,
    /// It wants to see thoughts.
    pub(super) thoughts: bool,
    /// It knows `reasoning_details` and sends them back.
    pub(super) details: bool,
}

impl Wishes {
    pub(super) fn of(asked: &Asked) -> Self {
        let reasoning = asked.request.reasoning.as_ref();
        let thoughts = reasoning.is_none_or(|reasoning| reasoning.show != Show::Nothing);
        Self {
            legacy: asked.request.extra.get(LEGACY).is_some(),
            thoughts,
            details: thoughts && reasoning.is_some_and(|reasoning| reasoning.encrypted),
        }
    }
}

/// Writes a whole answer.
pub(super) fn write(response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
    let wishes = Wishes::of(asked);
    let mut body = Vec::with_capacity(1024);
    writer::object(&mut body, |it| {
        it.text("id", &id_of(&response.id, asked));
        it.text("object", "chat.completion");
        it.number("created", response.created.unwrap_or(asked.now));
        it.text("model", model_of(&response.model, asked));
        it.array("choices", |items| {
            for (index, candidate) in response.candidates.iter().enumerate() {
                items.object(|it| write_choice(it, index, candidate, asked, wishes, lost));
            }
        });
        if let Some(counts) = &response.usage {
            it.object("usage", |it| usage::write(counts, it));
        }
        it.some_text("service_tier", response.service_tier.as_deref());
        it.null("system_fingerprint");
    });
    body
}

/// The provider's id, or one of ours.
pub(super) fn id_of(id: &str, asked: &Asked) -> String {
    if id.is_empty() {
        format!("chatcmpl-{}", asked.id)
    } else {
        id.to_owned()
    }
}

/// The model that answered, or the one that was asked.
pub(super) fn model_of<'a>(model: &'a str, asked: &'a Asked) -> &'a str {
    if model.is_empty() { &asked.request.model } else { model }
}

fn write_choice(
    it: &mut Object<'_>,
    index: usize,
    candidate: &Candidate,
    asked: &Asked,
    wishes: Wishes,
    lost: &mut Losses,
) {
    let said = Said::of(candidate, wishes, lost);
    it.number("index", index);
    it.object("message", |it| write_message(it, &said, asked, wishes));
    if candidate.logprobs.is_empty() {
        it.null("logprobs");
    } else {
        let of_refusal = said.text.is_none() && said.refusal.is_some();
        it.object("logprobs", |it| logprobs::write(it, &candidate.logprobs, of_refusal));
    }
    let reason = candidate.finish.reason;
    if reason == FinishReason::Pause {
        lost.note_named("stop_reason", "the pause of a long turn is told as its end");
    }
    let legacy = wishes.legacy && !said.calls.is_empty();
    it.text(
        "finish_reason",
        words::finish_word(reason, said.refusal.is_some(), legacy),
    );
}

/// What a candidate says, sorted into this protocol's places.
#[derive(Default)]
struct Said<'r> {
    text: Option<String>,
    refusal: Option<String>,
    thoughts: String,
    reasoning: Vec<&'r Part>,
    /// Each with the part of the text, in letters, in which it stands.
    citations: Vec<(Range<u64>, &'r Citation)>,
    sound: Option<&'r Content>,
    pictures: Vec<&'r Media>,
    calls: Vec<&'r Part>,
}

impl<'r> Said<'r> {
    fn of(candidate: &'r Candidate, wishes: Wishes, lost: &mut Losses) -> Self {
        let mut said = Self::default();
        for part in &candidate.parts {
            match &part.content {
                Content::Text { text, citations } => {
                    let whole = said.text.get_or_insert_default();
                    let start = letters(whole);
                    whole.push_str(text);
                    let part = start..start + letters(text);
                    said.citations
                        .extend(citations.iter().map(|citation| (part.clone(), citation)));
                }
                Content::Refusal { text } => said.refusal.get_or_insert_default().push_str(text),
                Content::Reasoning { text, .. } if wishes.thoughts => {
                    if !text.is_empty() && !said.thoughts.is_empty() {
                        said.thoughts.push_str("\n\n");
                    }
                    said.thoughts.push_str(text);
                    said.reasoning.push(part);
                }
                Content::Reasoning { .. } => {}
                Content::ToolCall { .. } => said.calls.push(part),
                Content::Audio { .. } if said.sound.is_none() => said.sound = Some(&part.content),
                Content::Image { source, .. } => said.pictures.push(source),
                _ => lost.note(Field::HostedTool, "not supported in answers"),
            }
        }
        if wishes.legacy && said.calls.len() > 1 {
            said.calls.truncate(1);
            lost.note(Field::ParallelTools, "only the first call");
        }
        let is_filtered = matches!(
            candidate.finish.reason,
            FinishReason::ContentFilter | FinishReason::Refusal
        );
        if candidate.parts.is_empty() && is_filtered {
            said.refusal.clone_from(&candidate.finish.message);
        }
        said
    }
}

fn write_message(it: &mut Object<'_>, said: &Said<'_>, asked: &Asked, wishes: Wishes) {
    it.text("role", "assistant");
    let is_silent = said.calls.is_empty() && said.refusal.is_none() && said.sound.is_none();
    // Null beside calls, as OpenAI does; but a plain answer is always a text.
    it.text_or_null("content", said.text.as_deref().or(is_silent.then_some("")));
    if !said.thoughts.is_empty() {
        it.text("reasoning_content", &said.thoughts);
    }
    if wishes.details && !said.reasoning.is_empty() {
        it.array("reasoning_details", |items| {
            for (index, part) in (0..).zip(&said.reasoning) {
                let (text, hidden) = shown(part);
                let proof = details::proof_of(part);
                items.object(|it| details::write(it, index, text, proof.as_ref(), hidden));
            }
        });
    }
    it.text_or_null("refusal", said.refusal.as_deref());
    it.array("annotations", |items| {
        for (part, citation) in &said.citations {
            write_annotation(items, citation, None, part);
        }
    });
    if let Some(sound) = said.sound {
        it.object("audio", |it| write_sound(it, sound, asked));
    }
    if !said.pictures.is_empty() {
        it.array("images", |items| {
            for (index, picture) in (0..).zip(&said.pictures) {
                items.object(|it| write_picture(it, index, picture));
            }
        });
    }
    write_calls(it, said, wishes);
}

fn write_calls(it: &mut Object<'_>, said: &Said<'_>, wishes: Wishes) {
    if wishes.legacy {
        if let Some(Content::ToolCall { name, input, .. }) = said.calls.first().map(|part| &part.content) {
            it.object("function_call", |it| {
                it.text("name", name);
                it.text("arguments", &input.to_text());
            });
        }
    } else if !said.calls.is_empty() {
        it.array("tool_calls", |items| {
            for part in &said.calls {
                items.object(|it| write_call(it, part));
            }
        });
    }
}

fn write_call(it: &mut Object<'_>, part: &Part) {
    let Content::ToolCall { id, name, input, .. } = &part.content else {
        return;
    };
    it.text("id", id);
    match input {
        ToolInput::Text(text) => {
            it.text("type", "custom");
            it.object("custom", |it| {
                it.text("name", name);
                it.text("input", text);
            });
        }
        ToolInput::Json(_) => {
            it.text("type", "function");
            it.object("function", |it| {
                it.text("name", name);
                it.text("arguments", &input.to_text());
            });
        }
    }
    write_proof(it, part.signature.as_ref());
}

/// Writes the proof of a call where Google puts it and SDKs echo it.
pub(super) fn write_proof(it: &mut Object<'_>, proof: Option<&Signature>) {
    if let Some(proof) = proof {
        it.object("extra_content", |it| {
            it.object("google", |it| {
                it.text("thought_signature", &proof.enclose(Protocol::OpenaiChat));
            });
        });
    }
}

/// The text of a reasoning part, and whether there is none.
pub(super) fn shown(part: &Part) -> (Option<&str>, bool) {
    match &part.content {
        Content::Reasoning { text, .. } if !text.is_empty() => (Some(text), false),
        _ => (None, true),
    }
}

/// How many letters there are in a text.
fn letters(text: &str) -> u64 {
    text.chars().count() as u64
}

/// Writes a citation if it is one of a page: the API knows no others, and its clients want every member. `index` is for
/// streams, whose accumulators want one. It is of that part of the text, in letters, unless it says of which.
pub(super) fn write_annotation(items: &mut Array<'_>, citation: &Citation, index: Option<u32>, part: &Range<u64>) {
    let Some(url) = citation.url.as_deref() else {
        return;
    };
    let start = citation.start.unwrap_or(part.start);
    items.object(|it| {
        it.some_number("index", index);
        it.text("type", "url_citation");
        it.object("url_citation", |it| {
            it.number("start_index", start);
            it.number("end_index", citation.end.unwrap_or(part.end).max(start));
            it.text("title", citation.title.as_deref().unwrap_or(url));
            it.text("url", url);
            it.some_text("content", citation.cited.as_deref());
        });
    });
}

/// Writes the members of a sound.
pub(super) fn write_sound(it: &mut Object<'_>, sound: &Content, asked: &Asked) {
    let Content::Audio {
        source, transcript, id, ..
    } = sound
    else {
        return;
    };
    let made = format!("audio_{}", asked.id);
    it.text("id", id.as_deref().unwrap_or(&made));
    match source {
        Media::Data { data, .. } => it.text("data", data),
        _ => it.text("data", ""),
    }
    it.number("expires_at", asked.now.saturating_add(SOUND_LIVES));
    it.text("transcript", transcript.as_deref().unwrap_or_default());
}

/// Writes the members of a picture, as OpenRouter does.
pub(super) fn write_picture(it: &mut Object<'_>, index: u32, picture: &Media) {
    it.number("index", index);
    it.text("type", "image_url");
    it.object("image_url", |it| {
        it.text("url", &picture.to_url("image/png").unwrap_or_default());
    });
}
