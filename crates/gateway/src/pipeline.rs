//! The straight line: who asks, for what, where it may go, who answers, and back.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, VIA};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use bytes::Bytes;
use mynah_dialect::peek::peek;
use mynah_dialect::splice::splice;
use mynah_dialect::{Dialect, Protocol, multipart};
use tokio::time::Instant;

use crate::answer::Answer;
use crate::app::{App, InFlight};
use crate::ask::{Ask, AskBody, unix_time};
use crate::attempt::first_success;
use crate::cache::{self, Consulted, Slot};
use crate::caller::Caller;
use crate::config::replies::ModelReply;
use crate::continuation::Continuation;
use crate::digest::digest;
use crate::directions::Directions;
use crate::failure::Failure;
use crate::http::bare::{self, Form};
use crate::http::body::{RequestBody, read_whole};
use crate::http::decode::Encoding;
use crate::http::entry::Entry;
use crate::http::renamed::renamed;
use crate::http::reply::{REQUEST_ID, reply, share};
use crate::limits::{self, demand::Demand};
use crate::operation::Operation;
use crate::route::Route;
use crate::single_flight::{self, Seat};

/// Answers a request that names a model, in its body or, as Gemini's do, in its path.
pub async fn answer<B>(
    app: Arc<App>,
    operation: Operation,
    model: Option<String>,
    mut parts: Box<Parts>,
    body: B,
) -> Response
where
    B: RequestBody,
{
    let mut entry = Entry::with_account(&parts, &app, operation.dialect());
    match answer_model(&app, operation, model.as_deref(), &mut parts, body, &mut entry).await {
        Ok(response) => response,
        Err(failure) => entry.in_vain(failure, operation.dialect(), request_id(&parts)),
    }
}

/// Answers a request, or says why not. What few requests wait for is in boxes: what a request carries with it has to stay
/// small.
async fn answer_model<B>(
    app: &Arc<App>,
    operation: Operation,
    model: Option<&str>,
    parts: &mut Parts,
    body: B,
    entry: &mut Entry,
) -> Result<Response, Failure>
where
    B: RequestBody,
{
    let started = entry.begun();
    let caller = identify(app, parts, entry)?;
    may_call(&caller, operation.below, parts)?;
    let permit = app.admit()?;
    let bytes = read_plain(app, parts, body).await?;
    let parts = &*parts;
    let form = bare::form(&app.server.replies, operation, &parts.headers);
    let bytes = completed(
        bytes,
        &parts.headers,
        app.catalog.default_model(operation),
        form.is_some(),
    )?;
    let body = read_gist(&parts.headers, &bytes)?;
    if matches!(body, AskBody::Json(..)) {
        entry.said(&bytes);
    }
    let named = model.or_else(|| body.model().map(|model| model.name.as_ref()));
    entry.asked(named.unwrap_or_default());
    entry.streams(operation.streamed || body.asks_for_stream());
    let directions = Directions::of(&parts.headers);
    let pinned = directions.provider()?;
    let route = route_of(app, named, pinned, &caller).await?;
    entry.routed(&route.name);
    if named.is_none() {
        entry.asked(&route.name);
    }
    let is_renamed = app.server.replies.model == ModelReply::Asked && operation.names_model_in_answer();
    let is_renamed = is_renamed && !operation.streamed && !body.asks_for_stream();
    let query = without_key(parts.uri.query().unwrap_or_default());
    let asking = Asking {
        operation,
        model,
        strict: caller.strict || route.strict || directions.is_strict(),
        query: &query,
        headers: &parts.headers,
        id: request_id(parts),
        begun: started,
        timeout: directions.timeout()?,
        has_tags: directions.has_tags,
    };
    let mut ask = asking.ask(body);
    ask.form = form;
    let consulted = match route.rules.cache {
        Some(rule) => Box::pin(cache::consult(app, rule, &route, &ask, &caller)).await,
        None => None,
    };
    if let Some(allowance) = &caller.allowance {
        let demand = match &consulted {
            // It takes no tokens and costs nothing, but it is a request.
            Some(Consulted::Hit(_)) => Demand::default(),
            _ => Demand::of(&ask, &route, allowance, &app.process.discovered),
        };
        let admitted = limits::admit(allowance, demand, allowance.clock.now()).await?;
        entry.hold(admitted, parts, app, operation.dialect());
    }
    let slot = match consulted {
        None => None,
        Some(Consulted::Miss(slot)) => Some(slot),
        Some(Consulted::Hit(hit)) => {
            entry.from_cache();
            let response = share(hit.response(), operation.dialect(), entry.take(), permit);
            return Ok(Box::pin(in_form(response, form, is_renamed.then_some(&route.name))).await);
        }
    };
    let response = if route.rules.single_flight {
        Box::pin(shared_answer(app, &route, &caller, &mut ask, slot, entry, permit)).await?
    } else {
        own_answer(app, &route, &mut ask, slot, entry, permit).await?
    };
    if form.is_none() && !is_renamed {
        return Ok(response);
    }
    Ok(Box::pin(in_form(response, form, is_renamed.then_some(&route.name))).await)
}

