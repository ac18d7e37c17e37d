//! The preset `ocf` behaves as the README of the proxy says whose place it takes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use mynah_understudy::{Received, Reply, Rule, Script, Understudy};
use serde_json::{Value, json};
use support::ocf::{Head, Node};
use support::{Gateway, PATIENCE, Reply as Told, Request, command};

/// The model of the README's examples.
const QWEN: &str = "Qwen/Qwen2.5-7B-Instruct-1M";

/// The README's `config.py`, for endpoints that are there.
fn readmes(ocf: &str, openai: &str) -> String {
    "endpoints = [
    {
        'url': 'http://example-ocf-endpoint.com',
        'type': 'ocf',  # OCF format API
        'api_key': 'your-api-key'
    },
    {
        'url': 'https://example-openai-endpoint.com',
        'type': 'openai',  # Standard OpenAI API
        'api_key': 'your-api-key'
    }
]
"
    .replace("http://example-ocf-endpoint.com", ocf)
    .replace("https://example-openai-endpoint.com", openai)
}

/// A server of OpenAI's API: its models, a persona that answers for them, and an echo on all other paths.
async fn openai(models: &[&str]) -> Understudy {
    let list: Vec<Value> = models.iter().map(|id| json!({"id": id, "object": "model"})).collect();
    let list = Reply::json(&json!({"object": "list", "data": list}));
    let echo = |received: &Received| {
        let told = json!({"method": received.method, "target": received.target, "body": received.text()});
        Reply::json(&told)
    };
    let script = Script::new()
        .rule(Rule::path("/v1/models").method("GET").reply(list))
        .rule(
            Rule::path("/v1/chat/completions")
                .method("POST")
                .reply(Reply::persona()),
        )
        .rule(Rule::path("/v1/completions").method("POST").reply(Reply::persona()))
        .rule(Rule::any().answer_with(echo));
    Understudy::start(script).await.unwrap()
}

/// The binary with the preset, in a directory with these files.
fn start(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Gateway {
    start_as(&["--preset", "ocf"], files, variables)
}

fn start_as(options: &[&str], files: &[(&str, &str)], variables: &[(&str, &str)]) -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let mut command = command(directory.path());
    command.arg("serve").args(options);
    Gateway::start_by(command, directory, variables)
}

/// What a command says: its output, or what is wrong.
fn run(arguments: &[&str], directory: &Path, variables: &[(&str, &str)]) -> Result<String, String> {
    let output = command(directory)
        .args(arguments)
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

/// The settings that the preset makes of files and variables.
fn settings(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<toml::Table, String> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(name), text).unwrap();
    }
    let shown = run(&["config", "show", "--preset", "ocf"], directory.path(), variables)?;
    Ok(shown.parse().unwrap())
}

