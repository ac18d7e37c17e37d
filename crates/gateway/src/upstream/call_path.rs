//! The path and query of a call to a provider.

/// A path with its query, without anything that would end it in the head of a request: blanks, control characters, or a
/// fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallPath(String);

impl CallPath {
    /// `None` for a text that is no path with a leading slash.
    pub fn new(text: String) -> Option<Self> {
        let is_allowed = |byte: u8| byte > b' ' && byte != 0x7f && byte != b'#';
        // All of them are looked at, which many can be at a time.
        let are_allowed = text.bytes().fold(true, |are, byte| are & is_allowed(byte));
        (are_allowed && text.starts_with('/')).then_some(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_fits_into_a_path() {
        for text in ["/", "/v1/models?a=b&c", "/ü%20\"{}|"] {
            assert_eq!(CallPath::new(text.to_owned()).unwrap().as_str(), text);
        }
        for text in ["", "v1", "?a", "/a b", "/a\r\nhost: x", "/\0", "/\u{7f}", "/a#b"] {
            assert_eq!(CallPath::new(text.to_owned()), None, "{text:?}");
        }
    }
}
