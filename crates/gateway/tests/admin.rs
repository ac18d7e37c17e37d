//! The admin listener: who is let in, what it tells, and what it changes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use mynah::admin::guard::Needs;
use mynah::admin::routes::ENDPOINTS;
use mynah_understudy::{Reply, Understudy};
use serde_json::{Value, json};
use support::{Gateway, Request, command, read_reply};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

const KEY: &str = "the-operators-own-key";

const ADMIN: &str = "[server]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\nkey = 'the-operators-own-key'\n\
    [[clients]]\nname = 'team'\nkey = 'key-of-the-team'\n";

/// Where the admin listener is.
async fn admin_of(gateway: &Gateway) -> String {
    gateway.printed("The admin API is on ").await;
    let printed = gateway.printed.lock().unwrap();
    let url = printed.split("The admin API is on http://").nth(1).unwrap();
    url.split('/').next().unwrap().to_owned()
}

/// A request to the admin listener, as it is.
async fn send(address: &str, request: &Request) -> support::Reply {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request.bytes()).await.unwrap();
    read_reply(&mut stream).await.expect("a whole reply")
}

/// A request with a host that is answered to, which support's own has not.
fn raw(method: &str, path: &str) -> Request {
    Request::to("127.0.0.1", method, path)
}

fn with_key(request: Request) -> Request {
    request.header("authorization", &format!("Bearer {KEY}"))
}

async fn get(address: &str, path: &str) -> Value {
    let reply = send(address, &with_key(raw("GET", path))).await;
    assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    reply.json()
}

async fn post(address: &str, path: &str, body: &Value) -> support::Reply {
    let request = raw("POST", path).header("content-type", "application/json");
    send(address, &with_key(request.body(body.to_string().as_bytes()))).await
}

async fn ok() -> Understudy {
    Understudy::start(Reply::json(&json!({"ok": 1}))).await.unwrap()
}

#[tokio::test]
async fn no_route_answers_without_the_operators_key() {
    let gateway = Gateway::start(ADMIN);
    let admin = admin_of(&gateway).await;
    let paths = ENDPOINTS.iter().map(|endpoint| {
        let path = endpoint.path.replace("{file}", "docs.js").replace("{name}", "mynah");
        (
            endpoint.verb.method().to_string(),
            path.replace("{id}", "1"),
            endpoint.needs,
        )
    });
    let others = [
        ("GET", "/api"),
        ("GET", "/nowhere"),
        ("PUT", "/api/status"),
        ("OPTIONS", "/api/status"),
        ("DELETE", "/docs"),
    ];
    let others = others.map(|(method, path)| (method.to_owned(), path.to_owned(), Needs::Key));
    let mut count = 0;
    for (method, path, needs) in paths.chain(others) {
        let what = format!("{method} {path}");
        let keys = [
            (None, "missing_api_key"),
            (Some("Bearer key-of-the-team"), "invalid_api_key"),
            (Some("Bearer the-operators-own-ke"), "invalid_api_key"),
            (Some("Bearer"), "missing_api_key"),
        ];
        for (presented, code) in keys {
            let request = raw(&method, &path);
            let request = match presented {
                Some(value) => request.header("authorization", value),
                None => request,
            };
            let reply = send(&admin, &request).await;
            if needs == Needs::Nothing {
                assert!(reply.status < 400, "{what}: {}", reply.status);
            } else {
                assert_eq!((reply.status, reply.error_code().as_str()), (401, code), "{what}");
                assert!(
                    reply.header("www-authenticate").unwrap().starts_with("Bearer"),
                    "{what}"
                );
                count += 1;
            }
        }
        // A key elsewhere than in its header is none.
        if needs == Needs::Key {
            let reply = send(&admin, &raw(&method, &format!("{path}?key={KEY}"))).await;
            assert_eq!(reply.status, 401, "{what}");
        }
        let mut reply = send(&admin, &with_key(raw(&method, &path))).await;
        assert_ne!(reply.status, 401, "{what}");
        if reply.status >= 400 {
            reply.error_code();
        }
        for other in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            reply = send(&admin, &with_key(raw(&method, &path)).header("origin", other)).await;
            assert_eq!(
                (reply.status, reply.error_code().as_str()),
                (403, "origin_not_allowed"),
                "{what}"
            );
        }
        assert_eq!(reply.header("access-control-allow-origin"), None);
        for host in ["localhost/#@x", "localhost:1@evil.example", ""] {
            let request = with_key(Request::to(host, &method, &path));
            let reply = send(&admin, &request).await;
            assert!(matches!(reply.status, 400 | 403), "{what} {host}: {}", reply.status);
        }
    }
    assert!(count > 40, "only {count} refusals");
    // None of it is on the public listener, and nothing of that is here.
    for endpoint in &ENDPOINTS {
        if endpoint.path.starts_with("/api") || endpoint.path.contains("docs") {
            let reply = gateway
                .send(&with_key(Request::new(endpoint.verb.method().as_str(), endpoint.path)))
                .await;
            assert_eq!(reply.status, 404, "{}", endpoint.path);
        }
    }
    let chat = with_key(raw("POST", "/v1/chat/completions").header("content-type", "application/json"));
    assert_eq!(
        send(&admin, &chat.body(b"{\"model\":\"mynah/echo\",\"messages\":[]}"))
            .await
            .status,
        404
    );
    let reply = gateway
        .send(&Request::new("GET", "/v1/models").header("authorization", &format!("Bearer {KEY}")))
        .await;
    assert_eq!(reply.status, 401, "the operator's key is no client's");
}

