//! Writes requests.

use std::borrow::Cow;

use super::tools::{self, Manner};
use super::{OWN, STATE_FIELDS, write_input};
use crate::codec::{Memo, Outgoing, Target};
use crate::field::Field;
use crate::ir::{Content, Format, Part, Request, Role};
use crate::loss::{Losses, Unsayable};
use crate::openai_models;
use crate::raw::Raw;
use crate::tool_names::{NameRule, ToolNames};
use crate::writer::{self, Object};

const NAMES: NameRule = NameRule {
    longest: 64,
    letters: "-",
    begins_with_letter: false,
};

/// Someone who writes one request.
pub(super) struct Scribe<'a> {
    pub(super) request: &'a Request,
    pub(super) target: &'a Target<'a>,
    /// The request came in this protocol: what only it knows is put back.
    pub(super) own: bool,
    /// The model takes marks of where the prompt may be cached.
    pub(super) breakpoints: bool,
    pub(super) lost: &'a mut Losses,
    names: ToolNames,
    memo: Memo,
}

/// Writes a request for a target.
pub(super) fn write(request: &Request, target: &Target<'_>, lost: &mut Losses) -> Result<Outgoing, Unsayable> {
    let own = request.from == OWN;
    let mut scribe = Scribe {
        request,
        target,
        own,
        breakpoints: own || openai_models::takes_cache_marks(target.model),
        lost,
        names: ToolNames::new(NAMES),
        memo: Memo {
            provider: target.provider.to_owned(),
            ..Memo::default()
        },
    };
    scribe.refuse()?;
    scribe.note_losses();
    let (instructions, items) = scribe.conversation()?;
    let mut body = Vec::new();
    writer::object(&mut body, |it| scribe.members(it, instructions.as_deref(), &items));
    Ok(Outgoing {
        path: "/responses".to_owned(),
        headers: Vec::new(),
        body,
        memo: scribe.memo,
    })
}

impl<'a> Scribe<'a> {
    /// A tool's name on the wire. Its namespace stands beside it.
    pub(super) fn wire_name(&mut self, name: &str) -> String {
        let wire = self.names.wire(None, name, false, &mut self.memo);
        if wire != name {
            self.lost.note(Field::ToolName, "renamed for the provider");
        }
        wire
    }

