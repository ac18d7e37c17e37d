//! Writes the settings of a request: tools, limits, the form of the answer, reasoning, identity.

use std::borrow::Cow;
use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use super::tools;
use super::words::{INCLUDE_LOGPROBS, INCLUDE_REASONING, summary_of};
use super::write_request::Scribe;
use crate::field::Field;
use crate::ir::{Content, Effort, Format, Part, ToolChoice};
use crate::openai_models;
use crate::raw::Raw;
use crate::writer::{Object, raw_text};

/// The least that OpenAI accepts as `max_output_tokens`.
const LEAST_TOKENS: u64 = 16;

/// The longest `safety_identifier` and `prompt_cache_key` that OpenAI accepts.
const LONGEST_ID: usize = 64;

impl<'a> Scribe<'a> {
    pub(super) fn tools(&mut self, it: &mut Object<'_>) {
        let request = self.request;
        let manner = self.manner();
        let tools = tools::write_tools(&request.tools, manner, &mut |name| self.wire_name(name));
        if tools.is_empty() {
            if matches!(
                request.tool_choice,
                Some(ToolChoice::Required | ToolChoice::Tool { .. } | ToolChoice::Allowed { .. })
            ) {
                self.lost.note(Field::ToolChoice, "there are no tools");
            }
            return;
        }
        it.array("tools", |it| tools.iter().for_each(|tool| it.raw(tool)));
        self.tool_choice(it);
        if let Some(parallel) = request.parallel_tools {
            if !self.target.quirks.parallel_tool_calls {
                self.lost.note(Field::ParallelTools, "not supported by the provider");
            } else if self.takes("parallel_tool_calls", Field::ParallelTools) {
                it.bool("parallel_tool_calls", parallel);
            }
        }
    }

    fn tool_choice(&mut self, it: &mut Object<'_>) {
        let request = self.request;
        let Some(choice) = &request.tool_choice else {
            return;
        };
        if !self.takes("tool_choice", Field::ToolChoice) {
            return;
        }
        if *choice == ToolChoice::Required && !self.target.quirks.tool_choice_required {
            self.lost.note(Field::ToolChoice, "weakened to `auto`");
            return it.text("tool_choice", "auto");
        }
        match tools::write_choice(choice, &request.tools, &mut |name| self.wire_name(name)) {
            Some(choice) => it.raw("tool_choice", &choice),
            None => self.lost.note(Field::ToolChoice, "not known to this protocol"),
        }
    }

    pub(super) fn limits(&mut self, it: &mut Object<'_>) {
        let request = self.request;
        if let Some(tokens) = request.max_tokens
            && self.takes("max_output_tokens", Field::MaxTokens)
        {
            if tokens < LEAST_TOKENS {
                self.lost.note(Field::MaxTokens, "raised to 16");
            }
            it.number("max_output_tokens", tokens.max(LEAST_TOKENS));
        }
        let free = self.free();
        let is_told = |value: &f64| free || !openai_models::is_default(*value);
        if let Some(temperature) = request.sampling.temperature.filter(is_told)
            && self.takes("temperature", Field::Temperature)
            && self.is_free(Field::Temperature)
        {
            if !(0.0..=2.0).contains(&temperature) {
                self.lost.note(Field::Temperature, "clamped to 0 to 2");
            }
            it.float("temperature", temperature.clamp(0.0, 2.0));
        }
        if let Some(top_p) = request.sampling.top_p.filter(is_told)
            && self.takes("top_p", Field::TopP)
            && self.is_free(Field::TopP)
        {
            it.float("top_p", top_p);
        }
        if let Some(top) = request.logprobs.and_then(|logprobs| logprobs.top)
            && self.tells_logprobs()
        {
            if top > 20 {
                self.lost.note(Field::Logprobs, "clamped to 20");
            }
            it.number("top_logprobs", top.min(20));
        }
    }

    fn tells_logprobs(&mut self) -> bool {
        if !self.target.quirks.logprobs {
            self.lost.note(Field::Logprobs, "not supported by the provider");
            return false;
        }
        self.takes("top_logprobs", Field::Logprobs)
    }

    /// Whether the model can be told how to draw tokens. A caller of the same protocol knows its model.
    fn free(&self) -> bool {
        self.own || !openai_models::has_fixed_sampling(self.target.model, self.effort())
    }

    /// The same; if it cannot, that is noted.
    fn is_free(&mut self, field: Field) -> bool {
        let free = self.free();
        if !free {
            self.lost.note(field, "fixed in reasoning models");
        }
        free
    }

    /// How hard the model is told to think.
    fn effort(&self) -> Option<Effort> {
        let effort = self.request.reasoning.as_ref()?.wanted_effort()?;
        Some(if self.own {
            effort
        } else {
            openai_models::fitted(effort, self.target.model)
        })
    }

    pub(super) fn text_options(&mut self, it: &mut Object<'_>) {
        let request = self.request;
        let extra: Vec<(&str, &Raw)> = self.prefixed("text.");
        let verbosity = request.verbosity.as_deref();
        let verbosity = verbosity.filter(|_| self.takes("verbosity", Field::Verbosity));
        if request.format == Format::Text && verbosity.is_none() && extra.is_empty() {
            return;
        }
        let by_instruction = self.schema_instruction().is_some();
        if by_instruction {
            self.lost
                .note(Field::JsonSchema, "asked for in words; the provider cannot enforce it");
        }
        it.object("text", |it| {
            match &request.format {
                Format::Text => {}
                Format::JsonSchema { .. } if !by_instruction => {
                    it.object("format", |it| write_format(it, &request.format));
                }
                _ => it.object("format", |it| it.text("type", "json_object")),
            }
            it.some_text("verbosity", verbosity);
            for (name, value) in extra {
                it.raw(name, value);
            }
        });
    }