/// Its endpoints, as `kind url keys`.
fn endpoints(files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<String, String> {
    let settings = settings(files, variables)?;
    let provider = |(_, provider): (&String, &toml::Value)| {
        let text = |key: &str| {
            provider
                .get(key)
                .map_or("-", |value| value.as_str().unwrap())
                .to_owned()
        };
        [text("kind"), text("base_url"), text("api_key")].join(" ")
    };
    let providers = settings["providers"].as_table().unwrap();
    Ok(providers.iter().map(provider).collect::<Vec<_>>().join(", "))
}

async fn ids(gateway: &Gateway) -> Vec<String> {
    let list = gateway.get("/v1/models").await.json();
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap().iter();
    models.map(|model| model["id"].as_str().unwrap().to_owned()).collect()
}

async fn chat(gateway: &Gateway, model: &str) -> Told {
    let body = json!({"model": model, "messages": [{"role": "user", "content": "Hello!"}]});
    gateway.chat(&body.to_string()).await
}

fn said(reply: &Told) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.json()["choices"][0]["message"]["content"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// What an endpoint was asked, but for its models.
fn asked(endpoint: &Understudy) -> Vec<Received> {
    let mut asked = endpoint.received();
    asked.retain(|received| !["/v1/models", "/v1/dnt/table"].contains(&received.path()));
    asked
}

#[tokio::test]
async fn a_stream_ends_with_done_also_when_the_endpoint_leaves_it_out() {
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
        format!(
            "data: {}\n\n",
            json!({"id": "c", "object": "chat.completion.chunk", "choices": [choice]})
        )
    };
    let said = [
        chunk(json!({"content": "Hi"}), Value::Null),
        chunk(json!({}), json!("stop")),
    ];
    let list = Reply::json(&json!({"object": "list", "data": [{"id": QWEN, "object": "model"}]}));
    let script = Script::new()
        .rule(Rule::path("/v1/models").reply(list))
        .rule(Rule::any().reply(Reply::stream(said.clone())));
    let endpoint = Understudy::start(script).await.unwrap();
    let gateway = start(&[], &[("TARGET_OPENAI_URL", &endpoint.url()), ("API_KEY", "k")]);
    let body = json!({"model": QWEN, "messages": [], "stream": true});
    let reply = gateway.chat(&body.to_string()).await;
    assert_eq!(reply.text(), said.concat() + "data: [DONE]\n\n");
}

#[tokio::test]
async fn the_only_endpoint_is_asked_with_every_request() {
    let refusal = Reply::status(429)
        .header("retry-after", "3600")
        .header("content-type", "application/json")
        .body(r#"{"error":{"message":"too many"}}"#);
    let list = Reply::json(&json!({"object": "list", "data": [{"id": QWEN, "object": "model"}]}));
    let script = Script::new()
        .rule(Rule::path("/v1/models").reply(list))
        .rule(Rule::any().reply(refusal));
    let endpoint = Understudy::start(script).await.unwrap();
    let gateway = start(&[], &[("TARGET_OPENAI_URL", &endpoint.url()), ("API_KEY", "k")]);
    for count in 1..=2 {
        let reply = chat(&gateway, QWEN).await;
        assert_eq!(
            (reply.status, reply.text()),
            (429, r#"{"error":{"message":"too many"}}"#)
        );
        assert_eq!(asked(&endpoint).len(), count);
    }
}

#[tokio::test]
async fn the_readmes_config_py_is_served() {
    let (head, other) = (Head::start().await, openai(&["gpt-4o", QWEN]).await);
    head.join("QmA", Node::of("llm", &[QWEN, "org/adapter-1"]));
    head.join("QmB", Node::of("pool", &["org/of:a=pool"]));
    head.join(
        "QmGone",
        Node {
            gone: true,
            ..Node::of("llm", &["gone"])
        },
    );
    for preset in ["ocf", "001"] {
        let config = readmes(&head.url(), &other.url());
        let gateway = start_as(&["--preset", preset], &[("config.py", &config)], &[]);
        assert_eq!(ids(&gateway).await, [QWEN, "org/adapter-1", "org/of:a=pool", "gpt-4o"]);
        for (model, path) in [
            ("org/adapter-1", "/v1/service/llm/v1/chat/completions"),
            ("org/of:a=pool", "/v1/service/pool/v1/chat/completions"),
        ] {
            let reply = chat(&gateway, model).await;
            assert!(said(&reply).starts_with("hello Qm"));
            assert!(reply.header("x-computing-node").is_some());
            let received = head.asked().pop().unwrap();
            assert_eq!((received.target.as_str(), received.key()), (path, Some("your-api-key")));
        }
        said(&chat(&gateway, "gpt-4o").await);
        let received = asked(&other).pop().unwrap();
        assert_eq!(
            (received.path(), received.key()),
            ("/v1/chat/completions", Some("your-api-key"))
        );
    }
}

#[tokio::test]
async fn endpoints_are_told_without_their_keys() {
    let (head, other) = (Head::start().await, openai(&["gpt-4o"]).await);
    head.join("QmA", Node::of("llm", &[QWEN]));
    let gateway = start(&[("config.py", &readmes(&head.url(), &other.url()))], &[]);
    let reply = gateway.get("/v1/endpoints").await;
    let told = reply.json();
    let row = |endpoint: &Value| json!([endpoint["url"], endpoint["type"], endpoint["models"]]);
    let rows: Vec<Value> = told["endpoints"].as_array().unwrap().iter().map(row).collect();
    assert_eq!(
        rows,
        [
            json!([head.url(), "ocf", [QWEN]]),
            json!([other.url(), "openai", ["gpt-4o"]])
        ]
    );
    assert!(!reply.text().contains("your-api-key"));
}

#[tokio::test]
async fn a_model_is_spread_over_all_that_serve_it() {
    let (head, one, two) = (Head::start().await, openai(&["m"]).await, openai(&["m", "n"]).await);
    head.join("QmA", Node::of("llm", &["m"]));
    let more = format!("    }},\n    {{'url': '{}/', 'type': 'openai'}},\n]", two.url());
    let config = readmes(&head.url(), &one.url()).replace("    }\n]", &more);
    let gateway = start(&[("config.py", &config)], &[("API_KEY", "of-the-environment")]);
    for _ in 0..60 {
        said(&chat(&gateway, "m").await);
    }
    let counts = [head.asked().len(), asked(&one).len(), asked(&two).len()];
    assert!(counts.iter().all(|count| *count > 5), "{counts:?}");
    // An endpoint without a key of its own has that of the environment.
    assert_eq!(asked(&two).pop().unwrap().key(), Some("of-the-environment"));
}

#[tokio::test]
async fn streams_are_passed_on_with_their_end() {
    let (head, other) = (Head::start().await, openai(&["gpt-4o"]).await);
    head.join("QmA", Node::of("llm", &[QWEN]));
    let gateway = start(&[("config.py", &readmes(&head.url(), &other.url()))], &[]);
    for model in [QWEN, "gpt-4o"] {
        let body = json!({"model": model, "messages": [{"role": "user", "content": "Hi"}], "stream": true}).to_string();
        let reply = gateway.chat(&body).await;
        assert!(reply.header("content-type").unwrap().starts_with("text/event-stream"));
        assert!(reply.text().ends_with("data: [DONE]\n\n"), "{}", reply.text());
        let received = if model == QWEN { head.asked() } else { asked(&other) };
        assert_eq!(
            received.last().unwrap().text(),
            body,
            "what is sent is what the caller wrote"
        );
    }
}

#[tokio::test]
async fn any_path_below_v1_is_proxied() {
    let (head, other) = (Head::start().await, openai(&["gpt-4o"]).await);
    head.join("QmA", Node::of("llm", &[QWEN]));
    let gateway = start(&[("config.py", &readmes(&head.url(), &other.url()))], &[]);
    for (method, path, body, is_heads) in [
        (
            "POST",
            "/v1/tokenize?x=1",
            r#"{"model":"Qwen/Qwen2.5-7B-Instruct-1M","prompt":"a"}"#,
            true,
        ),
        (
            "POST",
            "/v1/embeddings",
            r#"{"model":"Qwen/Qwen2.5-7B-Instruct-1M","input":"a"}"#,
            true,
        ),
        ("POST", "/v1/tokenize", r#"{"model":"gpt-4o"}"#, false),
        ("POST", "/v1/moderations", r#"{"model":"gpt-4o","input":"a"}"#, false),
        ("GET", "/v1/files?limit=2", "", false),
        ("GET", "/v1/engines", "", false),
        ("DELETE", "/v1/threads/t_1", "", false),
        ("PATCH", "/v1/unheard/of", r#"{"a":1}"#, false),
    ] {
        let request = Request::new(method, path).header("content-type", "application/json");
        let reply = gateway.send(&request.body(body.as_bytes())).await;
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
        let seen = if is_heads { head.asked() } else { asked(&other) };
        let seen = seen.last().unwrap();
        let prefix = if is_heads { "/v1/service/llm" } else { "" };
        let expected = (method, format!("{prefix}{path}"), body.to_owned());
        assert_eq!((seen.method.as_str(), seen.target.clone(), seen.text()), expected);
    }
}

#[tokio::test]
async fn what_fails_is_asked_of_the_next() {
    let (one, two, other) = (Head::start().await, Head::start().await, openai(&["n"]).await);
    one.join(
        "QmDead",
        Node {
            dead: true,
            ..Node::of("llm", &["m"])
        },
    );
    two.join("QmB", Node::of("llm", &["m"]));
    let gone = openai(&["n"]).await;
    let gone_url = gone.url();
    let endpoint = |(url, kind): (String, &str)| format!("  {{'url': '{url}', 'type': '{kind}'}},\n");
    let all = [
        (one.url(), "ocf"),
        (two.url(), "ocf"),
        (gone_url, "openai"),
        (other.url(), "openai"),
    ];
    let config = format!("available_endpoints = [\n{}]\n", all.map(endpoint).concat());
    let gateway = start(&[("config.py", &config)], &[]);
    assert_eq!(ids(&gateway).await, ["m", "n"]);
    drop(gone);
    for _ in 0..10 {
        assert_eq!(said(&chat(&gateway, "m").await), "hello QmB");
        said(&chat(&gateway, "n").await);
    }
    assert!(!one.asked().is_empty(), "a node that is dead was tried");
    // The head finds nobody any more: 503 while somebody offers the service, then 400.
    one.join("QmDead", Node::of("llm", &["x"]));
    assert_eq!(said(&chat(&gateway, "m").await), "hello QmB");
    one.leave("QmDead");
    assert_eq!(said(&chat(&gateway, "m").await), "hello QmB");
    let reply = chat(&gateway, "nobody's").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (404, "model_not_found"));
}

#[tokio::test]
async fn every_variable_counts() {
    let one = openai(&["a"]).await;
    let two = openai(&["b"]).await;
    let (first, second) = (one.url(), two.url());
    let json = json!({ &first: "key-one", &second: "key-two" }).to_string();
    let commas = format!("{first}, {second}/v1/,");
    for (variables, keys) in [
        (vec![("ENDPOINTS", json.as_str())], ["key-one", "key-two"]),
        (
            vec![
                ("ENDPOINTS", &json),
                ("API_KEY", "other"),
                ("TARGET_OPENAI_URL", "http://127.0.0.1:9"),
            ],
            ["key-one", "key-two"],
        ),
        (
            vec![("ENDPOINTS", &commas), ("API_KEY", "your-api-key-here")],
            ["your-api-key-here"; 2],
        ),
    ] {
        let gateway = start(&[], &variables);
        assert_eq!(ids(&gateway).await, ["a", "b"], "{variables:?}");
        for (model, endpoint, key) in [("a", &one, keys[0]), ("b", &two, keys[1])] {
            said(&chat(&gateway, model).await);
            assert_eq!(asked(endpoint).pop().unwrap().key(), Some(key), "{variables:?}");
        }
    }
    for url in [&first, &format!("{first}/"), &format!("{first}/v1")] {
        let gateway = start(&[], &[("TARGET_OPENAI_URL", url), ("API_KEY", "k")]);
        said(&chat(&gateway, "a").await);
        assert_eq!(asked(&one).pop().unwrap().key(), Some("k"));
    }
    // The same out of a .env file, and without a preset being named.
    let dotenv = format!("TARGET_OPENAI_URL={first}\nAPI_KEY=of-dotenv\n");
    let gateway = start_as(&[], &[(".env", &dotenv)], &[]);
    said(&chat(&gateway, "a").await);
    assert_eq!(asked(&one).pop().unwrap().key(), Some("of-dotenv"));
}

#[test]
fn what_goes_before_what() {
    let file = |url: &str| format!("endpoints = [{{'url': '{url}', 'type': 'openai', 'api_key': 'of-the-file'}}]");
    let (empty, own) = ("endpoints = []\n", file("http://file"));
    let all = [
        ("ENDPOINTS", "http://env"),
        ("TARGET_OPENAI_URL", "http://target"),
        ("API_KEY", "k"),
    ];
    for (files, variables, expected) in [
        (
            vec![("config.py", own.as_str())],
            &all[..],
            "openai http://file of-the-file",
        ),
        (vec![("config.py", empty)], &all, "openai http://env ${API_KEY}"),
        (vec![], &all, "openai http://env ${API_KEY}"),
        (vec![], &all[1..], "openai http://target ${API_KEY}"),
        (vec![], &all[2..], "openai https://api.openai.com ${API_KEY}"),
        (vec![], &[], "openai https://api.openai.com -"),
        (vec![], &[("ENDPOINTS", "{}")], "openai https://api.openai.com -"),
        (
            vec![],
            &[("ENDPOINTS", r#"{"http://a":"","http://b":null}"#), ("API_KEY", "k")],
            "openai http://a ${API_KEY}, openai http://b ${API_KEY}",
        ),
    ] {
        assert_eq!(
            endpoints(&files, variables).as_deref(),
            Ok(expected),
            "{files:?} {variables:?}"
        );
    }
    let server = settings(&[], &[]).unwrap()["server"].clone();
    assert_eq!(
        (server["listen"].as_str(), server["allow_anonymous"].as_bool()),
        (Some("0.0.0.0:8000"), Some(true))
    );
    let settings = settings(&[], &[("PORT", "8123"), ("TIMEOUT", "2.5")]).unwrap();
    assert_eq!(settings["server"]["listen"].as_str(), Some("0.0.0.0:8123"));
    let timeouts = &settings["providers"]["endpoint-1"]["timeouts"];
    assert_eq!(
        (timeouts["first_token"].as_str(), timeouts["idle"].as_str()),
        (Some("2500ms"), Some("2500ms"))
    );
}

#[test]
fn endpoints_are_read_however_they_are_written() {
    let expected = "ocf http://a $${x}, openai http://b k2";
    for (name, text) in [
        (
            "config.py",
            "import os\nU = 'http://a'\nendpoints = (\n  {\"url\": U, 'type': \"OCF\", 'api_key': '${x}'},\n  {'url': 'http://b', 'api_key': os.environ.get('K', 'k2')}, )\n",
        ),
        (
            "config.yaml",
            "endpoints:\n  - {url: http://a, type: ocf, api_key: '${x}'}\n  - url: http://b\n    api_key: k2\n",
        ),
        (
            "config.json",
            r#"[{"url":"http://a","type":"ocf","api_key":"${x}"},{"url":"http://b","type":"openai","api_key":"k2"}]"#,
        ),
        (
            "config.toml",
            "[[endpoints]]\nurl = 'http://a'\ntype = 'ocf'\napi_key = '${x}'\n[[endpoints]]\nurl = 'http://b'\napi_key = 'k2'\n",
        ),
    ] {
        assert_eq!(endpoints(&[(name, text)], &[]).as_deref(), Ok(expected), "{name}");
    }
    let variable = "endpoints = [{'url': os.environ['U'], 'type': 'ocf', 'api_key': os.getenv('K')}]";
    let shown = endpoints(&[("config.py", variable)], &[("U", "http://u"), ("K", "secret")]);
    assert_eq!(
        shown.as_deref(),
        Ok("ocf ${U} ${K}"),
        "no secret of the environment is shown"
    );
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_executed() {
    let directory = tempfile::tempdir().unwrap();
    for (text, expected) in [
        (
            "import os\nos.system('touch executed')\nendpoints = []\n",
            "config.py:2:1: `os.system('touch exe` is no assignment of a literal; nothing else is read, and nothing is executed",
        ),
        (
            "endpoints = [\n  __import__('os').system('touch executed'),\n]",
            "config.py:2:3: `__import__` is not a literal",
        ),
        (
            "endpoints = [{'type': 'ocf'}]",
            "config.py:1:14: `endpoints[0]`: needs a `url`",
        ),
        (
            "endpoints = [{'url': 'http://a', 'type': 'ofc'}]",
            "config.py:1:42: `endpoints[0].type`: `ofc` is not a type; write 'ocf' or 'openai'",
        ),
        (
            "endpoints = [{'url': 'a.example', 'type': 'ocf'}]",
            "config.py:1:22: `endpoints[0].url`: `a.example` must begin with http:// or https://",
        ),
        (
            "endpoints = [{'url': 'http://a', 'api_key': 7}]",
            "config.py:1:45: `endpoints[0].api_key`: must be a text",
        ),
        ("endpoints = 'http://a'", "config.py:1:13: `endpoints`: must be a list"),
        (
            "endpoints = ['http://a']",
            "config.py:1:14: `endpoints[0]`: must be a dictionary",
        ),
    ] {
        std::fs::write(directory.path().join("config.py"), text).unwrap();
        let said = run(&["check", "--preset", "ocf"], directory.path(), &[]).unwrap_err();
        assert!(said.starts_with(expected), "{said}");
    }
    assert!(!directory.path().join("executed").exists());
    let fine = "endpoints = [{'url': 'http://a', 'apikey': 'k'}]";
    std::fs::write(directory.path().join("config.py"), fine).unwrap();
    let output = command(directory.path())
        .args(["check", "--preset", "ocf"])
        .output()
        .unwrap();
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(
        warned.contains("`endpoints[0].apikey` is not read, did you mean `api_key`?"),
        "{warned}"
    );
    std::fs::remove_file(directory.path().join("config.py")).unwrap();
    for (variable, expected) in [
        (("PORT", "http"), "PORT: `http` is not a port"),
        (("TIMEOUT", "-1"), "TIMEOUT: `-1` is not a number of seconds"),
        (("ENDPOINTS", "{'a': 'b'}"), "ENDPOINTS: is not JSON"),
        (
            ("ENDPOINTS", "api.example"),
            "ENDPOINTS: `api.example` must begin with http",
        ),
        (
            ("TARGET_OPENAI_URL", "x"),
            "TARGET_OPENAI_URL: `x` must begin with http",
        ),
    ] {
        let said = run(&["check", "--preset", "ocf"], directory.path(), &[variable]).unwrap_err();
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test]
async fn an_endpoint_that_takes_too_long_is_given_up() {
    let script = Script::new()
        .rule(
            Rule::path("/v1/models")
                .method("GET")
                .reply(Reply::json(&json!({"data": [{"id": "m"}]}))),
        )
        .rule(Rule::any().reply(Reply::hang()));
    let slow = Understudy::start(script).await.unwrap();
    let gateway = start(&[], &[("TARGET_OPENAI_URL", &slow.url()), ("TIMEOUT", "0.3")]);
    let reply = chat(&gateway, "m").await;
    assert_eq!((reply.status, reply.error_code().as_str()), (504, "upstream_timeout"));
    assert_eq!(asked(&slow).len(), 1, "it is not asked again");
}

#[tokio::test]
async fn the_port_is_that_of_the_environment() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let up = openai(&["m"]).await;
    let (url, port) = (up.url(), port.to_string());
    let variables = [("TARGET_OPENAI_URL", url.as_str()), ("PORT", &port)];
    // The text keeps the test's own address away.
    let gateway = start(&[("mynah.toml", "# listen = elsewhere")], &variables);
    assert_eq!(gateway.address, format!("0.0.0.0:{port}"));
    said(&chat(&gateway, "m").await);
}

#[tokio::test]
async fn a_changed_config_py_takes_effect() {
    let (one, two) = (openai(&["a"]).await, openai(&["b"]).await);
    let file = |url: &str| format!("endpoints = [{{'url': '{url}', 'type': 'openai', 'api_key': 'k'}}]\n");
    let gateway = start(&[("config.py", &file(&one.url()))], &[]);
    assert_eq!(ids(&gateway).await, ["a"]);
    let path = gateway.directory.path().join("config.py");
    std::fs::write(&path, "endpoints = [broken(").unwrap();
    gateway.printed("config.py:1:14: `broken` is not a literal").await;
    assert_eq!(ids(&gateway).await, ["a"]);
    std::fs::write(&path, file(&two.url())).unwrap();
    let changed = tokio::time::timeout(PATIENCE, async {
        while ids(&gateway).await != ["b"] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(changed.await.is_ok());
}

/// The printed configuration, served as a file, gives the same replies.
#[tokio::test]
async fn the_printed_configuration_behaves_the_same() {
    let (head, other) = (Head::start().await, openai(&["gpt-4o", QWEN]).await);
    head.join("QmA", Node::of("llm", &[QWEN]));
    head.join("QmB", Node::of("pool", &["p"]));
    let config = readmes(&head.url(), &other.url());
    let preset = start(&[("config.py", &config)], &[("TIMEOUT", "5")]);
    let printed = run(
        &["config", "show", "--preset", "ocf"],
        preset.directory.path(),
        &[("TIMEOUT", "5")],
    )
    .unwrap();
    let printed = printed.replace("0.0.0.0:8000", "127.0.0.1:0");
    let file = start_as(&["--config", "printed.toml"], &[("printed.toml", &printed)], &[]);
    let mut replies = BTreeMap::new();
    for gateway in [&preset, &file] {
        for (method, path, body) in [
            ("GET", "/v1/models", ""),
            ("GET", "/v1/models_detailed", ""),
            (
                "POST",
                "/v1/chat/completions",
                r#"{"model":"p","messages":[{"role":"user","content":"Hi"}]}"#,
            ),
            ("POST", "/v1/chat/completions", r#"{"model":"nobody's","messages":[]}"#),
            ("POST", "/v1/chat/completions", r#"{"messages":[]}"#),
            ("POST", "/v1/tokenize", r#"{"model":"p"}"#),
            ("GET", "/v1/engines?x=1", ""),
            ("GET", "/elsewhere", ""),
        ] {
            let request = Request::new(method, path).header("content-type", "application/json");
            let reply = gateway.send(&request.body(body.as_bytes())).await;
            let told = (reply.status, reply.text().to_owned());
            let before = replies.entry((method, path, body)).or_insert_with(|| told.clone());
            assert_eq!(*before, told, "{method} {path}");
        }
    }
}