#[tokio::test]
async fn without_a_key_pages_of_others_cannot_get_in_by_another_name() {
    let gateway = Gateway::start("[server]\nlisten = '127.0.0.1:0'\n[admin]\nlisten = '127.0.0.1:0'\n");
    let admin = admin_of(&gateway).await;
    let port = admin.rsplit(':').next().unwrap();
    for (host, origin, status) in [
        ("127.0.0.1", None, 200),
        (&*format!("localhost:{port}"), None, 200),
        (
            &*format!("localhost:{port}"),
            Some(format!("http://localhost:{port}")),
            200,
        ),
        (&*format!("rebound.evil.example:{port}"), None, 403),
        (
            &*format!("rebound.evil.example:{port}"),
            Some(format!("http://rebound.evil.example:{port}")),
            403,
        ),
        ("127.0.0.1", Some("http://evil.example".to_owned()), 403),
    ] {
        let mut request = Request::to(host, "GET", "/api/status");
        if let Some(origin) = &origin {
            request = request.header("origin", origin);
        }
        let reply = send(&admin, &request).await;
        assert_eq!(reply.status, status, "{host} {origin:?}: {}", reply.text());
    }
    // A form of a page can be sent without asking first; what it sends is no JSON.
    let form = raw("POST", "/api/rotation/drain")
        .header("content-type", "text/plain")
        .body(b"{\"provider\":\"mynah\"}");
    assert_eq!(send(&admin, &form).await.status, 415);
}

