//! Streamed answers.

use super::{Completion, Heading, add, finish_word, write_heading, write_response, write_usage};
use crate::codec::EventWriter;
use crate::ir::{Class, Content, Delta, Error, Event, FinishReason, Opened, Usage};
use crate::openai_chat::error::ErrorBody;
use crate::writer;

/// Writes the answers to all prompts, one after the other.
#[derive(Debug)]
pub(super) struct Writer {
    completion: Completion,
    heading: Heading,
    /// The prompt whose answer comes now.
    prompt: usize,
    voices: Vec<Voice>,
    current: Usage,
    sum: Usage,
    over: bool,
}

/// How far one choice has come.
#[derive(Clone, Copy, Debug, Default)]
struct Voice {
    /// What comes is text, not thoughts or arguments.
    speaks: bool,
    /// The prompt was repeated.
    echoed: bool,
}

impl EventWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => {
                self.voices = vec![Voice::default(); self.completion.n as usize];
                self.current = start.usage.clone().unwrap_or_default();
            }
            Event::PartStart { candidate, opened, .. } => self.open(*candidate, opened, out),
            Event::Delta {
                candidate,
                delta: Delta::Text(text),
                ..
            } => {
                if self.voice(*candidate).is_some_and(|voice| voice.speaks) {
                    self.say(*candidate, text, None, out);
                }
            }
            Event::Finish { finish, .. } if finish.reason == FinishReason::Error => {
                self.fail(&write_response::failure(finish.message.as_deref()), out);
            }
            Event::Finish { candidate, finish } => self.say(*candidate, "", Some(finish.reason), out),
            Event::Usage(usage) => self.current.merge(usage),
            Event::Error(error) => self.fail(error, out),
            Event::End => self.end(out),
            Event::Delta { .. } | Event::PartEnd { .. } | Event::Ping => {}
        }
    }
}

impl Writer {
    /// Nothing was said yet.
    pub(super) fn new(completion: &Completion, heading: Heading) -> Self {
        Self {
            completion: Completion {
                requests: Vec::new(),
                ..completion.clone()
            },
            heading,
            prompt: 0,
            voices: Vec::new(),
            current: Usage::default(),
            sum: Usage::default(),
            over: false,
        }
    }

    fn voice(&mut self, candidate: u32) -> Option<&mut Voice> {
        self.voices.get_mut(candidate as usize)
    }

    fn open(&mut self, candidate: u32, opened: &Opened, out: &mut Vec<u8>) {
        if let Some(voice) = self.voice(candidate) {
            voice.speaks = matches!(opened, Opened::Text | Opened::Refusal);
        }
        if let Opened::Whole(part) = opened
            && let Content::Text { text, .. } | Content::Refusal { text } = &part.content
        {
            self.say(candidate, text, None, out);
        }
    }

    /// Writes a piece of a choice, after its prompt if that is wanted.
    fn say(&mut self, candidate: u32, text: &str, finish: Option<FinishReason>, out: &mut Vec<u8>) {
        let Some(index) = self.completion.index(self.prompt, candidate) else {
            return;
        };
        let first = self
            .voice(candidate)
            .is_some_and(|voice| !std::mem::replace(&mut voice.echoed, true));
        if first
            && self.completion.echo
            && let Some(prompt) = self.completion.prompts.get(self.prompt)
        {
            self.chunk(index, prompt, None, out);
        }
        if !text.is_empty() || finish.is_some() {
            self.chunk(index, text, finish, out);
        }
    }

    fn chunk(&self, index: u64, text: &str, finish: Option<FinishReason>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"data: ");
        writer::object(out, |it| {
            write_heading(&self.completion, &self.heading, it);
            it.array("choices", |it| {
                it.object(|it| {
                    it.text("text", text);
                    it.number("index", index);
                    it.null("logprobs");
                    it.text_or_null("finish_reason", finish.map(finish_word));
                });
            });
            if self.completion.include_usage {
                it.null("usage");
            }
        });
        out.extend_from_slice(b"\n\n");
    }

    /// The answer to one prompt is whole.
    fn end(&mut self, out: &mut Vec<u8>) {
        add(&mut self.sum, &std::mem::take(&mut self.current));
        self.prompt += 1;
        if self.prompt < self.completion.prompts.len() {
            return;
        }
        self.over = true;
        if self.completion.include_usage {
            out.extend_from_slice(b"data: ");
            writer::object(out, |it| {
                write_heading(&self.completion, &self.heading, it);
                it.array("choices", |_| {});
                write_usage(&self.sum, it);
            });
            out.extend_from_slice(b"\n\n");
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// The stream ends with this: no `[DONE]` follows.
    fn fail(&mut self, error: &Error, out: &mut Vec<u8>) {
        self.over = true;
        let kind = match error.class {
            Class::RateLimited => "rate_limit_error",
            Class::Billing => "insufficient_quota",
            class if class.status() < 500 => "invalid_request_error",
            _ => "server_error",
        };
        let body = ErrorBody {
            message: &error.message,
            r#type: kind,
            param: error.param.as_deref(),
            code: error.code.as_deref(),
        };
        out.extend_from_slice(&body.to_event());
    }
}
