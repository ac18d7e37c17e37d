//! Writes a request as the provider accepts it.

use std::borrow::Cow;

use super::choice::{self, Choice};
use super::extras::{BILLING_HEADER, has_inside, put_back, put_back_inside};
use super::models;
use super::thinking::{self, Plan, Thinking};
use super::tools::{self, Names};
use super::wire::{self, Block};
use super::write_content::Shaper;
use super::{cache, turns, words};
use crate::codec::{Memo, Outgoing, Target};
use crate::field::Field;
use crate::ir::Request;
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::quirks::Prefill;
use crate::raw::Raw;
use crate::writer::{self, Object};

/// The version of the API whose contract has parameters of sampling.
const VERSION: &str = "2023-06-01";

pub(super) fn write(request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
    let draft = Draft::of(request, target, lost)?;
    Ok(Outgoing {
        path: "/messages".to_owned(),
        headers: headers(),
        body: draft.body(true),
        memo: draft.memo,
    })
}

pub(super) fn headers() -> Vec<(&'static str, String)> {
    vec![("anthropic-version", VERSION.to_owned())]
}

/// A request in the shapes that are sent.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    request: &'a Request,
    own: bool,
    model: &'a str,
    plan: Plan,
    system: Vec<Block<'a>>,
    messages: Vec<wire::Message<'a>>,
    tools: Vec<wire::Tool<'a>>,
    choice: Choice<'a>,
    format: Option<Cow<'a, Raw>>,
    stop: Vec<&'a str>,
    pub(super) memo: Memo,
}

impl<'a> Draft<'a> {
    pub(super) fn of(request: &'a Request, target: &Target<'a>, lost: &mut Losses) -> Result<Self, Unsayable> {
        let own = request.from == Protocol::Anthropic;
        let model = models::named(target.model);
        refuse(request, lost)?;
        if request.prefilled && !(model.prefill && target.quirks.prefill == Prefill::Last) {
            return Err(lost.refuse(
                Field::Prefill,
                "the model does not go on with the beginning of an answer",
            ));
        }
        let mut shaper = Shaper::new(request.from, target.provider, lost);
        let mut tools = tools::write(request, &model, &mut shaper.names, shaper.lost);
        let mut system = shaper.system(&request.system)?;
        let mut messages = shaper.messages(&request.messages)?;
        let Names { memo, .. } = &mut shaper.names;
        let mut memo = std::mem::take(memo);
        let mut choice = choice::of(request, &tools, &memo, lost);
        let format = choice::form(request, &model, &mut system, &mut tools, &mut choice, &mut memo, lost)?;
        if matches!(choice, Choice::Word("any") | Choice::Tool(_)) && model.always_thinks {
            lost.note(Field::ToolChoice, "a model that always thinks cannot be forced");
            choice = Choice::Word("auto");
        }
        let forced = matches!(choice, Choice::Word("any") | Choice::Tool(_));
        let signed = turns::thoughts_first(&mut messages);
        let plan = thinking::plan(request, &model, forced, signed, lost);
        turns::mend_ends(&mut messages, &model, own, lost);
        cache::limit(&mut tools, &mut system, &mut messages, request.cache.is_some(), lost);
        note_losses(request, own, lost);
        Ok(Self {
            request,
            own,
            model: target.model,
            plan,
            system,
            messages,
            tools,
            choice,
            format,
            stop: stop(request, lost),
            memo,
        })
    }

    /// The body: of a request for an answer, or for the count of its tokens, which must not say how to answer.
    pub(super) fn body(&self, answer: bool) -> Vec<u8> {
        let mut body = Vec::with_capacity(1024);
        writer::object(&mut body, |it| {
            it.text("model", self.model);
            if answer {
                it.number("max_tokens", self.plan.max_tokens);
                if self.request.stream {
                    it.bool("stream", true);
                }
            }
            self.write_prompt(it);
            self.write_thinking(it);
            self.write_output(it);
            if answer {
                self.write_answering(it);
            }
            let mark = self.request.cache.as_ref().map(tools::mark);
            wire::write_mark(it, mark.as_ref(), self.own.then_some(&self.request.extra));
            if self.own {
                self.write_extra(it, answer);
            }
        });
        body
    }

    fn write_prompt(&self, it: &mut Object<'_>) {
        let billing = self.request.extra.get(BILLING_HEADER).filter(|_| self.own);
        if billing.is_some() || !self.system.is_empty() {
            it.array("system", |it| {
                if let Some(billing) = billing {
                    it.raw(billing);
                }
                wire::write_blocks(it, &self.system);
            });
        }
        if !self.tools.is_empty() {
            it.array("tools", |it| wire::write_tools(it, &self.tools));
        }
        self.write_choice(it);
        it.array("messages", |it| wire::write_messages(it, &self.messages));
    }

