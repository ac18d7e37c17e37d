//! Requests.

use super::words::{self, Priority};
use super::{messages, tools};
use crate::codec::{Memo, Outgoing, Target};
use crate::field::Field;
use crate::ir::{Effort, Format, Reasoning, Request, Sampling, Show};
use crate::loss::{Losses, Unsayable};
use crate::tool_names::ToolNames;
use crate::writer::{self, Object};

/// The most stop sequences.
const MAX_STOPS: usize = 5;

/// The most tokens to draw from.
const MAX_K: u64 = 500;

/// Writes a request.
pub(super) fn write(request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
    let mut memo = Memo {
        provider: target.provider.to_owned(),
        ..Memo::default()
    };
    refuse(request, lost)?;
    note(request, lost);
    let mut names = ToolNames::new(tools::NAME_RULE);
    // The tools on offer are named before those of the history: they keep their names.
    let offer = tools::offer(request, &mut names, &mut memo, lost)?;
    let turns = messages::turns(request, &mut names, &mut memo, lost)?;
    let has_format = allows_format(request, !offer.is_empty(), lost)?;
    let mut body = Vec::with_capacity(1024);
    writer::object(&mut body, |it| {
        it.text("model", target.model);
        it.array("messages", |it| turns.iter().for_each(|turn| turn.write(it)));
        it.bool("stream", request.stream);
        offer.write(it);
        if has_format {
            write_format(&request.format, it);
        }
        it.some_number("max_tokens", request.max_tokens);
        write_sampling(&request.sampling, it, lost);
        write_stops(&request.stop, it, lost);
        if request.logprobs.is_some() {
            it.bool("logprobs", true);
        }
        if let Some(reasoning) = &request.reasoning {
            write_thinking(reasoning, request.max_tokens, it, lost);
        }
        write_priority(request.service_tier.as_deref(), it, lost);
    });
    Ok(Outgoing {
        path: "/chat".to_owned(),
        headers: Vec::new(),
        body,
        memo,
    })
}

/// What the caller relies on and cannot have.
fn refuse(request: &Request, lost: &Losses) -> Result<(), Unsayable> {
    if request.candidates.is_some_and(|count| count > 1) {
        return Err(lost.refuse(Field::Candidates, "the provider gives one answer only"));
    }
    if request.audio.is_some() {
        return Err(lost.refuse(Field::AudioOutput, "the provider gives no sound"));
    }
    if request.prefilled {
        return Err(lost.refuse(
            Field::Prefill,
            "the provider does not go on with the beginning of an answer",
        ));
    }
    if request.max_tokens == Some(0) {
        return Err(lost.refuse(Field::MaxTokens, "must be at least 1 for this provider"));
    }
    if crate::stored::reference(request).is_some() {
        return Err(lost.refuse(Field::State, "the provider does not have what another one stored"));
    }
    Ok(())
}

/// What is dropped.
fn note(request: &Request, lost: &mut Losses) {
    let sampling = &request.sampling;
    let dropped = [
        (sampling.min_p.is_some(), Field::MinP),
        (sampling.repetition_penalty.is_some(), Field::RepetitionPenalty),
        (sampling.logit_bias.is_some(), Field::LogitBias),
        (request.verbosity.is_some(), Field::Verbosity),
        (request.user.is_some(), Field::User),
        (request.metadata.is_some(), Field::Metadata),
        (request.cache_key.is_some(), Field::CacheKey),
        (request.cache.is_some(), Field::CacheMark),
        (request.store == Some(true), Field::Store),
    ];
    for (_, field) in dropped.into_iter().filter(|(is_set, _)| *is_set) {
        lost.note(field, "not supported");
    }
    if request
        .logprobs
        .is_some_and(|logprobs| logprobs.top.is_some_and(|top| top > 0))
    {
        lost.note(Field::Logprobs, "no alternatives are told");
    }
    lost.note_extra("", &request.extra);
}

