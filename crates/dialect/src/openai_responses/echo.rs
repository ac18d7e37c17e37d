//! The response object: what was asked for, as the API repeats it in every answer, and how the answer stands.

use super::tools::{self, Manner};
use super::words::summary_of;
use super::write_options::write_format;
use super::{OWN, usage};
use crate::codec::Asked;
use crate::ir::{Content, Part, Request, Usage};
use crate::raw::Raw;
use crate::writer::{Object, raw_array, raw_object, raw_text};

/// What does not change while an answer is told.
#[derive(Debug)]
pub(super) struct Echo {
    request: Request,
    instructions: Option<String>,
    tools: Raw,
    tool_choice: Raw,
    text: Raw,
    reasoning: Raw,
}

/// Who answers.
#[derive(Debug, Default)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
    pub(super) service_tier: Option<String>,
}

/// How an answer stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing<'a> {
    pub(super) status: &'a str,
    /// When it was completed.
    pub(super) completed: Option<u64>,
    /// The code and the message of the error that it ended in.
    pub(super) error: Option<(&'a str, &'a str)>,
    /// Why it is incomplete.
    pub(super) incomplete: Option<&'a str>,
    pub(super) output: &'a [Raw],
    pub(super) usage: Option<&'a Usage>,
}

impl Standing<'_> {
    /// Nothing has been said yet.
    pub(super) const BEGUN: Self = Self {
        status: "in_progress",
        completed: None,
        error: None,
        incomplete: None,
        output: &[],
        usage: None,
    };
}

impl Echo {
    /// What the answer repeats of the request.
    pub(super) fn new(asked: &Asked) -> Self {
        let request = &asked.request;
        let manner = Manner {
            own: request.from == OWN,
            strict: true,
        };
        let mut same_name = |name: &str| name.to_owned();
        let tools = tools::write_tools(&request.tools, manner, &mut same_name);
        let choice = request.tool_choice.as_ref();
        Self {
            instructions: instructions(&request.system),
            tools: raw_array(|it| tools.iter().for_each(|tool| it.raw(tool))),
            tool_choice: choice
                .and_then(|choice| tools::write_choice(choice, &request.tools, &mut same_name))
                .unwrap_or_else(|| raw_text("auto")),
            text: raw_object(|it| {
                it.object("format", |it| write_format(it, &request.format));
                it.some_text("verbosity", request.verbosity.as_deref());
            }),
            reasoning: raw_object(|it| {
                let reasoning = request.reasoning.as_ref();
                let effort = reasoning.and_then(crate::ir::Reasoning::wanted_effort);
                it.text_or_null("effort", effort.map(crate::ir::Effort::name));
                it.text_or_null("summary", reasoning.and_then(|reasoning| summary_of(&reasoning.show)));
            }),
            request: Request {
                system: Vec::new(),
                messages: Vec::new(),
                tools: Vec::new(),
                ..request.clone()
            },
        }
    }

    /// Writes the members of the response object.
    pub(super) fn write(&self, it: &mut Object<'_>, head: &Head, standing: Standing<'_>) {
        it.text("id", &head.id);
        it.text("object", "response");
        it.number("created_at", head.created);
        match standing.completed {
            Some(completed) => it.number("completed_at", completed.max(head.created)),
            None => it.null("completed_at"),
        }
        it.text("status", standing.status);
        match standing.error {
            Some((code, message)) => it.object("error", |it| {
                it.text("code", code);
                it.text("message", message);
            }),
            None => it.null("error"),
        }
        match standing.incomplete {
            Some(reason) => it.object("incomplete_details", |it| it.text("reason", reason)),
            None => it.null("incomplete_details"),
        }
        it.text_or_null("instructions", self.instructions.as_deref());
        match self.request.max_tokens {
            Some(tokens) => it.number("max_output_tokens", tokens),
            None => it.null("max_output_tokens"),
        }
        it.text("model", &head.model);
        it.array("output", |it| standing.output.iter().for_each(|item| it.raw(item)));
        self.write_settings(it, head);
        match (standing.status, standing.usage) {
            ("in_progress", _) | ("failed", None) => it.null("usage"),
            // Vercel's client wants counts in every answer.
            (_, counts) => usage::write(it, counts),
        }
        it.text_or_null("user", self.request.user.as_deref());
        match &self.request.metadata {
            Some(metadata) => it.raw("metadata", metadata),
            None => it.object("metadata", |_| {}),
        }
    }

    fn write_settings(&self, it: &mut Object<'_>, head: &Head) {
        let request = &self.request;
        it.bool("parallel_tool_calls", request.parallel_tools.unwrap_or(true));
        self.kept(it, "previous_response_id", None);
        it.text_or_null("prompt_cache_key", request.cache_key.as_deref());
        it.raw("reasoning", &self.reasoning);
        let tier = head.service_tier.as_deref().or(request.service_tier.as_deref());
        it.text("service_tier", tier.unwrap_or("default"));
        it.bool("store", request.store.unwrap_or(false));
        it.float("temperature", request.sampling.temperature.unwrap_or(1.0));
        it.raw("text", &self.text);
        it.raw("tool_choice", &self.tool_choice);
        it.raw("tools", &self.tools);
        it.number(
            "top_logprobs",
            request.logprobs.and_then(|logprobs| logprobs.top).unwrap_or(0),
        );
        it.float("top_p", request.sampling.top_p.unwrap_or(1.0));
        self.kept(it, "truncation", Some("disabled"));
        self.kept(it, "background", None);
    }

    /// A member that only this protocol knows, as the caller sent it.
    fn kept(&self, it: &mut Object<'_>, name: &str, default: Option<&str>) {
        let kept = self.request.extra.get(name).filter(|_| self.request.from == OWN);
        match kept {
            Some(value) => it.raw(name, value),
            None if name == "background" => it.bool(name, false),
            None => it.text_or_null(name, default),
        }
    }
}

fn instructions(system: &[Part]) -> Option<String> {
    let text = |part: &Part| match &part.content {
        Content::Text { text, .. } => Some(text.clone()),
        _ => None,
    };
    let texts: Vec<String> = system.iter().filter_map(text).collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}
