//! The gateway starts with nothing, finds what there is, and says what is wrong.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah_understudy::{Reply, Understudy};
use support::{Gateway, Request, command, until};

#[tokio::test]
async fn with_nothing_at_all_the_printed_command_works() {
    let gateway = Gateway::start_in(tempfile::tempdir().unwrap(), &[]);
    gateway.printed("mynah/echo").await;
    gateway.printed("Providers:").await;
    let reply = gateway
        .chat(r#"{"model": "mynah/echo", "messages": [{"role": "user", "content": "Hello!"}]}"#)
        .await;
    assert_eq!(reply.json()["choices"][0]["message"]["content"], "Hello!");
}

#[tokio::test]
async fn health_is_asked_of_the_running_gateway() {
    let mut gateway = Gateway::start("[providers]\n");
    let health = |gateway: &Gateway| {
        let mut health = command(gateway.directory.path());
        health.args(["health", "--listen", &gateway.address]);
        let output = health.output().unwrap();
        (
            output.status.code(),
            String::from_utf8([output.stdout, output.stderr].concat()).unwrap(),
        )
    };
    assert_eq!(health(&gateway), (Some(0), "serving\n".to_owned()));
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    let (code, said) = health(&gateway);
    assert_eq!(code, Some(1));
    let expected = format!("no gateway serves at {}: ", gateway.address);
    assert!(said.starts_with(&expected), "{said}");
}

#[tokio::test]
async fn a_key_in_the_environment_or_in_dot_env_brings_its_provider() {
    let understudy = Understudy::start(Reply::persona()).await.unwrap();
    let url = understudy.url();
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(
        directory.path().join(".env"),
        format!("OPENAI_API_KEY='sk-of-dot-env'\nOPENAI_BASE_URL={url}/v1\n"),
    )
    .unwrap();
    let gateway = Gateway::start_in(directory, &[]);
    let list = gateway.get("/v1/models").await.json();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["id"].as_str().unwrap())
        .collect();
    assert!(ids.len() > 1 && ids.contains(&"mynah/echo"), "{ids:?}");
    let bare = ids.iter().find(|id| **id != "mynah/echo").unwrap();
    let reply = gateway
        .chat(&format!(
            r#"{{"model":"{bare}","messages":[{{"role":"user","content":"hi"}}]}}"#
        ))
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("x-mynah-model").unwrap(), format!("openai/{bare}"));
    assert_eq!(understudy.received()[0].key(), Some("sk-of-dot-env"));
    gateway.printed("openai").await;
}

#[tokio::test]
async fn a_local_server_that_answers_is_used() {
    let understudy = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Gateway::start_in(
        tempfile::tempdir().unwrap(),
        &[("OLLAMA_HOST", &understudy.address().to_string())],
    );
    gateway.printed("Providers:").await;
    gateway.printed("ollama").await;
    let printed = gateway.printed.lock().unwrap().clone();
    assert!(
        !printed.contains("lmstudio"),
        "servers that do not answer are not listed: {printed}"
    );
    let reply = gateway.chat(r#"{"model":"ollama/llama","messages":[]}"#).await;
    assert_eq!(reply.header("x-mynah-model"), Some("ollama/llama"));
}

#[tokio::test]
async fn a_provider_of_ones_own_takes_three_lines() {
    let understudy = Understudy::start(Reply::persona()).await.unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.gpu-box]\nkind = \"openai\"\nbase_url = \"{}\"\n",
        understudy.url()
    ));
    let reply = gateway
        .chat(r#"{"model":"gpu-box/any","messages":[{"role":"user","content":"hi"}]}"#)
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    // It may be asked for its models at the same time.
    let received = understudy.received();
    assert!(
        received
            .iter()
            .any(|received| received.path() == "/v1/chat/completions")
    );
}

