//! Writes whole answers: what the events of a stream would amount to.

use super::write_stream::Writer;
use super::{OWN, items};
use crate::codec::Asked;
use crate::field::Field;
use crate::ir::{Citation, Content, FinishReason, Media, Part, Response, Start};
use crate::loss::Losses;
use crate::writer::object;

/// Writes a whole answer.
pub(super) fn write(response: &Response, asked: &Asked, lost: &mut Losses) -> Vec<u8> {
    let mut writer = Writer::new(asked);
    let mut events = Vec::new();
    let candidate = response.candidates.first();
    if response.candidates.len() > 1 {
        lost.note(Field::Candidates, "only the first answer is told");
    }
    if candidate.is_some_and(|candidate| candidate.finish.reason == FinishReason::Pause) {
        lost.note(Field::Messages, "the provider paused its turn");
    }
    if let Some(candidate) = candidate {
        writer.teller.whole_logprobs.clone_from(&candidate.logprobs);
    }
    for part in candidate
        .map(|candidate| candidate.parts.as_slice())
        .unwrap_or_default()
    {
        note_losses(part, lost);
        writer.teller.whole(part, &mut events);
        events.clear();
    }
    let start = Start {
        id: response.id.clone(),
        model: response.model.clone(),
        created: response.created,
        usage: response.usage.clone(),
        service_tier: response.service_tier.clone(),
    };
    let mut body = Vec::new();
    object(&mut body, |it| {
        writer.conclude(it, &start, candidate.map(|candidate| &candidate.finish));
    });
    body
}

fn note_losses(part: &Part, lost: &mut Losses) {
    let is_lost = |citation: &Citation| items::annotation(citation, 0).is_none();
    match &part.content {
        Content::Text { citations, .. } if citations.iter().any(is_lost) => {
            lost.note(Field::Citations, "citations of documents have no counterpart");
        }
        Content::Image {
            source: Media::Data { .. } | Media::Url { .. },
            ..
        } => {}
        Content::Image { .. } | Content::Document { .. } | Content::Video { .. } => {
            lost.note_named("output", "what the model made has no counterpart");
        }
        Content::Audio { .. } => lost.note(Field::AudioOutput, "told by its words"),
        Content::Foreign { protocol, kind, .. } if *protocol != OWN => {
            lost.note_named(format!("output[{kind}]"), "not known to this protocol");
        }
        _ => {}
    }
}
