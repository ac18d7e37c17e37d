//! Writes a streamed answer.
//!
//! Google's SDK does not read server-sent events but lines that begin with `data: `: a comment or an `event:` line breaks
//! it, so there is none, and no marker at the end. Callers who did not ask for events get a JSON array instead.

use super::citations::write_citations;
use super::error::write_error_member;
use super::logprobs::write_logprobs;
use super::usage::write_usage;
use super::words;
use super::write_response::{
    shows_thoughts, write_block, write_call, write_finish, write_names, write_text, write_whole,
};
use crate::codec::{Asked, EventWriter};
use crate::ir::{
    Citation, Content, Delta, Event, Finish, Opened, Part, Signature, Start, TokenLogprob, ToolInput, Usage,
};
use crate::writer::{self, Array, Object};

/// Speaks one stream.
#[derive(Debug)]
pub(super) struct Writer {
    asked: Asked,
    start: Start,
    usage: Option<Usage>,
    candidates: Vec<Told>,
    /// The array has begun.
    begun: bool,
    over: bool,
}

/// The most text that is kept for the places that citations name.
const MAX_REMEMBERED: usize = 256 * 1024;

/// What was told of a candidate.
#[derive(Debug, Default)]
struct Told {
    index: u32,
    open: Open,
    /// The text so far: places in it are told in bytes.
    text: String,
    said_anything: bool,
    citations: Vec<Citation>,
}

impl Told {
    /// Keeps text for the places in it. Beyond the limit, citations have no place: a stream may be of any length.
    fn remember(&mut self, text: &str) {
        if self.text.len() + text.len() <= MAX_REMEMBERED {
            self.text.push_str(text);
        }
    }
}

/// The part that is open.
#[derive(Debug, Default)]
enum Open {
    #[default]
    Text,
    /// Thoughts, and whether any were told.
    Thought(bool),
    Call {
        id: String,
        name: String,
        custom: bool,
        arguments: String,
        proof: Option<Signature>,
    },
}

impl Writer {
    pub(super) fn new(asked: &Asked) -> Self {
        Self {
            asked: asked.clone(),
            start: Start::default(),
            usage: None,
            candidates: Vec::new(),
            begun: false,
            over: false,
        }
    }

    fn told(&mut self, index: u32) -> &mut Told {
        let known = self.candidates.iter().position(|told| told.index == index);
        let at = known.unwrap_or_else(|| {
            self.candidates.push(Told {
                index,
                ..Told::default()
            });
            self.candidates.len() - 1
        });
        &mut self.candidates[at]
    }

    fn open(&mut self, candidate: u32, opened: &Opened, out: &mut Vec<u8>) {
        let told = self.told(candidate);
        match opened {
            Opened::Text | Opened::Refusal => told.open = Open::Text,
            Opened::Reasoning { .. } => told.open = Open::Thought(false),
            Opened::ToolCall {
                id,
                name,
                custom,
                signature,
                ..
            } => {
                told.open = Open::Call {
                    id: id.clone(),
                    name: name.clone(),
                    custom: *custom,
                    arguments: String::new(),
                    proof: signature.clone(),
                };
            }
            Opened::Whole(part) => self.whole(candidate, part, out),
        }
    }