    pub(super) fn reasoning(&mut self, it: &mut Object<'_>) {
        let request = self.request;
        let extra = self.prefixed("reasoning.");
        let Some(reasoning) = &request.reasoning else {
            return;
        };
        let effort = self.effort();
        if !self.own && !openai_models::may_reason(self.target.model) {
            if effort.is_some_and(|effort| effort != Effort::None) || reasoning.enabled == Some(true) {
                self.lost.note(Field::Reasoning, "the model does not reason");
            }
            return;
        }
        if effort != reasoning.wanted_effort() {
            self.lost.note(Field::Reasoning, "told as the nearest effort");
        }
        if reasoning.budget.is_some() && reasoning.effort.is_none() {
            self.lost.note(Field::ReasoningBudget, "told as the nearest effort");
        }
        let summary = summary_of(&reasoning.show);
        if (effort.is_none() && summary.is_none() && extra.is_empty()) || !self.takes("reasoning", Field::Reasoning) {
            return;
        }
        it.object("reasoning", |it| {
            it.some_text("effort", effort.map(Effort::name));
            it.some_text("summary", summary);
            for (name, value) in extra {
                it.raw(name, value);
            }
        });
    }

    /// Members that the caller had in an object of this name.
    fn prefixed(&self, prefix: &str) -> Vec<(&'a str, &'a Raw)> {
        let kept = self.request.extra.0.iter().filter(|_| self.own);
        kept.filter_map(|(name, value)| Some((name.strip_prefix(prefix)?, value)))
            .collect()
    }

    /// Proofs of reasoning are asked for where the caller knows of reasoning: what is not stored must be sent back. OpenAI's models
    /// that do not reason refuse to be asked.
    pub(super) fn include(&mut self, it: &mut Object<'_>) {
        let request = self.request;
        let mut include: Vec<Raw> = Vec::new();
        if self.own
            && let Some(others) = request.extra.get("include")
        {
            include.extend(others.node().items().iter().map(crate::tree::Node::to_raw));
        }
        let asked = request.reasoning.as_ref();
        let thought = |part: &Part| matches!(part.content, Content::Reasoning { .. });
        let thinks = asked.is_some_and(|asked| asked.enabled != Some(false))
            || request.messages.iter().flat_map(|message| &message.parts).any(thought);
        let wants = asked.is_some_and(|asked| asked.encrypted) || (thinks && !self.store());
        if wants && (self.own || openai_models::may_reason(self.target.model)) {
            include.push(raw_text(INCLUDE_REASONING));
        }
        if request.logprobs.is_some() && self.tells_logprobs() {
            include.push(raw_text(INCLUDE_LOGPROBS));
        }
        if !include.is_empty() && !self.target.quirks.unsupported.iter().any(|name| name == "include") {
            it.array("include", |it| include.iter().for_each(|item| it.raw(item)));
        }
    }

    pub(super) fn identity(&mut self, it: &mut Object<'_>) {
        let request = self.request;
        if let Some(tier) = &request.service_tier
            && self.takes("service_tier", Field::ServiceTier)
        {
            it.text("service_tier", tier);
        }
        if let Some(metadata) = &request.metadata
            && self.takes("metadata", Field::Metadata)
        {
            it.raw("metadata", metadata);
        }
        if let Some(key) = &request.cache_key
            && self.takes("prompt_cache_key", Field::CacheKey)
        {
            it.text("prompt_cache_key", &fitted(key));
        }
        if let Some(user) = &request.user
            && self.takes("safety_identifier", Field::User)
        {
            it.text("safety_identifier", &fitted(user));
        }
    }
}

/// Writes the members of `text.format`.
pub(super) fn write_format(it: &mut Object<'_>, format: &Format) {
    match format {
        Format::Text => it.text("type", "text"),
        Format::JsonObject => it.text("type", "json_object"),
        Format::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            it.text("type", "json_schema");
            it.text("name", &schema_name(name.as_deref()));
            it.some_text("description", description.as_deref());
            it.raw("schema", schema);
            it.some_bool("strict", *strict);
        }
    }
}

/// A name that OpenAI accepts for a schema, which must have one.
fn schema_name(name: Option<&str>) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let name = name.filter(|name| !name.is_empty()).unwrap_or("answer");
    name.chars()
        .take(64)
        .map(|letter| if fits(letter) { letter } else { '_' })
        .collect()
}

/// An opaque id as it is, or as a hash where it is too long.
fn fitted(id: &str) -> Cow<'_, str> {
    if id.chars().count() <= LONGEST_ID {
        return Cow::Borrowed(id);
    }
    let hash = Sha256::digest(id.as_bytes());
    Cow::Owned(hash.iter().fold(String::new(), |mut text, byte| {
        // Writing to memory does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_become_short_ones() {
        assert_eq!(fitted("abc"), "abc");
        assert_eq!(fitted(&"x".repeat(65)).len(), 64);
        assert_eq!(schema_name(Some("my schema.v1")), "my_schema_v1");
        assert_eq!(schema_name(None), "answer");
    }
}
