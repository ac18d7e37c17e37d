//! Writes requests.

use super::read_request::LEGACY;
use super::write_content::write_members;
use crate::Protocol;
use crate::codec::{Memo, Outgoing, Target};
use crate::field::Field;
use crate::ir::{Effort, Format, Reasoning, Request, Show};
use crate::loss::{Losses, Unsayable};
use crate::openai_models;
use crate::quirks::{MaxTokensName, Prefill};
use crate::raw::Raw;
use crate::tool_names::{NameRule, ToolNames};
use crate::writer::{self, Object};

/// OpenAI: "a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64".
const NAMES: NameRule = NameRule {
    longest: 64,
    letters: "-",
    begins_with_letter: false,
};

/// Writes a request for a provider.
pub(super) fn write(request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
    let own = request.from == Protocol::OpenaiChat;
    let mut scribe = Scribe {
        target: *target,
        own,
        // A caller of the same protocol knows its model.
        free: own || !openai_models::has_fixed_sampling(target.model, effort(request, target)),
        lost,
        names: ToolNames::new(NAMES),
        memo: Memo {
            provider: target.provider.to_owned(),
            ..Memo::default()
        },
        refused: None,
    };
    let mut body = Vec::new();
    writer::object(&mut body, |it| scribe.request(it, request));
    match scribe.refused {
        Some(refused) => Err(refused),
        None => Ok(Outgoing {
            path: "/chat/completions".to_owned(),
            headers: Vec::new(),
            body,
            memo: scribe.memo,
        }),
    }
}

/// How hard the model is told to think.
fn effort(request: &Request, target: &Target<'_>) -> Option<Effort> {
    let effort = request.reasoning.as_ref()?.wanted_effort()?;
    if !openai_models::is_openai(target.model) {
        return Some(effort);
    }
    if !request.tools.is_empty() && !openai_models::thinks_with_tools(target.model) {
        return None;
    }
    // `max` is for the Responses API.
    Some(openai_models::fitted(effort, target.model).min(Effort::XHigh))
}

/// Writes one request.
pub(super) struct Scribe<'s> {
    pub(super) target: Target<'s>,
    /// The caller speaks this protocol itself.
    pub(super) own: bool,
    /// The model can be told how to draw tokens.
    pub(super) free: bool,
    pub(super) lost: &'s mut Losses,
    names: ToolNames,
    memo: Memo,
    refused: Option<Unsayable>,
}

