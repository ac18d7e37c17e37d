//! A request as the persona understands it.

use serde_json::Value;

use super::errors::ApiError;
use crate::multipart::{self, Part};
use crate::received::Received;

/// A request as the persona understands it.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) received: &'a Received,
    /// The JSON body; null if there is none.
    pub(super) body: Value,
    /// The parts of a multipart body.
    pub(super) form: Option<Vec<Part>>,
    /// The model, from the body, the form or the name of the deployment.
    pub(super) model: String,
    path: &'a str,
}

impl<'a> Call<'a> {
    /// Understands a request; fails if its body is not JSON where it should be.
    pub(super) fn new(received: &'a Received, path: &'a str) -> Result<Self, ApiError> {
        let (path, deployment) = endpoint(path);
        let form = received.form();
        let body = match &form {
            None if !received.body.is_empty() && received.method != "GET" => {
                serde_json::from_slice(&received.body).map_err(|_| ApiError::bad_json())?
            }
            _ => Value::Null,
        };
        let named = match &form {
            Some(form) => multipart::field(form, "model").map(Part::text),
            None => body["model"].as_str().map(str::to_owned),
        };
        let model = named.or_else(|| deployment.map(str::to_owned)).unwrap_or_default();
        Ok(Self {
            received,
            body,
            form,
            model,
            path,
        })
    }

    /// The path below `/v1`, in segments.
    pub(super) fn segments(&self) -> Vec<&'a str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }

    /// Whether the body asks for a stream.
    pub(super) fn wants_stream(&self) -> bool {
        self.flag("stream")
    }

    /// A boolean of the body or the form.
    pub(super) fn flag(&self, name: &str) -> bool {
        self.body[name]
            .as_bool()
            .unwrap_or_else(|| self.text(name).as_deref() == Some("true"))
    }

    /// A string of the body, or a field of the form.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        match &self.form {
            Some(form) => multipart::field(form, name).map(Part::text),
            None => self.body[name].as_str().map(str::to_owned),
        }
    }

    /// A whole number of the body or the form.
    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.body[name].as_u64().or_else(|| self.text(name)?.parse().ok())
    }

    /// Fails if no model is named.
    pub(super) fn require_model(&self) -> Result<&str, ApiError> {
        if self.model.is_empty() {
            return Err(ApiError::invalid("you must provide a model parameter", Some("model")));
        }
        Ok(&self.model)
    }

    /// An id that no other request gets.
    pub(super) fn id(&self, prefix: &str) -> String {
        format!("{prefix}understudy{}", self.received.number)
    }
}

/// What of a path names the endpoint, and the deployment if it is a path of Azure's.
fn endpoint(path: &str) -> (&str, Option<&str>) {
    if let Some(rest) = path.strip_prefix("/openai/deployments/") {
        let (deployment, endpoint) = rest.split_once('/').unwrap_or((rest, ""));
        return (endpoint, Some(deployment));
    }
    let path = path.strip_prefix("/openai").unwrap_or(path);
    let endpoint = match path.strip_prefix("/v1") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    };
    (endpoint, None)
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn prefixes_are_optional() {
        for path in ["/v1/models", "/models", "/openai/v1/models"] {
            assert_eq!(endpoint(path), ("/models", None));
        }
        assert_eq!(
            endpoint("/openai/deployments/d/chat/completions"),
            ("chat/completions", Some("d"))
        );
        assert_eq!(endpoint("/v1x"), ("/v1x", None));
    }
}
