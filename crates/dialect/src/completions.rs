//! `POST /v1/completions`, OpenAI's older API, for models that only chat.
//!
//! Every prompt becomes a conversation of one message, so that a request with several prompts becomes several requests.
//! Their answers are numbered through: choice `k` of prompt `p` is number `p * n + k`.

mod read_request;
mod write_response;
mod write_stream;

#[cfg(test)]
mod tests;

use crate::codec::{EventWriter, Malformed};
use crate::ir::{Error, FinishReason, Request, Response, Usage};
use crate::loss::Losses;
use crate::writer::Object;

/// A request for completions.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The model as the caller named it.
    pub model: String,
    /// The prompts; never empty.
    pub prompts: Vec<String>,
    /// The request for each prompt.
    pub requests: Vec<Request>,
    /// The answers begin with their prompts.
    pub echo: bool,
    /// How many answers are wanted for each prompt.
    pub n: u32,
    /// Whether the answer should come as a stream.
    pub stream: bool,
    /// Whether the stream should tell its usage.
    pub include_usage: bool,
}

/// What an answer is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// Its id, such as `cmpl-…`.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

/// Reads a request. What a model that chats cannot do is noted, or refused where the caller relies on it.
pub fn read_request(body: &[u8], lost: &mut Losses) -> Result<Completion, Malformed> {
    read_request::read(body, lost)
}

impl Completion {
    /// Writes the answers to all prompts, in the order of the prompts. An answer that failed is an error.
    pub fn write_response(&self, answers: &[Response], heading: &Heading) -> Result<Vec<u8>, Error> {
        write_response::write(self, answers, heading)
    }

    /// A writer for the streamed answers. It takes the events of the first prompt's answer to their end, then those of
    /// the second's, and so on.
    pub fn event_writer(&self, heading: Heading) -> Box<dyn EventWriter> {
        Box::new(write_stream::Writer::new(self, heading))
    }

    /// The number of a choice; `None` for one that nobody asked for.
    fn index(&self, prompt: usize, candidate: u32) -> Option<u64> {
        (candidate < self.n).then(|| prompt as u64 * u64::from(self.n) + u64::from(candidate))
    }
}

/// The word for the end of an answer.
fn finish_word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length | FinishReason::ContextWindow => "length",
        FinishReason::ContentFilter => "content_filter",
        _ => "stop",
    }
}

/// What is the same in a whole answer and in every piece of one.
fn write_heading(completion: &Completion, heading: &Heading, it: &mut Object<'_>) {
    it.text("id", &heading.id);
    it.text("object", "text_completion");
    it.number("created", heading.created);
    it.text("model", &completion.model);
}

fn write_usage(usage: &Usage, it: &mut Object<'_>) {
    it.object("usage", |it| {
        it.number("prompt_tokens", usage.input.unwrap_or(0));
        it.number("completion_tokens", usage.output.unwrap_or(0));
        it.number("total_tokens", usage.total());
        if let Some(cached) = usage.cache_read {
            it.object("prompt_tokens_details", |it| it.number("cached_tokens", cached));
        }
        if let Some(reasoning) = usage.reasoning {
            it.object("completion_tokens_details", |it| {
                it.number("reasoning_tokens", reasoning);
            });
        }
    });
}

/// The counts of several answers together.
fn add(sum: &mut Usage, more: &Usage) {
    let counts = [
        (&mut sum.input, more.input),
        (&mut sum.output, more.output),
        (&mut sum.cache_read, more.cache_read),
        (&mut sum.reasoning, more.reasoning),
    ];
    for (count, more) in counts {
        *count = match (*count, more) {
            (Some(count), Some(more)) => Some(count.saturating_add(more)),
            (count, more) => count.or(more),
        };
    }
}
