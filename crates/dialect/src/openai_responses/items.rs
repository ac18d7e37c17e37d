//! The items of an answer as JSON.

use super::OWN;
use crate::ir::{Citation, TokenChance, TokenLogprob};
use crate::raw::Raw;
use crate::writer::{Array, Object, raw_object};

/// The kinds of items that are made here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemKind {
    Message,
    Reasoning,
    Function,
    Custom,
    Image,
}

/// The id of an item: made of the request's own id and the item's number. Clients check the beginning.
pub(super) fn item_id(kind: ItemKind, seed: &str, number: usize) -> String {
    let prefix = match kind {
        ItemKind::Message => "msg",
        ItemKind::Reasoning => "rs",
        ItemKind::Function => "fc",
        ItemKind::Custom => "ctc",
        ItemKind::Image => "ig",
    };
    format!("{prefix}_{seed}{number}")
}

/// The id of a response: the provider's own if it looks like one.
pub(super) fn response_id(given: &str, seed: &str) -> String {
    if given.starts_with("resp_") && given.len() > 5 {
        given.to_owned()
    } else {
        format!("resp_{seed}")
    }
}

/// What ids are made of: letters and digits only.
pub(super) fn seed_of(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// A part of a message: text.
pub(super) fn text_part(text: &str, annotations: &[Raw], logprobs: &[TokenLogprob]) -> Raw {
    raw_object(|it| {
        it.text("type", "output_text");
        it.text("text", text);
        it.array("annotations", |it| annotations.iter().for_each(|one| it.raw(one)));
        it.array("logprobs", |it| write_logprobs(it, logprobs));
    })
}

/// A part of a message: the words of a refusal.
pub(super) fn refusal_part(text: &str) -> Raw {
    raw_object(|it| {
        it.text("type", "refusal");
        it.text("refusal", text);
    })
}

/// A message.
pub(super) fn message(id: &str, status: &str, content: &[Raw]) -> Raw {
    raw_object(|it| {
        it.text("id", id);
        it.text("type", "message");
        it.text("status", status);
        it.text("role", "assistant");
        it.array("content", |it| content.iter().for_each(|part| it.raw(part)));
    })
}

/// A reasoning item.
pub(super) fn reasoning(id: &str, status: &str, text: &str, sealed: Option<&str>) -> Raw {
    raw_object(|it| {
        it.text("id", id);
        it.text("type", "reasoning");
        it.array("summary", |it| {
            if !text.is_empty() {
                it.object(|it| summary_part(it, text));
            }
        });
        it.some_text("encrypted_content", sealed);
        it.text("status", status);
    })
}

/// The members of a part of a summary.
pub(super) fn summary_part(it: &mut Object<'_>, text: &str) {
    it.text("type", "summary_text");
    it.text("text", text);
}

/// A picture that the model made.
pub(super) fn image(id: &str, status: &str, result: Option<&str>) -> Raw {
    raw_object(|it| {
        it.text("id", id);
        it.text("type", "image_generation_call");
        it.text("status", status);
        it.text_or_null("result", result);
    })
}

/// A tool call.
#[derive(Debug)]
pub(super) struct CallItem {
    pub(super) call_id: String,
    pub(super) name: String,
    pub(super) namespace: Option<String>,
    pub(super) custom: bool,
    pub(super) input: String,
}

impl CallItem {
    /// The item, with this much of its input.
    pub(super) fn write(&self, id: &str, status: &str, input: &str) -> Raw {
        raw_object(|it| {
            it.text("id", id);
            it.text(
                "type",
                if self.custom {
                    "custom_tool_call"
                } else {
                    "function_call"
                },
            );
            it.text("status", status);
            it.text("call_id", &self.call_id);
            it.text("name", &self.name);
            it.some_text("namespace", self.namespace.as_deref());
            it.text(if self.custom { "input" } else { "arguments" }, input);
        })
    }
}

/// A citation as an annotation; `None` when it cites no page. `end` is where the text has come to, in characters.
pub(super) fn annotation(citation: &Citation, end: usize) -> Option<Raw> {
    if let Some((protocol, raw)) = &citation.raw
        && *protocol == OWN
    {
        return Some(raw.clone());
    }
    let url = citation.url.as_deref()?;
    Some(raw_object(|it| {
        it.text("type", "url_citation");
        it.number("start_index", citation.start.unwrap_or(0));
        it.number("end_index", citation.end.unwrap_or(end as u64));
        it.text("url", url);
        it.text("title", citation.title.as_deref().unwrap_or(url));
    }))
}

/// Writes token probabilities.
pub(super) fn write_logprobs(it: &mut Array<'_>, logprobs: &[TokenLogprob]) {
    for token in logprobs {
        it.object(|it| {
            write_chance(it, &token.chosen);
            it.array("top_logprobs", |it| {
                token
                    .top
                    .iter()
                    .for_each(|chance| it.object(|it| write_chance(it, chance)));
            });
        });
    }
}

fn write_chance(it: &mut Object<'_>, chance: &TokenChance) {
    it.text("token", &chance.token);
    it.float("logprob", chance.logprob);
    let bytes = chance.bytes.as_deref().unwrap_or(chance.token.as_bytes());
    it.array("bytes", |it| bytes.iter().for_each(|byte| it.number(*byte)));
}
