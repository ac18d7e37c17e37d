//! Errors as providers word them, and what is concluded.

use std::path::Path;

use proptest::prelude::*;

use super::Verdict::{CallersFault, Exhausted, Faulty, Healthy, Rejected, Throttled};
use super::*;

#[test]
fn the_callers_own_faults_stay_with_the_caller() {
    for status in [400, 404, 405, 409, 413, 415, 422] {
        assert_eq!(Verdict::of_status(status), Verdict::CallersFault, "{status}");
        assert!(!Verdict::of_status(status).hands_over());
    }
}

#[test]
fn everything_else_that_fails_hands_over() {
    for status in [401, 402, 403, 408, 429, 498, 500, 502, 503, 504, 529, 599] {
        assert!(Verdict::of_status(status).hands_over(), "{status}");
    }
}

#[test]
fn a_body_tells_a_limit_from_a_credit() {
    for (status, body, expected) in BODIES {
        let verdict = Verdict::of_answer(*status, body.as_bytes());
        assert_eq!(verdict, *expected, "{status} {body}");
        assert_eq!(verdict.hands_over(), !matches!(expected, Healthy | CallersFault));
    }
    assert_eq!(Verdict::of_answer(403, b"\xff insufficient balance \xff"), Exhausted);
}

/// Google says the same of all its limits.
#[test]
fn the_details_tell_a_day_from_a_minute() {
    for (quota, expected) in [
        ("GenerateRequestsPerDayPerProjectPerModel-FreeTier", Exhausted),
        ("GenerateRequestsPerMinutePerProjectPerModel", Throttled),
    ] {
        let body = format!(
            r#"{{"error":{{"code":429,"message":"You exceeded your current quota, please check your plan and billing details.","status":"RESOURCE_EXHAUSTED","details":[{{"@type":"QuotaFailure","violations":[{{"quotaId":"{quota}"}}]}},{{"@type":"RetryInfo","retryDelay":"34s"}}]}}}}"#
        );
        assert_eq!(Verdict::of_answer(429, body.as_bytes()), expected, "{body}");
        assert_eq!(
            Verdict::of_answer(429, format!("[{body}]").as_bytes()),
            expected,
            "{body}"
        );
    }
}

