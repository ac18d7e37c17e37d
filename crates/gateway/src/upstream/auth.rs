//! How a credential is attached to a call.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue};

use super::call_headers::CallHeaders;
use crate::config::file;
use crate::config::secret::Secret;

/// What stands for the key in a format.
const KEY: &str = "{key}";

/// Where the key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: SCHEME KEY`.
    Scheme(&'static str),
    /// A header of its own, with texts before and after the key.
    Header(HeaderName, String, String),
    /// A query parameter.
    Query(String),
    /// Nowhere.
    None,
}

impl Auth {
    /// Checks what the configuration says.
    pub fn parse(auth: &file::Auth) -> Result<Self, String> {
        Ok(match auth {
            file::Auth::Bearer => Self::Scheme("Bearer"),
            file::Auth::OAuth => Self::Scheme("OAuth"),
            file::Auth::None => Self::None,
            file::Auth::Header { header, format } => {
                let name = header.parse().map_err(|_| format!("`{header}` is not a header name"))?;
                let format = format.as_deref().unwrap_or(KEY);
                let (before, after) = format
                    .split_once(KEY)
                    .ok_or_else(|| format!("`{format}` has no `{KEY}`, where the key is to stand"))?;
                Self::Header(name, before.to_owned(), after.to_owned())
            }
            file::Auth::Query { query } if !query.is_empty() => Self::Query(query.clone()),
            file::Auth::Query { .. } => return Err("the query parameter needs a name".to_owned()),
        })
    }

    /// What a key adds to a call.
    pub fn credential(&self, key: &Secret) -> Result<Credential, String> {
        let (name, text) = match self {
            Self::None => return Ok(Credential::None),
            Self::Scheme(scheme) => (AUTHORIZATION, format!("{scheme} {}", key.expose())),
            Self::Header(name, before, after) => (name.clone(), [before, key.expose(), after].concat()),
            Self::Query(name) => {
                let escaped = percent_encoding::utf8_percent_encode(key.expose(), percent_encoding::NON_ALPHANUMERIC);
                return Ok(Credential::Query(format!("{name}={escaped}")));
            }
        };
        let unsendable = |_| "holds characters that no header can carry".to_owned();
        let mut value = HeaderValue::try_from(text).map_err(unsendable)?;
        value.set_sensitive(true);
        Ok(Credential::Header(name, value))
    }
}

/// A key, ready to be attached to a call.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// In a header.
    Header(HeaderName, HeaderValue),
    /// In the query.
    Query(String),
    /// Not at all.
    None,
}

impl Credential {
    /// Attaches the key to the query of a call.
    pub fn extend_query(&self, query: &mut String) {
        if let Self::Query(pair) = self {
            query.push_str(if query.is_empty() { "" } else { "&" });
            query.push_str(pair);
        }
    }

    /// Attaches the key to the headers of a call.
    pub fn extend_headers<'a>(&'a self, headers: &mut CallHeaders<'a>) {
        if let Self::Header(name, value) = self {
            headers.insert(name, value);
        }
    }
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Credential(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_puts_the_key_in_its_place() {
        let header = |format: Option<&str>| {
            let (header, format) = ("X-API-Key".to_owned(), format.map(str::to_owned));
            Auth::parse(&file::Auth::Header { header, format })
        };
        let attach = |auth: Auth| {
            let (mut headers, mut query) = (CallHeaders::default(), "a=1".to_owned());
            let credential = auth.credential(&Secret::new("k&y")).unwrap();
            credential.extend_query(&mut query);
            credential.extend_headers(&mut headers);
            assert!(!format!("{credential:?}").contains("k&y"));
            let header = headers
                .iter()
                .next()
                .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
            (header.unwrap_or_default(), query)
        };
        assert_eq!(
            attach(Auth::Scheme("Bearer")),
            ("authorization: Bearer k&y".into(), "a=1".into())
        );
        assert_eq!(
            attach(Auth::Scheme("OAuth")),
            ("authorization: OAuth k&y".into(), "a=1".into())
        );
        assert_eq!(attach(header(None).unwrap()), ("x-api-key: k&y".into(), "a=1".into()));
        assert_eq!(
            attach(header(Some("Token {key};v=1")).unwrap()),
            ("x-api-key: Token k&y;v=1".into(), "a=1".into())
        );
        assert!(header(Some("Token")).unwrap_err().contains("{key}"));
        assert_eq!(
            attach(Auth::Query("key".into())),
            (String::new(), "a=1&key=k%26y".into())
        );
        assert_eq!(attach(Auth::None), (String::new(), "a=1".into()));
    }
}
