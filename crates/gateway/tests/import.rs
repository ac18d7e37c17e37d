//! `mynah import litellm` makes a `mynah.toml` that works, and tells what has no counterpart.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Output;

use mynah_understudy::Understudy;
use support::dialects::ask;
use support::{Gateway, Request, command, repository};

fn examples() -> PathBuf {
    repository("crates/gateway/tests/import")
}

/// Runs the import in a directory.
fn import(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = command(directory);
    command.args(["import", "litellm"]).args(arguments).output().unwrap()
}

/// The variables that a text names, each with a value.
fn variables(text: &str) -> Vec<(String, String)> {
    let names: BTreeSet<&str> = text
        .split("${")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once('}')?.0))
        .collect();
    let value = |name: &str| match name {
        name if name.ends_with("_BASE") => "https://resource.example.com".to_owned(),
        name => format!("the-value-of-{name}"),
    };
    names.into_iter().map(|name| (name.to_owned(), value(name))).collect()
}

#[test]
fn every_example_becomes_a_file_that_passes_the_check() {
    let mut count = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let yaml = entry.unwrap().path();
        if yaml.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = yaml.file_name().unwrap().to_str().unwrap();
        let output = import(&examples(), &[name]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{name}: {said}");
        let toml = String::from_utf8(output.stdout).unwrap();
        let golden = yaml.with_extension("toml");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &toml).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(toml, expected, "{name}; with UPDATE_GOLDEN=1 it is written");
        for note in said.lines().filter(|line| line.starts_with(name)) {
            assert!(toml.contains(&format!("#   {note}")), "{name}: {note}");
        }
        let checked = command(&examples())
            .envs(variables(&toml))
            .args(["check", "--config", golden.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(
            checked.status.success() || name == "served.yaml",
            "{name}: {}",
            String::from_utf8_lossy(&checked.stderr)
        );
        count += 1;
    }
    assert!(count >= 7, "only {count} examples were found");
}

#[tokio::test]
async fn what_was_imported_serves() {
    let understudy = Understudy::builder().start().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let yaml = std::fs::read_to_string(examples().join("served.yaml")).unwrap();
    std::fs::write(
        directory.path().join("config.yaml"),
        yaml.replace("UNDERSTUDY", &understudy.url()),
    )
    .unwrap();
    let output = import(directory.path(), &["config.yaml", "--output", "mynah.toml"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // Port 4000 may be taken here.
    let file = directory.path().join("mynah.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("listen = \"0.0.0.0:4000\""), "{text}");
    std::fs::write(&file, text.replace("0.0.0.0:4000", "127.0.0.1:0")).unwrap();
    let keys = [
        ("FIRST_KEY", "sk-first"),
        ("SECOND_KEY", "sk-second"),
        ("MASTER_KEY", "sk-master-of-all"),
    ];
    let gateway = Gateway::start_in(directory, &keys);
    let with_key = |request: Request| request.header("authorization", "Bearer sk-master-of-all");
    assert_eq!(gateway.send(&ask("chat", "chat", "hello", false)).await.status, 401);
    for model in ["chat", "chat", "gpt-4", "claude", "team/gemini-3-pro", "dead"] {
        for caller in ["chat", "anthropic"] {
            for stream in [false, true] {
                let reply = gateway.send(&with_key(ask(caller, model, "hello", stream))).await;
                assert_eq!(reply.status, 200, "{model}, {caller}: {}", reply.text());
            }
        }
    }
    let received = understudy.received();
    let keys: BTreeSet<&str> = received.iter().filter_map(|it| it.key()).collect();
    assert_eq!(keys.len(), 2, "both keys of one name are used: {keys:?}");
    let listed = gateway.send(&with_key(Request::new("GET", "/v1/models"))).await.json();
    let names: Vec<&str> = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["id"].as_str().unwrap())
        .collect();
    for name in ["chat", "claude", "dead", "gpt-4"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn no_file_is_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (yaml, toml) = (examples().join("keys.yaml"), directory.path().join("new.toml"));
    let arguments = [yaml.to_str().unwrap(), "--output", "new.toml"];
    let output = import(directory.path(), &arguments);
    assert!(output.status.success() && output.stdout.is_empty());
    let written = std::fs::read_to_string(&toml).unwrap();
    assert!(
        written.contains("api_key = \"sk-mistral-in-clear-1234\""),
        "it has to work"
    );
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&toml).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "there are keys in it");
    }
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("a key in clear"), "{said}");
    for key in ["sk-mistral-in-clear-1234", "sk-master-in-clear-5678"] {
        assert!(!said.contains(key), "{said}");
    }
    std::fs::write(&toml, "mine").unwrap();
    let output = import(directory.path(), &arguments);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("new.toml"));
    assert_eq!(std::fs::read_to_string(&toml).unwrap(), "mine");
}

#[test]
fn what_is_no_configuration_of_litellm_is_told() {
    let directory = tempfile::tempdir().unwrap();
    for (text, what) in [
        ("a: [1,\nb: {", "config.yaml"),
        ("", "config.yaml"),
        ("services:\n  web: {}\n", "no `model_list`"),
        ("model_list: []\n", "no `model_list`"),
        ("- just\n- a list\n", "no `model_list`"),
    ] {
        std::fs::write(directory.path().join("config.yaml"), text).unwrap();
        let output = import(directory.path(), &["config.yaml"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(what), "{text}: {said}");
    }
    let output = import(directory.path(), &["nothing.yaml"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing.yaml"));
}