#[tokio::test]
async fn without_a_table_there_is_no_admin_listener_and_two_processes_start() {
    let one = Gateway::start("");
    let two = Gateway::start("");
    for gateway in [&one, &two] {
        assert_eq!(gateway.get("/health").await.status, 200);
        assert!(!gateway.printed.lock().unwrap().contains("admin"));
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let config = format!("[admin]\nlisten = '{}'\n", taken.local_addr().unwrap());
    std::fs::write(directory.path().join("mynah.toml"), config).unwrap();
    let output = command(directory.path())
        .args(["--listen", "127.0.0.1:0"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("choose another with `admin.listen`"),
        "{said}"
    );
}

#[tokio::test]
async fn it_tells_how_everything_is() {
    let up = ok().await;
    let gateway = Gateway::start(&format!(
        "{ADMIN}[providers.up]\nbase_url = '{}'\nmodels = ['a']\napi_keys = ['sk-first-secret', 'sk-second-secret']\n\
         headers = {{ x-token = 'header-secret' }}\n[models.smart]\ntargets = ['up/a']\n",
        up.url()
    ));
    let admin = admin_of(&gateway).await;
    let status = get(&admin, "/api/status").await;
    assert_eq!(
        (&status["status"], &status["in_flight"], &status["held"]),
        (&json!("ok"), &json!(0), &json!(0))
    );
    let providers = get(&admin, "/api/providers").await;
    let first = &providers["providers"][0];
    assert_eq!((&first["name"], &first["kind"]), (&json!("up"), &json!("openai")));
    assert_eq!(first["api_keys"].as_array().unwrap().len(), 2);
    assert_eq!(get(&admin, "/api/providers/up").await, *first);
    assert_eq!(
        get(&admin, "/api/models").await["models"][0]["tiers"][0]["targets"][0]["target"],
        "up/a"
    );
    let config = get(&admin, "/api/config").await;
    let settings = config["settings"].as_array().unwrap();
    let origin = |path: &str| {
        let setting = settings.iter().find(|setting| setting["path"] == path);
        setting.unwrap_or_else(|| panic!("{path} in {config}"))["origin"].clone()
    };
    assert_eq!(
        (origin("server.listen"), origin("server.max_body")),
        (json!("mynah.toml:2:1"), json!("default"))
    );
    let everything = [&status, &providers, &config].map(Value::to_string).concat();
    for secret in ["secret", "key-of-the-team", KEY] {
        assert!(!everything.contains(secret), "{secret} in {everything}");
    }
    for (path, status, code) in [
        ("/api/providers/upp", 404, "not_found"),
        ("/api/nothing", 404, "not_found"),
        ("/docs/other.js", 404, "not_found"),
        ("/api/providers/%ff", 400, "invalid_path"),
    ] {
        let reply = send(&admin, &with_key(raw("GET", path))).await;
        assert_eq!((reply.status, reply.error_code().as_str()), (status, code), "{path}");
    }
    let reply = send(&admin, &with_key(raw("GET", "/api/providers/upp"))).await;
    assert!(reply.text().contains("did you mean `up`"), "{}", reply.text());
    let reply = send(&admin, &with_key(raw("GET", "/api/rotation/rest"))).await;
    assert_eq!((reply.status, reply.header("allow")), (405, Some("POST")));
}

/// Which target answers a question for `m`.
async fn answers(gateway: &Gateway) -> (u16, String) {
    let request = Request::chat(r#"{"model":"m"}"#).header("authorization", "Bearer key-of-the-team");
    let reply = gateway.send(&request).await;
    let model = reply.header("x-mynah-model").unwrap_or_default().to_owned();
    (reply.status, model)
}

#[tokio::test]
async fn what_is_drained_is_not_asked_until_it_is_enabled() {
    let (one, two) = (ok().await, ok().await);
    let config = format!(
        "{ADMIN}[providers.one]\nbase_url = '{}'\nmodels = ['a']\n[providers.two]\nbase_url = '{}'\nmodels = ['a']\n\
         [models.m]\ntargets = ['one/a', 'two/a']\n",
        one.url(),
        two.url()
    );
    let gateway = Gateway::start(&config);
    let admin = admin_of(&gateway).await;
    assert_eq!(answers(&gateway).await, (200, "one/a".to_owned()));
    let drained = post(&admin, "/api/rotation/drain", &json!({"provider": "one"})).await;
    assert_eq!(drained.json(), json!({"name": "one", "held": true, "seconds": null}));
    assert_eq!(answers(&gateway).await, (200, "two/a".to_owned()));
    // It outlives a change of the configuration, and is told where people look.
    let reloaded = post(&admin, "/api/config/reload", &json!({})).await;
    assert_eq!(reloaded.status, 200, "{}", reloaded.text());
    assert_eq!(answers(&gateway).await, (200, "two/a".to_owned()));
    let health = Request::new("GET", "/health/detailed").header("authorization", "Bearer key-of-the-team");
    let health = gateway.send(&health).await.json();
    assert_eq!(health["providers"][0]["held"], json!({"seconds": null}), "{health}");
    let outlook = get(&admin, "/api/models").await;
    let first = &outlook["models"][0]["tiers"][0]["targets"];
    assert!(
        first.to_string().contains("out of the rotation until it is enabled"),
        "{first}"
    );
    assert_eq!(get(&admin, "/api/status").await["held"], 1);
    // A model alone, and for a time.
    let rested = post(
        &admin,
        "/api/rotation/rest",
        &json!({"provider": "two", "model": "a", "for": "1h"}),
    )
    .await;
    assert_eq!(rested.json(), json!({"name": "two/a", "held": true, "seconds": 3600}));
    let held = get(&admin, "/api/rotation").await;
    let names = held["held"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap());
    assert_eq!(names.collect::<Vec<_>>(), ["one", "two/a"]);
    let refused = Request::chat(r#"{"model":"m"}"#).header("authorization", "Bearer key-of-the-team");
    let refused = gateway.send(&refused).await;
    assert_eq!((refused.status, refused.error_code().as_str()), (503, "targets_held"));
    assert!(refused.header("retry-after").is_some());
    for subject in [json!({"provider": "one"}), json!({"provider": "two", "model": "a"})] {
        assert_eq!(
            post(&admin, "/api/rotation/enable", &subject).await.json()["held"],
            false
        );
    }
    assert_eq!(answers(&gateway).await, (200, "one/a".to_owned()));
    // A short rest ends by itself.
    post(
        &admin,
        "/api/rotation/rest",
        &json!({"provider": "one", "for": "300ms"}),
    )
    .await;
    assert_eq!(answers(&gateway).await.1, "two/a");
    let again = tokio::time::timeout(support::PATIENCE, async {
        while answers(&gateway).await.1 != "one/a" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    });
    again.await.expect("it is asked again");
}

#[tokio::test]
async fn keys_are_held_by_their_fingerprint() {
    let up = ok().await;
    let gateway = Gateway::start(&format!(
        "{ADMIN}[providers.up]\nbase_url = '{}'\nmodels = ['a']\napi_keys = ['sk-1', 'sk-2']\n[models.m]\ntargets = ['up/a']\n",
        up.url()
    ));
    let admin = admin_of(&gateway).await;
    let providers = get(&admin, "/api/providers/up").await;
    let keys: Vec<String> = providers["api_keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["key"].as_str().unwrap().to_owned())
        .collect();
    let used = |up: &Understudy| {
        let received = up.received();
        received.last().unwrap().header("authorization").unwrap().to_owned()
    };
    let drained = post(
        &admin,
        "/api/rotation/drain",
        &json!({"provider": "up", "key": keys[0]}),
    )
    .await;
    assert_eq!(drained.json()["name"], format!("up key {}", keys[0]));
    for _ in 0..4 {
        assert_eq!(answers(&gateway).await.0, 200);
        assert_eq!(used(&up), b"Bearer sk-2");
    }
    let told = get(&admin, "/api/providers/up").await;
    assert_eq!(told["api_keys"][0]["resting"][0]["reason"], "held", "{told}");
    assert_eq!(told["keys_available"], 1);
    assert_eq!(
        get(&admin, "/api/rotation").await["held"][0]["name"],
        format!("up key {}", keys[0])
    );
    post(
        &admin,
        "/api/rotation/drain",
        &json!({"provider": "up", "key": keys[1]}),
    )
    .await;
    assert_eq!(
        answers(&gateway).await.0,
        503,
        "held keys are not even asked as a last resort"
    );
    for key in &keys {
        post(&admin, "/api/rotation/enable", &json!({"provider": "up", "key": key})).await;
    }
    assert_eq!(answers(&gateway).await.0, 200);
}

#[tokio::test]
async fn mistakes_are_refused_with_a_hint() {
    let gateway = Gateway::start(&format!(
        "{ADMIN}[providers.up]\nbase_url = 'http://127.0.0.1:1'\nmodels = ['a']\n"
    ));
    let admin = admin_of(&gateway).await;
    for (path, body, status, hint) in [
        (
            "/api/rotation/drain",
            json!({"provder": "up"}),
            400,
            "did you mean `provider`",
        ),
        (
            "/api/rotation/drain",
            json!({"provider": "upp"}),
            404,
            "did you mean `up`",
        ),
        (
            "/api/rotation/drain",
            json!({"provider": "up", "for": "5m"}),
            400,
            "unknown key",
        ),
        (
            "/api/rotation/rest",
            json!({"provider": "up"}),
            400,
            "`for`: this key is required",
        ),
        (
            "/api/rotation/rest",
            json!({"provider": "up", "for": "5 apples"}),
            400,
            "is not a duration",
        ),
        (
            "/api/rotation/rest",
            json!({"provider": "up", "for": "0s"}),
            400,
            "not a time to rest",
        ),
        (
            "/api/rotation/drain",
            json!({"provider": "up", "model": "a", "key": "0a"}),
            400,
            "a model or a key",
        ),
        (
            "/api/rotation/drain",
            json!({"provider": "up", "key": "00000000"}),
            404,
            "has no key",
        ),
        ("/api/rotation/drain", json!(["up"]), 400, "a table is expected"),
    ] {
        let reply = post(&admin, path, &body).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        reply.error_code();
        assert!(reply.text().contains(hint), "{body}: {}", reply.text());
    }
    let broken = with_key(raw("POST", "/api/rotation/drain").header("content-type", "application/json")).body(b"{");
    assert_eq!(send(&admin, &broken).await.error_code(), "invalid_body");
    let large = vec![b' '; 1024 * 1024 + 1];
    let large = with_key(raw("POST", "/api/rotation/drain").header("content-type", "application/json")).body(&large);
    let refused = send(&admin, &large).await;
    assert_eq!(refused.status, 413);
    let bound = "larger than the 1048576 bytes that the admin API takes";
    assert!(refused.text().contains(bound), "{}", refused.text());
    let twice = br#"{"provider":"up","provider":"up"}"#;
    let twice = with_key(raw("POST", "/api/rotation/drain").header("content-type", "application/json")).body(twice);
    let refused = send(&admin, &twice).await;
    assert_eq!((refused.status, refused.error_code().as_str()), (400, "invalid_field"));
    assert!(refused.text().contains("there twice"), "{}", refused.text());
}

#[tokio::test]
async fn the_file_is_checked_and_put_to_use() {
    let up = ok().await;
    let config = |model: &str| {
        format!(
            "{ADMIN}[providers.up]\nbase_url = '{}'\nmodels = []\n[models.m]\ntargets = ['up/{model}']\n",
            up.url()
        )
    };
    let gateway = Gateway::start(&config("one"));
    let admin = admin_of(&gateway).await;
    assert_eq!(answers(&gateway).await.1, "up/one");
    gateway.rewrite(&config("two"));
    assert_eq!(post(&admin, "/api/config/reload", &json!({})).await.status, 200);
    assert_eq!(
        answers(&gateway).await.1,
        "up/two",
        "it is in use when the answer comes"
    );
    gateway.rewrite("[admin]\nkye = 'x'\n");
    let checked = post(&admin, "/api/config/check", &json!({})).await.json();
    assert_eq!(
        (&checked["fine"], &checked["problems"][0]["path"]),
        (&json!(false), &json!("admin.kye"))
    );
    let refused = post(&admin, "/api/config/reload", &json!({})).await;
    assert_eq!(
        (refused.status, refused.error_code().as_str()),
        (422, "invalid_configuration")
    );
    assert!(refused.text().contains("mynah.toml:2:1") && refused.text().contains("did you mean `key`"));
    assert_eq!(answers(&gateway).await.1, "up/two");
    // A new key of the operator's holds at once.
    gateway.rewrite(&config("three").replace(KEY, "another-key-of-the-operator"));
    assert_eq!(post(&admin, "/api/config/reload", &json!({})).await.status, 200);
    assert_eq!(send(&admin, &with_key(raw("GET", "/api/status"))).await.status, 401);
}

#[tokio::test]
async fn what_is_probably_not_meant_is_told() {
    let config = format!("{ADMIN}budget = {{ usd = 5, per = 'day' }}\n");
    let gateway = Gateway::start(&config);
    let admin = admin_of(&gateway).await;
    let checked = post(&admin, "/api/config/check", &json!({})).await.json();
    assert_eq!((&checked["fine"], &checked["problems"]), (&json!(true), &json!([])));
    let advice = &checked["advice"][0];
    assert_eq!(advice["path"], "clients.0.budget");
    assert!(advice["message"].as_str().unwrap().contains("add one"), "{advice}");
    let told = command(gateway.directory.path()).arg("check").output().unwrap();
    let told = String::from_utf8(told.stderr).unwrap();
    let text = |name: &str| advice[name].as_str().unwrap().to_owned();
    let expected = format!("warning: {}: `{}`: {}", text("place"), text("path"), text("message"));
    assert!(told.lines().any(|line| line == expected), "{expected} not in {told}");
}

#[tokio::test]
async fn the_log_level_is_changed_until_the_next_start() {
    let gateway = Gateway::start(ADMIN);
    let admin = admin_of(&gateway).await;
    let set = async |body: &Value| {
        let request = raw("PUT", "/api/log").header("content-type", "application/json");
        send(&admin, &with_key(request.body(body.to_string().as_bytes()))).await
    };
    // Each of them has a line in the log, at the level `info`.
    let leave_a_trace = async |id: &str| {
        let request = raw("POST", "/api/rotation/enable").header("content-type", "application/json");
        let request = request.header("x-request-id", id).body(br#"{"provider": "mynah"}"#);
        assert_eq!(send(&admin, &with_key(request)).await.status, 200);
    };
    let started = json!({"level": "info", "started_with": "info"});
    assert_eq!(get(&admin, "/api/log").await, started);
    leave_a_trace("heard-before").await;
    gateway.printed("heard-before").await;
    let quiet = set(&json!({"level": "error"})).await;
    assert_eq!(
        (quiet.status, quiet.json()),
        (200, json!({"level": "error", "started_with": "info"}))
    );
    leave_a_trace("not-heard").await;
    for (body, hint) in [
        (json!({"level": ""}), "`` is not a log level"),
        (json!({"level": "loud"}), "`loud` is not a log level"),
        (json!({"level": "info,hyper=loud"}), "is not a log filter"),
        (json!({"levl": "info"}), "did you mean `level`"),
        (json!({"level": 3}), "level"),
    ] {
        let refused = set(&body).await;
        assert_eq!((refused.status, refused.error_code().as_str()), (400, "invalid_field"));
        assert!(refused.text().contains(hint), "{body}: {}", refused.text());
    }
    assert_eq!(post(&admin, "/api/config/reload", &json!({})).await.status, 200);
    assert_eq!(
        get(&admin, "/api/log").await["level"],
        "error",
        "it outlives a change of the file"
    );
    assert_eq!(set(&json!({"level": "warn,mynah::admin=info"})).await.status, 200);
    leave_a_trace("heard-again").await;
    gateway.printed("heard-again").await;
    let printed = gateway.printed.lock().unwrap().clone();
    assert!(!printed.contains("not-heard"), "{printed}");
    assert!(printed.contains("the operator changes the log level"), "{printed}");
    let next = Gateway::start(ADMIN);
    assert_eq!(get(&admin_of(&next).await, "/api/log").await, started);
}

#[tokio::test]
async fn the_operator_may_look_on_while_requests_end() {
    const EVENT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"x\"}}]}\n\n";
    let up = Understudy::start(Reply::stream([EVENT, EVENT]).hang_after(EVENT.len()))
        .await
        .unwrap();
    let mut gateway = Gateway::start(&format!(
        "{}[providers.up]\nbase_url = '{}'\nmodels = ['a']\n",
        ADMIN.replace("[admin]", "drain = '20s'\n[admin]"),
        up.url()
    ));
    let admin = admin_of(&gateway).await;
    let mut stream = gateway.connect().await;
    let ask = Request::chat(r#"{"model":"up/a","stream":true}"#).header("authorization", "Bearer key-of-the-team");
    stream.write_all(&ask.bytes()).await.unwrap();
    support::read_head(&mut stream).await.unwrap();
    gateway.signal("TERM");
    gateway.printed("stopping").await;
    let status = get(&admin, "/api/status").await;
    assert_eq!(
        (&status["status"], &status["in_flight"]),
        (&json!("draining"), &json!(1))
    );
    drop(stream);
    assert_eq!(gateway.ended().await, Some(0));
}

#[tokio::test]
async fn the_page_and_its_description_are_there() {
    let gateway = Gateway::start(&ADMIN.replace("[admin]", "docs = true\n[admin]"));
    let admin = admin_of(&gateway).await;
    for address in [&admin, &gateway.address] {
        let page = send(address, &raw("GET", "/docs")).await;
        assert!(
            page.status == 200 && page.text().contains("swagger-ui-bundle.js"),
            "{}",
            page.text()
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        for (file, kind) in [
            ("docs.js", "text/javascript"),
            ("swagger-ui-bundle.js", "text/javascript"),
            ("swagger-ui.css", "text/css"),
        ] {
            let plain = send(address, &raw("GET", &format!("/docs/{file}"))).await;
            assert!(plain.header("content-type").unwrap().starts_with(kind), "{file}");
            assert!(
                plain.header("content-encoding").is_none() && plain.text().len() > 100,
                "{file}"
            );
            let packed = raw("GET", &format!("/docs/{file}")).header("accept-encoding", "br, gzip");
            let packed = send(address, &packed).await;
            assert!(packed.body.len() <= plain.body.len(), "{file}");
        }
        let document = send(address, &raw("GET", "/openapi.json")).await.json();
        assert_eq!(document["openapi"], "3.1.0");
        assert!(document["components"]["schemas"]["Refusal"].is_object());
    }
    let described = send(&admin, &raw("GET", "/openapi.json")).await.json();
    for endpoint in &ENDPOINTS {
        let method = endpoint.verb.method().as_str().to_lowercase();
        let operation = &described["paths"][endpoint.path][&method];
        assert_eq!(operation["summary"], endpoint.summary, "{}", endpoint.path);
        assert_eq!(
            operation["security"].is_array(),
            endpoint.needs == Needs::Nothing,
            "{}",
            endpoint.path
        );
    }
    // What is described is served: at worst, it is refused for what it lacks.
    let public = send(&gateway.address, &raw("GET", "/openapi.json")).await.json();
    for (path, methods) in public["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let path = path
                .replace("{model}", "mynah/echo")
                .replace("{id}", "mynah/echo")
                .replace("{below}", "x");
            let request = raw(&method.to_uppercase(), &path).header("authorization", "Bearer key-of-the-team");
            let reply = gateway
                .send(&request.header("x-mynah-provider", "mynah").body(b""))
                .await;
            let code = || reply.json()["error"]["code"].as_str().unwrap_or_default().to_owned();
            assert!(
                reply.status < 400 || !["unknown_url", "method_not_supported"].contains(&code().as_str()),
                "{method} {path}"
            );
        }
    }
    let quiet = Gateway::start("");
    for path in ["/docs", "/openapi.json", "/docs/docs.js"] {
        assert_eq!(
            quiet.get(path).await.status,
            404,
            "{path}: only where it is switched on"
        );
    }
}

#[tokio::test]
async fn the_ledger_is_told() {
    let up = Understudy::start(Reply::json(&json!({
        "object": "chat.completion",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    })))
    .await
    .unwrap();
    let gateway = Gateway::start(&format!(
        "{ADMIN}[store]\nflush = '10ms'\n[providers.up]\nbase_url = '{}'\nmodels = ['a', 'b']\n",
        up.url()
    ));
    let admin = admin_of(&gateway).await;
    for (model, id) in [
        ("up/a", "first"),
        ("up/a", "second"),
        ("up/b", "third"),
        ("nobody", "fourth"),
    ] {
        let ask = Request::chat(&json!({"model": model, "messages": []}).to_string());
        let ask = ask.header("authorization", "Bearer key-of-the-team");
        gateway
            .send(&ask.header("x-request-id", id).header("x-mynah-tags", ""))
            .await;
    }
    let written = tokio::time::timeout(support::PATIENCE, async {
        while get(&admin, "/api/requests").await["requests"].as_array().unwrap().len() < 4 {
            tokio::task::yield_now().await;
        }
    });
    written.await.expect("four rows");
    let usage = get(&admin, "/api/usage?by=model&since=1h").await;
    assert_eq!(usage["by"], "model");
    let found = usage["usage"].as_array().unwrap();
    let of = |name: &str| {
        found
            .iter()
            .find(|row| row["name"] == name)
            .unwrap_or_else(|| panic!("{name} in {usage}"))
    };
    assert_eq!((&of("up/a")["requests"], &of("up/a")["input"]), (&json!(2), &json!(20)));
    assert_eq!(of("")["errors"], 1);
    for by in ["client", "provider", "day", "hour", "tag"] {
        let usage = get(&admin, &format!("/api/usage?by={by}&client=team")).await;
        assert!(!usage["usage"].as_array().unwrap().is_empty(), "{by}: {usage}");
    }
    let none = get(&admin, "/api/usage?until=2000-01-01T00:00:00Z").await;
    assert_eq!(none["usage"], json!([]));
    let failed = get(&admin, "/api/requests?status=4xx").await;
    assert_eq!(
        (&failed["requests"][0]["request"], &failed["next"]),
        (&json!("fourth"), &Value::Null)
    );
    // Page by page.
    let (mut path, mut seen) = ("/api/requests?limit=3".to_owned(), Vec::new());
    loop {
        let page = get(&admin, &path).await;
        seen.extend(
            page["requests"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["request"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/api/requests?limit=3&before={next}");
    }
    assert_eq!(seen, ["fourth", "third", "second", "first"]);
    let whole = get(&admin, "/api/requests/second").await;
    assert_eq!(
        (&whole["tried"][0]["target"], &whole["tokens"]["output"]),
        (&json!("up/a"), &json!(5))
    );
    assert_eq!(
        get(&admin, &format!("/api/requests/{}", whole["id"].as_str().unwrap())).await,
        whole
    );
    for (path, status, hint) in [
        ("/api/requests/fifth", 404, "no such request"),
        ("/api/requests?limit=0", 400, "between 1 and 1000"),
        ("/api/requests?limit=x", 400, "a whole number"),
        ("/api/requests?status=ok", 400, "such as 5xx"),
        ("/api/requests?before=x", 400, "the `next` of a page"),
        ("/api/requests?clint=team", 400, "did you mean `client`"),
        ("/api/requests?client=a&client=b", 400, "twice"),
        ("/api/usage?by=colour", 400, "is not one of"),
        ("/api/usage?since=yesterday", 400, "how long ago"),
    ] {
        let reply = send(&admin, &with_key(raw("GET", path))).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.text());
        assert!(reply.text().contains(hint), "{path}: {}", reply.text());
    }
}

#[tokio::test]
async fn without_a_ledger_there_is_nothing_to_tell() {
    let gateway = Gateway::start(ADMIN);
    let admin = admin_of(&gateway).await;
    for path in ["/api/usage", "/api/requests", "/api/requests/1"] {
        let reply = send(&admin, &with_key(raw("GET", path))).await;
        assert_eq!(
            (reply.status, reply.error_code().as_str()),
            (404, "not_found"),
            "{path}"
        );
        assert!(reply.text().contains("no table [store]"));
    }
}

#[tokio::test]
async fn a_thousand_reloads_leave_nothing_behind() {
    let up = ok().await;
    let config = |model: &str| {
        format!(
            "{ADMIN}[providers.up]\nbase_url = '{}'\nmodels = []\n[models.m]\ntargets = ['up/{model}']\n",
            up.url()
        )
    };
    let gateway = Gateway::start(&config("one"));
    let admin = admin_of(&gateway).await;
    let mut stream = TcpStream::connect(&admin).await.unwrap();
    let reload = with_key(raw("POST", "/api/config/reload").header("content-type", "application/json")).body(b"{}");
    let reloads = async |stream: &mut TcpStream, count: usize| {
        for number in 0..count {
            if number % 50 == 0 {
                let model = if number % 100 == 0 { "one" } else { "two" };
                gateway.rewrite(&config(model));
                assert_eq!(answers(&gateway).await.0, 200);
            }
            stream.write_all(&reload.bytes()).await.unwrap();
            assert_eq!(read_reply(stream).await.expect("a whole reply").status, 200);
        }
    };
    reloads(&mut stream, 200).await;
    let (memory, files) = (gateway.peak_memory(), gateway.open_files());
    reloads(&mut stream, 800).await;
    if let (Some(before), Some(after)) = (memory, gateway.peak_memory()) {
        let grown = after.saturating_sub(before);
        assert!(grown < 16 * 1024 * 1024, "{grown} bytes more after 800 further reloads");
    }
    if let (Some(before), Some(after)) = (files, gateway.open_files()) {
        assert!(after <= before + 4, "{before} files were open, now {after}");
    }
}
