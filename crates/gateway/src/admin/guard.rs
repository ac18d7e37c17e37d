//! Who is let in at the admin listener.
//!
//! A page in a browser can send requests to this machine, and by a name that leads here first to the page's server and then
//! to this machine (DNS rebinding) it can read the answers. So a request of a page is refused unless the page came from this
//! very listener, and without a key only this machine's own names are answered to.

use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use subtle::ConstantTimeEq as _;

use crate::caller::{KeyHash, hash};
use crate::failure::Failure;

static SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a route needs of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// The operator's key, where there is one.
    Key,
    /// Nothing: what is told there is the same for every gateway.
    Nothing,
}

/// Lets a request in, or not. `key` is the hash of the operator's key.
pub fn admit(parts: &Parts, needs: Needs, key: Option<&KeyHash>) -> Result<(), Failure> {
    let host = host(parts).ok_or_else(|| Failure::host_refused("is missing, or is not a host"))?;
    if key.is_none() && !is_own(host) {
        return Err(Failure::host_refused(
            "is not a name of this machine, which takes a key (`admin.key`)",
        ));
    }
    if is_of_another_page(&parts.headers, host) {
        return Err(Failure::page_refused());
    }
    match (needs, key) {
        (Needs::Nothing, _) | (Needs::Key, None) => Ok(()),
        (Needs::Key, Some(key)) => presents(&parts.headers, key),
    }
}

/// The host that a request is meant for, with its port; `None` when it names none, several, or something else.
fn host(parts: &Parts) -> Option<&str> {
    let mut named = parts.headers.get_all(HOST).iter();
    let header = named.next().map(HeaderValue::to_str).transpose().ok()?;
    let authority = parts.uri.authority().map(Authority::as_str);
    let host = authority.or(header)?;
    let is_one = named.next().is_none() && header.is_none_or(|header| header.eq_ignore_ascii_case(host));
    (is_one && is_host(host)).then_some(host)
}

/// Whether a text is `name`, `address` or `[address]`, with or without a port, and nothing more.
fn is_host(text: &str) -> bool {
    let (name, port) = split_port(text);
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok());
    let is_name = |name: &str| {
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
    };
    is_port && (is_name(name) || address(name).is_some())
}

fn split_port(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let inner = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    match inner {
        Some(inner) => inner.parse().map(IpAddr::V6).ok(),
        None => name.parse().ok().filter(IpAddr::is_ipv4),
    }
}

/// Whether a host can only ever mean the machine that asks.
fn is_own(host: &str) -> bool {
    let (name, _) = split_port(host);
    name.eq_ignore_ascii_case("localhost") || address(name).is_some_and(|address| address.is_loopback())
}

/// Whether a page sends the request that did not come from here.
fn is_of_another_page(headers: &HeaderMap, host: &str) -> bool {
    let is_from_elsewhere = |origin: &HeaderValue| {
        let origin = origin.to_str().unwrap_or_default();
        let own = origin.split_once("://").map(|(_, host)| host);
        !own.is_some_and(|own| own.eq_ignore_ascii_case(host))
    };
    let is_told_so = |site: &HeaderValue| site != "same-origin" && site != "none";
    headers.get_all(ORIGIN).iter().any(is_from_elsewhere) || headers.get_all(&SEC_FETCH_SITE).iter().any(is_told_so)
}

fn presents(headers: &HeaderMap, key: &KeyHash) -> Result<(), Failure> {
    let value = headers.get(AUTHORIZATION).ok_or_else(Failure::admin_key_missing)?;
    let presented = match value.as_bytes().split_at_checked(7) {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"bearer ") => key.trim_ascii(),
        _ => return Err(Failure::admin_key_missing()),
    };
    // Hashes have one length, and how far two of them agree tells nothing about the key.
    if bool::from(hash(presented).as_slice().ct_eq(key)) {
        Ok(())
    } else {
        Err(Failure::admin_key_wrong())
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(headers: &[(&'static str, &str)]) -> Parts {
        let mut request = Request::builder().uri("/api/status");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn code(headers: &[(&'static str, &str)], key: Option<&str>) -> Option<&'static str> {
        let key = key.map(|key| hash(key.as_bytes()));
        admit(&parts(headers), Needs::Key, key.as_ref())
            .err()
            .and_then(|failure| failure.code)
    }

    #[test]
    fn without_a_key_only_this_machines_own_names_are_answered_to() {
        for own in [
            "localhost:8081",
            "LOCALHOST",
            "127.0.0.1:8081",
            "127.9.9.9",
            "[::1]:8081",
            "localhost:9",
        ] {
            assert_eq!(code(&[("host", own)], None), None, "{own}");
        }
        for other in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:8081",
            "192.0.2.1",
            "[2001:db8::1]:8081",
            "localhost:8081.evil.example",
            "",
        ] {
            assert_eq!(code(&[("host", other)], None), Some("host_not_allowed"), "{other}");
        }
    }

    #[test]
    fn a_host_that_is_none_is_refused_also_with_the_key() {
        let key = ("authorization", "Bearer k");
        for odd in [
            "localhost/#@x",
            "localhost:80@evil.example",
            "localhost?x",
            "local host",
            "localhost:99999",
            "localhost:",
            "[::1",
            "a:b:c",
            "::1",
        ] {
            assert_eq!(
                code(&[("host", odd), key], Some("k")),
                Some("host_not_allowed"),
                "{odd}"
            );
        }
        assert_eq!(code(&[key], Some("k")), Some("host_not_allowed"), "none at all");
        assert_eq!(
            code(&[("host", "localhost"), ("host", "evil.example"), key], Some("k")),
            Some("host_not_allowed")
        );
        assert_eq!(code(&[("host", "admin.example.com:8443"), key], Some("k")), None);
    }

    #[test]
    fn pages_from_elsewhere_are_refused_also_with_the_key() {
        let (host, key) = (("host", "localhost:8081"), ("authorization", "Bearer k"));
        for origin in [
            "http://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "null",
            "",
            "http://localhost:8081.evil.example",
        ] {
            let refused = code(&[host, key, ("origin", origin)], Some("k"));
            assert_eq!(refused, Some("origin_not_allowed"), "{origin}");
        }
        for site in ["cross-site", "same-site"] {
            assert_eq!(
                code(&[host, key, ("sec-fetch-site", site)], Some("k")),
                Some("origin_not_allowed")
            );
        }
        let own = [
            host,
            key,
            ("origin", "http://localhost:8081"),
            ("sec-fetch-site", "same-origin"),
        ];
        assert_eq!(code(&own, Some("k")), None);
    }

    #[test]
    fn the_key_is_a_bearers() {
        let host = ("host", "localhost");
        for (value, expected) in [
            ("Bearer k", None),
            ("bearer  k ", None),
            ("Bearer K", Some("invalid_api_key")),
            ("Bearer k2", Some("invalid_api_key")),
            ("Bearer ", Some("invalid_api_key")),
            ("k", Some("missing_api_key")),
            ("Basic azpr", Some("missing_api_key")),
        ] {
            assert_eq!(code(&[host, ("authorization", value)], Some("k")), expected, "{value}");
        }
        assert_eq!(code(&[host, ("x-api-key", "k")], Some("k")), Some("missing_api_key"));
        assert_eq!(code(&[host], None), None);
    }
}
