//! What a caller asks, and how it is put to one target.

mod handles;

use std::borrow::Cow;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, Method};
use bytes::Bytes;
use mynah_dialect::codec::Address;
use mynah_dialect::peek::{Gist, Model, Name};
use mynah_dialect::splice::{Edit, splice};
use mynah_dialect::{Dialect, Protocol, continuation, gemini_address, gemini_names, multipart};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;

use crate::config::models::OnCut;
use crate::exchange::Question;
use crate::failure::Failure;
use crate::http::bare::Form;
use crate::known::PathStyle;
use crate::operation::{Operation, Speech};
use crate::provider::Endpoint;
use crate::route::{Rules, Target};
use crate::translation::Conversation;
use crate::upstream::auth::Credential;
use crate::upstream::base::BaseUrl;
use crate::upstream::call_body::CallBody;
use crate::upstream::call_path::CallPath;

/// What may stand in a path segment as it is.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// What a caller asks, as it is put to each target in turn.
#[derive(Debug)]
pub struct Ask<'a> {
    /// The method.
    pub method: Method,
    /// The path below the API's version.
    pub path: &'a str,
    /// What is asked of the model; `None` for a route that is passed through.
    pub operation: Option<Operation>,
    /// The dialect in which it is asked.
    pub dialect: Dialect,
    /// The model, where the path names it (Gemini).
    pub model_in_path: Option<&'a str>,
    /// Losses in translation are not allowed.
    pub strict: bool,
    /// The query without its question mark.
    pub query: &'a str,
    /// The caller's headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: AskBody<'a>,
    /// Distinguishes the request.
    pub id: &'a str,
    /// What the caller gets of an answer, if not all of it: an answer must have that.
    pub form: Option<Form>,
    /// How many times somebody was asked so far.
    pub attempts: u32,
    /// When it came.
    pub begun: Instant,
    /// How long it may take, where the caller says so.
    pub timeout: Option<Duration>,
    /// Its headers have tags which a target must have.
    pub has_tags: bool,
    /// When all of the answer must be there, once the route is known.
    pub until: Option<Instant>,
    /// The conversation, once it had to be understood; `None` in it when it is none.
    pub conversation: OnceLock<Option<Box<Conversation>>>,
}

/// How a provider is asked.
#[derive(Clone, Copy, Debug)]
pub enum Way<'p> {
    /// Word for word.
    Relay(&'p Endpoint),
    /// In the protocol that it speaks.
    Translate(&'p Endpoint, Protocol),
}

/// A body and what was found in it.
#[derive(Debug)]
pub enum AskBody<'a> {
    /// JSON.
    Json(&'a Bytes, Gist<'a>),
    /// A multipart form.
    Form(&'a Bytes, Option<Model<'a>>),
    /// Held in memory, and nobody's business.
    Opaque(&'a Bytes),
    /// Passed through, and put to one target once: what it creates there should not be there twice.
    Once(Mutex<Option<CallBody>>),
}

/// What an answer must look like to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expects {
    /// JSON, all of it.
    Json,
    /// Server-sent events.
    Events,
    /// That is not known.
    Anything,
}

// === impl Ask ===

