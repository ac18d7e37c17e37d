//! The folders of the protocols know the vocabulary, not one another.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing helper is a failing test"
)]

use std::fs;
use std::path::{Path, PathBuf};

const FOLDERS: [&str; 5] = ["openai_chat", "openai_responses", "anthropic", "gemini", "cohere"];

#[test]
fn no_protocol_imports_another() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut looked_at = 0;
    for folder in FOLDERS {
        for path in sources_in(&sources.join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            looked_at += 1;
            for other in FOLDERS.iter().filter(|other| **other != folder) {
                let named = [format!("crate::{other}"), format!("super::super::{other}")];
                let found = named.iter().any(|name| text.contains(name.as_str()));
                assert!(!found, "{} imports {other}", path.display());
            }
        }
    }
    assert!(looked_at > 30, "only {looked_at} files were looked at");
}

/// Every source file in a folder, at any depth.
fn sources_in(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources_in(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// What takes part in a translation must not name two protocols in one place: that is a pair, and pairs do not scale.
#[test]
fn only_the_table_of_codecs_names_all_protocols() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for entry in fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !path.is_file() || name == "codec.rs" {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let named = FOLDERS
            .iter()
            .filter(|folder| text.contains(&format!("crate::{folder}::")))
            .count();
        assert!(named <= 1, "{name} knows {named} protocols");
    }
}