/// Whether the form of the answer can be asked for: not beside tools.
fn allows_format(request: &Request, has_tools: bool, lost: &mut Losses) -> Result<bool, Unsayable> {
    match &request.format {
        Format::Text => Ok(false),
        Format::JsonObject if has_tools => {
            lost.note(Field::JsonObject, "not supported together with tools");
            Ok(false)
        }
        Format::JsonSchema { .. } if has_tools => {
            Err(lost.refuse(Field::JsonSchema, "the provider cannot enforce it together with tools"))
        }
        Format::JsonSchema { description, .. } => {
            if description.is_some() {
                lost.note(Field::JsonSchema, "description dropped");
            }
            Ok(true)
        }
        Format::JsonObject => Ok(true),
    }
}

fn write_format(format: &Format, it: &mut Object<'_>) {
    it.object("response_format", |it| {
        it.text("type", "json_object");
        if let Format::JsonSchema { schema, .. } = format {
            it.raw("json_schema", schema);
        }
    });
}

fn write_sampling(sampling: &Sampling, it: &mut Object<'_>, lost: &mut Losses) {
    let mut clamped = |value: Option<f64>, least: f64, most: f64, field, reason| {
        let value = value?;
        let fitting = value.clamp(least, most);
        if (fitting - value).abs() > f64::EPSILON {
            lost.note(field, reason);
        }
        Some(fitting)
    };
    let temperature = clamped(sampling.temperature, 0.0, f64::MAX, Field::Temperature, "raised to 0");
    let top_p = clamped(sampling.top_p, 0.01, 0.99, Field::TopP, "clamped to 0.01 to 0.99");
    let frequency = clamped(
        sampling.frequency_penalty,
        0.0,
        1.0,
        Field::FrequencyPenalty,
        "clamped to 0 to 1",
    );
    let presence = clamped(
        sampling.presence_penalty,
        0.0,
        1.0,
        Field::PresencePenalty,
        "clamped to 0 to 1",
    );
    it.some_float("temperature", temperature);
    it.some_float("p", top_p);
    if let Some(top_k) = sampling.top_k {
        if top_k > MAX_K {
            lost.note(Field::TopK, "clamped to 500");
        }
        it.number("k", top_k.min(MAX_K));
    }
    it.some_float("frequency_penalty", frequency);
    it.some_float("presence_penalty", presence);
    if let Some(seed) = sampling.seed {
        if seed < 0 {
            lost.note(Field::Seed, "made positive");
        }
        it.number("seed", seed.unsigned_abs());
    }
}

fn write_stops(stops: &[String], it: &mut Object<'_>, lost: &mut Losses) {
    let stops: Vec<&String> = stops.iter().filter(|stop| !stop.is_empty()).collect();
    if stops.is_empty() {
        return;
    }
    if stops.len() > MAX_STOPS {
        lost.note(Field::Stop, "cut to five");
    }
    it.array("stop_sequences", |it| {
        stops.iter().take(MAX_STOPS).for_each(|stop| it.text(stop));
    });
}

fn write_thinking(reasoning: &Reasoning, max_tokens: Option<u64>, it: &mut Object<'_>, lost: &mut Losses) {
    if matches!(reasoning.show, Show::Summary(_)) {
        lost.note(Field::ReasoningShow, "thoughts are told in full");
    }
    let budget = match (reasoning.wanted_effort(), reasoning.budget) {
        (Some(Effort::None), _) => {
            return it.object("thinking", |it| it.text("type", "disabled"));
        }
        (_, Some(tokens)) => Some(tokens),
        (Some(effort), None) => {
            lost.note(Field::Reasoning, "sent as a budget of tokens");
            // Half of a short answer is left for the answer itself.
            Some(max_tokens.map_or(effort.budget(), |most| effort.budget().min(most.div_ceil(2))))
        }
        (None, None) if reasoning.enabled == Some(true) || reasoning.adaptive => None,
        (None, None) => return,
    };
    it.object("thinking", |it| {
        it.text("type", "enabled");
        it.some_number("token_budget", budget);
    });
}

fn write_priority(tier: Option<&str>, it: &mut Object<'_>, lost: &mut Losses) {
    match tier.map(words::priority) {
        None | Some(Priority::Default) => {}
        Some(Priority::Unknown) => lost.note(Field::ServiceTier, "no counterpart"),
        Some(Priority::Of(priority)) => {
            lost.note(Field::ServiceTier, "sent as a priority");
            it.number("priority", priority);
        }
    }
}
