//! Where a provider is: a base URL in parts, from which the URL of every call is built.
//!
//! The scheme, host and base path come from configuration alone. A caller's path is only ever appended, and one that
//! could climb out of the base path is refused.

use std::net::IpAddr;

use axum::http::HeaderValue;
use axum::http::uri::{Authority, InvalidUri, Parts, PathAndQuery, Scheme, Uri};

use super::call_path::CallPath;

/// A checked base URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// `http` or `https`.
    pub scheme: Scheme,
    /// Host and, if it is not the default, port.
    pub authority: Authority,
    /// Empty, or with a leading and without a trailing slash.
    pub path: String,
    /// The `Host` header.
    pub host: HeaderValue,
}

impl BaseUrl {
    /// Reads a base URL. `version` is appended when its path has no version segment.
    pub fn parse(text: &str, version: &str) -> Result<Self, String> {
        let uri: Uri = text.trim().parse().map_err(|_| format!("`{text}` is not a URL"))?;
        let parts = uri.into_parts();
        let scheme = parts
            .scheme
            .filter(|scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS);
        let scheme = scheme.ok_or_else(|| format!("`{text}` must begin with http:// or https://"))?;
        let authority = parts.authority.ok_or_else(|| format!("`{text}` names no host"))?;
        if authority.as_str().contains('@') {
            return Err("a base URL must not hold credentials; give them as `api_keys`".to_owned());
        }
        let has_port = authority.as_str() != authority.host();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err(format!("`{text}` has a port that is no number from 1 to 65535"));
        }
        let path = parts.path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(format!("`{text}` must not have a query; give Azure's as `api_version`"));
        }
        let mut path = path.path().trim_end_matches('/').to_owned();
        if !version.is_empty() && !path.split('/').any(is_version) {
            path = format!("{path}/{version}");
        }
        let host = HeaderValue::try_from(authority.as_str()).map_err(|error| error.to_string())?;
        Ok(Self {
            scheme,
            authority,
            path,
            host,
        })
    }

    /// The scheme and host, in lower case.
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority).to_ascii_lowercase()
    }

    /// The path and query of a call: `below` the base path (with a leading slash, percent-encoded).
    pub fn call(&self, below: &str, query: &str) -> Result<CallPath, NotBelow> {
        if memchr::memchr3(b'.', b'%', b'\\', below.as_bytes()).is_some() && below.split('/').any(climbs) {
            return Err(NotBelow);
        }
        let mut path = String::with_capacity(self.path.len() + below.len() + 1 + query.len());
        path.push_str(&self.path);
        path.push_str(below);
        if path.is_empty() {
            path.push('/');
        }
        if !query.is_empty() {
            path.push('?');
            path.push_str(query);
        }
        CallPath::new(path).ok_or(NotBelow)
    }

    /// The same of another service: what stands behind `/service/` in the path is its name, as heads of OCF networks have
    /// it. `None` for a path that names no service.
    pub fn with_service(&self, service: &str) -> Option<Self> {
        let (head, rest) = self.path.rsplit_once("/service/")?;
        let below = rest.split_once('/').map_or("", |(_, below)| below);
        Some(Self {
            path: format!("{head}/service/{service}/{below}"),
            ..self.clone()
        })
    }

    /// Whether this is a server on this machine or in a private network.
    pub fn is_near(&self) -> bool {
        let host = self.authority.host().trim_matches(['[', ']']);
        match host.parse() {
            Ok(IpAddr::V4(address)) => {
                let [first, second, ..] = address.octets();
                // 100.64.0.0/10 is RFC 6598's, which overlay networks use.
                let shared = first == 100 && (64..128).contains(&second);
                address.is_loopback() || address.is_private() || address.is_link_local() || shared
            }
            Ok(IpAddr::V6(address)) => {
                address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
            }
            // Names without a dot, as in a compose file, and domains that no public server has.
            Err(_) => {
                let host = host.to_ascii_lowercase();
                !host.contains('.')
                    || [".localhost", ".local", ".internal", ".lan", ".home.arpa", ".svc"]
                        .iter()
                        .any(|domain| host.ends_with(domain))
            }
        }
    }

    /// The whole URL of a call.
    ///
    /// # Errors
    ///
    /// Fails for some characters in the path of which only HTTP/1.1 does not say how they are to be understood.
    pub fn url(&self, path: &CallPath) -> Result<Uri, InvalidUri> {
        let mut parts = Parts::default();
        (parts.scheme, parts.authority) = (Some(self.scheme.clone()), Some(self.authority.clone()));
        parts.path_and_query = Some(path.as_str().parse()?);
        // All three parts are there, so that they always make a URL.
        Ok(Uri::from_parts(parts).unwrap_or_default())
    }

    /// The same for people.
    pub fn told(&self, path: &CallPath) -> String {
        format!("{}://{}{}", self.scheme, self.authority, path.as_str())
    }
}