const BODIES: &[(u16, &str, Verdict)] = &[
    (
        429,
        r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","code":"insufficient_quota"}}"#,
        Exhausted,
    ),
    (
        429,
        r#"{"error":{"message":"Rate limit reached for gpt-4o on tokens per day (TPD). Please try again in 2h3m.","type":"tokens","code":"rate_limit_exceeded"}}"#,
        Throttled,
    ),
    (
        429,
        r#"{"error":{"status":"RESOURCE_EXHAUSTED","message":"Your prepayment credits are depleted."}}"#,
        Exhausted,
    ),
    (
        429,
        r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
        Exhausted,
    ),
    (
        429,
        r#"{"message":"You are using a Trial key, which is limited to 20 API calls / minute."}"#,
        Throttled,
    ),
    (429, r#"{"error":{"code":"1113","message":"..."}}"#, Exhausted),
    (
        429,
        r#"{"message":"Too many tokens per day, please wait before trying again."}"#,
        Exhausted,
    ),
    (429, "", Throttled),
    (429, "\u{fffd}", Throttled),
    (402, "", Exhausted),
    (
        400,
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
        Exhausted,
    ),
    (
        400,
        r#"{"error":{"message":"Billing hard limit has been reached","code":"billing_hard_limit_reached"}}"#,
        Exhausted,
    ),
    (400, r#"{"code":"Arrearage","message":"Access denied"}"#, Exhausted),
    (
        403,
        r#"{"error":{"code":403,"message":"Key limit exceeded (total limit)."}}"#,
        Exhausted,
    ),
    (
        403,
        r#"{"code":30001,"message":"Sorry, your account balance is insufficient"}"#,
        Exhausted,
    ),
    (403, r#"{"error":{"message":"Your key may not use this"}}"#, Rejected),
    (
        401,
        r#"{"error":{"type":"insufficient_quota","message":"m"}}"#,
        Exhausted,
    ),
    (401, r#"{"error":{"code":"invalid_api_key"}}"#, Rejected),
    (
        400,
        r#"{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}"#,
        Rejected,
    ),
    (
        400,
        r#"{"code":"invalid argument","error":"Incorrect API key provided: ab***"}"#,
        Rejected,
    ),
    (
        403,
        r#"{"error":{"code":403,"message":"Your chosen model requires moderation and your input was flagged","metadata":{"reasons":["x"],"flagged_input":"y"}}}"#,
        CallersFault,
    ),
    // What a caller wrote is repeated, and must not rest a key.
    (
        400,
        r#"{"error":{"message":"Invalid value: 'credit balance is too low'. Supported: 'user'","code":"invalid_value"}}"#,
        CallersFault,
    ),
    (
        400,
        r#"{"error":{"message":"Invalid value: 'insufficient_quota' or 'API key not valid'"}}"#,
        CallersFault,
    ),
    (
        422,
        r#"{"detail":[{"msg":"bad","input":"insufficient_quota"}]}"#,
        CallersFault,
    ),
    (529, r#"{"type":"error","error":{"type":"overloaded_error"}}"#, Faulty),
    (503, r#"{"error":{"message":"insufficient balance"}}"#, Faulty),
    (200, "", Healthy),
];

#[test]
fn a_model_that_is_missing_is_told_from_other_things_that_are() {
    let said = |message: &str| format!(r#"{{"error":{{"message":{message:?}}}}}"#);
    for (status, body) in [
        (404, r#"{"error":{"message":"The model `x` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#.to_owned()),
        (403, r#"{"error":{"message":"Project `p` does not have access to model `x`","code":"model_not_found"}}"#.into()),
        (404, r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-none"}}"#.into()),
        (404, r#"{"error":{"code":404,"message":"models/x is not found for API version v1beta","status":"NOT_FOUND"}}"#.into()),
        (404, said("model \"x\" not found, try pulling it first")),
        (404, r#"{"error":"model 'x' not found"}"#.into()),
        (404, r#"{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError","code":404}"#.into()),
        (400, r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","code":"1500"}"#.into()),
        (400, r#"{"error":{"message":"The model `x` has been decommissioned","code":"model_decommissioned"}}"#.into()),
        (404, r#"{"message":"model 'command-z' not found, make sure the correct model ID was used"}"#.into()),
        (400, said("Model Not Exist")),
        (400, said("nobody/x is not a valid model ID")),
        (404, said("No endpoints found for nobody/x.")),
        (404, r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#.into()),
        (403, r#"{"error":{"code":"no_access","message":"No access to model: x"}}"#.into()),
        (400, r#"{"error":{"code":"unknown_model","message":"Unknown model: x"}}"#.into()),
        (400, r#"{"message":"The provided model identifier is invalid."}"#.into()),
        (400, r#"{"error":"no providers found"}"#.into()),
        (503, r#"{"error":"No provider found for the requested service."}"#.into()),
    ] {
        assert!(lacks_model(status, body.as_bytes()), "{status} {body}");
    }
    for (status, body) in [
        (404, r#"{"detail":"Not Found"}"#.to_owned()),
        (404, said("No such File object: file-1")),
        (404, "<html>model not found</html>".into()),
        (404, String::new()),
        (
            400,
            said("Invalid value: 'model not found'. Supported values are 'user'."),
        ),
        (400, said("The model `x` does not support tools")),
        (403, said("Your key may not use this")),
        (429, said("The model `x` does not exist")),
        (500, said("The model `x` does not exist")),
        (503, said("The model `x` does not exist")),
    ] {
        assert!(!lacks_model(status, body.as_bytes()), "{status} {body}");
    }
}

#[test]
fn an_address_that_nobody_serves_is_told_from_a_provider_who_complains() {
    for status in [404, 405, 410] {
        for body in ["", "<html>default backend</html>", "404 page not found"] {
            assert!(lacks_route(status, body.as_bytes()), "{status} {body}");
        }
        assert!(!lacks_route(
            status,
            br#"{"error":{"message":"No such File object: file-1"}}"#
        ));
    }
    assert!(!lacks_route(400, b"<html>"));
}

#[test]
fn a_request_that_is_too_long_is_known_in_everybodys_words() {
    let said = |message: &str| format!(r#"{{"error":{{"message":{message:?}}}}}"#);
    for message in [
        "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "too many tokens: size limit exceeded by 1532 tokens.",
        "the request exceeds the available context size, try increasing it",
        "Range of input length should be [1, 98304]",
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        "Input tokens exceed the configured limit of 272000 tokens.",
        "prompt too long; exceeded max context length by 5 tokens",
        "Input is too long for requested model.",
        "Invalid request: Your request exceeded model token limit: 8192",
        "Your input exceeds the context window of this model.",
    ] {
        assert!(exceeds_context(400, said(message).as_bytes()), "{message}");
        assert!(!exceeds_context(200, said(message).as_bytes()), "{message}");
    }
    let passed_on = r#"{"error":{"message":"Provider returned error","code":400,"metadata":{"raw":"{\"error\":{\"message\":\"This model's maximum context length is 1\"}}"}}}"#;
    assert!(exceeds_context(400, passed_on.as_bytes()));
    assert!(exceeds_context(
        413,
        said("Request too large for model `x`, please reduce your message size").as_bytes()
    ));
    for message in [
        "'n' must be positive",
        "max_tokens is too large: 100000. This model supports at most 16384 completion tokens.",
        "",
    ] {
        assert!(!exceeds_context(400, said(message).as_bytes()), "{message}");
    }
    assert!(!exceeds_context(429, said("maximum context length").as_bytes()));
}

/// The golden errors are named by their status and by what they are about.
#[test]
fn golden_errors_are_what_their_names_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/errors");
    let mut looked_at = 0;
    for protocol in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(protocol.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let (status, about) = name.split_once('-').unwrap();
            let (status, body) = (status.parse().unwrap(), std::fs::read(&path).unwrap());
            let is = |words: &[&str]| words.iter().any(|word| about.contains(word));
            let verdict = Verdict::of_answer(status, &body);
            let exhausted = is(&["quota", "balance", "billing", "per-month"]);
            assert_eq!(verdict == Verdict::Exhausted, exhausted, "{path:?}");
            let rejected = matches!(status, 401 | 403 | 498) || is(&["-key"]);
            assert_eq!(verdict == Verdict::Rejected, rejected, "{path:?}");
            assert_eq!(lacks_model(status, &body), status == 404, "{path:?}");
            let too_long = is(&["context", "too-long", "too-many"]);
            assert_eq!(exceeds_context(status, &body), too_long, "{path:?}");
            looked_at += 1;
        }
    }
    assert!(looked_at > 50, "only {looked_at} errors were looked at");
}

proptest! {
    #[test]
    fn every_body_is_judged(
        status in 100_u16..600,
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..80),
            r#"\[?\{"(error|detail|code|message)":(\[\]|\{"(details|message)":(1|\[\{"violations":\[null\]\}\])\}|"[a-z\u{e9}]{0,9}"|null)\}\]?"#.prop_map(String::into_bytes),
        ],
    ) {
        let verdict = Verdict::of_answer(status, &body);
        prop_assert!(verdict == Verdict::of_status(status) || matches!(status, 400 | 401 | 403 | 429));
        lacks_model(status, &body);
        exceeds_context(status, &body);
    }
}