    fn whole(&mut self, candidate: u32, part: &Part, out: &mut Vec<u8>) {
        let proof = part.signature.as_ref();
        let shown = shows_thoughts(&self.asked.request);
        if let Content::Text { text, citations } = &part.content {
            let told = self.told(candidate);
            told.remember(text);
            told.citations.extend_from_slice(citations);
        }
        let mut parts = Vec::new();
        writer::array(&mut parts, |it| match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => write_text(it, text, false, proof),
            Content::Reasoning { text, .. } if (shown && !text.is_empty()) || proof.is_some() => {
                let text = if shown { text.as_str() } else { "" };
                write_text(it, text, !text.is_empty(), proof);
            }
            other => {
                // What has no counterpart cannot be declared lost any more.
                write_whole(it, other, proof);
            }
        });
        if parts != b"[]" {
            let raw = crate::raw::Raw::of_valid(&String::from_utf8(parts).unwrap_or_default());
            self.chunk(candidate, out, |it| it.raw("parts", &raw));
        }
    }

    fn delta(&mut self, candidate: u32, delta: &Delta, out: &mut Vec<u8>) {
        let hides_thoughts = !shows_thoughts(&self.asked.request);
        let told = self.told(candidate);
        match (delta, &mut told.open) {
            (Delta::Arguments(more), Open::Call { arguments, .. }) => arguments.push_str(more),
            (Delta::Text(_), Open::Thought(_)) if hides_thoughts => {}
            (Delta::Text(text), open) => {
                let thought = matches!(open, Open::Thought(_));
                if let Open::Thought(told_any) = open {
                    *told_any = true;
                } else {
                    told.remember(text);
                }
                self.parts(candidate, out, |it| write_text(it, text, thought, None));
            }
            (Delta::Signature(proof), open) => {
                let thought = matches!(open, Open::Thought(true));
                self.parts(candidate, out, |it| write_text(it, "", thought, Some(proof)));
            }
            (Delta::Citation(citation), _) => told.citations.push(citation.clone()),
            (Delta::Logprobs(logprobs), _) => self.logprobs(candidate, logprobs, out),
            (Delta::Arguments(_), _) => {}
        }
    }

    fn logprobs(&mut self, candidate: u32, logprobs: &[TokenLogprob], out: &mut Vec<u8>) {
        self.frame(out, |it, _| {
            it.array("candidates", |it| {
                it.object(|it| {
                    write_empty(it);
                    it.number("index", candidate);
                    write_logprobs(it, logprobs);
                });
            });
        });
    }

    fn end_part(&mut self, candidate: u32, out: &mut Vec<u8>) {
        let Open::Call {
            id,
            name,
            custom,
            arguments,
            proof,
        } = std::mem::take(&mut self.told(candidate).open)
        else {
            return;
        };
        let input = if custom { ToolInput::Text } else { ToolInput::Json };
        let (args, _) = input(arguments).to_object();
        self.parts(candidate, out, |it| write_call(it, &id, &name, &args, proof.as_ref()));
    }

    fn finish(&mut self, candidate: u32, finish: &Finish, out: &mut Vec<u8>) {
        let only = self.candidates.len() <= 1;
        let told = std::mem::take(self.told(candidate));
        let blocked = only && !told.said_anything && words::block_word(finish).is_some();
        self.frame(out, |it, usage| {
            if blocked {
                write_block(it, finish);
            } else {
                it.array("candidates", |it| {
                    it.object(|it| {
                        write_empty(it);
                        write_finish(it, finish);
                        it.number("index", candidate);
                        write_citations(it, told.citations.iter(), &told.text);
                    });
                });
            }
            if let Some(usage) = usage {
                write_usage(it, usage);
            }
        });
    }

    /// Writes a chunk with parts of a candidate.
    fn parts(&mut self, candidate: u32, out: &mut Vec<u8>, fill: impl FnOnce(&mut Array<'_>)) {
        self.chunk(candidate, out, |it| it.array("parts", fill));
    }

    fn chunk(&mut self, candidate: u32, out: &mut Vec<u8>, content: impl FnOnce(&mut Object<'_>)) {
        self.told(candidate).said_anything = true;
        self.frame(out, |it, _| {
            it.array("candidates", |it| {
                it.object(|it| {
                    it.object("content", |it| {
                        it.text("role", "model");
                        content(it);
                    });
                    it.number("index", candidate);
                });
            });
        });
    }

    /// Writes one chunk, as an event or as an element of the array.
    fn frame(&mut self, out: &mut Vec<u8>, fill: impl FnOnce(&mut Object<'_>, Option<&Usage>)) {
        self.begin_element(out);
        let begin = out.len();
        writer::object(out, |it| {
            fill(it, self.usage.as_ref());
            write_names(it, &self.start.model, &self.start.id, &self.asked);
        });
        // Arguments come as the model spelled them, perhaps on several lines; an event has but one.
        for byte in out.iter_mut().skip(begin).filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
        self.end_element(out);
    }

    fn begin_element(&mut self, out: &mut Vec<u8>) {
        let opening: &[u8] = match (self.asked.events, self.begun) {
            (true, _) => b"data: ",
            (false, false) => b"[",
            (false, true) => b",\n",
        };
        out.extend_from_slice(opening);
        self.begun = true;
    }

    fn end_element(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.asked.events { b"\n\n" } else { b"\n" });
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        if !self.asked.events {
            out.extend_from_slice(if self.begun { b"]" } else { b"[]" });
        }
        self.over = true;
    }
}

/// Writes a content in which nothing is said, as Gemini ends its streams: the SDK takes a candidate without parts for a
/// broken answer.
fn write_empty(it: &mut Object<'_>) {
    it.object("content", |it| {
        it.text("role", "model");
        it.array("parts", |it| write_text(it, "", false, None));
    });
}

impl EventWriter for Writer {
    fn write(&mut self, event: &Event, out: &mut Vec<u8>) {
        if self.over {
            return;
        }
        match event {
            Event::Start(start) => self.start = start.clone(),
            Event::PartStart { candidate, opened, .. } => self.open(*candidate, opened, out),
            Event::Delta { candidate, delta, .. } => self.delta(*candidate, delta, out),
            Event::PartEnd { candidate, .. } => self.end_part(*candidate, out),
            Event::Finish { candidate, finish } => self.finish(*candidate, finish, out),
            Event::Usage(usage) => self.usage = Some(usage.clone()),
            // Anything but an answer breaks the SDK.
            Event::Ping => {}
            Event::Error(error) => {
                self.begin_element(out);
                writer::object(out, |it| write_error_member(it, error, None));
                self.end_element(out);
                self.close(out);
            }
            Event::End => self.close(out),
        }
    }

    /// Google's SDKs choke on comments, and the one for Python on members that it does not know.
    fn remark(&mut self, _text: &str, _out: &mut Vec<u8>) {}

    fn content_type(&self) -> &'static str {
        if self.asked.events {
            "text/event-stream; charset=utf-8"
        } else {
            "application/json"
        }
    }
}