impl Ask<'_> {
    /// Whether somebody else can be asked the same.
    pub fn can_be_sent_again(&self) -> bool {
        match &self.body {
            AskBody::Once(body) => lock(body).is_some(),
            AskBody::Json(..) | AskBody::Form(..) | AskBody::Opaque(_) => true,
        }
    }

    /// What an answer in the words of the caller must look like.
    pub fn expects(&self) -> Expects {
        let Some(operation) = self.operation else {
            return Expects::Anything;
        };
        let stream = operation.streamed || self.body.asks_for_stream();
        match operation.speech {
            // Gemini's streams may also be one JSON array, of which the pieces come one after the other.
            Speech::Conversation(_) | Speech::Completions if stream && !self.wants_events() => Expects::Anything,
            Speech::Conversation(_) | Speech::Completions if stream => Expects::Events,
            Speech::Images if stream => Expects::Anything,
            Speech::Plain(_) => Expects::Anything,
            _ => Expects::Json,
        }
    }

    fn wants_events(&self) -> bool {
        self.dialect != Dialect::Gemini || self.query.split('&').any(|pair| pair == "alt=sse")
    }

    /// How a target is asked this; `None` when it cannot be.
    pub fn way_to<'p>(&self, target: &'p Target) -> Option<Way<'p>> {
        let provider = &*target.provider;
        if provider.has_handles() {
            return self.way_by(target.handle.as_deref()?, provider);
        }
        let native = || provider.native();
        let translated = || native().map(|native| Way::Translate(native, provider.native_protocol()));
        match self.operation.map(|operation| operation.speech) {
            None | Some(Speech::Plain(_)) => provider.endpoint(self.dialect).map(Way::Relay),
            Some(Speech::Conversation(protocol)) => match provider.speaks(protocol) {
                Some(endpoint) => Some(self.way_in(endpoint, protocol)),
                None => translated(),
            },
            // Voyage's own callers do not come here by way of an SDK of another form.
            Some(Speech::Rerank { v2: false }) if provider.quirks.rerank_top_k => translated(),
            Some(Speech::Images) if provider.quirks.images.is_some() => translated(),
            Some(Speech::Completions) if !provider.apis.serves_completions() => translated(),
            Some(_) => match native() {
                Some(endpoint) if endpoint.dialect == self.dialect => Some(Way::Relay(endpoint)),
                _ => translated(),
            },
        }
    }

    /// How a conversation is put to somebody who speaks its own protocol.
    fn way_in<'p>(&self, endpoint: &'p Endpoint, protocol: Protocol) -> Way<'p> {
        // What another provider signed must be taken out of its envelope, or left out.
        // What goes on when it is cut must be known part by part.
        if self.carries_envelopes(protocol) || self.goes_on() {
            Way::Translate(endpoint, protocol)
        } else {
            Way::Relay(endpoint)
        }
    }

    fn carries_envelopes(&self, protocol: Protocol) -> bool {
        matches!(&self.body, AskBody::Json(_, gist) if gist.envelopes.are_in(protocol))
    }

    /// Heeds the rules of its route: has the conversation read whose answer goes on when it is cut, if that is possible.
    pub fn heed(&mut self, rules: &Rules) {
        let is_conversation = matches!(self.operation.map(|it| it.speech), Some(Speech::Conversation(_)));
        if rules.on_cut != OnCut::Continue || !is_conversation {
            return;
        }
        // What cannot be read is for the provider to judge.
        let is_possible = |conversation: &Conversation| continuation::is_possible(conversation.request());
        if self.conversation().is_ok_and(|it| it.is_some_and(is_possible))
            && let Some(Some(conversation)) = self.conversation.get_mut()
        {
            conversation.hold_together();
        }
    }

    /// Whether the answer goes on when it is cut.
    pub fn goes_on(&self) -> bool {
        matches!(self.conversation.get(), Some(Some(conversation)) if conversation.goes_on())
    }

    /// Whether it is the rest of an answer that is asked for.
    pub fn resumes(&self) -> bool {
        matches!(self.conversation.get(), Some(Some(conversation)) if conversation.resumes())
    }

    /// Whether it is asked in this protocol.
    pub fn is_in(&self, protocol: Protocol) -> bool {
        self.operation.map(|operation| operation.speech) == Some(Speech::Conversation(protocol))
    }

    /// The conversation that the body is; `None` when it is another question, see [`Ask::question`].
    pub fn conversation(&self) -> Result<Option<&Conversation>, Failure> {
        if let Some(conversation) = self.conversation.get() {
            return Ok(conversation.as_deref());
        }
        let Some(question) = self.question() else {
            return Err(Failure::cannot_translate(self.path, self.path));
        };
        let address = Address {
            model: self.model_in_path,
            stream: self.stream_in_path(),
            events: self.wants_events(),
        };
        let conversation = Conversation::read(&question, &address)?;
        Ok(self.conversation.get_or_init(|| conversation.map(Box::new)).as_deref())
    }

    /// Leaves the reasoning of earlier turns out of the conversation. Returns whether there was any.
    pub fn leave_out_reasoning(&mut self) -> bool {
        let conversation = self.conversation.get_mut().and_then(Option::as_deref_mut);
        conversation.is_some_and(Conversation::leave_out_reasoning)
    }

    /// The question, as far as it is one in JSON.
    pub fn question(&self) -> Option<Question<'_>> {
        let AskBody::Json(bytes, _) = &self.body else {
            return None;
        };
        Some(Question {
            speech: self.operation?.speech,
            body: bytes,
            model_in_path: self.model_in_path,
            strict: self.strict,
            id: self.id,
            now: unix_time(),
        })
    }

    /// Whether the path asks for a stream, where it says so.
    fn stream_in_path(&self) -> Option<bool> {
        let streamed = self.operation.is_some_and(|operation| operation.streamed);
        (streamed || self.dialect == Dialect::Gemini).then_some(streamed)
    }

    /// The path and query of this at a target.
    pub fn path_for(&self, target: &Target, base: &BaseUrl, credential: &Credential) -> Result<CallPath, Failure> {
        if self.model_in_path.is_some() {
            let path = gemini_address::method(&target.model, self.path);
            return at(target, base, credential, &path, self.query);
        }
        at(target, base, credential, self.path, self.query)
    }
}