impl Scribe<'_> {
    /// Gives up; the first reason counts.
    pub(super) fn refuse(&mut self, field: Field, reason: &'static str) {
        let refused = self.lost.refuse(field, reason);
        self.refused.get_or_insert(refused);
    }

    /// The name on the wire of a tool.
    pub(super) fn name(&mut self, namespace: Option<&str>, name: &str, wrapped: bool) -> String {
        self.names.wire(namespace, name, wrapped, &mut self.memo)
    }

    pub(super) fn is_unsupported(&self, name: &str) -> bool {
        self.target
            .quirks
            .unsupported
            .iter()
            .any(|unsupported| unsupported == name)
    }

    /// Whether a member may be sent; if not, that is noted.
    pub(super) fn allows(&mut self, name: &str, field: Field) -> bool {
        self.allows_if(!self.is_unsupported(name), field)
    }

    pub(super) fn allows_if(&mut self, allowed: bool, field: Field) -> bool {
        if !allowed {
            self.lost.note(field, "not supported by the provider");
        }
        allowed
    }

    fn request(&mut self, it: &mut Object<'_>, request: &Request) {
        self.refuse_state(request);
        it.text("model", self.target.model);
        // Names are given in the order of the tools, so that the same tools always get the same names.
        let tools = writer::raw_array(|items| self.tools(items, request));
        let more = self.schema_in_words(request);
        it.array("messages", |items| self.messages(items, request, more.as_deref()));
        if tools.as_str() != "[]" {
            it.raw("tools", &tools);
            self.choice(it, request);
        } else if request.tool_choice.is_some() && !request.tools.is_empty() {
            self.lost.note(Field::ToolChoice, "no tool is left");
        }
        self.length(it, request);
        self.sampling(it, request);
        self.form(it, request);
        self.reasoning(it, request);
        self.sound(it, request);
        self.administration(it, request);
        self.streaming(it, request);
        self.prefill(it, request);
        self.extras(it, request);
    }

    /// What refers to something that only another provider has stored.
    fn refuse_state(&mut self, request: &Request) {
        if request.from != Protocol::OpenaiChat
            && let Some(field) = crate::stored::reference(request)
        {
            self.refused.get_or_insert(Unsayable {
                field: field.to_owned(),
                reason: "what another provider has stored cannot be used here; send it with the request",
            });
        }
    }

    fn length(&mut self, it: &mut Object<'_>, request: &Request) {
        let Some(limit) = request.max_tokens else { return };
        if limit == 0 {
            return self.refuse(Field::MaxTokens, "must be at least 1");
        }
        let newer = match self.target.quirks.max_tokens {
            Some(MaxTokensName::MaxTokens) => false,
            Some(MaxTokensName::MaxCompletionTokens) => true,
            None => openai_models::wants_max_completion_tokens(self.target.model),
        };
        it.number(if newer { "max_completion_tokens" } else { "max_tokens" }, limit);
    }

    /// Whether a schema has to be asked for in words.
    fn schema_in_words(&mut self, request: &Request) -> Option<String> {
        let Format::JsonSchema { schema, .. } = &request.format else {
            return None;
        };
        if self.target.quirks.json_schema {
            return None;
        }
        self.lost.note(Field::JsonSchema, "asked for in words");
        let schema = schema.as_str();
        Some(format!(
            "Answer with a JSON object that satisfies this JSON Schema, and nothing else:\n{schema}"
        ))
    }

    fn form(&mut self, it: &mut Object<'_>, request: &Request) {
        if request.format != Format::Text {
            if self.is_unsupported("response_format") {
                return self.refuse(Field::JsonSchema, "the provider cannot be held to a form");
            }
            it.object("response_format", |it| self.format(it, &request.format));
        }
        if let Some(verbosity) = &request.verbosity
            && self.allows("verbosity", Field::Verbosity)
        {
            it.text("verbosity", verbosity);
        }
    }

    fn format(&self, it: &mut Object<'_>, format: &Format) {
        match format {
            Format::JsonSchema {
                name,
                description,
                schema,
                strict,
            } if self.target.quirks.json_schema => {
                it.text("type", "json_schema");
                it.object("json_schema", |it| {
                    it.text("name", &schema_name(name.as_deref()));
                    it.some_text("description", description.as_deref());
                    it.raw("schema", schema);
                    it.some_bool("strict", *strict);
                });
            }
            _ => it.text("type", "json_object"),
        }
    }

    fn reasoning(&mut self, it: &mut Object<'_>, request: &Request) {
        let Some(reasoning) = &request.reasoning else { return };
        if self.own {
            return self.own_reasoning(it, reasoning, request);
        }
        if reasoning.show != Show::Default {
            self.lost.note(Field::ReasoningShow, "not supported");
        }
        let Some(wanted) = reasoning.wanted_effort() else {
            return;
        };
        if !openai_models::may_reason(self.target.model) {
            return match wanted {
                Effort::None => {}
                _ => self.lost.note(Field::Reasoning, "the model does not reason"),
            };
        }
        let Some(effort) = effort(request, &self.target) else {
            return self.lost.note(Field::Reasoning, "not supported together with tools");
        };
        if self.allows("reasoning_effort", Field::Reasoning) {
            if reasoning.effort.is_none() && reasoning.budget.is_some() && effort != Effort::None {
                self.lost.note(Field::ReasoningBudget, "told as the nearest effort");
            } else if effort != wanted {
                self.lost.note(Field::Reasoning, "told as the nearest effort");
            }
            it.text("reasoning_effort", effort.name());
        }
    }

    /// As the caller asked: with OpenRouter's object, or with OpenAI's word and Anthropic's object.
    fn own_reasoning(&mut self, it: &mut Object<'_>, reasoning: &Reasoning, request: &Request) {
        let effort = reasoning.effort.map(Effort::name);
        if reasoning.encrypted {
            it.object("reasoning", |it| {
                it.some_bool("enabled", reasoning.enabled);
                it.some_text("effort", effort);
                it.some_number("max_tokens", reasoning.budget);
                if reasoning.show == Show::Nothing {
                    it.bool("exclude", true);
                }
                write_members(it, request.extra.get("reasoning"));
            });
            return;
        }
        if self.allows_if(
            effort.is_none() || !self.is_unsupported("reasoning_effort"),
            Field::Reasoning,
        ) {
            it.some_text("reasoning_effort", effort);
        }
        let kind = match reasoning.enabled {
            Some(true) => Some("enabled"),
            Some(false) => Some("disabled"),
            None if reasoning.adaptive => Some("adaptive"),
            None => None,
        };
        if is_thinking(reasoning) {
            it.object("thinking", |it| {
                it.some_text("type", kind);
                it.some_number("budget_tokens", reasoning.budget);
                write_members(it, request.extra.get("thinking"));
            });
        }
    }

    fn sound(&mut self, it: &mut Object<'_>, request: &Request) {
        let Some(audio) = &request.audio else { return };
        if self.is_unsupported("modalities") || self.is_unsupported("audio") {
            return self.refuse(Field::AudioOutput, "the provider does not speak");
        }
        it.array("modalities", |items| {
            items.text("text");
            items.text("audio");
        });
        // Both are required, and only this format can be streamed.
        let format = if request.stream { "pcm16" } else { "wav" };
        let default_voice = Raw::of_valid("\"alloy\"");
        it.object("audio", |it| {
            it.raw("voice", audio.voice.as_ref().unwrap_or(&default_voice));
            it.text("format", audio.format.as_deref().unwrap_or(format));
            if self.own {
                write_members(it, request.extra.get("audio"));
            }
        });
    }

    fn administration(&mut self, it: &mut Object<'_>, request: &Request) {
        if let Some(store) = request.store
            && self.allows("store", Field::Store)
        {
            it.bool("store", store);
        }
        if let Some(metadata) = &request.metadata {
            // OpenAI refuses them for what is not stored.
            let wanted = self.own || request.store == Some(true);
            if self.allows_if(wanted && !self.is_unsupported("metadata"), Field::Metadata) {
                it.raw("metadata", metadata);
            }
        }
        self.end_user(it, request);
        if let Some(key) = &request.cache_key
            && self.allows("prompt_cache_key", Field::CacheKey)
        {
            it.text("prompt_cache_key", key);
        }
        if let Some(tier) = &request.service_tier
            && self.allows("service_tier", Field::ServiceTier)
        {
            it.text("service_tier", tier);
        }
        if request.cache.is_some() {
            self.lost.note(Field::CacheMark, "not supported");
        }
    }

    /// Who the end user is. OpenAI wants the new name; the servers that imitate it know the old one.
    fn end_user(&mut self, it: &mut Object<'_>, request: &Request) {
        let Some(user) = &request.user else { return };
        let newer = openai_models::is_openai(self.target.model);
        let name = if newer { "safety_identifier" } else { "user" };
        let allowed = !self.is_unsupported(name) && !self.is_unsupported("user");
        if !self.allows_if(allowed, Field::User) {
            return;
        }
        if newer && user.chars().count() > 128 {
            return self.lost.note(Field::User, "too long");
        }
        it.text(name, user);
    }

    /// Has the model go on with the last message. Some are told so in the message itself.
    fn prefill(&mut self, it: &mut Object<'_>, request: &Request) {
        match self.target.quirks.prefill {
            _ if !request.prefilled => {}
            Prefill::None => self.refuse(
                Field::Prefill,
                "the provider does not go on with the beginning of an answer",
            ),
            Prefill::ContinueFinalMessage => {
                it.bool("continue_final_message", true);
                it.bool("add_generation_prompt", false);
            }
            Prefill::Last | Prefill::Prefix | Prefill::Partial => {}
        }
    }

    fn streaming(&mut self, it: &mut Object<'_>, request: &Request) {
        if !request.stream {
            // OpenAI refuses options of a stream that is not asked for.
            if self.own && request.extra.get("stream_options").is_some() {
                self.lost.note_named("stream_options", "no stream is asked for");
            }
            return;
        }
        it.bool("stream", true);
        let options = request.extra.get("stream_options").filter(|_| self.own);
        if self.target.quirks.stream_usage || options.is_some() {
            it.object("stream_options", |it| {
                if self.target.quirks.stream_usage {
                    it.bool("include_usage", true);
                }
                write_members(it, options);
            });
        }
    }

    fn extras(&mut self, it: &mut Object<'_>, request: &Request) {
        if !self.own {
            return self.lost.note_extra("", &request.extra);
        }
        for (name, value) in &request.extra.0 {
            let is_written = match name.as_str() {
                LEGACY | "stream_options" => true,
                "reasoning" => request.reasoning.as_ref().is_some_and(|it| it.encrypted),
                "thinking" => value.node().is_object() && request.reasoning.as_ref().is_some_and(is_thinking),
                "audio" => request.audio.is_some(),
                _ => false,
            };
            if is_written {
                continue;
            }
            if self.is_unsupported(name) {
                self.lost.note_named(name.as_str(), "not supported by the provider");
            } else {
                it.raw(name, value);
            }
        }
    }
}

/// Whether it was asked for in the way of Anthropic's `thinking`.
fn is_thinking(reasoning: &Reasoning) -> bool {
    reasoning.enabled.is_some() || reasoning.adaptive || reasoning.budget.is_some()
}

/// OpenAI insists on a name, in these letters.
fn schema_name(name: Option<&str>) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    let letters = name.unwrap_or("response").chars().take(64);
    let name: String = letters.map(|letter| if fits(letter) { letter } else { '_' }).collect();
    if name.is_empty() { "response".to_owned() } else { name }
}
