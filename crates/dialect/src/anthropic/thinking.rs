//! How to think, how long to answer and how to draw tokens: three things of which each may forbid another.

use super::models::{Model, SamplingForm, ThinkingForm};
use crate::field::Field;
use crate::ir::{Effort, Reasoning, Request, Sampling, Show};
use crate::loss::Losses;
use crate::protocol::Protocol;

/// The least budget that is accepted.
const LEAST_BUDGET: u64 = 1024;

/// What is left for the answer when a budget takes all.
const ROOM: u64 = 1024;

/// What is sent about thinking, length and sampling.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) thinking: Thinking,
    pub(super) display: Option<&'static str>,
    pub(super) effort: Option<Effort>,
    pub(super) max_tokens: u64,
    pub(super) temperature: Option<f64>,
    pub(super) top_p: Option<f64>,
    pub(super) top_k: Option<u64>,
}

/// The member `thinking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    Absent,
    Disabled,
    Adaptive,
    Enabled { budget: u64 },
}

impl Thinking {
    /// Whether the model is asked to think.
    pub(super) fn is_on(self) -> bool {
        matches!(self, Self::Adaptive | Self::Enabled { .. })
    }
}

/// Decides what is sent. `forced` says that a tool must be called, which does not go with thinking; `signed` that the
/// turn that goes on begins with the model's own thoughts, as thinking with a budget demands.
pub(super) fn plan(request: &Request, model: &Model, forced: bool, signed: bool, lost: &mut Losses) -> Plan {
    let own = request.from == Protocol::Anthropic;
    let mut plan = Plan {
        thinking: Thinking::Absent,
        display: None,
        effort: None,
        max_tokens: max_tokens(request, model, lost),
        temperature: request.sampling.temperature,
        top_p: request.sampling.top_p,
        top_k: request.sampling.top_k,
    };
    if let Some(reasoning) = &request.reasoning {
        plan.effort = effort(reasoning, model, own, lost);
        plan.thinking = thinking(reasoning, model, own, lost);
        // With interleaved thinking, a budget of one's own may exceed the limit.
        let is_own_budget = own && reasoning.budget.is_some();
        if let Thinking::Enabled { budget } = plan.thinking
            && !is_own_budget
        {
            fit(&mut plan, budget, reasoning.budget.is_some(), model, lost);
        }
    }
    if forced && plan.thinking.is_on() {
        plan.thinking = Thinking::Absent;
        lost.note(Field::Reasoning, "no thinking when a tool is forced");
    }
    if !signed && matches!(plan.thinking, Thinking::Enabled { .. }) {
        plan.thinking = Thinking::Absent;
        lost.note(
            Field::Reasoning,
            "no thinking since the thoughts of this turn are missing",
        );
    }
    if let Some(reasoning) = &request.reasoning {
        plan.display = display(reasoning, plan.thinking, model, own, lost);
    }
    settle_sampling(&mut plan, request, model, lost);
    plan
}

fn max_tokens(request: &Request, model: &Model, lost: &mut Losses) -> u64 {
    match request.max_tokens {
        Some(asked) if model.known && asked > model.max_output => {
            lost.note(Field::MaxTokens, "clamped to the model's limit");
            model.max_output
        }
        Some(asked) => asked,
        None => model.max_output,
    }
}

fn thinking(reasoning: &Reasoning, model: &Model, own: bool, lost: &mut Losses) -> Thinking {
    if reasoning.enabled == Some(false) || reasoning.effort == Some(Effort::None) || reasoning.budget == Some(0) {
        return off(model, own, lost);
    }
    // An effort of one's own is no wish to think; in every other protocol it is nothing else.
    let wanted = reasoning.enabled == Some(true)
        || reasoning.adaptive
        || reasoning.budget.is_some()
        || !own && reasoning.effort.is_some();
    if !wanted {
        return Thinking::Absent;
    }
    let budget = reasoning.wanted_budget().unwrap_or_else(|| Effort::Medium.budget());
    let keeps_budget = own && reasoning.budget.is_some();
    match model.thinking {
        ThinkingForm::Never => {
            lost.note(Field::Reasoning, "this model cannot think");
            Thinking::Absent
        }
        ThinkingForm::Adaptive => {
            if keeps_budget {
                lost.note(Field::ReasoningBudget, "told as an effort");
            }
            Thinking::Adaptive
        }
        ThinkingForm::Both if !keeps_budget => Thinking::Adaptive,
        // What a model that is not known understands, its caller knows.
        ThinkingForm::Budget if !model.known && own && reasoning.adaptive => Thinking::Adaptive,
        ThinkingForm::Both | ThinkingForm::Budget => {
            if own && reasoning.adaptive {
                lost.note(Field::Reasoning, "told as a budget");
            }
            if budget < LEAST_BUDGET {
                lost.note(Field::ReasoningBudget, "raised to 1024");
            }
            Thinking::Enabled {
                budget: budget.max(LEAST_BUDGET),
            }
        }
    }
}

/// No thinking. Models that think only adaptively refuse to be told so, and but for a few do not think unless asked.
fn off(model: &Model, own: bool, lost: &mut Losses) -> Thinking {
    if model.always_thinks {
        lost.note(Field::Reasoning, "this model always thinks");
        return Thinking::Absent;
    }
    match model.thinking {
        ThinkingForm::Both => Thinking::Disabled,
        ThinkingForm::Budget if own || !model.known => Thinking::Disabled,
        _ => Thinking::Absent,
    }
}

