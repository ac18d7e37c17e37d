//! Where everything is passed on, whatever is below `/v1` reaches who serves the model that it names, or the default
//! provider.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Received, Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::{Gateway, Reply as Told, Request};

/// A provider that says who it is, whatever it is asked, but for its models.
async fn provider(name: &'static str, models: &[&str]) -> Understudy {
    let list: Vec<Value> = models.iter().map(|id| json!({"id": id})).collect();
    let echo = move |received: &Received| {
        let told = json!({"who": name, "method": received.method, "target": received.target, "body": received.text()});
        Reply::json(&told).header("x-from", name)
    };
    let script = Script::new()
        .rule(
            Rule::path("/v1/models")
                .method("GET")
                .reply(Reply::json(&json!({"data": list}))),
        )
        .rule(Rule::path("/v1/teapot").reply(Reply::status(418)))
        .rule(Rule::any().answer_with(echo));
    Understudy::start(script).await.unwrap()
}

fn settings(server: &str, one: &Understudy, two: &Understudy) -> String {
    format!(
        "[server]\n{server}\n[providers.one]\nbase_url = '{}'\napi_key = 'key-one'\n[providers.two]\nbase_url = '{}'\n",
        one.url(),
        two.url()
    )
}

/// Who was asked, how, and for what.
fn told(reply: &Told) -> (String, String, String) {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let told = reply.json();
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    assert_eq!(reply.header("x-from"), Some(text("who").as_str()));
    (
        text("who"),
        format!("{} {}", text("method"), text("target")),
        text("body"),
    )
}