/// Where a request goes: by the model that it names, if it names one.
async fn route_of(
    app: &App,
    named: Option<&str>,
    pinned: Option<&str>,
    caller: &Caller,
) -> Result<Arc<Route>, Failure> {
    let Some(model) = named else {
        return app.catalog.resolve_without_model(pinned, caller).map_err(|failure| {
            if failure.code == Some("provider_missing") {
                Failure::model_missing()
            } else {
                failure
            }
        });
    };
    match app.catalog.resolve_now(model, pinned, caller)? {
        Some(route) => Ok(route),
        None => Box::pin(app.catalog.resolve(model, pinned, caller)).await,
    }
}

/// The body of a request with what the configuration adds to it: a model where it names none, and that the answer is to come
/// in one piece.
fn completed(bytes: Bytes, headers: &HeaderMap, model: Option<&str>, in_one_piece: bool) -> Result<Bytes, Failure> {
    if model.is_none() && !in_one_piece {
        return Ok(bytes);
    }
    let edits = read_gist(headers, &bytes)?.completed(model, in_one_piece);
    Ok(if edits.is_empty() {
        bytes
    } else {
        splice(&bytes, edits).concat().into()
    })
}

/// An answer in the form that is configured for it.
async fn in_form(response: Response, form: Option<Form>, name: Option<&String>) -> Response {
    match (form, name) {
        (Some(form), _) => bare::stripped(response, form).await,
        (None, Some(name)) => renamed(response, name).await,
        (None, None) => response,
    }
}

/// Asks, unless an equal request is under way that may be shared.
async fn shared_answer(
    app: &Arc<App>,
    route: &Arc<Route>,
    caller: &Caller,
    ask: &mut Ask<'_>,
    slot: Option<Box<Slot>>,
    entry: &mut Entry,
    permit: InFlight,
) -> Result<Response, Failure> {
    let is_sharable = single_flight::is_possible(ask);
    let Some(key) = is_sharable.then(|| digest(ask, route, Some(caller))).flatten() else {
        return own_answer(app, route, ask, slot, entry, permit).await;
    };
    match app.process.flights.board(key).await {
        Seat::Passenger(shared) => Ok(share((*shared)?, ask.dialect, entry.take(), permit)),
        Seat::Pilot(pilot) => match own_answer(app, route, ask, slot, entry, permit).await {
            Ok(response) => Ok(pilot.land(response)),
            Err(failure) => Err(pilot.crash(failure)),
        },
    }
}

/// Asks the targets of the route. What is answered may be kept in `slot`.
async fn own_answer(
    app: &Arc<App>,
    route: &Arc<Route>,
    ask: &mut Ask<'_>,
    slot: Option<Box<Slot>>,
    entry: &mut Entry,
    permit: InFlight,
) -> Result<Response, Failure> {
    entry.asks(ask);
    let answer = first_success(app, route, ask, entry.attempts()).await;
    entry.tried(ask.attempts);
    let mut answer = answer?;
    answer.body.continuation = Continuation::of(app, route, ask, &mut answer);
    let responses = ask.is_in(Protocol::OpenaiResponses);
    let response = finish(answer, (ask.dialect, responses), entry, permit);
    Ok(match slot {
        Some(slot) => slot.fill(response),
        None => response,
    })
}

/// Who is calling. A web page needs a key, or an origin that may do without.
pub fn identify(app: &App, parts: &Parts, entry: &mut Entry) -> Result<Arc<Caller>, Failure> {
    let headers = &parts.headers;
    if headers.get_all(VIA).iter().any(|via| has_been_here(app, via)) {
        return Err(Failure::going_round());
    }
    let callers = app.callers.load();
    let caller = callers
        .identify(headers, parts.uri.query().unwrap_or_default())?
        .clone();
    if caller.has_expired(|| unix_time().saturating_mul(1000)) {
        return Err(Failure::key_expired());
    }
    if let Some(origin) = headers.get(ORIGIN)
        && caller.anonymous
        && !app.allows_origin(origin)
    {
        return Err(Failure::origin_refused());
    }
    entry.called_by(&caller);
    Ok(caller)
}