fn effort(reasoning: &Reasoning, model: &Model, own: bool, lost: &mut Losses) -> Option<Effort> {
    let told_as_budget = !model.effort || (!model.known && !own);
    let wanted = match reasoning.effort {
        // A budget that the model does not take.
        None if model.effort
            && model.thinking != ThinkingForm::Budget
            && (!own || model.thinking == ThinkingForm::Adaptive) =>
        {
            reasoning.wanted_effort()
        }
        effort => effort,
    }?;
    if told_as_budget {
        if own {
            lost.note(Field::Reasoning, "this model knows no effort");
        }
        return None;
    }
    match wanted {
        Effort::None if model.always_thinks => Some(Effort::Low),
        Effort::None => None,
        Effort::Minimal => Some(Effort::Low),
        Effort::XHigh if !model.xhigh => Some(Effort::High),
        // `max` came with the models that think adaptively.
        Effort::Max if model.thinking == ThinkingForm::Budget && model.known => Some(Effort::High),
        effort => Some(effort),
    }
}

/// Makes the budget and the limit on the answer's length go together: the budget is a part of it.
fn fit(plan: &mut Plan, budget: u64, explicit: bool, model: &Model, lost: &mut Losses) {
    let needed = budget.saturating_add(ROOM);
    if plan.max_tokens >= needed {
        return;
    }
    // An effort shrinks to what the caller allows, a number of tokens is meant.
    let shrunk = plan.max_tokens.saturating_sub(ROOM);
    if !explicit && shrunk >= LEAST_BUDGET {
        plan.thinking = Thinking::Enabled { budget: shrunk };
        return;
    }
    let budget = if explicit { budget } else { LEAST_BUDGET };
    let limit = if model.known { model.max_output } else { u64::MAX };
    plan.max_tokens = budget.saturating_add(ROOM).min(limit);
    let most = plan.max_tokens.saturating_sub(1).max(LEAST_BUDGET);
    plan.thinking = Thinking::Enabled {
        budget: budget.min(most),
    };
    lost.note(Field::MaxTokens, "raised above the budget for thinking");
}

fn display(
    reasoning: &Reasoning,
    thinking: Thinking,
    model: &Model,
    own: bool,
    lost: &mut Losses,
) -> Option<&'static str> {
    if !thinking.is_on() {
        return None;
    }
    // Older models show a summary in any case.
    let is_known = own || matches!(model.thinking, ThinkingForm::Both | ThinkingForm::Adaptive);
    match &reasoning.show {
        Show::Default => None,
        Show::Nothing if !is_known => {
            lost.note(Field::ReasoningShow, "not supported by this model");
            None
        }
        Show::Nothing => Some("omitted"),
        Show::Summary(_) | Show::Everything => is_known.then_some("summarized"),
    }
}

fn settle_sampling(plan: &mut Plan, request: &Request, model: &Model, lost: &mut Losses) {
    if let Some(temperature) = plan.temperature.filter(|value| !(0.0..=1.0).contains(value)) {
        lost.note(Field::Temperature, "clamped to 0..1");
        plan.temperature = Some(temperature.clamp(0.0, 1.0));
    }
    if plan.thinking.is_on() {
        let reason = "not accepted while the model thinks";
        drop_if(
            &mut plan.temperature,
            |value| value < 1.0,
            Field::Temperature,
            reason,
            lost,
        );
        drop_if(&mut plan.top_k, |_| true, Field::TopK, reason, lost);
        drop_if(&mut plan.top_p, |value| value < 0.95, Field::TopP, reason, lost);
    }
    let reason = "not accepted by this model";
    match model.sampling {
        SamplingForm::OneOf if plan.temperature.is_some() => {
            let reason = "not accepted together with temperature";
            drop_if(&mut plan.top_p, |_| true, Field::TopP, reason, lost);
        }
        SamplingForm::All | SamplingForm::OneOf => {}
        SamplingForm::Nothing => {
            drop_if(&mut plan.temperature, |_| true, Field::Temperature, reason, lost);
            drop_if(&mut plan.top_p, |_| true, Field::TopP, reason, lost);
            drop_if(&mut plan.top_k, |_| true, Field::TopK, reason, lost);
        }
    }
    note_others(&request.sampling, lost);
}

/// Notes the parameters that the protocol has not.
fn note_others(sampling: &Sampling, lost: &mut Losses) {
    let others = [
        (Field::MinP, sampling.min_p.is_some_and(|value| value > 0.0)),
        (
            Field::FrequencyPenalty,
            sampling.frequency_penalty.is_some_and(|value| value != 0.0),
        ),
        (
            Field::PresencePenalty,
            sampling.presence_penalty.is_some_and(|value| value != 0.0),
        ),
        (
            Field::RepetitionPenalty,
            sampling
                .repetition_penalty
                .is_some_and(|value| (value - 1.0).abs() > f64::EPSILON),
        ),
        (Field::Seed, sampling.seed.is_some()),
        (Field::LogitBias, sampling.logit_bias.is_some()),
    ];
    for (field, _) in others.into_iter().filter(|(_, is_set)| *is_set) {
        lost.note(field, "not supported");
    }
}

fn drop_if<T: Copy>(
    value: &mut Option<T>,
    is_refused: impl FnOnce(T) -> bool,
    field: Field,
    reason: &'static str,
    lost: &mut Losses,
) {
    if value.is_some_and(is_refused) {
        *value = None;
        lost.note(field, reason);
    }
}
