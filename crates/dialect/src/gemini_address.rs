//! Addresses of Gemini's methods, which name the model.

use std::fmt::Write as _;

/// The path of a method of a model, below the version segment. The name cannot leave its place in the path.
pub(crate) fn method(model: &str, method: &str) -> String {
    let mut path = String::from("/models/");
    for byte in bare(model).bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            path.push(char::from(byte));
        } else {
            // Writing to memory does not fail.
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path.push(':');
    path.push_str(method);
    path
}

/// The model's name without the collection that it may come with.
pub(crate) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_stays_in_its_place() {
        assert_eq!(method("imagen-4.0", "predict"), "/models/imagen-4.0:predict");
        assert_eq!(method("models/m", "x"), "/models/m:x");
        assert_eq!(method("../a?b", "x"), "/models/..%2Fa%3Fb:x");
    }
}
