//! Asks one target after the other until one answers. The only home of the rule when another is asked.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use memchr::memmem;
use mynah_dialect::opening::{Opening, Overture};
use mynah_dialect::peek::{Gist, Model};
use mynah_dialect::splice::{Edit, splice};
use mynah_dialect::verdict::Verdict;
use mynah_dialect::{Dialect, multipart};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::time::Instant;

use crate::app::App;
use crate::catalog::{Route, Target};
use crate::config::secret::Secret;
use crate::echo;
use crate::failure::Failure;
use crate::http::body::BrokenBody;
use crate::known::PathStyle;
use crate::operation::Operation;
use crate::provider::Endpoint;
use crate::upstream::auth::Credential;
use crate::upstream::headers::{to_caller, to_upstream};
use crate::upstream::send::{Call, Outgoing, SendError, UpstreamBody, send};

/// No request is tried more often than this, however many targets and keys there are.
const MAX_ATTEMPTS: u32 = 16;

/// An error's body is read up to this size before the next target is asked.
const MAX_ERROR: usize = 256 * 1024;

/// A key shorter than this is a word (`none`, `ollama`), not a secret.
const MIN_REDACTED: usize = 12;

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
    /// The query without its question mark.
    pub query: &'a str,
    /// The caller's headers.
    pub headers: &'a HeaderMap,
    /// The body.
    pub body: AskBody<'a>,
    /// Distinguishes the request.
    pub id: &'a str,
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
    /// Passed through as it comes; can be sent once.
    Streamed(Option<Body>),
}

/// An answer whose first content has come.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers that the caller gets.
    pub headers: HeaderMap,
    /// The body.
    pub body: AnswerBody,
    /// The usage event is ours, and is withheld from the caller.
    pub withholds_usage: bool,
    /// The body ends with its connection, so that HTTP cannot tell whether it is whole.
    pub ends_with_connection: bool,
    /// `provider/model` that answered.
    pub target: String,
    /// How many times somebody was asked.
    pub attempts: u32,
    /// The time that was spent waiting for providers.
    pub waited: Duration,
}

/// A body of which a part has come.
#[derive(Debug)]
pub struct AnswerBody {
    /// What has come.
    pub held: VecDeque<Bytes>,
    /// What is still to come.
    pub rest: Option<UpstreamBody>,
}

/// What came of asking once.
enum Outcome {
    /// An answer that the caller should get.
    Answered(Answer),
    /// An answer that makes us ask somebody else; the caller gets it if there is nobody.
    Refused(Answer, Verdict),
    /// No answer.
    Failed(Failure),
}

/// Asks the targets of a route in order: each key of a target while the keys are at fault, then the next target.
pub async fn first_success(app: &App, route: &Route, ask: &mut Ask<'_>) -> Result<Answer, Failure> {
    let started = Instant::now();
    let mut attempts = 0;
    let mut worst: Option<(Answer, Verdict)> = None;
    let mut failure = None;
    'targets: for target in &route.targets {
        if target.provider.is_built_in() {
            return answer_built_in(ask, target, attempts + 1);
        }
        let Some(endpoint) = target.provider.endpoint(Dialect::OpenAi) else {
            failure.get_or_insert_with(|| Failure::cannot_translate(&route.name, ask.path));
            continue;
        };
        for key in target.provider.turns.in_turn() {
            if attempts == MAX_ATTEMPTS || (attempts > 0 && !ask.can_be_sent_again()) {
                break 'targets;
            }
            attempts += 1;
            match ask_once(app, target, endpoint, key, ask).await {
                Outcome::Answered(answer) => {
                    return Ok(Answer {
                        attempts,
                        waited: started.elapsed(),
                        ..answer
                    });
                }
                Outcome::Refused(answer, verdict) => {
                    tracing::warn!(
                        model = target.name,
                        status = answer.status.as_u16(),
                        id = ask.id,
                        "refused"
                    );
                    if worst
                        .as_ref()
                        .is_none_or(|(_, before)| says_more(verdict) >= says_more(*before))
                    {
                        worst = Some((answer, verdict));
                    }
                    if !verdict.is_the_keys() {
                        break;
                    }
                }
                Outcome::Failed(reason) => {
                    tracing::warn!(model = target.name, reason = %reason.message, id = ask.id, "failed");
                    failure = Some(reason);
                    break;
                }
            }
        }
    }
    match (worst, failure) {
        (Some((answer, _)), _) => Ok(Answer {
            attempts,
            waited: started.elapsed(),
            ..answer
        }),
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(Failure::model_unknown(&route.name, "")),
    }
}

