//! Whole answers.

use super::{Completion, Heading, add, finish_word, write_heading, write_usage};
use crate::ir::{Candidate, Class, Content, Error, FinishReason, Response, Usage};
use crate::writer::{self, Array};

/// Writes the answers to all prompts.
pub(super) fn write(completion: &Completion, answers: &[Response], heading: &Heading) -> Result<Vec<u8>, Error> {
    let candidates = answers.iter().flat_map(|answer| &answer.candidates);
    if let Some(failed) = candidates
        .into_iter()
        .find(|it| it.finish.reason == FinishReason::Error)
    {
        return Err(failure(failed.finish.message.as_deref()));
    }
    let mut usage: Option<Usage> = None;
    for answer in answers {
        if let Some(more) = &answer.usage {
            add(usage.get_or_insert_default(), more);
        }
    }
    let mut body = Vec::with_capacity(512);
    writer::object(&mut body, |it| {
        write_heading(completion, heading, it);
        it.array("choices", |it| {
            for (prompt, answer) in answers.iter().enumerate() {
                for candidate in &answer.candidates {
                    choice(completion, prompt, candidate, it);
                }
            }
        });
        if let Some(usage) = &usage {
            write_usage(usage, it);
        }
    });
    Ok(body)
}

/// The error of an answer that ends in one.
pub(super) fn failure(message: Option<&str>) -> Error {
    Error::new(Class::Server, message.unwrap_or("The provider failed while answering."))
}

fn choice(completion: &Completion, prompt: usize, candidate: &Candidate, it: &mut Array<'_>) {
    let Some(index) = completion.index(prompt, candidate.index) else {
        return;
    };
    let mut text = String::new();
    if completion.echo {
        text.push_str(completion.prompts.get(prompt).map_or("", String::as_str));
    }
    for part in &candidate.parts {
        if let Content::Text { text: words, .. } | Content::Refusal { text: words } = &part.content {
            text.push_str(words);
        }
    }
    it.object(|it| {
        it.text("text", &text);
        it.number("index", index);
        it.null("logprobs");
        it.text("finish_reason", finish_word(candidate.finish.reason));
    });
}
