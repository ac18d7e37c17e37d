//! Writes a request.

use super::models::Model;
use super::spelling::under;
use super::turns::{self, Turn};
use super::write_tools::{NAMES, Tools};
use super::{words, write_config, write_content};
use crate::codec::{Memo, Outgoing, Target};
use crate::field::Field;
use crate::gemini_address;
use crate::ir::{Content, Extra, Format, Request};
use crate::loss::{Losses, Unsayable};
use crate::protocol::Protocol;
use crate::quirks::Prefill;
use crate::raw::Raw;
use crate::tool_names::ToolNames;
use crate::writer::{self, Object};

/// Writes the request for `generateContent` or `streamGenerateContent`.
pub(super) fn write_request(request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
    let draft = Draft::of(request, target, lost)?;
    let mut body = Vec::with_capacity(1024);
    writer::object(&mut body, |it| draft.write(it));
    let method = if request.stream {
        "streamGenerateContent?alt=sse"
    } else {
        "generateContent"
    };
    Ok(Outgoing {
        path: gemini_address::method(target.model, method),
        headers: Vec::new(),
        body,
        memo: draft.into_memo(),
    })
}

/// A request that is laid out.
pub(super) struct Draft<'r> {
    request: &'r Request,
    system: Vec<(&'r str, Option<&'r Extra>)>,
    demand: Option<String>,
    turns: Vec<Turn<'r>>,
    tools: Tools<'r>,
    config: Option<Raw>,
    tier: Option<&'static str>,
    memo: Memo,
}

impl<'r> Draft<'r> {
    pub(super) fn of(request: &'r Request, target: &Target<'_>, lost: &mut Losses) -> Result<Self, Unsayable> {
        if request.prefilled && target.quirks.prefill != Prefill::Last {
            return Err(lost.refuse(
                Field::Prefill,
                "the provider does not go on with the beginning of an answer",
            ));
        }
        let model = Model::named(target.model);
        let mut memo = Memo {
            provider: target.provider.to_owned(),
            ..Memo::default()
        };
        let mut names = ToolNames::new(NAMES);
        let tools = Tools::of(request, model, &mut names, &mut memo, lost);
        let turns = write_content::layout(request, target, &mut names, &mut memo, lost)?;
        let demand = demand(request, model, &tools, lost);
        let config = write_config::config(request, model, demand.is_none(), lost)?;
        if request.from != Protocol::Gemini {
            lost.note_extra("", &request.extra);
        } else if request
            .extra
            .0
            .iter()
            .any(|(name, _)| name.ends_with("streamFunctionCallArguments"))
        {
            lost.note_named(
                "toolConfig.functionCallingConfig.streamFunctionCallArguments",
                "not supported",
            );
        }
        Ok(Self {
            request,
            system: system(request, lost),
            demand,
            turns,
            tools,
            config,
            tier: tier(request, lost),
            memo,
        })
    }

    /// Writes the members of the request.
    pub(super) fn write(&self, it: &mut Object<'_>) {
        if !self.system.is_empty() || self.demand.is_some() {
            it.object("systemInstruction", |it| {
                it.array("parts", |it| {
                    let demand = self.demand.as_deref().map(|text| (text, None));
                    for (text, extra) in self.system.iter().copied().chain(demand) {
                        it.object(|it| {
                            it.text("text", text);
                            let rest = extra.into_iter().flat_map(|extra| under(extra, ""));
                            rest.for_each(|(name, value)| it.raw(name, value));
                        });
                    }
                });
                self.write_extra("systemInstruction", it);
            });
        }
        it.array("contents", |it| turns::write(&self.turns, it));
        self.tools.write(it);
        it.some_raw("generationConfig", self.config.as_ref());
        it.some_text("serviceTier", self.tier);
        if self.request.from == Protocol::Gemini {
            it.some_bool("store", self.request.store);
        }
        self.write_extra("", it);
    }

    /// What is needed to read the answer.
    pub(super) fn into_memo(self) -> Memo {
        self.memo
    }

    fn write_extra(&self, place: &str, it: &mut Object<'_>) {
        if self.request.from == Protocol::Gemini {
            under(&self.request.extra, place).for_each(|(name, value)| it.raw(name, value));
        }
    }
}

/// The instructions, with what stood beside each.
fn system<'r>(request: &'r Request, lost: &mut Losses) -> Vec<(&'r str, Option<&'r Extra>)> {
    let own = request.from == Protocol::Gemini;
    let mut texts = Vec::new();
    for part in &request.system {
        if part.cache.is_some() {
            lost.note(Field::CacheMark, "not supported");
        }
        if !own {
            lost.note_extra(Field::System.spelled(request.from), &part.extra);
        }
        match &part.content {
            Content::Text { text, .. } if text.is_empty() => {}
            Content::Text { text, .. } => texts.push((text.as_str(), own.then_some(&part.extra))),
            _ => lost.note(Field::System, "only text is supported"),
        }
    }
    texts
}

/// The instruction to answer in JSON, for models that cannot be held to it while they have tools.
fn demand(request: &Request, model: Model, tools: &Tools<'_>, lost: &mut Losses) -> Option<String> {
    if model.is_three() || !tools.has_functions() || request.from == Protocol::Gemini {
        return None;
    }
    match &request.format {
        Format::Text => None,
        Format::JsonObject => {
            lost.note(Field::JsonObject, "asked for in words beside tools");
            Some("Answer with a JSON object and nothing else.".to_owned())
        }
        Format::JsonSchema { schema, .. } => {
            lost.note(Field::JsonSchema, "asked for in words beside tools");
            let schema = schema.as_str();
            Some(format!(
                "Answer with JSON and nothing else. It must satisfy this JSON Schema:\n{schema}"
            ))
        }
    }
}

fn tier(request: &Request, lost: &mut Losses) -> Option<&'static str> {
    let word = request.service_tier.as_deref()?;
    let tier = words::tier_to_gemini(word);
    if tier.is_none() && word != "auto" {
        lost.note(Field::ServiceTier, "not supported");
    }
    tier
}
