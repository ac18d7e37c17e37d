//! Where the requests go, and what they are.

use std::fmt::Write;
use std::net::{SocketAddr, ToSocketAddrs};

use bytes::Bytes;
use http::Uri;

/// Where the requests go, and what they are: cheap to clone.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) address: SocketAddr,
    /// The very bytes of a request.
    pub(super) request: Bytes,
}

/// There can be no requests to this.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// It is no URL.
    #[error("{0} is no URL: {1}")]
    NoUrl(String, http::uri::InvalidUri),
    /// It is not one of `http`.
    #[error("{0}: only http:// can be measured")]
    NotHttp(String),
    /// Nothing is known by that name.
    #[error("{0} has no address: {1}")]
    NoAddress(String, std::io::Error),
}

impl Target {
    /// Requests to `url` with these further headers and this body. A URL without a path stands for chat completions.
    pub fn new(url: &str, headers: &[(String, String)], body: &str) -> Result<Self, TargetError> {
        let uri: Uri = url.parse().map_err(|error| TargetError::NoUrl(url.to_owned(), error))?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http"));
        let host = host.ok_or_else(|| TargetError::NotHttp(url.to_owned()))?;
        let port = uri.port_u16().unwrap_or(80);
        let address = first_address(host.trim_matches(['[', ']']), port)
            .map_err(|error| TargetError::NoAddress(host.to_owned(), error))?;
        let path = match uri.path_and_query().map(http::uri::PathAndQuery::as_str) {
            None | Some("/") => "/v1/chat/completions",
            Some(path) => path,
        };
        let mut request = format!("POST {path} HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\n");
        for (name, value) in headers {
            // Writing to a string does not fail.
            let _ = write!(request, "{name}: {value}\r\n");
        }
        let _ = write!(request, "content-length: {}\r\n\r\n{body}", body.len());
        Ok(Self {
            address,
            request: request.into(),
        })
    }
}

fn first_address(host: &str, port: u16) -> std::io::Result<SocketAddr> {
    (host, port)
        .to_socket_addrs()?
        .next()
        .ok_or_else(|| std::io::ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_is_whole() {
        let headers = [("Authorization".to_owned(), "Bearer sk".to_owned())];
        let target = Target::new("http://127.0.0.1:81", &headers, "{}").expect("a target");
        assert_eq!(target.address, SocketAddr::from(([127, 0, 0, 1], 81)));
        assert_eq!(
            target.request,
            "POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:81\r\ncontent-type: application/json\r\n\
             Authorization: Bearer sk\r\ncontent-length: 2\r\n\r\n{}"
        );
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        assert!(matches!(
            Target::new("https://127.0.0.1", &[], ""),
            Err(TargetError::NotHttp(_))
        ));
        assert!(matches!(Target::new("not a url", &[], ""), Err(TargetError::NoUrl(..))));
    }
}
