//! What went wrong, in no protocol's words.

/// An error on its way to a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// What kind of error it is.
    pub class: Class,
    /// What went wrong, for a person; the provider's own words where it said any.
    pub message: String,
    /// The provider's code for it, such as `model_not_found`.
    pub code: Option<String>,
    /// The request field at fault, as the caller spells it.
    pub param: Option<String>,
    /// When to try again, in seconds.
    pub retry_after: Option<f64>,
}

impl Error {
    /// An error with nothing but a class and a message.
    pub fn new(class: Class, message: impl Into<String>) -> Self {
        Self {
            class,
            message: message.into(),
            code: None,
            param: None,
            retry_after: None,
        }
    }
}

/// What kind of error it is. Each protocol has its own status and words for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The request is wrong.
    BadRequest,
    /// The prompt is longer than the model's context.
    ContextTooLong,
    /// The caller's key is wrong.
    Authentication,
    /// There is no credit.
    Billing,
    /// The key may not do this.
    Forbidden,
    /// The model, or the thing, does not exist.
    NotFound,
    /// It conflicts with something.
    Conflict,
    /// The body is too large.
    TooLarge,
    /// Understood, but cannot be done.
    Unprocessable,
    /// Too many requests or tokens.
    RateLimited,
    /// The provider has no capacity.
    Overloaded,
    /// The provider failed.
    Server,
    /// The provider did not answer in time.
    Timeout,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::ContextTooLong,
        Self::Authentication,
        Self::Billing,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Unprocessable,
        Self::RateLimited,
        Self::Overloaded,
        Self::Server,
        Self::Timeout,
    ];

    /// The class of an HTTP status.
    pub fn of_status(status: u16) -> Self {
        match status {
            401 | 498 => Self::Authentication,
            402 => Self::Billing,
            403 => Self::Forbidden,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            409 => Self::Conflict,
            413 => Self::TooLarge,
            422 => Self::Unprocessable,
            429 => Self::RateLimited,
            503 | 529 => Self::Overloaded,
            400..=497 => Self::BadRequest,
            _ => Self::Server,
        }
    }

    /// The HTTP status of the class, where a protocol has no status of its own for it.
    pub fn status(self) -> u16 {
        match self {
            Self::BadRequest | Self::ContextTooLong => 400,
            Self::Authentication => 401,
            Self::Billing => 402,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::RateLimited => 429,
            Self::Overloaded => 503,
            Self::Server => 502,
            Self::Timeout => 504,
        }
    }
}
