//! `/v1/explain` says what would happen to a request, and does nothing of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::dialects::{CALLERS, KEY, body, error, provider, strict};
use support::{Gateway, Request};

async fn up() -> (Understudy, Gateway) {
    let understudy = strict(Script::new()).await;
    let url = understudy.url();
    let config = [
        provider("oai", "chat", &url),
        provider("claude", "anthropic", &url) + "headers = { x-secret = 'sk-in-a-header' }\n",
        provider("gem", "gemini", &url) + "auth = { query = 'key' }\n",
        "[models.any]\ntargets = ['oai/gpt-4o', 'claude/claude-opus-4-6', 'gem/gemini-3-pro', 'mynah/echo']\n"
            .to_owned(),
        "[models.exact]\nstrict = true\ntargets = ['claude/claude-opus-4-6', 'gem/gemini-3-pro']\n".to_owned(),
        "[[clients]]\nname = 'team'\nkey = 'key-of-the-team'\nmodels = ['any', 'exact', 'oai/*']\n".to_owned(),
    ];
    let gateway = Gateway::start(&config.concat());
    (understudy, gateway)
}

fn of(path: &str, body: &Value) -> Request {
    let query = if path.is_empty() {
        String::new()
    } else {
        format!("?path={path}")
    };
    Request::post(&format!("/v1/explain{query}"), &body.to_string()).header("authorization", "Bearer key-of-the-team")
}