#[tokio::test]
async fn any_path_goes_to_who_serves_its_model_else_to_the_default_provider() {
    let (one, two) = (
        provider("one", &["a"]).await,
        provider("two", &["b", "org/c:d=e"]).await,
    );
    let gateway = Gateway::start(&settings("pass_through = true\ndefault_provider = 'one'", &one, &two));
    for (method, path, body, who) in [
        ("POST", "/v1/score?x=1&y=%2F", r#"{"model":"b","text_1":"x"}"#, "two"),
        ("POST", "/v1/score", r#"{"model":"org/c:d=e"}"#, "two"),
        ("POST", "/v1/score", r#"{"model":"a"}"#, "one"),
        ("POST", "/v1/score", r#"{"model":"nobody's"}"#, "one"),
        ("POST", "/v1/deep/er/path", "[1, 2]", "one"),
        ("PUT", "/v1/anything", "not JSON", "one"),
        ("PATCH", "/v1/anything", r#"{"model":"b"}"#, "two"),
        ("DELETE", "/v1/anything/7", "", "one"),
        ("GET", "/v1/anything?limit=2", "", "one"),
        ("GET", "/v1/chat/completions?limit=2", "", "one"),
        ("DELETE", "/v1/embeddings", "", "one"),
        ("POST", "/v1/fine_tuning/jobs", r#"{"model":"b"}"#, "two"),
        ("GET", "/v1/files", "", "one"),
    ] {
        let mut request = Request::new(method, path);
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.as_bytes());
        }
        let reply = gateway.send(&request).await;
        let expected = (who.to_owned(), format!("{method} {path}"), body.to_owned());
        assert_eq!(told(&reply), expected);
    }
    // As `curl -d` sends it, and one that a provider of the caller's choice gets under its own name.
    let form = Request::new("POST", "/v1/score").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(told(&gateway.send(&form.body(br#"{"model":"b"}"#)).await).0, "two");
    let named = gateway.send(&Request::post("/v1/score", r#"{"model":"two/x"}"#)).await;
    assert_eq!(
        (told(&named).0, told(&named).2),
        ("two".to_owned(), r#"{"model":"x"}"#.to_owned())
    );
    let pinned = Request::post("/v1/score", r#"{"model":"a"}"#).header("x-mynah-provider", "two");
    assert_eq!(told(&gateway.send(&pinned).await).0, "two");
    // Errors too, and nobody's path is climbed out of.
    assert_eq!(gateway.send(&Request::post("/v1/teapot", "{}")).await.status, 418);
    for path in ["/other", "/v2/score", "/v1/../x", "/v1/%2e%2e/x"] {
        let status = gateway.send(&Request::post(path, "{}")).await.status;
        assert!([400, 404].contains(&status), "{path}: {status}");
    }
    // What there is here stays here.
    assert_eq!(gateway.send(&Request::post("/v1/models", "{}")).await.status, 405);
    assert_eq!(
        gateway.get("/v1/endpoints").await.json()["endpoints"][0]["provider"],
        "one"
    );
    for received in one.received().iter().filter(|received| received.path() != "/v1/models") {
        assert_eq!(received.key(), Some("key-one"), "{received:?}");
    }
}

#[tokio::test]
async fn a_form_and_an_upload_go_where_they_belong() {
    let (one, two) = (provider("one", &["a"]).await, provider("two", &["b"]).await);
    let server = "pass_through = true\ndefault_provider = 'one'\nmax_body = '1KiB'";
    let gateway = Gateway::start(&settings(server, &one, &two));
    let part =
        |name: &str, value: &str| format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    for (value, who) in [("b", "two"), (&*"b".repeat(2000), "one")] {
        let form = [part("model", value), "--x--\r\n".to_owned()].concat();
        let request = Request::new("POST", "/v1/audio/separations");
        let request = request.header("content-type", "multipart/form-data; boundary=x");
        let (asked, _, body) = told(&gateway.send(&request.body(form.as_bytes())).await);
        assert_eq!((asked.as_str(), body), (who, form));
    }
}

#[tokio::test]
async fn unless_it_is_configured_what_is_unknown_stays_unknown() {
    let (one, two) = (provider("one", &["a"]).await, provider("two", &["b"]).await);
    let gateway = Gateway::start(&settings("default_provider = 'one'", &one, &two));
    let reply = gateway.send(&Request::post("/v1/score", r#"{"model":"b"}"#)).await;
    assert_eq!((reply.status, reply.error_code().as_str()), (404, "unknown_url"));
    assert_eq!(gateway.get("/v1/embeddings").await.status, 405);
    // A family goes to the default provider, whatever its body says.
    let reply = gateway.send(&Request::post("/v1/files", r#"{"model":"b"}"#)).await;
    assert_eq!(told(&reply).0, "one");
}

#[tokio::test]
async fn clients_pass_on_what_they_may() {
    let (one, two) = (provider("one", &["a"]).await, provider("two", &["b"]).await);
    let clients = "[[clients]]\nname = 'all'\nkey = 'key-of-all'\n\
                   [[clients]]\nname = 'b'\nkey = 'key-of-b'\nmodels = ['b']\n\
                   [[clients]]\nname = 'chat'\nkey = 'key-of-chat'\nroutes = ['chat']\n";
    let server = "pass_through = true\ndefault_provider = 'one'";
    let gateway = Gateway::start(&[&settings(server, &one, &two), clients].concat());
    let status = async |key: &str, body: &str| {
        let request = Request::post("/v1/score", body).header("authorization", &format!("Bearer {key}"));
        gateway.send(&request).await.status
    };
    for (key, body, expected) in [
        ("key-of-all", r#"{"model":"a"}"#, 200),
        ("key-of-all", "{}", 200),
        ("key-of-b", r#"{"model":"b"}"#, 200),
        ("key-of-b", r#"{"model":"a"}"#, 403),
        ("key-of-b", r#"{"model":"nobody's"}"#, 404),
        ("key-of-b", "{}", 403),
        ("key-of-chat", "{}", 403),
        ("key-of-nobody", "{}", 401),
    ] {
        assert_eq!(status(key, body).await, expected, "{key}: {body}");
    }
}

#[tokio::test]
async fn a_default_provider_without_a_list_is_asked_for_what_nobody_lists() {
    let lists = provider("one", &["a"]).await;
    let silent = Script::new()
        .rule(Rule::path("/v1/models").method("GET").reply(Reply::status(404)))
        .rule(Rule::any().reply(Reply::persona()));
    let silent = Understudy::start(silent).await.unwrap();
    let chat = r#"{"model":"nobody's","messages":[{"role":"user","content":"hi"}]}"#;
    for (default, expected) in [("one", 404), ("two", 200)] {
        let server = format!("pass_through = true\ndefault_provider = '{default}'");
        let gateway = Gateway::start(&settings(&server, &lists, &silent));
        let reply = gateway.chat(chat).await;
        assert_eq!(reply.status, expected, "{default}: {}", reply.text());
    }
}
