//! Which headers go through: from the caller to a provider, and from a provider to the caller.
//!
//! Everything does, but for what belongs to one connection (RFC 9110, section 7.6.1), what identifies the caller to us
//! or to web sites, and what the gateway says itself.

use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, ALT_SVC, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, EXPECT,
    FORWARDED, HOST, ORIGIN, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, REFERER, SET_COOKIE, STRICT_TRANSPORT_SECURITY,
    TE, TRAILER, TRANSFER_ENCODING, UPGRADE, VIA,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::call_headers::CallHeaders;

static WAY: HeaderName = VIA;

static ENCODINGS: HeaderName = ACCEPT_ENCODING;

/// Without this header a provider may answer in any encoding (RFC 9110, section 12.5.3), and some proxies do.
static NOT_COMPRESSED: HeaderValue = HeaderValue::from_static("identity");

/// The request headers that a provider gets.
///
/// `Accept-Encoding` is ours: a compressed answer could not be metered. `OpenAI-Organization` and `OpenAI-Project` stay
/// behind: they select an account within a credential, and the credential is not the caller's.
pub fn to_upstream<'a>(headers: &'a HeaderMap, via: &'a HeaderValue) -> CallHeaders<'a> {
    let mut passed = CallHeaders::with_capacity(headers.len() + 4);
    let listed = headers.keys().any(|name| *name == CONNECTION);
    let mut has_hops = false;
    for (name, value) in headers {
        has_hops |= *name == VIA;
        let stays = is_hop_by_hop(name)
            || matches!(
                *name,
                HOST | CONTENT_LENGTH | AUTHORIZATION | COOKIE | EXPECT | ORIGIN | REFERER | FORWARDED | VIA
            )
            || *name == ACCEPT_ENCODING
            || is_ours_or_the_callers(name.as_str())
            || (listed && is_named_by_connection(headers, name));
        if !stays {
            passed.append(name, value);
        }
    }
    // Those of other gateways stay, so that a request that goes round through several of them is recognised.
    if has_hops {
        headers.get_all(VIA).iter().for_each(|hop| passed.append(&WAY, hop));
    }
    passed.append(&WAY, via);
    passed.append(&ENCODINGS, &NOT_COMPRESSED);
    passed
}

/// The headers of a request that was translated: what the protocol demands, and of the caller's only what says nothing in
/// its own protocol.
pub fn translated(headers: &HeaderMap, own: &[(&'static str, String)], via: &HeaderValue) -> HeaderMap {
    let mut passed = HeaderMap::with_capacity(own.len() + 9);
    for name in ["user-agent", "x-request-id", "traceparent", "tracestate"] {
        if let Some(value) = headers.get(name) {
            passed.insert(HeaderName::from_static(name), value.clone());
        }
    }
    passed.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    passed.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    for (name, value) in own {
        if let Ok(value) = HeaderValue::try_from(value.as_str()) {
            passed.insert(HeaderName::from_static(name), value);
        }
    }
    for hop in headers.get_all(VIA) {
        passed.append(VIA, hop.clone());
    }
    passed.append(VIA, via.clone());
    passed.insert(ACCEPT_ENCODING, NOT_COMPRESSED.clone());
    passed
}

fn is_ours_or_the_callers(name: &str) -> bool {
    matches!(
        name,
        "x-api-key" | "api-key" | "x-goog-api-key" | "openai-organization" | "openai-project" | "x-real-ip"
    ) || name.starts_with("x-mynah-")
        || name.starts_with("x-forwarded-")
        || name.starts_with("sec-")
}

/// The response headers that a caller gets.
pub fn to_caller(headers: HeaderMap) -> HeaderMap {
    let is_plain = |name: &HeaderName| {
        !is_hop_by_hop(name)
            && !matches!(*name, SET_COOKIE | ALT_SVC | STRICT_TRANSPORT_SECURITY)
            && !name.as_str().starts_with("access-control-")
    };
    // Then none of them says of another one that it is not for the caller.
    if headers.keys().all(is_plain) {
        return headers;
    }
    let mut passed = HeaderMap::with_capacity(headers.len());
    for (name, value) in &headers {
        if is_plain(name) && !is_named_by_connection(&headers, name) {
            passed.append(name.clone(), value.clone());
        }
    }
    passed
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    matches!(
        *name,
        CONNECTION | TE | TRAILER | TRANSFER_ENCODING | UPGRADE | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION
    ) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// Whether `Connection` says that a header is for this connection only.
fn is_named_by_connection(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        value
            .as_bytes()
            .split(|&byte| byte == b',')
            .any(|token| token.trim_ascii().eq_ignore_ascii_case(name.as_str().as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn credentials_cookies_and_hops_never_reach_a_provider() {
        let from_client = headers(&[
            ("authorization", "Bearer x"),
            ("x-api-key", "x"),
            ("api-key", "x"),
            ("cookie", "x"),
            ("connection", "keep-alive, x-hop"),
            ("x-hop", "x"),
            ("x-mynah-provider", "x"),
            ("x-forwarded-for", "10.0.0.1"),
            ("openai-organization", "x"),
            ("content-type", "application/json"),
            ("openai-beta", "assistants=v2"),
            ("user-agent", "OpenAI/Python"),
            ("x-stainless-lang", "python"),
        ]);
        let via = HeaderValue::from_static("1.1 mynah");
        let passed = to_upstream(&from_client, &via);
        let names: Vec<&str> = passed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "content-type",
                "openai-beta",
                "user-agent",
                "x-stainless-lang",
                "via",
                "accept-encoding"
            ]
        );
    }

    #[test]
    fn what_a_provider_says_about_the_request_comes_back() {
        let from_provider = headers(&[
            ("x-request-id", "req_1"),
            ("retry-after", "2"),
            ("x-ratelimit-remaining-tokens", "9"),
            ("set-cookie", "x"),
            ("transfer-encoding", "chunked"),
            ("access-control-allow-origin", "*"),
            ("content-type", "text/event-stream"),
        ]);
        let passed = to_caller(from_provider);
        let names: Vec<&str> = passed.keys().map(HeaderName::as_str).collect();
        assert_eq!(
            names,
            [
                "x-request-id",
                "retry-after",
                "x-ratelimit-remaining-tokens",
                "content-type"
            ]
        );
    }
}