    /// The role of instructions in the conversation.
    pub(super) fn system_role(&self) -> &'static str {
        if self.target.quirks.developer_role {
            "developer"
        } else {
            "system"
        }
    }

    /// Whether a member may be sent; if not, that is noted.
    pub(super) fn takes(&mut self, name: &str, field: Field) -> bool {
        let refused = self.target.quirks.unsupported.iter().any(|other| other == name);
        if refused {
            self.lost.note(field, "not supported by the provider");
        }
        !refused
    }

    fn refuse(&self) -> Result<(), Unsayable> {
        let request = self.request;
        if request.candidates.is_some_and(|count| count > 1) {
            return Err(self
                .lost
                .refuse(Field::Candidates, "this provider gives one answer to a request"));
        }
        if request.prefilled {
            return Err(self.lost.refuse(
                Field::Prefill,
                "this provider does not go on with the beginning of an answer",
            ));
        }
        if request.audio.is_some() {
            return Err(self
                .lost
                .refuse(Field::AudioOutput, "this provider does not answer with sound"));
        }
        Ok(())
    }

    /// Notes what has no counterpart here.
    fn note_losses(&mut self) {
        let sampling = &self.request.sampling;
        let absent = [
            (Field::TopK, sampling.top_k.is_some()),
            (Field::MinP, sampling.min_p.is_some()),
            (Field::FrequencyPenalty, sampling.frequency_penalty.is_some()),
            (Field::PresencePenalty, sampling.presence_penalty.is_some()),
            (Field::RepetitionPenalty, sampling.repetition_penalty.is_some()),
            (Field::Seed, sampling.seed.is_some()),
            (Field::LogitBias, sampling.logit_bias.is_some()),
            (Field::Stop, !self.request.stop.is_empty()),
            (Field::CacheMark, self.request.cache.is_some()),
        ];
        for (field, _) in absent.into_iter().filter(|(_, is_set)| *is_set) {
            self.lost.note(field, "not supported");
        }
        if !self.own {
            self.lost.note_extra("", &self.request.extra);
            let last = self.request.messages.last();
            if last.is_some_and(|last| last.role == Role::Assistant && !ends_in_call(&last.parts)) {
                self.lost.note(Field::Prefill, "the model may begin anew");
            }
        }
        tools::note_losses(&self.request.tools, self.manner(), self.lost);
    }

    /// The instructions as far as they can stand on their own, and the items.
    fn conversation(&mut self) -> Result<(Option<String>, Vec<Raw>), Unsayable> {
        let request = self.request;
        let system = request.system.as_slice();
        let must_be_item =
            |part: &Part| (part.cache.is_some() && self.breakpoints) || !matches!(part.content, Content::Text { .. });
        // Without a conversation, the instructions are all that there is to answer.
        let alone = request.messages.is_empty() && !self.own;
        if alone || system.iter().any(must_be_item) {
            return Ok((self.schema_instruction(), write_input::write(self, system)?));
        }
        if system.iter().any(|part| part.cache.is_some()) {
            self.lost.note(Field::CacheMark, "not supported by the model");
        }
        let text = |part: &'a Part| match &part.content {
            Content::Text { text, .. } if !text.is_empty() => Some(Cow::Borrowed(text.as_str())),
            _ => None,
        };
        let mut texts: Vec<Cow<'_, str>> = system.iter().filter_map(text).collect();
        texts.extend(self.schema_instruction().map(Cow::Owned));
        let instructions = (!texts.is_empty()).then(|| texts.join("\n\n"));
        Ok((instructions, write_input::write(self, &[])?))
    }

    /// What stands in for a schema that the provider cannot enforce.
    pub(super) fn schema_instruction(&self) -> Option<String> {
        match &self.request.format {
            Format::JsonSchema { schema, .. } if !self.target.quirks.json_schema => Some(format!(
                "Answer with nothing but one JSON object that satisfies this JSON Schema: {}",
                schema.as_str()
            )),
            _ => None,
        }
    }

    fn members(&mut self, it: &mut Object<'_>, instructions: Option<&str>, items: &[Raw]) {
        let request = self.request;
        it.text("model", self.target.model);
        it.some_text("instructions", instructions);
        if !items.is_empty() || !self.own {
            it.array("input", |it| items.iter().for_each(|item| it.raw(item)));
        }
        self.tools(it);
        self.limits(it);
        self.text_options(it);
        self.reasoning(it);
        self.include(it);
        if self.takes("store", Field::Store) {
            it.bool("store", self.store());
        }
        self.identity(it);
        if request.stream {
            it.bool("stream", true);
        }
        if self.own {
            let simple =
                |name: &str| name != "include" && !name.starts_with("text.") && !name.starts_with("reasoning.");
            let kept = request.extra.0.iter().filter(|(name, _)| simple(name));
            kept.for_each(|(name, value)| it.raw(name, value));
        }
    }

    pub(super) fn manner(&self) -> Manner {
        Manner {
            own: self.own,
            strict: self.target.quirks.strict_tools,
        }
    }

    /// Nothing is stored unless the caller asks for it, in words or by what it refers to.
    pub(super) fn store(&self) -> bool {
        let is_stateful = || self.own && STATE_FIELDS.iter().any(|field| self.request.extra.get(field).is_some());
        self.request.store.unwrap_or_else(is_stateful)
    }
}

fn ends_in_call(parts: &[Part]) -> bool {
    matches!(parts.last().map(|part| &part.content), Some(Content::ToolCall { .. }))
}
