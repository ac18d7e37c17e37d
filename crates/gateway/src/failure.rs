//! What can go wrong here, whose fault it is, and the one place where that becomes an HTTP reply.

mod operator;

use std::borrow::Cow;
use std::fmt::Display;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use mynah_dialect::codec::{ClientSide, caller_side};
use mynah_dialect::ir::{Class, Error};
use mynah_dialect::loss::Unsayable;
use mynah_dialect::openai_chat::error::ErrorBody;
use mynah_dialect::{Dialect, Protocol};

use crate::ask::unix_time;
use crate::course::Outcome;
use crate::limits::headers::Standing;
use crate::needs::Unmet;
use crate::operation::Kind;

/// As many names of models are told.
const MOST_NAMES: usize = 100;

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The request cannot be served as it is.
    Caller,
    /// The providers did not answer.
    Upstream,
    /// The gateway is at its limits or stopping.
    Gateway,
}

/// A request that was not answered by a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The status of the reply.
    pub status: StatusCode,
    /// Whose fault it is.
    pub blame: Blame,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// What happened and what to do, for a person.
    pub message: Cow<'static, str>,
    /// The class of error in the caller's dialect.
    pub kind: &'static str,
    /// The exact error in the caller's dialect.
    pub code: Option<&'static str>,
    /// The request field at fault.
    pub param: Option<Cow<'static, str>>,
    /// When the same request may succeed, in seconds from now.
    pub retry_after: Option<u32>,
    /// How far the caller's limits are used up, where these are the reason.
    pub standing: Option<Box<Standing>>,
}