#[tokio::test]
async fn every_target_is_explained_and_nobody_is_called() {
    let (understudy, gateway) = up().await;
    let mut asked = body("chat", "any", "hello", false);
    (asked["seed"], asked["x_unknown"]) = (json!(7), json!(1));
    let reply = gateway.send(&of("/v1/chat/completions", &asked)).await;
    assert_eq!(
        (reply.status, reply.header("content-type")),
        (200, Some("application/json")),
        "{}",
        reply.text()
    );
    let explained = reply.json();
    assert_eq!(
        (&explained["path"], &explained["model"]),
        (&json!("/v1/chat/completions"), &json!("any"))
    );
    assert_eq!(explained["strict"], false);
    let targets = explained["targets"].as_array().unwrap();
    let ways: Vec<(&str, &str)> = targets
        .iter()
        .map(|target| (target["target"].as_str().unwrap(), target["way"].as_str().unwrap()))
        .collect();
    let expected = [
        ("oai/gpt-4o", "relay"),
        ("claude/claude-opus-4-6", "translate"),
        ("gem/gemini-3-pro", "translate"),
        ("mynah/echo", "built-in"),
    ];
    assert_eq!(ways, expected);

    // What is relayed is what was said, but for the model.
    let relayed = &targets[0]["requests"][0];
    assert_eq!(relayed["url"], format!("{}/v1/chat/completions", understudy.url()));
    asked["model"] = json!("gpt-4o");
    assert_eq!(relayed["body"], asked);
    assert_eq!((&targets[0]["losses"], targets[0].get("protocol")), (&json!([]), None));

    let translated = &targets[1];
    assert_eq!(
        (&translated["protocol"], translated.get("refused")),
        (&json!("anthropic"), None)
    );
    assert_eq!(
        translated["requests"][0]["url"],
        format!("{}/v1/messages", understudy.url())
    );
    assert_eq!(translated["requests"][0]["body"]["model"], "claude-opus-4-6");
    let lost: Vec<&str> = translated["losses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|loss| loss["field"].as_str().unwrap())
        .collect();
    assert!(lost.contains(&"seed"), "{lost:?}");
    assert_eq!(understudy.counters().heads, 0);
}

#[tokio::test]
async fn what_is_explained_is_what_is_sent() {
    let (understudy, gateway) = up().await;
    for caller in CALLERS {
        for target in ["oai/gpt-4o", "any"] {
            let path = support::dialects::path(caller, target, false);
            let asked = body(caller, target, "hello", false);
            let explained = gateway.send(&of(&path, &asked)).await.json();
            let request = Request::post(&path, &asked.to_string()).header("authorization", "Bearer key-of-the-team");
            let reply = gateway.send(&request).await;
            assert_eq!(reply.status, 200, "{caller}: {}", reply.text());
            let (received, expected) = (
                understudy.received().pop().unwrap(),
                &explained["targets"][0]["requests"][0],
            );
            assert_eq!(received.json().unwrap(), expected["body"], "{caller}");
            assert_eq!(
                format!("{}{}", understudy.url(), received.target),
                expected["url"],
                "{caller}"
            );
            for (name, value) in expected["headers"].as_object().unwrap() {
                let value = value.as_str().unwrap();
                if value != "[redacted]" && name != "content-length" {
                    assert_eq!(received.header_text(name), Some(value), "{caller}: {name}");
                }
            }
        }
    }
}

#[tokio::test]
async fn no_credential_is_shown() {
    let (_understudy, gateway) = up().await;
    for caller in CALLERS {
        let path = support::dialects::path(caller, "any", false);
        let path = if path.contains('?') {
            path
        } else {
            format!("{path}%3Fkey=key-of-the-team")
        };
        let reply = gateway.send(&of(&path, &body(caller, "any", "hello", false))).await;
        let text = reply.text();
        assert_eq!(reply.status, 200, "{text}");
        for secret in [KEY, "sk-in-a-header", "key-of-the-team"] {
            assert!(!text.contains(secret), "{caller}: {secret} in {text}");
        }
        assert!(
            text.contains("[redacted]") && text.contains("?key=redacted"),
            "{caller}: {text}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_explained_too() {
    let (understudy, gateway) = up().await;
    let mut two = body("chat", "any", "hello", false);
    two["n"] = json!(2);
    let explained = gateway.send(&of("/v1/chat/completions", &two)).await.json();
    let refused = |explained: &Value, at: usize| explained["targets"][at]["refused"].as_str().map(str::to_owned);
    assert!(refused(&explained, 1).unwrap().contains("`n`"), "{explained}");
    assert_eq!((refused(&explained, 0), refused(&explained, 2)), (None, None));

    let mut seeded = body("chat", "exact", "hello", false);
    seeded["seed"] = json!(7);
    let explained = gateway.send(&of("/v1/chat/completions", &seeded)).await.json();
    assert_eq!(explained["strict"], true);
    assert!(refused(&explained, 0).unwrap().contains("seed"), "{explained}");
    assert_eq!(refused(&explained, 1), None);

    // Nobody speaks to Claude in pictures.
    let drawn = json!({"model": "exact", "prompt": "a parrot"});
    let explained = gateway.send(&of("/v1/images/generations", &drawn)).await.json();
    assert!(refused(&explained, 0).is_some(), "{explained}");
    assert_eq!(understudy.counters().heads, 0);
}

#[tokio::test]
async fn without_a_path_the_body_tells_it() {
    let (_understudy, gateway) = up().await;
    let gemini = json!({"model": "any", "contents": [{"parts": [{"text": "x"}]}]});
    for (caller, body, path) in [
        ("chat", body("chat", "any", "x", false), "/v1/chat/completions"),
        ("chat", body("responses", "any", "x", false), "/v1/responses"),
        ("anthropic", body("anthropic", "any", "x", false), "/v1/messages"),
        ("chat", gemini, "/v1beta/models/any:generateContent"),
        ("chat", json!({"model": "any", "prompt": "x"}), "/v1/completions"),
    ] {
        let request = of("", &body);
        let request = if caller == "anthropic" {
            request.header("anthropic-version", "2023-06-01")
        } else {
            request
        };
        let reply = gateway.send(&request).await;
        assert_eq!(reply.json()["path"], path, "{}", reply.text());
    }
}

#[tokio::test]
async fn who_may_not_ask_gets_no_explanation() {
    let (_understudy, gateway) = up().await;
    let asked = |model: &str| body("chat", model, "hello", false);
    for (request, status, code) in [
        (of("/v1/nothing", &asked("any")), 404, "unknown_url"),
        (of("/v1/chat/completions", &asked("unknown")), 404, "model_not_found"),
        (
            of("/v1/chat/completions", &asked("claude/claude-opus-4-6")),
            403,
            "model_not_allowed",
        ),
        (of("/v1/chat/completions", &json!([])), 400, "invalid_body"),
        (
            of("/v1/chat/completions", &json!({"messages": []})),
            400,
            "missing_required_parameter",
        ),
        (
            Request::post("/v1/explain", "{\"model\":\"any\"}"),
            401,
            "missing_api_key",
        ),
        (
            Request::new("GET", "/v1/explain").header("authorization", "Bearer key-of-the-team"),
            400,
            "missing_required_parameter",
        ),
        (
            Request::new("GET", "/v1/explain?model=gem/gemini-3-pro").header("authorization", "Bearer key-of-the-team"),
            403,
            "model_not_allowed",
        ),
    ] {
        let reply = gateway.send(&request).await;
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (status, code),
            "{}",
            reply.text()
        );
    }
    let request = of("/v1/messages", &asked("unknown")).header("anthropic-version", "2023-06-01");
    let reply = gateway.send(&request).await;
    assert_eq!(
        (reply.status, error("anthropic", &reply).0.as_str()),
        (404, "not_found_error")
    );
}

#[tokio::test]
async fn who_would_be_passed_over_now_is_said_with_the_reason() {
    let busy = Understudy::start(Reply::status(429).header("retry-after", "60"))
        .await
        .unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.busy]\nbase_url = '{}'\nmodels = []\napi_key = 'k-of-the-provider'\n\
         [models.smart]\ntargets = [{{ target = 'busy/big', context = 100 }}]\nfallback = ['cheap', 'mynah/echo']\n\
         [models.cheap]\nstrategy = 'weighted'\ntargets = [{{ target = 'busy/small', tags = ['eu'] }}]\nfallback = ['smart']\n",
        busy.url()
    ));
    assert_eq!(
        gateway.chat(r#"{"model":"cheap"}"#).await.header("x-mynah-attempts"),
        Some("3")
    );
    let reply = gateway.send(&Request::new("GET", "/v1/explain?model=cheap")).await;
    let outlook = reply.json();
    let tiers: Vec<(&str, &str)> = outlook["tiers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tier| (tier["model"].as_str().unwrap(), tier["strategy"].as_str().unwrap()))
        .collect();
    assert_eq!(
        tiers,
        [
            ("cheap", "weighted"),
            ("smart", "ordered"),
            ("mynah/echo", "least-pending")
        ]
    );
    for tier in [0, 1] {
        let reason = outlook["tiers"][tier]["targets"][0]["passed_over"].as_str().unwrap();
        assert!(
            reason.starts_with("all its keys rest (throttled), the first of them for "),
            "{reason}"
        );
    }
    assert_eq!(outlook["tiers"][2]["targets"][0].get("passed_over"), None);
    assert!(!reply.text().contains("k-of-the-provider"));

    // What a request needs counts too.
    let long = json!({"model": "smart", "messages": [{"role": "user", "content": "word ".repeat(500)}]});
    let request = Request::post("/v1/explain", &long.to_string()).header("x-mynah-tags", "eu");
    let explained = gateway.send(&request).await.json();
    let reason = |tier: usize| {
        explained["tiers"][tier]["targets"][0]["passed_over"]
            .as_str()
            .unwrap_or_default()
    };
    assert!(reason(0).starts_with("the request needs about"), "{}", reason(0));
    assert!(reason(1).starts_with("all its keys rest"), "{}", reason(1));
    assert_eq!(reason(2), "it does not have the tag `eu`");

    let missing = gateway.send(&Request::new("GET", "/v1/explain")).await;
    assert_eq!(
        (missing.status, missing.error_code().as_str()),
        (400, "missing_required_parameter")
    );
}

#[tokio::test]
async fn rests_of_keys_and_breakers_are_in_the_detailed_health() {
    let script = Script::new()
        .rule(Rule::any().key("k-bad").reply(Reply::status(401)))
        .rule(
            Rule::any()
                .key("k-busy")
                .reply(Reply::status(429).header("retry-after", "60")),
        )
        .rule(Rule::any().reply(Reply::status(500)));
    let up = Understudy::start(script).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[routing]\nretries = 0\n[providers.up]\nbase_url = '{}'\nmodels = ['m']\n\
         api_keys = ['k-bad', 'k-busy', 'k-good']\nbreaker = {{ failures = 2 }}\n",
        up.url()
    ));
    for status in [429, 500] {
        assert_eq!(gateway.chat(r#"{"model":"up/m"}"#).await.status, status);
    }
    let detailed = gateway.send(&Request::new("GET", "/health/detailed")).await;
    let provider = &detailed.json()["providers"][0];
    assert_eq!((&provider["keys"], &provider["keys_available"]), (&json!(3), &json!(1)));
    let rests: Vec<(&Value, &Value, &Value)> = provider["resting"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rest| (&rest["key"], &rest["model"], &rest["reason"]))
        .collect();
    let expected = [
        (&json!(0), &json!(null), &json!("rejected")),
        (&json!(1), &json!("m"), &json!("throttled")),
    ];
    assert_eq!(rests, expected);
    let target = &provider["targets"][0];
    assert_eq!(
        (
            &target["target"],
            &target["breaker"],
            &target["consecutive_failures"],
            &target["in_flight"]
        ),
        (&json!("up/m"), &json!("open"), &json!(2), &json!(0))
    );
    assert!(!detailed.text().contains("k-b"));
}
