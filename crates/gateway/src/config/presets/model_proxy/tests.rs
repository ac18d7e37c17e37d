use super::*;

fn made(env: &Env, files: &[(&str, &str)]) -> Made {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join("config").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    make(&Sources {
        env,
        directory: directory.path(),
    })
    .unwrap()
}

const UP: &str = r#"{"endpoints": {"base_url": "http://up/v1", "completions": "/chat/completions"}}"#;

#[test]
fn routes_with_settings_of_their_own_have_providers_of_their_own() {
    let env = Env::from([("A", "a"), ("B", "b"), ("UP_API_KEY", "c"), ("CLIENT_API_KEY", "k")]);
    let model = r#"{"model_routings": [
        {"provider": "up", "model": "m"},
        {"provider": "up", "model": "n"},
        {"provider": "up", "model": "m", "api_key_env": ["B", "A", "UNSET"]},
        {"provider": "up", "model": "m", "timeout_seconds": 2.5, "cooldown_seconds": 7},
        {"provider": "up", "model": "m", "wire_protocol": "anthropic"},
        {"provider": "elsewhere", "model": "m", "base_url": "http://elsewhere", "api_key_env": ["A"]}
    ]}"#;
    let made = made(&env, &[("providers/up.json", UP), ("models/m.json", model)]);
    assert_eq!(made.notes, Vec::<String>::new());
    assert_eq!(
        made.settings["models"]["m"]["targets"],
        json!(["up/m", "up/n", "up-2/m", "up-3/m", "up-4/m", "elsewhere/m"])
    );
    let providers = &made.settings["providers"];
    assert_eq!(
        providers["up"],
        json!({
            "base_url": "http://up/v1", "version": "", "kind": "openai", "api_keys": ["${UP_API_KEY}"],
            "key_order": "listed", "rest_failed_keys": true, "cooldown": "300s", "models": ["m", "n"],
        })
    );
    assert_eq!(providers["up-2"]["api_keys"], json!(["${B}", "${A}"]));
    assert_eq!(providers["up-2"]["account"], "up");
    assert_eq!(
        providers["up-3"]["timeouts"],
        json!({"first_token": "2500ms", "idle": "2500ms"})
    );
    assert_eq!(providers["up-3"]["cooldown"], "7s");
    assert_eq!(
        (&providers["up-4"]["kind"], &providers["up-4"]["base_url"]),
        (&json!("anthropic"), &json!("http://up/v1"))
    );
    assert_eq!(providers["elsewhere"]["base_url"], "http://elsewhere");
}

#[test]
fn what_the_files_say_twice_or_wrongly_is_told() {
    let env = Env::from([
        ("UP_API_KEY", "c"),
        ("KEY_COOLDOWN_SECONDS", "long"),
        ("RATE_LIMIT_REQUESTS_PER_MINUTE", "0"),
    ]);
    let model = r#"{"logical_name": "m", "model_routings": [{"provider": "up", "model": "m"}], "fallback_model_routings": ["nobody", "m"]}"#;
    let odd = r#"{"endpoints": {"base_url": "http://odd", "completions": "/generate"}}"#;
    let made = made(
        &env,
        &[
            ("providers/up.json", UP),
            ("providers/odd.json", odd),
            ("models/a.json", model),
            ("models/b.json", model),
            (
                "models/odd.json",
                r#"{"model_routings": [{"provider": "odd", "model": "m", "api_key_env": ["UP_API_KEY"]}]}"#,
            ),
            ("models/c.json", r#"{"model_routings": [{"provider": 7}]}"#),
            ("providers/empty.json", "{}"),
        ],
    );
    let notes = made.notes.join("\n");
    for expected in [
        "config/models/b.json and a.json are both for `m`",
        "there is no model `nobody`",
        "KEY_COOLDOWN_SECONDS is no number",
        "CLIENT_API_KEY is not set",
        "provider `empty`: its file has no `endpoints.base_url`",
        "`endpoints.completions` is `/generate`",
        "provider `odd` is enabled and has no key; set ODD_API_KEY or ODD_API_KEY_1",
    ] {
        assert!(notes.contains(expected), "{expected}: {notes}");
    }
    assert!(made.faults[0].to_string().contains("c.json"), "{:?}", made.faults);
    assert_eq!(made.settings["clients"][0]["requests_per_minute"], Value::Null);
    assert_eq!(made.settings["models"]["a"]["listed"], false);
    assert_eq!(made.settings["models"]["m"]["fallback"], Value::Null);
}

#[test]
fn keys_and_how_they_are_sent() {
    let env = Env::from([("BOX_KEY_2", "b"), ("BOX_KEY_10", "c"), ("BOX_KEY", "a")]);
    let provider = r#"{
        "endpoints": {"base_url": "http://box"}, "api_key_env_patterns": ["{PROVIDER}_KEY", "{PROVIDER}_KEY_*"],
        "authentication": {"header_name": "X-Auth", "header_format": "Token"}
    }"#;
    let model = r#"{"model_routings": [{"provider": "box", "model": "m"}, {"provider": "box", "model": "m", "api_key_env": "BOX_KEY_2"}]}"#;
    let made = made(&env, &[("providers/box.json", provider), ("models/m.json", model)]);
    let providers = &made.settings["providers"];
    assert_eq!(
        providers["box"]["api_keys"],
        json!(["${BOX_KEY}", "${BOX_KEY_2}", "${BOX_KEY_10}"])
    );
    assert_eq!(
        providers["box"]["auth"],
        json!({"header": "X-Auth", "format": "Token {key}"})
    );
    assert_eq!(
        providers["box"]["version"],
        Value::Null,
        "a base URL alone is completed as usual"
    );
    assert_eq!(providers["box-2"]["api_keys"], json!(["${BOX_KEY_2}"]));
}

#[test]
fn databases() {
    let here = Path::new(".");
    let url = |text: &str| {
        let env = Env::from([("DATABASE_URL", text)]);
        let (settings, problem) = store(&env, here);
        (settings["url"].as_str().unwrap().to_owned(), problem.is_none())
    };
    for (text, expected, is_right) in [
        ("sqlite:///./other.db", "sqlite://./other.db", true),
        ("sqlite+aiosqlite:///other.db", "sqlite://other.db", true),
        ("sqlite:////tmp/other.db", "sqlite:///tmp/other.db", true),
        ("sqlite://", "sqlite://sql_app.db", true),
        ("sqlite:///no/such/other.db", "sqlite://no/such/other.db", false),
        ("postgresql://u:p@h/d", "${DATABASE_URL}", true),
        ("mysql://h/d", "sqlite://sql_app.db", false),
    ] {
        assert_eq!(url(text), (expected.to_owned(), is_right), "{text}");
    }
    assert_eq!(store(&Env::default(), here).0["url"], "sqlite://./sql_app.db");
}
