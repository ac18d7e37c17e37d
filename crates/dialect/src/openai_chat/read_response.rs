//! Reads whole answers.

use super::answer::Speech;
use super::{logprobs, read_error, usage, words};
use crate::assembly::Assembly;
use crate::codec::{Malformed, Memo};
use crate::ir::{Finish, FinishReason, Start};
use crate::tree::Node;

/// Reports a whole answer.
pub(super) fn read(body: &[u8], memo: &Memo, assembly: &mut Assembly) -> Result<(), Malformed> {
    let node = Node::parse(body)?;
    if let Some(error) = error_in(&node) {
        assembly.error(error);
        return Ok(());
    }
    let choices = node.get("choices").items();
    if choices.is_empty() {
        return Err(Malformed::field("choices", "must be a list with at least one choice"));
    }
    assembly.start(start_of(&node));
    for (position, choice) in choices.iter().enumerate() {
        // Not the index that it states: that need not be distinct.
        let candidate = u32::try_from(position).unwrap_or(u32::MAX);
        let mut speech = Speech::new(candidate, &memo.provider);
        speech.hear(choice.get("message"), assembly);
        speech.end(assembly);
        assembly.logprobs(candidate, logprobs::read(choice.get("logprobs")));
        assembly.finish(
            candidate,
            finish_of(choice).unwrap_or_else(|| FinishReason::Stop.into()),
        );
    }
    if let Some(counts) = usage_in(&node) {
        assembly.usage(&counts);
    }
    Ok(())
}

/// An error inside something that should be an answer. `"error": null` is none.
pub(super) fn error_in(node: &Node<'_>) -> Option<crate::ir::Error> {
    let stated = node.get("error");
    if stated.is_object() || stated.text().is_some_and(|text| !text.is_empty()) {
        return Some(read_error::read_within(stated));
    }
    // vLLM's error has no envelope, Google's imitation an array around it.
    if node.get("object").text() == Some("error") {
        return Some(read_error::read_within(node));
    }
    if let Some(first) = node.items().first() {
        return error_in(first);
    }
    // OpenRouter's place for the error of one choice.
    let of_choice = node.get("choices").items().first()?.get("error");
    of_choice.is_object().then(|| read_error::read_within(of_choice))
}

/// What is known when the answer begins.
pub(super) fn start_of(node: &Node<'_>) -> Start {
    Start {
        id: node.get("id").text_or_empty().to_owned(),
        model: node.get("model").text_or_empty().to_owned(),
        created: node.get("created").u64().filter(|created| *created > 0),
        usage: None,
        service_tier: node.get("service_tier").string(),
    }
}

/// The counts, which some servers put into the choice, and Groq once into an object of its own.
pub(super) fn usage_in(node: &Node<'_>) -> Option<crate::ir::Usage> {
    usage::read(node.get("usage"))
        .or_else(|| usage::read(node.get("x_groq").get("usage")))
        .or_else(|| usage::read(node.get("choices").items().first()?.get("usage")))
}

/// Why a choice ends, if it does.
pub(super) fn finish_of(choice: &Node<'_>) -> Option<Finish> {
    let finish = words::finish(choice.get("finish_reason").text()?)?;
    // The text at which vLLM or SGLang stopped.
    let stopped_at = choice.any(&["stop_reason", "matched_stop"]).string();
    let stopped_at = stopped_at.filter(|text| !text.is_empty() && !words::is_known(text));
    if finish.reason == FinishReason::Stop && stopped_at.is_some() {
        return Some(Finish {
            reason: FinishReason::StopSequence,
            stop_sequence: stopped_at,
            ..finish
        });
    }
    Some(finish)
}
