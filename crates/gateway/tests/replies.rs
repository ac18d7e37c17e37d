//! Replies in other forms, for applications that expect them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Understudy};
use serde_json::{Value, json};
use support::dialects::ask;
use support::{Gateway, PATIENCE, Request, command};
use tokio::time::{Duration, Instant, sleep};

async fn started(replies: &str, models: &str) -> (Understudy, Gateway) {
    let understudy = Understudy::start(Reply::persona()).await.unwrap();
    let url = understudy.url();
    let gateway = Gateway::start(&format!(
        "[server]\nreplies = {replies}\n[providers.up]\nbase_url = '{url}'\nmodels = []\napi_keys = ['a', 'b']\n\
         [providers.claude]\nkind = 'anthropic'\nbase_url = '{url}/as/anthropic'\nmodels = []\napi_key = 'c'\n{models}",
    ));
    (understudy, gateway)
}

const MODELS: &str = "[models.smart]\ntargets = ['up/m']\n[models.claude]\ntargets = ['claude/claude-opus-4-1']\n";

#[tokio::test]
async fn the_model_of_an_answer_is_what_was_asked_for() {
    for (replies, expected) in [
        ("{ model = 'asked' }", ["smart", "claude"]),
        ("{}", ["m", "claude-opus-4-1"]),
    ] {
        let (_up, gateway) = started(replies, MODELS).await;
        for (name, expected) in ["smart", "claude"].into_iter().zip(expected) {
            for caller in ["chat", "responses", "anthropic"] {
                let reply = gateway.send(&ask(caller, name, "hello", false)).await;
                assert_eq!((reply.status, reply.whole), (200, true), "{}", reply.text());
                assert_eq!(reply.json()["model"], expected, "{caller}");
            }
            let stream = gateway.send(&ask("chat", name, "hello", true)).await;
            assert!(stream.text().ends_with("data: [DONE]\n\n"), "{}", stream.text());
        }
        let reply = gateway
            .send(&Request::post("/v1/embeddings", r#"{"model":"smart","input":"x"}"#))
            .await;
        assert_eq!(reply.json()["model"], expected[0]);
    }
}

#[tokio::test]
async fn an_unknown_model_may_be_a_bad_request() {
    let (_up, gateway) = started("{ unknown_model = 'invalid' }", MODELS).await;
    for caller in ["chat", "anthropic"] {
        let reply = gateway.send(&ask(caller, "nobody", "hello", false)).await;
        let error = &reply.json()["error"];
        assert_eq!((reply.status, &error["type"]), (400, &json!("invalid_request_error")));
        assert!(
            error["message"]
                .as_str()
                .unwrap()
                .ends_with("Available models: claude, smart"),
            "{error}"
        );
    }
    let (_up, gateway) = started("{}", MODELS).await;
    assert_eq!(gateway.send(&ask("chat", "nobody", "hello", false)).await.status, 404);
}

#[tokio::test]
async fn models_say_whose_they_are_and_whether_they_are_listed() {
    let models = "[models.smart]\ntargets = ['up/m']\nowned_by = 'somebody'\n[models.hidden]\ntargets = ['up/m']\nlisted = false\n";
    let (_up, gateway) = started("{}", models).await;
    let list = gateway.get("/v1/models").await.json();
    let listed = list["data"].as_array().unwrap();
    let of = |name: &str| listed.iter().find(|model| model["id"] == name);
    assert_eq!(of("smart").unwrap()["owned_by"], "somebody");
    assert!(of("hidden").is_none());
    assert_eq!(gateway.send(&ask("chat", "hidden", "hello", false)).await.status, 200);
}

#[tokio::test]
async fn a_model_may_have_no_targets() {
    let (_up, gateway) = started(
        "{}",
        "[models.deserted]\ntargets = []\n[models.other]\ntargets = []\nfallback = ['up/m']\n",
    )
    .await;
    gateway.printed("`models.deserted`: there is nobody to answer").await;
    let reply = gateway.send(&ask("chat", "deserted", "hello", false)).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (503, "no_targets"));
    assert_eq!(gateway.send(&ask("chat", "other", "hello", false)).await.status, 200);
}

#[tokio::test]
async fn health_part_by_part() {
    let store = "[store]\nurl = 'sqlite://not/there.db'\nspool = 'rows.spool'\n[[clients]]\nname = 'a'\nkey = 'k'\n";
    let (up, gateway) = started(
        "{ health = 'components' }",
        &format!("{MODELS}[[clients]]\nname = 'a'\nkey = 'k'\n"),
    )
    .await;
    let reply = gateway.get("/health").await;
    assert_eq!((reply.status, &reply.json()["status"]), (200, &json!("healthy")));
    // Without a ledger there is nothing to be said of a database.
    let details = gateway.get("/health/detailed").await.json();
    assert_eq!(
        details["components"],
        json!({
            "providers": {
                "up": {"status": "healthy", "keys_available": 2},
                "claude": {"status": "healthy", "keys_available": 1},
            },
            "model_config": {"status": "healthy", "models_count": 2},
            "provider_configs": {"status": "healthy", "providers_loaded": 2},
        })
    );
    up.set_script(Reply::status(401));
    let request = ask("chat", "smart", "hello", false).header("authorization", "Bearer k");
    assert_eq!(gateway.send(&request).await.status, 401);
    let details = gateway.get("/health/detailed").await;
    let keys: &Value = &details.json()["components"]["providers"]["up"];
    assert_eq!(
        (details.status, keys),
        (200, &json!({"status": "unhealthy", "keys_available": 0}))
    );
    assert_eq!(details.json()["status"], "degraded");

    let (_up, gateway) = started("{ health = 'components' }", &format!("{MODELS}{store}")).await;
    let deadline = Instant::now() + PATIENCE;
    while gateway.get("/health").await.status != 503 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    }
    let details = gateway.get("/health/detailed").await;
    assert_eq!(
        (details.status, &details.json()["components"]["database"]["status"]),
        (503, &json!("unhealthy"))
    );
}

#[test]
fn a_form_that_is_none_is_told() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join("mynah.toml"),
        "[server]\nreplies = { health = 'fine' }\n",
    )
    .unwrap();
    let output = command(directory.path()).arg("check").output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        told.contains("`server.replies.health`") && told.contains("components"),
        "{told}"
    );
}
