//! Heads of OCF networks: a model is called below the service that serves it, and where it moves, requests follow.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::ocf::{Head, Node};
use support::{Gateway, PATIENCE, Reply, Request};

fn settings(heads: &[(&str, &Head)]) -> String {
    let provider = |(name, head): &(&str, &Head)| {
        format!(
            "[providers.{name}]\nkind = 'ocf'\nbase_url = '{}'\ndiscovery.every = '100ms'\n",
            head.url()
        )
    };
    heads.iter().map(provider).collect()
}

async fn chat(gateway: &Gateway, model: &str) -> Reply {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "hi"}]});
    gateway.chat(&body.to_string()).await
}

async fn ids(gateway: &Gateway) -> Vec<String> {
    let list = gateway.get("/v1/models").await.json();
    let ids = list["data"].as_array().unwrap().iter();
    ids.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

/// Waits until these are all the models.
async fn until_listed(gateway: &Gateway, expected: &[&str]) {
    let listed = tokio::time::timeout(PATIENCE, async {
        while ids(gateway).await != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(listed.await.is_ok(), "{:?}", ids(gateway).await);
}

#[tokio::test]
async fn a_model_is_called_below_its_service() {
    let head = Head::start().await;
    head.join("QmA", Node::of("llm", &["org/a:1=x"]));
    head.join("QmB", Node::of("pool", &["b"]));
    let gateway = Gateway::start(&[&settings(&[("head", &head)]), "[models.mine]\ntargets = ['head/b']\n"].concat());
    for (model, path) in [
        ("org/a:1=x", "/v1/service/llm/v1/chat/completions"),
        ("b", "/v1/service/pool/v1/chat/completions"),
        ("head/b", "/v1/service/pool/v1/chat/completions"),
        ("mine", "/v1/service/pool/v1/chat/completions"),
    ] {
        let reply = chat(&gateway, model).await;
        assert_eq!(reply.status, 200, "{model}: {}", reply.text());
        assert_eq!(head.asked().last().unwrap().target, path, "{model}");
    }
    let reply = chat(&gateway, "b").await;
    assert_eq!(reply.header("x-computing-node"), Some("QmB"));
    // In another dialect too, and as it is explained.
    let body = r#"{"model":"b","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    let reply = gateway.send(&Request::post("/v1/messages", body)).await;
    assert_eq!(reply.json()["content"][0]["text"], "hello QmB");
    let reply = gateway
        .send(&Request::post("/v1/explain", r#"{"model":"b","messages":[]}"#))
        .await;
    let url = reply.json()["targets"][0]["requests"][0]["url"].clone();
    assert_eq!(url, format!("{}/v1/service/pool/v1/chat/completions", head.url()));
}

#[tokio::test]
async fn however_its_address_is_written_a_head_is_found() {
    let head = Head::start().await;
    head.join("QmA", Node::of("llm", &["a"]));
    for below in ["", "/", "/v1", "/v1/", "/v1/service/llm/v1", "/v1/service/llm/v1/"] {
        let url = head.url();
        let gateway = Gateway::start(&format!("[providers.head]\nkind = 'ocf'\nbase_url = '{url}{below}'\n"));
        assert_eq!(ids(&gateway).await, ["a", "mynah/echo"], "{below}");
        assert_eq!(chat(&gateway, "a").await.status, 200, "{below}");
        let endpoint = gateway.get("/v1/endpoints").await.json()["endpoints"][0].clone();
        let told = json!([endpoint["type"], endpoint["url"], endpoint["models"]]);
        assert_eq!(told, json!(["ocf", format!("{url}{below}"), ["a"]]));
    }
}

#[tokio::test]
async fn what_a_model_runs_on_is_told() {
    let head = Head::start().await;
    let with = |gpus: &[&'static str], models: &[&'static str]| Node {
        gpus: gpus.to_vec(),
        ..Node::of("llm", models)
    };
    head.join("QmA", with(&["NVIDIA GH200", "NVIDIA GH200"], &["a", "b"]));
    head.join("QmB", with(&["NVIDIA GH200", "NVIDIA A100"], &["a"]));
    head.join("QmC", with(&[], &["c"]));
    let config = [&settings(&[("head", &head)]), "[server]\nbuilt_in = false\n"].concat();
    let gateway = Gateway::start(&config);
    let list = gateway.get("/v1/models_detailed").await.json();
    let row = |model: &Value| json!([model["id"], model["owned_by"], model["device"]]);
    let rows: Vec<Value> = list["data"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(
        rows,
        [
            json!(["a", "head", "1x NVIDIA A100, 3x NVIDIA GH200"]),
            json!(["b", "head", "2x NVIDIA GH200"]),
            json!(["c", "head", "Unknown"]),
        ]
    );
}

#[tokio::test]
async fn a_request_follows_a_model_that_has_moved() {
    let (one, two) = (Head::start().await, Head::start().await);
    let slow = |text: String| text.replace("100ms", "1h");
    one.join("QmA", Node::of("llm", &["m", "stays"]));
    two.join("QmB", Node::of("llm", &["m"]));
    let gateway = Gateway::start(&slow(settings(&[("one", &one), ("two", &two)])));
    assert_eq!(ids(&gateway).await, ["m", "stays", "two/m", "mynah/echo"]);
    // 503, as somebody still offers the service; then 400, as nobody does.
    one.join("QmA", Node::of("llm", &["stays"]));
    for _ in 0..10 {
        assert_eq!(chat(&gateway, "m").await.header("x-computing-node"), Some("QmB"));
    }
    one.leave("QmA");
    for _ in 0..10 {
        assert_eq!(chat(&gateway, "m").await.header("x-computing-node"), Some("QmB"));
    }
    assert!(!one.asked().is_empty(), "it was asked first at times");
    // Whoever lost one model is not left alone with the others.
    one.join("QmA", Node::of("llm", &["stays"]));
    assert_eq!(chat(&gateway, "stays").await.status, 200);
    // When nobody is left, the head's own words are passed on.
    two.leave("QmB");
    let reply = chat(&gateway, "m").await;
    assert!([400, 503].contains(&reply.status), "{}", reply.text());
}

#[tokio::test]
async fn the_list_follows_too() {
    let (one, two) = (Head::start().await, Head::start().await);
    one.join("QmA", Node::of("llm", &["m"]));
    let plain = "[server]\nbuilt_in = false\n[routing]\nplain_ids = true\n";
    let gateway = Gateway::start(&[&settings(&[("one", &one), ("two", &two)]), plain].concat());
    until_listed(&gateway, &["m"]).await;
    two.join("QmB", Node::of("pool", &["m", "n"]));
    until_listed(&gateway, &["m", "n"]).await;
    one.leave("QmA");
    two.join(
        "QmGone",
        Node {
            gone: true,
            ..Node::of("llm", &["gone"])
        },
    );
    two.join(
        "QmSilent",
        Node {
            silent_for: 601,
            ..Node::of("llm", &["silent"])
        },
    );
    two.join("QmWild", Node::of("llm", &["*"]));
    let elsewhere = async || {
        let endpoints = gateway.get("/v1/endpoints").await.json();
        endpoints["endpoints"][0]["models"] == json!([])
    };
    let moved = tokio::time::timeout(PATIENCE, async {
        while !elsewhere().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(moved.await.is_ok());
    until_listed(&gateway, &["m", "n"]).await;
    assert_eq!(chat(&gateway, "m").await.header("x-computing-node"), Some("QmB"));
    let endpoints = gateway.get("/v1/endpoints").await.json();
    assert_eq!(endpoints["endpoints"].as_array().unwrap().len(), 2, "{endpoints}");
    assert_eq!(chat(&gateway, "mynah/echo").await.status, 404);
}

/// The head says 200 where it cannot reach a node.
#[tokio::test]
async fn a_node_that_is_dead_is_no_answer_on_any_path() {
    let (one, two) = (Head::start().await, Head::start().await);
    one.join(
        "QmDead",
        Node {
            dead: true,
            ..Node::of("llm", &["m"])
        },
    );
    two.join("QmB", Node::of("llm", &["m"]));
    let gateway = Gateway::start(
        &[
            &settings(&[("one", &one), ("two", &two)]),
            "[server]\npass_through = true\n",
        ]
        .concat(),
    );
    // The list waits for what both heads have to say.
    assert_eq!(ids(&gateway).await, ["m", "two/m", "mynah/echo"]);
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":false}"#;
    for _ in 0..6 {
        for (path, body) in [
            ("/v1/chat/completions", body.to_owned()),
            ("/v1/chat/completions", body.replace("false", "true")),
            ("/v1/embeddings", body.to_owned()),
            ("/v1/tokenize", body.to_owned()),
            ("/v1/audio/speech", body.to_owned()),
        ] {
            let reply = gateway.send(&Request::post(path, &body)).await;
            let told = (
                reply.status,
                reply.header("x-computing-node"),
                reply.text().contains("ERROR"),
            );
            assert_eq!(told, (200, Some("QmB"), false), "{path}: {}", reply.text());
        }
    }
    assert!(!one.asked().is_empty());
}
