//! What an answer of a provider says about the provider, its key and the request.

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use mynah_dialect::delay;
use mynah_dialect::ir::{Class, Error};
use mynah_dialect::verdict::{Verdict, exceeds_context, lacks_model, lacks_route};

use crate::course::Outcome;
use crate::keys::Reason;

/// A judgement of one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judgement {
    /// Who failed, if anybody did.
    pub verdict: Verdict,
    /// How long the provider wants to be left alone.
    pub delay: Option<Duration>,
    /// The provider does not have the model or its route, or not enough room: another target may be better suited.
    is_unsuited: bool,
    /// It makes no sense to ask the same again.
    is_final: bool,
}

impl Judgement {
    /// Nobody failed.
    pub const HEALTHY: Self = Self {
        verdict: Verdict::Healthy,
        delay: None,
        is_unsuited: false,
        is_final: false,
    };

    /// Judges an answer as it came, to a request that names a model. `now` is the time since 1970.
    pub fn of(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Duration) -> Self {
        let judgement = Self::of_passed(status, headers, body, now);
        Self {
            is_unsuited: judgement.is_unsuited || lacks_route(status.as_u16(), body),
            ..judgement
        }
    }

    /// The same to a request that is passed through: nobody else has what it is about.
    pub fn of_passed(status: StatusCode, headers: &HeaderMap, body: &[u8], now: Duration) -> Self {
        let verdict = Verdict::of_answer(status.as_u16(), body);
        if verdict == Verdict::Healthy {
            return Self::HEALTHY;
        }
        let header = |name: &str| headers.get(name)?.to_str().ok();
        Self {
            verdict,
            delay: delay::asked(header, body, now),
            is_unsuited: lacks_model(status.as_u16(), body) || exceeds_context(status.as_u16(), body),
            is_final: matches!(status.as_u16(), 501 | 505),
        }
    }

    /// Judges an error that came without a status.
    pub fn of_error(error: &Error) -> Self {
        Self {
            verdict: Verdict::of_status(error.class.status()),
            delay: error
                .retry_after
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            is_unsuited: error.class == Class::NotFound,
            is_final: false,
        }
    }

    /// Whether somebody else should be asked.
    pub fn hands_over(&self) -> bool {
        self.is_unsuited || self.verdict.hands_over()
    }

    /// What it means for the course of the request. `taken` is the time to the first content.
    pub fn outcome(&self, taken: Duration) -> Outcome {
        match self.verdict {
            Verdict::Healthy => Outcome::Answered(taken),
            _ if self.is_unsuited => Outcome::Unsuited,
            Verdict::Throttled => Outcome::Resting(Reason::Throttled, self.delay),
            Verdict::Exhausted => Outcome::Resting(Reason::Exhausted, self.delay),
            Verdict::Rejected => Outcome::Resting(Reason::Rejected, None),
            Verdict::Faulty => Outcome::Faulty { again: !self.is_final },
            Verdict::CallersFault => Outcome::CallersFault,
        }
    }
}
