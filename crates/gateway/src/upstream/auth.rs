//! How a credential is attached to a call.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::config::file;
use crate::config::secret::Secret;

/// Where the key goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: SCHEME KEY`.
    Scheme(&'static str),
    /// A header of its own.
    Header(HeaderName),
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
            file::Auth::Header { header } => {
                Self::Header(header.parse().map_err(|_| format!("`{header}` is not a header name"))?)
            }
            file::Auth::Query { query } if !query.is_empty() => Self::Query(query.clone()),
            file::Auth::Query { .. } => return Err("the query parameter needs a name".to_owned()),
        })
    }

    /// Attaches a key to the headers or the query of a call. Fails when the key cannot be sent as a header, of which
    /// configuration was checked to be free.
    pub fn attach(&self, key: &Secret, headers: &mut HeaderMap, query: &mut String) -> Option<()> {
        let (name, text) = match self {
            Self::None => return Some(()),
            Self::Scheme(scheme) => (AUTHORIZATION, format!("{scheme} {}", key.expose())),
            Self::Header(name) => (name.clone(), key.expose().to_owned()),
            Self::Query(name) => {
                let escaped = percent_encoding::utf8_percent_encode(key.expose(), percent_encoding::NON_ALPHANUMERIC);
                let separator = if query.is_empty() { "" } else { "&" };
                query.push_str(&format!("{separator}{name}={escaped}"));
                return Some(());
            }
        };
        let mut value = HeaderValue::try_from(text).ok()?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_puts_the_key_in_its_place() {
        let attach = |auth: Auth| {
            let (mut headers, mut query) = (HeaderMap::new(), "a=1".to_owned());
            auth.attach(&Secret::new("k&y"), &mut headers, &mut query).unwrap();
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
        assert_eq!(
            attach(Auth::Header(HeaderName::from_static("x-api-key"))),
            ("x-api-key: k&y".into(), "a=1".into())
        );
        assert_eq!(
            attach(Auth::Query("key".into())),
            (String::new(), "a=1&key=k%26y".into())
        );
        assert_eq!(attach(Auth::None), (String::new(), "a=1".into()));
    }
}