/// The path and query of a call to a target that is called at `base`.
pub fn at(
    target: &Target,
    base: &BaseUrl,
    credential: &Credential,
    path: &str,
    query: &str,
) -> Result<CallPath, Failure> {
    let mut query = query.to_owned();
    let path = match &target.handle {
        Some(handle) => {
            let (path, asked) = handle.call(path, &query);
            query = asked;
            Cow::Owned(path)
        }
        None => below_base(target, path, &mut query),
    };
    credential.extend_query(&mut query);
    base.call(&path, &query)
        .map_err(|error| Failure::path_refused(error.to_string()))
}

/// The path below the base URL. Azure's deployments have the model in it, and the API's version in the query.
fn below_base<'a>(target: &Target, path: &'a str, query: &mut String) -> Cow<'a, str> {
    let provider = &target.provider;
    let Some(version) = provider
        .api_version
        .as_ref()
        .filter(|_| provider.path_style == PathStyle::AzureDeployments)
    else {
        return Cow::Borrowed(path);
    };
    let others = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("api-version="));
    *query = others
        .map(str::to_owned)
        .chain([format!("api-version={version}")])
        .collect::<Vec<_>>()
        .join("&");
    if target.model.is_empty() {
        return Cow::Borrowed(path);
    }
    Cow::Owned(format!(
        "/deployments/{}{path}",
        utf8_percent_encode(&target.model, SEGMENT)
    ))
}

// === impl AskBody ===

impl<'a> AskBody<'a> {
    /// The model asked for.
    pub fn model(&self) -> Option<&Model<'a>> {
        match self {
            Self::Json(_, gist) => gist.model.as_ref(),
            Self::Form(_, model) => model.as_ref(),
            Self::Opaque(_) | Self::Once(_) => None,
        }
    }

    /// The edits that name a model where none is named, and that ask for an answer in one piece.
    pub fn completed(&self, default_model: Option<&str>, in_one_piece: bool) -> Vec<Edit> {
        let Self::Json(_, gist) = self else {
            return Vec::new();
        };
        let mut edits: Vec<Edit> = default_model.and_then(|model| gist.named(model)).into_iter().collect();
        if in_one_piece {
            edits.extend(gist.unstreamed());
        }
        edits
    }

    /// Whether it says that the answer is to be a stream.
    pub fn asks_for_stream(&self) -> bool {
        matches!(self, Self::Json(_, gist) if gist.stream)
    }

    /// This body as a target gets it, and whether it asks for a usage that the caller did not ask for.
    pub fn for_target(&self, target: &Target, operation: Option<Operation>) -> (CallBody, bool) {
        match self {
            Self::Json(bytes, gist) => {
                // Few bodies need more.
                let mut edits: Vec<Edit> = Vec::with_capacity(2);
                edits.extend(renamed(bytes, gist, target, operation));
                if operation.is_some_and(|operation| operation.streamed && operation.dialect() != Dialect::Gemini) {
                    edits.extend(gist.streamed());
                }
                let on_demand = operation.is_some_and(Operation::usage_on_demand);
                let streamed = gist.stream || operation.is_some_and(|operation| operation.streamed);
                let usage =
                    (streamed && on_demand && target.provider.quirks.stream_usage).then(|| gist.include_usage());
                let usage = usage.flatten();
                let withholds_usage = usage.is_some();
                edits.extend(usage);
                let defaults = &target.provider.defaults;
                if !defaults.is_empty() && operation.is_some_and(Operation::is_conversation) {
                    edits.extend(defaults.added_to(bytes));
                }
                (CallBody::Held(splice(bytes, edits)), withholds_usage)
            }
            Self::Form(bytes, model) => {
                let edit = model
                    .as_ref()
                    .and_then(|model| multipart::replace_model(model, &target.name_on_the_wire().plain));
                (CallBody::Held(splice(bytes, edit.into_iter().collect())), false)
            }
            Self::Opaque(bytes) => (CallBody::Held(vec![(*bytes).clone()]), false),
            Self::Once(body) => (lock(body).take().unwrap_or(CallBody::Streamed(None)), false),
        }
    }
}

/// The edit that names the model as a target knows it.
fn renamed(bytes: &[u8], gist: &Gist<'_>, target: &Target, operation: Option<Operation>) -> Option<Edit> {
    let (model, name) = (gist.model.as_ref(), target.name_on_the_wire());
    if operation.is_none_or(|operation| operation.dialect() != Dialect::Gemini) {
        return model?.replaced_by(&name);
    }
    let name = Name::from(gemini_address::resource(&name.plain).as_str());
    match operation?.speech {
        Speech::Count(_) | Speech::Embeddings(_) => gemini_names::renamed(bytes, model, &name),
        _ => model?.replaced_by(&name),
    }
}

fn lock(body: &Mutex<Option<CallBody>>) -> MutexGuard<'_, Option<CallBody>> {
    body.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seconds since 1970, for the dates of answers.
pub fn unix_time() -> u64 {
    since_1970().as_secs()
}

/// The time since 1970.
#[expect(clippy::disallowed_methods, reason = "dates in and for answers")]
pub fn since_1970() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
}