/// Of several refusals the caller gets the one that tells most about what to do: wait, try again, or nothing.
fn says_more(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Throttled => 2,
        Verdict::Faulty => 1,
        _ => 0,
    }
}

fn answer_built_in(ask: &Ask<'_>, target: &Target, attempts: u32) -> Result<Answer, Failure> {
    let (operation, body) = match (&ask.operation, &ask.body) {
        (Some(operation), AskBody::Json(bytes, _)) => {
            (operation.path, serde_json::from_slice(bytes).unwrap_or_default())
        }
        _ => return Err(Failure::echo_cannot(ask.path)),
    };
    #[expect(clippy::disallowed_methods, reason = "the date of an answer")]
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let answer = echo::answer(operation, &body, ask.id, now).ok_or_else(|| Failure::echo_cannot(operation))?;
    let (content_type, held) = match answer {
        echo::Answer::Json(body) => ("application/json", VecDeque::from([Bytes::from(body.to_string())])),
        echo::Answer::Events(events) => ("text/event-stream; charset=utf-8", VecDeque::from(events)),
    };
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    Ok(answered(
        StatusCode::OK,
        headers,
        AnswerBody { held, rest: None },
        target,
        attempts,
    ))
}

fn answered(status: StatusCode, headers: HeaderMap, body: AnswerBody, target: &Target, attempts: u32) -> Answer {
    Answer {
        status,
        headers,
        body,
        withholds_usage: false,
        ends_with_connection: false,
        target: target.name.clone(),
        attempts,
        waited: Duration::ZERO,
    }
}

async fn ask_once(app: &App, target: &Target, endpoint: &Endpoint, key: Option<usize>, ask: &mut Ask<'_>) -> Outcome {
    let credential = endpoint.credential(key);
    let path = match ask.path_for(target, endpoint, credential) {
        Ok(path) => path,
        Err(failure) => return Outcome::Failed(failure),
    };
    let (mut body, withholds_usage) = ask.body.for_target(target, ask.operation);
    let (method, asked) = (&ask.method, ask.headers);
    let call = || {
        let mut headers = to_upstream(asked, &app.process.via);
        for (name, value) in &target.provider.headers {
            headers.insert(name.clone(), value.clone());
        }
        credential.extend_headers(&mut headers);
        let body = body.again()?;
        Some(Call {
            method: method.clone(),
            base: &endpoint.base,
            path: path.clone(),
            headers,
            body,
        })
    };
    let timeouts = target.provider.timeouts;
    let pool = endpoint.pool(&app.pools, target.provider.http_version);
    let opening = async {
        let response = send(pool, call, timeouts.connect, timeouts.between_bytes)
            .await
            .map_err(|error| sending_failed(target, &error))?;
        let (head, body) = response.into_parts();
        let ends_with_connection = head.version < Version::HTTP_2
            && !head.headers.contains_key(CONTENT_LENGTH)
            && !head.headers.contains_key(TRANSFER_ENCODING);
        let headers = to_caller(head.headers);
        let mut body = AnswerBody {
            held: VecDeque::new(),
            rest: Some(body),
        };
        let verdict = Verdict::of_status(head.status.as_u16());
        if verdict != Verdict::Healthy {
            body.hold_error().await;
            body.redact(&target.provider.keys);
            return Ok((answered(head.status, headers, body, target, 0), verdict));
        }
        match body
            .hold_until_content(&headers)
            .await
            .map_err(|message| broken(target, &message))?
        {
            None => {
                let answer = answered(head.status, headers, body, target, 0);
                Ok((
                    Answer {
                        withholds_usage,
                        ends_with_connection,
                        ..answer
                    },
                    verdict,
                ))
            }
            Some(error) => Ok(in_place_of_stream(error.status, &error.body, headers, target)),
        }
    };
    match tokio::time::timeout(timeouts.first_byte, opening).await {
        Err(_) => Outcome::Failed(Failure::timed_out(format!(
            "{} did not answer within {:?}.",
            target.name, timeouts.first_byte
        ))),
        Ok(Err(failure)) => Outcome::Failed(failure),
        Ok(Ok((mut answer, verdict))) => {
            answer.fit_length();
            if verdict.hands_over() {
                Outcome::Refused(answer, verdict)
            } else {
                Outcome::Answered(answer)
            }
        }
    }
}

