//! What an answer says about who failed.

use crate::complaint::Complaint;
use crate::page::is_page;

/// A judgement of one answer, on which the choice of the next target rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The provider did what was asked.
    Healthy,
    /// The provider is willing, but not now.
    Throttled,
    /// A quota of the key, or its account's credit, is used up.
    Exhausted,
    /// The provider does not accept the key.
    Rejected,
    /// The provider failed.
    Faulty,
    /// The request itself is at fault; nobody else would answer it better.
    CallersFault,
}

impl Verdict {
    /// Judges a status code.
    ///
    /// Beside the common ones: 402 (no credit on the key's account), 498 (Cohere: invalid token),
    /// 499 (Cohere, Google: cancelled on their side), 529 (Anthropic: overloaded).
    pub fn of_status(status: u16) -> Self {
        match status {
            200..=399 => Self::Healthy,
            402 => Self::Exhausted,
            429 => Self::Throttled,
            401 | 403 | 498 => Self::Rejected,
            408 | 499 | 500.. => Self::Faulty,
            _ => Self::CallersFault,
        }
    }

    /// Judges a status code and, where it leaves something open, the body that came with it.
    ///
    /// A quota that is used up comes with 400, 401, 403 and 429 too, Google answers a wrong key with 400, and
    /// some answer content that they refuse with 403.
    pub fn of_answer(status: u16, body: &[u8]) -> Self {
        let by_status = Self::of_status(status);
        if !matches!(status, 400 | 401 | 403 | 429) {
            return by_status;
        }
        let complaint = Complaint::read(body);
        if complaint.is_about_credit(status) {
            Self::Exhausted
        } else if status == 400 && complaint.is_about_the_key() {
            Self::Rejected
        } else if status == 403 && complaint.is_about_content() {
            Self::CallersFault
        } else {
            by_status
        }
    }

    /// Whether another key or target may do better.
    pub fn hands_over(self) -> bool {
        matches!(self, Self::Throttled | Self::Exhausted | Self::Rejected | Self::Faulty)
    }

    /// Whether another key of the same provider may do better.
    pub fn is_the_keys(self) -> bool {
        matches!(self, Self::Throttled | Self::Exhausted | Self::Rejected)
    }
}

/// Whether an error says that the provider does not have the model, or not for this key: another target may have it.
///
/// A 404 that is about something else (a file, an address) does not count. A network whose head finds nobody who serves
/// the model says so with 503.
pub fn lacks_model(status: u16, body: &[u8]) -> bool {
    matches!(status, 400 | 403 | 404 | 503) && Complaint::read(body).is_about_the_model(status)
}

/// Whether an error says that nobody is there to take the request: 404, 405 or 410 with a page or with nothing, as it comes
/// from a proxy that does not know the address.
pub fn lacks_route(status: u16, body: &[u8]) -> bool {
    matches!(status, 404 | 405 | 410) && is_page(body)
}

/// Whether an error says that the request is too long for the model: a target with a larger context may answer it.
pub fn exceeds_context(status: u16, body: &[u8]) -> bool {
    matches!(status, 400 | 413 | 422) && Complaint::read(body).is_about_length()
}

#[cfg(test)]
mod tests;
