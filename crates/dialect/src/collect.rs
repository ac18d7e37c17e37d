//! Puts a sequence of events together again as a whole answer.

use crate::ir::{
    Candidate, Content, Delta, Error, Event, Finish, FinishReason, Opened, Part, ReasoningStyle, Response, Start,
    ToolInput, Usage,
};

/// An answer that is being collected.
#[derive(Debug, Default)]
pub struct Collector {
    start: Start,
    candidates: Vec<Candidate>,
    usage: Option<Usage>,
    outcome: Option<Result<(), Error>>,
}

impl Collector {
    /// Takes the next event.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Start(start) => {
                self.usage.clone_from(&start.usage);
                self.start = start;
            }
            Event::PartStart { candidate, opened, .. } => self.candidate(candidate).parts.push(part(opened)),
            Event::Delta { candidate, delta, .. } => add(self.candidate(candidate), delta),
            Event::PartEnd { .. } | Event::Ping => {}
            Event::Finish { candidate, finish } => self.candidate(candidate).finish = finish,
            Event::Usage(usage) => self.usage.get_or_insert_default().merge(&usage),
            Event::Error(error) => self.outcome = Some(Err(error)),
            Event::End => self.outcome = Some(Ok(())),
        }
    }

    /// The answer, or the error that it ended in.
    pub fn finish(mut self) -> Result<Response, Error> {
        let broken = || {
            Error::new(
                crate::ir::Class::Server,
                "The provider's answer broke off before its end.",
            )
        };
        self.outcome.unwrap_or_else(|| Err(broken()))?;
        self.candidates.sort_by_key(|candidate| candidate.index);
        Ok(Response {
            id: self.start.id,
            model: self.start.model,
            created: self.start.created,
            candidates: self.candidates,
            usage: self.usage,
            service_tier: self.start.service_tier,
        })
    }

    fn candidate(&mut self, index: u32) -> &mut Candidate {
        let known = self.candidates.iter().position(|candidate| candidate.index == index);
        let at = known.unwrap_or_else(|| {
            self.candidates.push(Candidate {
                index,
                parts: Vec::new(),
                finish: Finish::from(FinishReason::Other),
                logprobs: Vec::new(),
            });
            self.candidates.len() - 1
        });
        &mut self.candidates[at]
    }
}

fn part(opened: Opened) -> Part {
    match opened {
        Opened::Text => Part::text(""),
        Opened::Refusal => Content::Refusal { text: String::new() }.into(),
        Opened::Reasoning { style } => reasoning(style).into(),
        Opened::ToolCall {
            id,
            name,
            namespace,
            custom,
            signature,
        } => {
            let input = if custom { ToolInput::Text } else { ToolInput::Json };
            Part {
                signature,
                ..Content::ToolCall {
                    id,
                    name,
                    namespace,
                    input: input(String::new()),
                }
                .into()
            }
        }
        Opened::Whole(part) => part,
    }
}

fn reasoning(style: ReasoningStyle) -> Content {
    Content::Reasoning {
        text: String::new(),
        style,
        redacted: None,
    }
}

fn add(candidate: &mut Candidate, delta: Delta) {
    if let Delta::Logprobs(logprobs) = delta {
        candidate.logprobs.extend(logprobs);
        return;
    }
    let Some(part) = candidate.parts.last_mut() else {
        return;
    };
    match (delta, &mut part.content) {
        (
            Delta::Text(more),
            Content::Text { text, .. } | Content::Refusal { text } | Content::Reasoning { text, .. },
        ) => {
            text.push_str(&more);
        }
        (
            Delta::Arguments(more),
            Content::ToolCall {
                input: ToolInput::Json(text) | ToolInput::Text(text),
                ..
            },
        ) => text.push_str(&more),
        (Delta::Signature(signature), _) => part.signature = Some(signature),
        (Delta::Citation(citation), Content::Text { citations, .. }) => citations.push(citation),
        _ => {}
    }
}
