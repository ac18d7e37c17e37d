//! Answers to callers.

use super::{Answer, Content};
use crate::usage::Usage;
use crate::writer::{self, Object};

/// Writes the answer. What came as data stays data: there is no place where an address could point to.
pub(super) fn write(answer: &Answer, now: u64) -> Vec<u8> {
    let length = |content: &Content| match content {
        Content::Data(text) | Content::Address(text) => text.len() + 64,
    };
    let mut body = Vec::with_capacity(answer.pictures.iter().map(|picture| length(&picture.content)).sum());
    writer::object(&mut body, |it| {
        it.number("created", answer.created.unwrap_or(now));
        it.array("data", |it| {
            for picture in &answer.pictures {
                it.object(|it| {
                    match &picture.content {
                        Content::Data(data) => it.text("b64_json", data),
                        Content::Address(address) => it.text("url", address),
                    }
                    it.some_text("revised_prompt", picture.revised_prompt.as_deref());
                });
            }
        });
        let mime = answer.pictures.first().and_then(|picture| picture.mime.as_deref());
        it.some_text("output_format", mime.and_then(|mime| mime.strip_prefix("image/")));
        if let Some(usage) = &answer.usage {
            write_usage(*usage, it);
        }
    });
    body
}

fn write_usage(usage: Usage, it: &mut Object<'_>) {
    it.object("usage", |it| {
        it.number("input_tokens", usage.input);
        it.object("input_tokens_details", |it| {
            it.number("text_tokens", usage.input);
            it.number("image_tokens", 0u64);
        });
        it.number("output_tokens", usage.output);
        it.number("total_tokens", usage.input.saturating_add(usage.output));
    });
}
