//! What the protocol wants of the order of speakers and of the first and the last words.

use std::borrow::Cow;

use super::models::Model;
use super::wire::{Block, Kind, Message, Role};
use crate::field::Field;
use crate::loss::Losses;

/// What is said where the protocol wants the user to speak and the caller did not.
const GO_ON: &str = "(continue)";

/// Whether the turn that goes on begins with thoughts, as thinking with a budget demands ("a final assistant message must
/// start with a thinking block"); where they stand further behind, they are moved to its beginning. A turn goes back to
/// the last time that the user spoke without giving results.
pub(super) fn thoughts_first(messages: &mut [Message<'_>]) -> bool {
    let gives_results = |message: &Message<'_>| {
        message
            .blocks
            .iter()
            .any(|block| matches!(block.kind, Kind::ToolResult { .. }))
    };
    let spoke = messages
        .iter()
        .rposition(|message| message.role == Role::User && !gives_results(message));
    let from = spoke.map_or(0, |at| at + 1);
    let Some(first) = messages
        .iter_mut()
        .skip(from)
        .find(|message| message.role == Role::Assistant)
    else {
        return true;
    };
    let Some(at) = first.blocks.iter().position(Block::is_thinking) else {
        return false;
    };
    let thought = first.blocks.remove(at);
    first.blocks.insert(0, thought);
    true
}

/// Mends what the protocol wants of the first and the last message.
pub(super) fn mend_ends(messages: &mut Vec<Message<'_>>, model: &Model, own: bool, lost: &mut Losses) {
    let said = || Message {
        role: Role::User,
        blocks: vec![Block::text(GO_ON)],
        extra: None,
    };
    if messages.first().is_none_or(|message| message.role == Role::Assistant) {
        lost.note(Field::Messages, "the user is made to speak first");
        messages.insert(0, said());
    }
    let Some(prefill) = messages.last_mut().filter(|message| message.role == Role::Assistant) else {
        return;
    };
    if let Some(Block {
        kind: Kind::Text { text, .. },
        ..
    }) = prefill.blocks.last_mut()
        && text.trim_end().len() < text.len()
    {
        lost.note(Field::Prefill, "white space at its end cut off");
        *text = Cow::Owned(text.trim_end().to_owned());
    }
    let is_call = matches!(
        prefill.blocks.last().map(|block| &block.kind),
        Some(Kind::ToolUse { .. })
    );
    if !model.prefill && !own && !is_call {
        lost.note(Field::Prefill, "not supported by this model, the user asks to go on");
        messages.push(said());
    }
}
