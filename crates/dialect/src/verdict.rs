//! What an HTTP status says about who failed.

/// A judgement of one answer, on which the choice of the next target rests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The provider did what was asked.
    Healthy,
    /// The provider is willing, but not now.
    Throttled,
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
            429 => Self::Throttled,
            401..=403 | 498 => Self::Rejected,
            408 | 499 | 500.. => Self::Faulty,
            _ => Self::CallersFault,
        }
    }

    /// Whether another key or target may do better.
    pub fn hands_over(self) -> bool {
        matches!(self, Self::Throttled | Self::Rejected | Self::Faulty)
    }

    /// Whether another key of the same provider may do better.
    pub fn is_the_keys(self) -> bool {
        matches!(self, Self::Throttled | Self::Rejected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_own_faults_stay_with_the_caller() {
        for status in [400, 404, 405, 409, 413, 415, 422] {
            assert_eq!(Verdict::of_status(status), Verdict::CallersFault, "{status}");
            assert!(!Verdict::of_status(status).hands_over());
        }
    }

    #[test]
    fn everything_else_that_fails_hands_over() {
        for status in [401, 402, 403, 408, 429, 498, 500, 502, 503, 504, 529, 599] {
            assert!(Verdict::of_status(status).hands_over(), "{status}");
        }
    }
}