    fn write_choice(&self, it: &mut Object<'_>) {
        let serial = self.request.parallel_tools == Some(false) || self.memo.answer_tool.is_some();
        let (kind, name) = match &self.choice {
            Choice::Verbatim(raw) => return it.raw("tool_choice", raw),
            Choice::Word(word) => (*word, None),
            Choice::Tool(name) => ("tool", Some(name.as_str())),
            Choice::Absent if serial && !self.tools.is_empty() => ("auto", None),
            Choice::Absent => return,
        };
        it.object("tool_choice", |it| {
            it.text("type", kind);
            it.some_text("name", name);
            if serial && kind != "none" {
                it.bool("disable_parallel_tool_use", true);
            }
            if self.own {
                put_back_inside(it, &self.request.extra, "tool_choice");
            }
        });
    }

    fn write_thinking(&self, it: &mut Object<'_>) {
        let extra = &self.request.extra;
        if let Some(whole) = extra.get("thinking").filter(|_| self.own && self.plan.thinking.is_on()) {
            return it.raw("thinking", whole);
        }
        let (kind, budget) = match self.plan.thinking {
            Thinking::Absent => return,
            Thinking::Disabled => ("disabled", None),
            Thinking::Adaptive => ("adaptive", None),
            Thinking::Enabled { budget } => ("enabled", Some(budget)),
        };
        it.object("thinking", |it| {
            it.text("type", kind);
            it.some_number("budget_tokens", budget);
            it.some_text("display", self.plan.display);
            if self.own {
                put_back_inside(it, extra, "thinking");
            }
        });
    }

    fn write_output(&self, it: &mut Object<'_>) {
        let extra = &self.request.extra;
        let others = self.own && has_inside(extra, "output_config");
        if self.plan.effort.is_none() && self.format.is_none() && !others {
            return;
        }
        it.object("output_config", |it| {
            it.some_text("effort", self.plan.effort.map(crate::ir::Effort::name));
            if let Some(schema) = &self.format {
                it.object("format", |it| {
                    it.text("type", "json_schema");
                    it.raw("schema", schema);
                });
            }
            if others {
                put_back_inside(it, extra, "output_config");
            }
        });
    }

    /// What says how to answer.
    fn write_answering(&self, it: &mut Object<'_>) {
        it.some_float("temperature", self.plan.temperature);
        it.some_float("top_p", self.plan.top_p);
        it.some_number("top_k", self.plan.top_k);
        if !self.stop.is_empty() {
            it.array("stop_sequences", |it| self.stop.iter().for_each(|text| it.text(text)));
        }
        let extra = &self.request.extra;
        let others = self.own && has_inside(extra, "metadata");
        if self.request.user.is_some() || others {
            it.object("metadata", |it| {
                it.some_text("user_id", self.request.user.as_deref());
                if others {
                    put_back_inside(it, extra, "metadata");
                }
            });
        }
        if let Some(tier) = &self.request.service_tier {
            it.text("service_tier", words::tier_to_request(tier).0);
        }
    }

    fn write_extra(&self, it: &mut Object<'_>, answer: bool) {
        if answer {
            return put_back(it, &self.request.extra, &[BILLING_HEADER, "thinking"]);
        }
        for name in ["mcp_servers", "context_management"] {
            it.some_raw(name, self.request.extra.get(name));
        }
    }
}

/// What cannot be done and must not be left out.
fn refuse(request: &Request, lost: &Losses) -> Result<(), Unsayable> {
    if request.candidates.is_some_and(|count| count > 1) {
        return Err(lost.refuse(Field::Candidates, "only one answer can be asked for"));
    }
    if request.audio.is_some() {
        return Err(lost.refuse(Field::AudioOutput, "the model cannot speak"));
    }
    if request.from == Protocol::Anthropic {
        return Ok(());
    }
    if crate::stored::reference(request).is_some() {
        let reason = "the provider has not stored it, send the whole conversation";
        return Err(lost.refuse(Field::State, reason));
    }
    Ok(())
}

/// Notes what has no place.
fn note_losses(request: &Request, own: bool, lost: &mut Losses) {
    let missing = [
        (Field::Logprobs, request.logprobs.is_some()),
        (Field::Verbosity, request.verbosity.is_some()),
        (Field::Metadata, request.metadata.is_some()),
        (Field::CacheKey, request.cache_key.is_some()),
        (Field::Store, request.store == Some(true)),
    ];
    for (field, _) in missing.into_iter().filter(|(_, is_set)| *is_set) {
        lost.note(field, "not supported");
    }
    if request
        .service_tier
        .as_deref()
        .is_some_and(|tier| !words::tier_to_request(tier).1)
    {
        lost.note(Field::ServiceTier, "not supported, asked for auto");
    }
    if !own {
        lost.note_extra("", &request.extra);
    }
}

fn stop<'a>(request: &'a Request, lost: &mut Losses) -> Vec<&'a str> {
    let is_blank = |text: &str| text.trim().is_empty();
    if request.stop.iter().any(|text| is_blank(text)) {
        lost.note(Field::Stop, "white space is not accepted, dropped");
    }
    let texts = request.stop.iter().map(String::as_str);
    texts.filter(|text| !is_blank(text)).collect()
}