/// An error that came as the first event of a stream, as the reply that it should have been.
fn in_place_of_stream(status: u16, error: &[u8], mut headers: HeaderMap, target: &Target) -> (Answer, Verdict) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let mut body = AnswerBody {
        held: VecDeque::from([Bytes::copy_from_slice(error)]),
        rest: None,
    };
    body.redact(&target.provider.keys);
    let verdict = Verdict::of_status(status);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    (answered(status, headers, body, target, 0), verdict)
}

fn sending_failed(target: &Target, error: &SendError) -> Failure {
    let message = format!("{} did not answer: {error}.", target.name);
    match error {
        SendError::Unreachable(_) => Failure::unreachable(message),
        SendError::ConnectTimeout(_) => Failure::timed_out(message),
        SendError::Broken(_) => Failure::broken_off(message),
        SendError::Callers(BrokenBody::TooLarge(limit)) => Failure::body_too_large(*limit),
        SendError::Callers(BrokenBody::Stalled) => Failure::body_stalled(),
        SendError::Callers(BrokenBody::Read(error)) => {
            Failure::body_unreadable(format!("The request body broke off: {error}."), None)
        }
    }
}

fn broken(target: &Target, message: &str) -> Failure {
    Failure::broken_off(format!("{} did not answer: {message}.", target.name))
}

// === impl Ask ===

impl Ask<'_> {
    fn can_be_sent_again(&self) -> bool {
        !matches!(self.body, AskBody::Streamed(None))
    }

    /// The path and query of this at a target.
    fn path_for(&self, target: &Target, endpoint: &Endpoint, credential: &Credential) -> Result<PathAndQuery, Failure> {
        let mut query = self.query.to_owned();
        let path = below_base(target, self.path, &mut query);
        credential.extend_query(&mut query);
        endpoint
            .base
            .call(&path, &query)
            .map_err(|error| Failure::path_refused(error.to_string()))
    }
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

impl AskBody<'_> {
    fn for_target(&mut self, target: &Target, operation: Option<Operation>) -> (TargetBody, bool) {
        match self {
            Self::Json(bytes, gist) => {
                let mut edits: Vec<Edit> = Vec::new();
                edits.extend(gist.model.as_ref().and_then(|model| model.replaced_by(&target.model)));
                let on_demand = operation.is_some_and(|operation| operation.usage_on_demand);
                let usage =
                    (gist.stream && on_demand && target.provider.quirks.stream_usage).then(|| gist.include_usage());
                let usage = usage.flatten();
                let withholds_usage = usage.is_some();
                edits.extend(usage);
                (TargetBody::Held(splice(bytes, edits)), withholds_usage)
            }
            Self::Form(bytes, model) => {
                let edit = model
                    .as_ref()
                    .and_then(|model| multipart::replace_model(model, &target.model));
                (TargetBody::Held(splice(bytes, edit.into_iter().collect())), false)
            }
            Self::Opaque(bytes) => (TargetBody::Held(vec![bytes.clone()]), false),
            Self::Streamed(body) => (TargetBody::Streamed(body.take()), false),
        }
    }
}

