//! What came in: one request, exactly as it stood on the wire.

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::Value;

use crate::base64;
use crate::multipart::{self, Part};

/// One request as it came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// Place in the order of arrival, from 1; survives [`clear`](crate::Understudy::clear).
    pub number: u64,
    /// Which connection it came on, from 1: two requests with the same number shared a kept-alive connection.
    pub connection: u64,
    /// The method as sent.
    pub method: String,
    /// The request target as sent, with its query (for HTTP/2 the `:path`).
    pub target: String,
    /// `HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.
    pub version: &'static str,
    /// Whether it came over TLS.
    pub tls: bool,
    /// The host name that the client asked for in the TLS handshake (SNI).
    pub server_name: Option<String>,
    /// The headers in order, in their original spelling (HTTP/2: lower case, `:authority` first).
    pub headers: Vec<(String, Bytes)>,
    /// The body, without its chunked framing.
    pub body: Bytes,
    /// Whether the whole body was read: not so if the client hung up, or the rule says not to read it.
    pub body_complete: bool,
    /// How the exchange ended, as far as is known when this copy was taken.
    pub outcome: Outcome,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The reply is not out yet.
    Open,
    /// All that the reply holds was written (for a reply that is cut: all up to the cut).
    Completed,
    /// The client hung up before that.
    Aborted,
}

impl Received {
    /// The raw value of the first header of that name (any spelling).
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let named = self
            .headers
            .iter()
            .find(|(candidate, _)| candidate.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_ref())
    }

    /// The raw values of all headers of that name, in order.
    pub fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(candidate, _)| candidate.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }

    /// The value of the first header of that name, if it is text.
    pub fn header_text(&self, name: &str) -> Option<&str> {
        self.header(name).and_then(|value| std::str::from_utf8(value).ok())
    }

    /// The path of the target: without query, and without scheme and host if it came in absolute form.
    pub fn path(&self) -> &str {
        let target = self.target.split(['?', '#']).next().unwrap_or_default();
        match target.split_once("://") {
            Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
            None => target,
        }
    }

    /// The query of the target, without the question mark.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The body as text.
    ///
    /// Bytes that are not UTF-8 are replaced; use [`body`](Self::body) where that matters.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON, if it is JSON.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The key that the client presented: `authorization: Bearer`, `x-api-key` or `api-key`.
    pub fn key(&self) -> Option<&str> {
        self.header_text("authorization")
            .map(|value| value.split_once(' ').map_or(value, |(_, key)| key.trim()))
            .or_else(|| self.header_text("x-api-key"))
            .or_else(|| self.header_text("api-key"))
    }

    /// The `model` of a JSON body or of a multipart form.
    pub fn model(&self) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Named {
            model: Option<String>,
        }
        match self.form() {
            Some(form) => multipart::field(&form, "model").map(Part::text),
            None => serde_json::from_slice::<Named>(&self.body).ok()?.model,
        }
    }

    /// The parts of a multipart body; `None` if it is not one.
    pub(crate) fn form(&self) -> Option<Vec<Part>> {
        multipart::parse(self.header_text("content-type")?, &self.body)
    }
}

// As scripts in other languages see it. The body is `body_text` where it is text, else `body_base64`.
impl Serialize for Received {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let headers: Vec<(&str, String)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value).into_owned()))
            .collect();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("number", &self.number)?;
        map.serialize_entry("connection", &self.connection)?;
        map.serialize_entry("method", &self.method)?;
        map.serialize_entry("target", &self.target)?;
        map.serialize_entry("version", self.version)?;
        map.serialize_entry("tls", &self.tls)?;
        map.serialize_entry("server_name", &self.server_name)?;
        map.serialize_entry("headers", &headers)?;
        match std::str::from_utf8(&self.body) {
            Ok(text) => map.serialize_entry("body_text", text)?,
            Err(_) => map.serialize_entry("body_base64", &base64::encode(&self.body))?,
        }
        map.serialize_entry("body_complete", &self.body_complete)?;
        map.serialize_entry("outcome", &self.outcome)?;
        map.end()
    }
}
