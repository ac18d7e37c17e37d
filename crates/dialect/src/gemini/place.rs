//! Where in a request something stands, for messages about it.

use std::fmt;

use crate::codec::Malformed;

/// A part of the conversation, or the content that it belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) content: usize,
    pub(super) part: Option<usize>,
}

impl Place {
    /// A member of it that is not as it should be; none of it when `member` is empty.
    pub(super) fn malformed(self, member: &str, reason: &'static str) -> Malformed {
        let separator = if member.is_empty() { "" } else { "." };
        Malformed::field(format!("{self}{separator}{member}"), reason)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "contents[{}]", self.content)?;
        match self.part {
            Some(part) => write!(formatter, ".parts[{part}]"),
            None => Ok(()),
        }
    }
}