/// A body as one target gets it.
enum TargetBody {
    /// Held in memory, in pieces.
    Held(Vec<Bytes>),
    /// Streamed through: can be sent once.
    Streamed(Option<Body>),
}

impl TargetBody {
    /// The body to be sent; `None` when it was sent already and cannot be sent again.
    fn again(&mut self) -> Option<Outgoing> {
        match self {
            Self::Held(pieces) => Some(Outgoing::held(pieces.clone())),
            Self::Streamed(body) => body.take().map(Outgoing::Streamed),
        }
    }
}

// === impl AnswerBody ===

impl AnswerBody {
    /// The next piece that has not been held yet; `None` at the end.
    async fn next_piece(&mut self) -> Result<Option<Bytes>, String> {
        loop {
            let Some(rest) = &mut self.rest else { return Ok(None) };
            match rest.frame().await {
                None => {
                    self.rest = None;
                    return Ok(None);
                }
                Some(Err(error)) => {
                    self.rest = None;
                    return Err(error.to_string());
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }

    /// Holds everything up to the first content. Returns an error that came in its place.
    async fn hold_until_content(
        &mut self,
        headers: &HeaderMap,
    ) -> Result<Option<mynah_dialect::opening::StreamError>, String> {
        if self.rest.as_ref().is_some_and(http_body::Body::is_end_stream) {
            return Ok(None);
        }
        if !is_events(headers) {
            let first = self.next_piece().await?;
            self.held.extend(first);
            return Ok(None);
        }
        let mut overture = Overture::default();
        loop {
            let piece = self.next_piece().await?;
            let opening = match &piece {
                Some(piece) => overture.push(piece),
                None => overture.finish(),
            };
            let ended = piece.is_none();
            self.held.extend(piece);
            match opening {
                Opening::Error(error) => return Ok(Some(error)),
                Opening::Content => return Ok(None),
                Opening::Waiting if ended => return Err("its stream ended before any content".to_owned()),
                Opening::Waiting => {}
            }
        }
    }

    /// Reads an error's body, so that the connection is free again. What is too long, or does not come, stays unread.
    async fn hold_error(&mut self) {
        while self.held_length() < MAX_ERROR {
            match self.next_piece().await {
                Ok(Some(piece)) => self.held.push_back(piece),
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Takes our keys out of an error that repeats them.
    fn redact(&mut self, keys: &[Secret]) {
        let long_enough = |key: &&Secret| key.expose().len() >= MIN_REDACTED;
        let mut text: Vec<u8> = self.held.iter().flatten().copied().collect();
        for key in keys.iter().filter(long_enough).map(|key| key.expose().as_bytes()) {
            let places: Vec<usize> = memmem::find_iter(&text, key).collect();
            for at in places.into_iter().rev() {
                text.splice(at..at + key.len(), b"[redacted]".iter().copied());
            }
        }
        if text.len() != self.held_length() {
            self.held = VecDeque::from([Bytes::from(text)]);
        }
    }

    fn held_length(&self) -> usize {
        self.held.iter().map(Bytes::len).sum()
    }
}

impl Answer {
    /// Makes `Content-Length` true again where the gateway changes the length, or leaves it out.
    fn fit_length(&mut self) {
        if self.withholds_usage && is_events(&self.headers) {
            self.headers.remove(CONTENT_LENGTH);
        } else if self.body.rest.is_none() {
            self.headers
                .insert(CONTENT_LENGTH, HeaderValue::from(self.body.held_length()));
        }
    }
}

/// Whether a reply consists of server-sent events that can be read.
pub fn is_events(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    kind.len() >= 17 && kind[..17].eq_ignore_ascii_case(b"text/event-stream") && !headers.contains_key(CONTENT_ENCODING)
}
