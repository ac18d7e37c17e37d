//! Names of Gemini's models as resources, and the addresses of their methods.

use std::fmt::Write as _;

/// The path of a method of a model, below the version segment. The name cannot leave its place in the path.
pub fn method(model: &str, method: &str) -> String {
    let (collection, name) = split(model);
    let mut path = format!("/{collection}/");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@".contains(&byte) {
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

/// The name of a model as a resource, as bodies have it: `models/NAME` or `tunedModels/NAME`
/// (<https://ai.google.dev/api/embeddings>).
pub fn resource(model: &str) -> String {
    let (collection, name) = split(model);
    format!("{collection}/{name}")
}

/// The model's name without the collection of all models, where it comes with that.
pub(crate) fn bare(model: &str) -> &str {
    model.strip_prefix("models/").unwrap_or(model)
}

/// The collection that a model is in, and its name there.
fn split(model: &str) -> (&'static str, &str) {
    match model.strip_prefix("tunedModels/") {
        Some(name) => ("tunedModels", name),
        None => ("models", bare(model)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_stays_in_its_place() {
        assert_eq!(method("imagen-4.0", "predict"), "/models/imagen-4.0:predict");
        assert_eq!(method("models/m", "x"), "/models/m:x");
        assert_eq!(method("tunedModels/mine", "x"), "/tunedModels/mine:x");
        assert_eq!(method("../a?b", "x"), "/models/..%2Fa%3Fb:x");
    }

    #[test]
    fn a_resource_has_its_collection_once() {
        for (model, expected) in [
            ("m", "models/m"),
            ("models/m", "models/m"),
            ("tunedModels/mine", "tunedModels/mine"),
            ("org/m", "models/org/m"),
        ] {
            assert_eq!(resource(model), expected);
        }
    }
}