/// Whether the caller may ask for what a path below the API's version asks for.
pub fn may_call(caller: &Caller, below: &str, parts: &Parts) -> Result<(), Failure> {
    match &caller.routes {
        Some(routes) if !caller.may_call(below) => Err(Failure::route_forbidden(parts.uri.path(), routes)),
        _ => Ok(()),
    }
}

fn has_been_here(app: &App, via: &HeaderValue) -> bool {
    via.as_bytes()
        .split(|&byte| byte == b',')
        .any(|hop| hop.trim_ascii() == app.process.via.as_bytes())
}

/// Finds the model in a body, by the body's type.
pub fn read_gist<'a>(headers: &HeaderMap, bytes: &'a Bytes) -> Result<AskBody<'a>, Failure> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type
        .get(..20)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data;"))
    {
        let model = multipart::peek(content_type, bytes);
        let model = model.map_err(|error| Failure::body_unreadable(format!("{}.", capitalized(&error)), None))?;
        return Ok(AskBody::Form(bytes, model));
    }
    let gist = peek(bytes).map_err(|error| Failure::body_unreadable(format!("{}.", capitalized(&error)), None))?;
    Ok(AskBody::Json(bytes, gist))
}

fn capitalized(error: &impl ToString) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters).collect())
        .unwrap_or_default()
}

/// Reads a body to its end, and unpacks it if it came compressed. It is sent on as it is then.
pub async fn read_plain<B>(app: &App, parts: &mut Parts, body: B) -> Result<Bytes, Failure>
where
    B: RequestBody,
{
    let (bytes, encoding) = read_unpacked(app, parts, body).await?;
    if encoding.is_some() {
        parts.headers.remove(CONTENT_ENCODING);
    }
    Ok(bytes)
}

/// Reads a body to its end, and unpacks it if it came compressed. Tells how it came.
pub async fn read_unpacked<B>(app: &App, parts: &Parts, mut body: B) -> Result<(Bytes, Option<Encoding>), Failure>
where
    B: RequestBody,
{
    let (headers, limit) = (&parts.headers, app.server.max_body);
    let encoding = Encoding::of(headers)?;
    let bytes = match body.whole() {
        Some(whole) if whole.len() > limit => return Err(Failure::body_too_large(limit as u64)),
        Some(whole) => whole,
        None => Box::pin(read_whole(body, limit, app.server.body_timeout)).await?,
    };
    let plain = match encoding {
        Some(encoding) => encoding.decode(bytes, limit)?,
        None => bytes,
    };
    Ok((plain, encoding))
}

/// A request that names a model, but for its body.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// What is asked.
    pub operation: Operation,
    /// The model, where the path names it.
    pub model: Option<&'a str>,
    /// Losses are not allowed.
    pub strict: bool,
    /// The query, without a key.
    pub query: &'a str,
    /// The caller's headers.
    pub headers: &'a HeaderMap,
    /// Distinguishes the request.
    pub id: &'a str,
    /// When it came.
    pub begun: Instant,
    /// How long it may take, where the caller says so.
    pub timeout: Option<Duration>,
    /// Its headers have tags.
    pub has_tags: bool,
}

impl<'a> Asking<'a> {
    /// The question.
    pub fn ask(self, body: AskBody<'a>) -> Ask<'a> {
        Ask {
            method: Method::POST,
            path: self.operation.below,
            operation: Some(self.operation),
            dialect: self.operation.dialect(),
            model_in_path: self.model,
            strict: self.strict,
            query: self.query,
            headers: self.headers,
            body,
            id: self.id,
            form: None,
            attempts: 0,
            begun: self.begun,
            timeout: self.timeout,
            has_tags: self.has_tags,
            until: None,
            conversation: OnceLock::new(),
        }
    }
}

/// The id by which the gateway knows a request.
pub fn request_id(parts: &Parts) -> &str {
    parts
        .headers
        .get(&REQUEST_ID)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default()
}

/// The dialect of a request whose path does not tell: its SDK sends a header of its own.
pub fn dialect_of(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") {
        Dialect::Anthropic
    } else if headers.contains_key("x-goog-api-key") {
        Dialect::Gemini
    } else {
        Dialect::OpenAi
    }
}

/// A query without the key that Gemini's clients may put there.
pub fn without_key(query: &str) -> Cow<'_, str> {
    if !query.split('&').any(|pair| pair.starts_with("key=")) {
        return Cow::Borrowed(query);
    }
    let others: Vec<&str> = query.split('&').filter(|pair| !pair.starts_with("key=")).collect();
    Cow::Owned(others.join("&"))
}

/// The reply that an answer becomes.
pub fn finish(answer: Box<Answer<'_>>, spoken: (Dialect, bool), entry: &mut Entry, permit: InFlight) -> Response {
    reply(answer, spoken, entry.take(), permit)
}