#[tokio::test]
async fn the_model_list_is_in_openais_shape() {
    let understudy = Understudy::start(Reply::json(&serde_json::json!({
        "object": "list", "data": [{"id": "org/a", "created": 7}, {"id": "b"}, {"id": "smart"}]})))
    .await
    .unwrap();
    let gateway = Gateway::start(&format!(
        "[providers.one]\nbase_url = '{0}'\n[providers.two]\nbase_url = '{0}'\nmodels = ['b', 'c']\n[models.smart]\ntargets = ['one/b']\n",
        understudy.url()
    ));
    let list = gateway.get("/v1/models").await.json();
    let rows: Vec<(String, String)> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| {
            assert_eq!(model["object"], "model");
            (
                model["id"].as_str().unwrap().to_owned(),
                model["owned_by"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let rows: Vec<(&str, &str)> = rows.iter().map(|(id, owner)| (id.as_str(), owner.as_str())).collect();
    let expected = [
        ("smart", "mynah"),
        ("org/a", "one"),
        ("b", "one"),
        ("one/smart", "one"),
        ("two/b", "two"),
        ("c", "two"),
        ("mynah/echo", "mynah"),
    ];
    assert_eq!(rows, expected);
    for (id, owner) in [
        ("org/a", "one"),
        ("two/b", "two"),
        ("smart", "mynah"),
        ("one/anything", "one"),
    ] {
        let model = gateway.get(&format!("/v1/models/{id}")).await.json();
        assert_eq!(
            (model["id"].as_str(), model["owned_by"].as_str()),
            (Some(id), Some(owner))
        );
    }
}

#[test]
fn a_port_that_is_taken_is_said() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let output = command(directory.path())
        .args(["--listen", &taken.local_addr().unwrap().to_string()])
        .output()
        .unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot listen") && said.contains("--listen"), "{said}");
}

#[test]
fn check_reports_all_problems_with_their_places() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.toml");
    std::fs::write(
        &file,
        "[server]\nlissten = 'x'\n[providers.a]\nbase_url = 'http://h'\napi_key = '${UNSET_KEY}'\n",
    )
    .unwrap();
    let run = |arguments: &[&str]| command(directory.path()).args(arguments).output().unwrap();
    let output = run(&["check", "--config", "other.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("other.toml:5:11") && said.contains("UNSET_KEY is not set"),
        "{said}"
    );

    std::fs::write(
        &file,
        "[server]\nlissten = 'x'\n[providers.a]\nbase_url = 'h'\nkindd = 'b'\n[models.m]\ntargets = []\n",
    )
    .unwrap();
    let said = String::from_utf8(run(&["check", "--config", "other.toml"]).stderr).unwrap();
    for expected in [
        "other.toml:2:1: `server.lissten`: unknown key, did you mean `listen`?",
        "other.toml:5:1",
        "3 problems",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    std::fs::write(
        &file,
        "[providers.a]\nbase_url = 'h'\n[models.m]\ntargets = ['b/x', 'a']\n[[clients]]\nname = 'c'\n",
    )
    .unwrap();
    let said = String::from_utf8(run(&["check", "--config", "other.toml"]).stderr).unwrap();
    for expected in [
        "`h` must begin with http:// or https://",
        "there is no provider `b`",
        "`a` must be written as `provider/model`",
        "needs either `key` or `key_sha256`",
        "4 problems",
    ] {
        assert!(said.contains(expected), "{expected} in {said}");
    }
    std::fs::write(&file, "[providers.a]\nbase_url = 'http://h'\n").unwrap();
    let output = run(&["check", "--config", "other.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let output = run(&["check", "--config", "missing.toml"]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_effective_configuration_is_shown_without_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let output = command(directory.path())
        .args(["config", "show"])
        .env("GROQ_API_KEY", "sk-groq-secret")
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(
        shown.contains("[providers.groq]") && shown.contains("environment: GROQ_API_KEY"),
        "{shown}"
    );
    assert!(!shown.contains("sk-groq-secret"));
    let output = command(directory.path()).args(["config", "schema"]).output().unwrap();
    let schema: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(schema["title"], "mynah.toml");
    let help = command(directory.path()).arg("--help").output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("mynah/echo"));
}

#[tokio::test]
async fn no_secret_is_logged() {
    let understudy = Understudy::start(Reply::status(500)).await.unwrap();
    let gateway = Gateway::start_with(
        &format!(
            "[log]\nlevel = 'trace'\nrequests = true\nformat = 'json'\n[providers.up]\nbase_url = '{}'\napi_key = 'sk-of-the-provider'\n[[clients]]\nname = 'c'\nkey = 'key-of-the-client'\n",
            understudy.url()
        ),
        &[],
    );
    let request = Request::chat(r#"{"model":"up/m","messages":[{"role":"user","content":"a private prompt"}]}"#);
    gateway
        .send(&request.header("authorization", "Bearer key-of-the-client"))
        .await;
    gateway.printed("\"status\":500").await;
    let printed = gateway.printed.clone();
    until(
        || printed.lock().unwrap().contains("mynah::requests"),
        || printed.lock().unwrap().clone(),
    )
    .await;
    let printed = printed.lock().unwrap().clone();
    for secret in ["sk-of-the-provider", "key-of-the-client"] {
        assert!(!printed.contains(secret), "{secret} in {printed}");
    }
    let own: Vec<&str> = printed.lines().filter(|line| line.contains("\"mynah")).collect();
    assert!(own.iter().all(|line| !line.contains("a private prompt")), "{own:?}");
}
