//! Answers to callers.

use super::Answer;
use crate::usage::Usage;
use crate::writer::{self, Object};

/// Writes the answer. Pictures are always data: there is no place where an address could point to.
pub(super) fn write(answer: &Answer, created: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(answer.pictures.iter().map(|picture| picture.data.len() + 64).sum());
    writer::object(&mut body, |it| {
        it.number("created", created);
        it.array("data", |it| {
            for picture in &answer.pictures {
                it.object(|it| {
                    it.text("b64_json", &picture.data);
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