impl std::fmt::Display for BaseUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

/// A path that is not a URL path below the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the path must not contain `.` or `..` segments, blanks or control characters")]
pub struct NotBelow;

/// Whether a path segment is a version: `v1`, `v1beta`, `v2`, `v4`.
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

/// Whether a segment is `.` or `..`, however it is encoded.
fn climbs(segment: &str) -> bool {
    let plain = segment.to_ascii_lowercase().replace("%2e", ".");
    plain == "." || plain == ".." || plain.contains("%2f..") || plain.contains("..%2f") || plain.contains('\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_or_without_version_and_slash() {
        for (text, version, expected) in [
            ("https://api.openai.com/v1", "v1", "https://api.openai.com/v1"),
            ("https://api.openai.com/v1/", "v1", "https://api.openai.com/v1"),
            ("https://api.openai.com", "v1", "https://api.openai.com/v1"),
            ("http://10.0.0.5:8000/", "v1", "http://10.0.0.5:8000/v1"),
            ("https://host/gateway", "v1", "https://host/gateway/v1"),
            ("https://host/v1beta/openai", "v1", "https://host/v1beta/openai"),
            ("https://host/inference", "", "https://host/inference"),
            ("https://host/api/paas/v4", "v1", "https://host/api/paas/v4"),
            ("https://host/vllm", "v1", "https://host/vllm/v1"),
        ] {
            assert_eq!(BaseUrl::parse(text, version).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn what_is_no_base_url_is_refused() {
        for text in [
            "",
            "api.openai.com/v1",
            "ftp://x",
            "http://",
            "http://k@host",
            "http://h/v1?x=1",
            "http://h h/",
            "http://h:99999",
            "http://[::1]:0/v1",
            "http://h:/v1",
        ] {
            assert!(BaseUrl::parse(text, "v1").is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_near_is_told_by_its_host() {
        let is_near = |host: &str| BaseUrl::parse(&format!("http://{host}"), "v1").unwrap().is_near();
        for host in [
            "localhost:1234",
            "127.0.0.1",
            "10.1.2.3:80",
            "192.168.0.7",
            "172.16.0.1",
            "100.100.0.1",
            "[::1]:80",
            "[fd00::1]",
            "vllm:8000",
            "box.local",
            "vllm.models.svc.cluster.local",
            "models.SVC",
        ] {
            assert!(is_near(host), "{host}");
        }
        for host in [
            "api.openai.com",
            "8.8.8.8",
            "172.32.0.1",
            "100.128.0.1",
            "[2001:db8::1]",
            "local.example",
        ] {
            assert!(!is_near(host), "{host}");
        }
    }

    #[test]
    fn services_lie_beside_one_another() {
        let with = |text: &str, service| Some(BaseUrl::parse(text, "").ok()?.with_service(service)?.to_string());
        for (text, expected) in [
            ("http://h/v1/service/llm/v1", Some("http://h/v1/service/pool/v1")),
            (
                "http://h/a/service/b/v1/service/llm/v1",
                Some("http://h/a/service/b/v1/service/pool/v1"),
            ),
            ("http://h/v1", None),
        ] {
            assert_eq!(with(text, "pool").as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn a_call_stays_below_the_base() {
        let base = BaseUrl::parse("http://h/v1", "").unwrap();
        let call = |below, query| base.call(below, query).unwrap().as_str().to_owned();
        assert_eq!(call("/files/a%20b", "limit=1"), "/v1/files/a%20b?limit=1");
        assert_eq!(call("", ""), "/v1");
        assert_eq!(
            BaseUrl::parse("http://h", "").unwrap().call("", "a").unwrap().as_str(),
            "/?a"
        );
        for path in [
            "/..",
            "/a/../b",
            "/%2e%2e/x",
            "/.%2E/x",
            "/./x",
            "/a%2f..%2fb",
            "/a\\..\\b",
            "/a b",
            "/a#b",
        ] {
            assert_eq!(base.call(path, ""), Err(NotBelow), "{path}");
        }
    }
}
