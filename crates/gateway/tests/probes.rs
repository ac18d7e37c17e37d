//! A target that is left alone is tried again as soon as a request without tokens tells that it has recovered.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Rule, Script, Understudy};
use support::Gateway;

#[tokio::test]
async fn a_probe_ends_the_rest_of_a_target() {
    let down = || Script::new().rule(Rule::any().reply(Reply::status(500)));
    let answer = || Reply::json(&serde_json::json!({"choices": []}));
    let (first, second) = (
        Understudy::start(down()).await.unwrap(),
        Understudy::start(answer()).await.unwrap(),
    );
    let gateway = Gateway::start(&format!(
        "[providers.first]\nbase_url = '{}/v1'\nmodels = []\n\
         breaker = {{ failures = 1, rest = '1h', max_rest = '1h', slow_start = '0s', probe = '/health', probe_every = '100ms' }}\n\
         [providers.second]\nbase_url = '{}/v1'\nmodels = []\n\
         [models.m]\ntargets = ['first/a', 'second/b']\n",
        first.url(),
        second.url()
    ));
    let answered_by = async |name: &str| gateway.chat(r#"{"model":"m"}"#).await.header("x-mynah-model") == Some(name);
    assert!(answered_by("second/b").await);
    first.wait_until(|counters| counters.requests >= 3).await;
    assert!(answered_by("second/b").await, "it is left alone while its probe fails");
    let paths: Vec<String> = first
        .received()
        .iter()
        .map(|received| received.target.clone())
        .collect();
    assert_eq!(
        paths.iter().filter(|path| path.ends_with("/chat/completions")).count(),
        1
    );
    assert!(paths[1..].iter().all(|path| path == "/health"), "{paths:?}");
    first.set_script(answer());
    let recovered = tokio::time::timeout(support::PATIENCE, async {
        while !answered_by("first/a").await {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    recovered.await.expect("it is asked again");
}
