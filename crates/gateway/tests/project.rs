//! The project's own papers are true.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

mod support;

use support::{command, repository};

#[test]
fn every_path_that_the_architecture_names_exists() {
    let text = std::fs::read_to_string(repository("ARCHITECTURE.md")).unwrap();
    let mut count = 0;
    for word in text.split('`').skip(1).step_by(2) {
        let is_path = word.contains('/') && !word.contains([' ', ':', '{', '<']) && !word.starts_with(['/', '.', '-'])
            || [".rs", ".toml"].iter().any(|ending| word.ends_with(ending));
        if is_path && word != "mynah.toml" && !word.starts_with("provider/") && !word.starts_with("mynah/") {
            assert!(repository(word).exists(), "ARCHITECTURE.md names `{word}`");
            count += 1;
        }
    }
    assert!(count > 20, "only {count} paths were found");
}

#[test]
fn every_example_can_be_loaded() {
    let mut count = 0;
    for entry in std::fs::read_dir(repository("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let needs = text
            .lines()
            .find_map(|line| line.strip_prefix("# Needs: "))
            .unwrap_or_default();
        let variables = needs.split(',').map(str::trim).filter(|name| !name.is_empty());
        let directory = tempfile::tempdir().unwrap();
        let output = command(directory.path())
            .envs(variables.map(|name| (name.to_owned(), format!("the-value-of-{name}"))))
            .args(["check", "--config", path.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}: {}",
            path.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        count += 1;
    }
    assert!(count >= 5, "only {count} examples were found");
}

#[test]
fn the_dialect_crate_does_no_io() {
    let manifest = std::fs::read_to_string(repository("crates/dialect/Cargo.toml")).unwrap();
    let dependencies = manifest
        .split("[dependencies]")
        .nth(1)
        .unwrap()
        .split("[dev-dependencies]")
        .next()
        .unwrap();
    for banned in [
        "tokio", "hyper", "http", "axum", "reqwest", "rand", "fastrand", "uuid", "jiff", "chrono", "time",
    ] {
        assert!(!dependencies.lines().any(|line| line.starts_with(banned)), "{banned}");
    }
}