impl Failure {
    fn callers(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            blame: Blame::Caller,
            retryable: false,
            message: message.into(),
            kind: "invalid_request_error",
            code: Some(code),
            param: None,
            retry_after: None,
            standing: None,
        }
    }

    fn upstreams(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            blame: Blame::Upstream,
            retryable: true,
            kind: "api_error",
            ..Self::callers(status, code, message)
        }
    }

    fn ours(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            blame: Blame::Gateway,
            kind: "server_error",
            retry_after: Some(1),
            ..Self::upstreams(status, code, message)
        }
    }

    /// What it tells about the target that was asked.
    pub fn outcome(&self) -> Outcome {
        match self.blame {
            Blame::Upstream => Outcome::Faulty {
                again: self.status != StatusCode::GATEWAY_TIMEOUT,
            },
            Blame::Caller | Blame::Gateway => Outcome::Unasked,
        }
    }

    /// The request has no key.
    pub fn key_missing() -> Self {
        let message = "No API key was given. Send the key that the operator of this gateway gave you, as `Authorization: Bearer KEY`.";
        Self::callers(StatusCode::UNAUTHORIZED, "missing_api_key", message)
    }

    /// The request has a key that nobody owns.
    pub fn key_wrong() -> Self {
        let message = "The API key is not one of this gateway's. Ask its operator for a key; a provider's own key does not work here.";
        Self::callers(StatusCode::UNAUTHORIZED, "invalid_api_key", message)
    }

    /// The request has a key whose time is over.
    pub fn key_expired() -> Self {
        let message = "The API key has expired. Ask the operator of this gateway for a new one.";
        Self::callers(StatusCode::UNAUTHORIZED, "expired_api_key", message)
    }

    /// The caller may not ask for this kind of thing.
    pub fn route_forbidden(path: &str, routes: &[Kind]) -> Self {
        let allowed: Vec<&str> = routes.iter().map(|kind| kind.name()).collect();
        let message = format!(
            "Your key may not use {path}. It may be used for: {}.",
            allowed.join(", ")
        );
        Self::callers(StatusCode::FORBIDDEN, "route_not_allowed", message)
    }

    /// The caller has used up a limit, for so many seconds.
    pub fn over_limit(message: String, seconds: u32) -> Self {
        Self {
            retryable: true,
            kind: "rate_limit_error",
            retry_after: Some(seconds),
            ..Self::callers(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message)
        }
    }

    /// The caller has used up a budget. SDKs try again what has status 429, which would help nobody.
    pub fn over_budget(message: String) -> Self {
        Self {
            kind: "insufficient_quota",
            ..Self::callers(StatusCode::PAYMENT_REQUIRED, "insufficient_quota", message)
        }
    }

    /// The request is larger than all that the caller may ever have at a time.
    pub fn larger_than_limit(message: String) -> Self {
        Self::callers(StatusCode::BAD_REQUEST, "request_exceeds_limit", message)
    }

    /// A web page from an origin that may not call.
    pub fn origin_refused() -> Self {
        let message = "Web pages of this origin may not call this gateway. Its operator can allow that with `server.cors_origins`.";
        Self::callers(StatusCode::FORBIDDEN, "origin_not_allowed", message)
    }

    /// The caller may not use the model.
    pub fn model_forbidden(model: &str) -> Self {
        let message = format!("Your key may not use `{model}`. GET /v1/models lists what it may use.");
        Self {
            param: Some(Cow::Borrowed("model")),
            ..Self::callers(StatusCode::FORBIDDEN, "model_not_allowed", message)
        }
    }

    /// No route leads to the model.
    pub fn model_unknown(model: &str, hint: &str) -> Self {
        let message = format!(
            "The model `{model}` is not known here{hint}. Ask for a configured name, `provider/model`, or a model of GET /v1/models."
        );
        Self {
            param: Some(Cow::Borrowed("model")),
            ..Self::callers(StatusCode::NOT_FOUND, "model_not_found", message)
        }
    }

    /// No route leads to the model, and these names are all that can be asked for.
    pub fn model_not_routed<'n>(model: &str, names: impl Iterator<Item = &'n str>) -> Self {
        let names: Vec<&str> = names.take(MOST_NAMES).collect();
        let message = format!(
            "Model '{model}' not found in routing configuration. Available models: {}",
            names.join(", ")
        );
        Self {
            param: Some(Cow::Borrowed("model")),
            ..Self::callers(StatusCode::BAD_REQUEST, "model_not_found", message)
        }
    }

    /// The model has no target.
    pub fn no_targets(model: &str) -> Self {
        let message =
            format!("Nobody is configured to answer for `{model}`. The operator of this gateway can change that.");
        Self {
            retryable: false,
            retry_after: None,
            ..Self::ours(StatusCode::SERVICE_UNAVAILABLE, "no_targets", message)
        }
    }

    /// The request names no model and no provider.
    pub fn model_missing() -> Self {
        let message = "`model` is missing. Name a model, or a provider in the header `x-mynah-provider`.";
        let failure = Self::callers(StatusCode::BAD_REQUEST, "missing_required_parameter", message);
        Self {
            param: Some(Cow::Borrowed("model")),
            ..failure
        }
    }

    /// A route without a model, and no provider to send it to.
    pub fn provider_missing() -> Self {
        let message = "This route names no model, so the provider must be named: send the header `x-mynah-provider`, or have the operator set `server.default_provider`.";
        Self::callers(StatusCode::BAD_REQUEST, "provider_missing", message)
    }

    /// The named provider does not exist.
    pub fn provider_unknown(name: &str, hint: &str) -> Self {
        let message = format!("`x-mynah-provider: {name}` is not a provider of this gateway{hint}.");
        Self::callers(StatusCode::BAD_REQUEST, "provider_not_found", message)
    }

    /// Every target speaks another dialect than the route.
    pub fn cannot_translate(name: &str, route: &str) -> Self {
        let message =
            format!("`{name}` is served only by providers of another dialect, and {route} cannot be put to them.");
        Self::callers(StatusCode::BAD_REQUEST, "dialect_mismatch", message)
    }

    /// The model is called where something else is asked.
    pub fn not_for(model: &str, route: &str) -> Self {
        let message = format!("`{model}` is not a model that {route} can be asked of.");
        Self {
            param: Some(Cow::Borrowed("model")),
            ..Self::callers(StatusCode::BAD_REQUEST, "unsuited_model", message)
        }
    }

    /// The model is not on its provider's list now.
    pub fn unlisted(model: &str) -> Self {
        let message = format!("`{model}` is not on its provider's list of models now. Try again later.");
        Self::upstreams(StatusCode::SERVICE_UNAVAILABLE, "model_unlisted", message)
    }

    /// Nobody has said yet which models there are.
    pub fn models_unknown(provider: &str, reason: &str) -> Self {
        let message = format!(
            "No model is known yet: `{provider}` has not given its list of models ({reason}). It is asked again soon."
        );
        Self::upstreams(StatusCode::SERVICE_UNAVAILABLE, "models_unknown", message)
    }

    /// No target suits the request.
    pub fn unmet(model: &str, target: &str, unmet: &Unmet) -> Self {
        let message = format!("No target of `{model}` suits this request; `{target}`: {unmet}.");
        Self::callers(StatusCode::BAD_REQUEST, "no_suitable_target", message)
    }

    /// A header of ours does not say anything that makes sense.
    pub fn header_unreadable(name: &'static str, advice: &str) -> Self {
        let message = format!("The header `{name}` cannot be read: {advice}.");
        Self {
            param: Some(Cow::Borrowed(name)),
            ..Self::callers(StatusCode::BAD_REQUEST, "invalid_header", message)
        }
    }

    /// The request cannot be expressed in the protocol of the provider.
    pub fn unsayable(target: &str, unsayable: &Unsayable) -> Self {
        let message = format!(
            "`{target}` cannot be asked this: `{}`: {}.",
            unsayable.field, unsayable.reason
        );
        Self {
            param: Some(Cow::Owned(unsayable.field.clone())),
            ..Self::callers(StatusCode::BAD_REQUEST, "unsupported_parameter", message)
        }
    }

    /// The request cannot be translated without a loss, and the caller, or the operator, wants none.
    pub fn lossy(target: &str, losses: &str) -> Self {
        let message = format!(
            "`{target}` cannot be asked this without a loss, and none is allowed here (`strict`): {losses}. Leave these fields out, or allow losses."
        );
        Self::callers(StatusCode::BAD_REQUEST, "lossy_translation", message)
    }

    /// The request leads to something that only a provider of the caller's own protocol stores.
    pub fn stored_elsewhere(field: &str, protocol: Protocol) -> Self {
        let message = format!(
            "`{field}` refers to what a provider stores, and this model is asked by {protocol}, which cannot follow it. Send the whole conversation instead."
        );
        let code = if field == "thread" {
            // Anthropic's own word, on which its SDKs send the conversation.
            "thread_unsupported_request"
        } else {
            "unsupported_parameter"
        };
        Self {
            param: Some(Cow::Owned(field.to_owned())),
            ..Self::callers(StatusCode::BAD_REQUEST, code, message)
        }
    }

    /// The head is no HTTP, or ambiguous.
    pub fn head_unreadable(why: &impl Display) -> Self {
        let message = format!("The request cannot be read as HTTP/1.1: {why}.");
        Self::callers(StatusCode::BAD_REQUEST, "invalid_request", message)
    }

    /// The head is larger than is taken.
    pub fn head_too_large(why: &impl Display) -> Self {
        let message = format!("The request cannot be taken: {why}.");
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        Self::callers(status, "request_head_too_large", message)
    }

    /// The body cannot be read.
    pub fn body_unreadable(message: String, param: Option<Cow<'static, str>>) -> Self {
        Self {
            param,
            ..Self::callers(StatusCode::BAD_REQUEST, "invalid_body", message)
        }
    }

    /// The body is compressed.
    pub fn body_encoded() -> Self {
        let message = "The request body is compressed in a way that is not known here. Send it as it is, or with `content-encoding` gzip, deflate or zstd.";
        Self::callers(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", message)
    }

    /// The body is larger than is taken.
    pub fn body_too_large(limit: u64) -> Self {
        let message = format!(
            "The request body is larger than the {limit} bytes that this gateway takes (`server.max_body`, `server.max_upload`)."
        );
        Self::callers(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", message)
    }

    /// The body stopped coming.
    pub fn body_stalled() -> Self {
        Self::callers(
            StatusCode::REQUEST_TIMEOUT,
            "request_timeout",
            "The request body did not arrive in time.",
        )
    }

    /// The path climbs out of the API.
    pub fn path_refused(message: String) -> Self {
        Self::callers(StatusCode::BAD_REQUEST, "invalid_path", message)
    }

    /// No such route.
    pub fn route_unknown(method: &str, path: &str) -> Self {
        let hint = if path.starts_with("/v1/") || path == "/v1" {
            ""
        } else {
            " The API is below /v1."
        };
        Self::callers(
            StatusCode::NOT_FOUND,
            "unknown_url",
            format!("There is no {method} {path} here.{hint}"),
        )
    }

    /// The route exists for other methods.
    pub fn method_refused(method: &str, path: &str) -> Self {
        Self::callers(
            StatusCode::METHOD_NOT_ALLOWED,
            "method_not_supported",
            format!("{path} does not take {method}."),
        )
    }

    /// A WebSocket was asked for.
    pub fn upgrade_refused() -> Self {
        let message = "WebSockets are not served here; send the request with POST and read the answer as events.";
        Self::callers(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message)
    }

    /// The built-in model was asked for something that it cannot do.
    pub fn echo_cannot(operation: &str) -> Self {
        Self::callers(
            StatusCode::BAD_REQUEST,
            "unsupported_operation",
            format!("`mynah/echo` does not serve {operation}; ask for a model of a provider."),
        )
    }

    /// The request has been through this gateway before.
    pub fn going_round() -> Self {
        let message = "This request has come back to the gateway that sent it: a provider's `base_url` leads here.";
        Self {
            retryable: false,
            ..Self::ours(StatusCode::LOOP_DETECTED, "loop_detected", message)
        }
    }

    /// Too many requests at a time.
    pub fn at_capacity() -> Self {
        let message =
            "The gateway has as many requests in flight as it may have (`server.max_requests`). Try again shortly.";
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, "server_overloaded", message)
    }

    /// The gateway stops, and has waited for as long as it may.
    pub fn shutting_down() -> Self {
        let message = "The gateway was stopped before this answer was over.";
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, "shutting_down", message)
    }

    /// Every key of every target rests; `seconds` until the first of them is worth a try.
    pub fn all_resting(model: &str, reason: &str, seconds: u32) -> Self {
        let message = format!(
            "Every key that leads to `{model}` rests, because its provider does not want more requests now ({reason}). Try again in {seconds} s."
        );
        Self {
            kind: "rate_limit_error",
            retry_after: Some(seconds),
            ..Self::upstreams(StatusCode::TOO_MANY_REQUESTS, "rate_limit_exceeded", message)
        }
    }

    /// The operator has taken everybody out of the rotation who might answer.
    pub fn all_held(model: &str) -> Self {
        let message = format!(
            "The operator of this gateway has taken the targets of `{model}` out of the rotation that suit this request. Try again later."
        );
        Self {
            retry_after: Some(30),
            ..Self::ours(StatusCode::SERVICE_UNAVAILABLE, "targets_held", message)
        }
    }

    /// No connection to any target.
    pub fn unreachable(message: String) -> Self {
        Self::upstreams(StatusCode::BAD_GATEWAY, "upstream_unreachable", message)
    }

    /// A target broke off or answered with something that is not HTTP.
    pub fn broken_off(message: String) -> Self {
        Self::upstreams(StatusCode::BAD_GATEWAY, "upstream_broken", message)
    }

    /// A target did not answer in time.
    pub fn timed_out(message: String) -> Self {
        Self {
            kind: "timeout_error",
            ..Self::upstreams(StatusCode::GATEWAY_TIMEOUT, "upstream_timeout", message)
        }
    }

    /// The reply in a dialect. `id` is that of the request.
    pub fn reply_in(&self, dialect: Dialect, id: &str) -> Response {
        let (status, body) = match client_of(dialect) {
            Some(codec) => codec.write_error(&self.error(), id),
            None => (self.status.as_u16(), self.body().to_json()),
        };
        // Being overloaded, and having no money left, have statuses of their own in some dialects; else ours says more than that
        // of the class.
        let differs = matches!(
            self.status,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::PAYMENT_REQUIRED
        );
        let own = StatusCode::from_u16(status).ok().filter(|_| differs);
        let status = own.unwrap_or(self.status);
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if dialect == Dialect::Anthropic
            && let Ok(id) = HeaderValue::from_str(id)
        {
            headers.insert("request-id", id);
        }
        if let Some(seconds) = self.retry_after.filter(|_| self.retryable) {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(standing) = &self.standing {
            standing.write(dialect, unix_time().saturating_mul(1000), headers);
        }
        response
    }

    /// The last event of a stream that breaks off, in a dialect. `responses`: the stream is one of OpenAI Responses.
    pub fn event_in(&self, dialect: Dialect, responses: bool) -> Vec<u8> {
        let Some(codec) = client_of(dialect) else {
            // Codex reads only the first of the two, OpenAI's SDKs raise on the second.
            let failed = if responses { self.failed_response() } else { Vec::new() };
            return [failed, self.body().to_event()].concat();
        };
        let (_, body) = codec.write_error(&self.error(), "");
        let name: &[u8] = if dialect == Dialect::Anthropic {
            b"event: error\n"
        } else {
            b""
        };
        [name, b"data: ", &body, b"\n\n"].concat()
    }

    fn failed_response(&self) -> Vec<u8> {
        let event = serde_json::json!({
            "type": "response.failed",
            "sequence_number": 0,
            "response": {
                "id": "resp_broken_off", "object": "response", "status": "failed", "output": [],
                "error": {"code": "server_error", "message": self.message},
            },
        });
        format!("event: response.failed\ndata: {event}\n\n").into_bytes()
    }

    fn error(&self) -> Error {
        let class = match self.status {
            // Some of our own have no class of their own in other dialects.
            StatusCode::LOOP_DETECTED | StatusCode::NOT_IMPLEMENTED => Class::BadRequest,
            StatusCode::SERVICE_UNAVAILABLE => Class::Overloaded,
            status => Class::of_status(status.as_u16()),
        };
        Error {
            code: self.code.map(str::to_owned),
            param: self.param.as_deref().map(str::to_owned),
            retry_after: self.retry_after.map(f64::from),
            ..Error::new(class, self.message.clone())
        }
    }

    /// The error in OpenAI's shape.
    fn body(&self) -> ErrorBody<'_> {
        ErrorBody {
            message: &self.message,
            r#type: self.kind,
            param: self.param.as_deref(),
            code: self.code,
        }
    }
}

/// The codec that writes errors of a dialect; `None` for OpenAI's, where an error says more than its class.
fn client_of(dialect: Dialect) -> Option<&'static dyn ClientSide> {
    match dialect {
        Dialect::Anthropic | Dialect::Gemini => Some(caller_side(dialect)),
        Dialect::OpenAi | Dialect::Cohere => None,
    }
}
