//! The house checks itself: who may import whom, what stands nowhere but in its room, how files
//! begin and how long they get.

#![allow(clippy::unwrap_used)] // A test may.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The ladder: a room imports only from rooms above it, and from itself. The front's rooms, from
/// `config` on, may use each other.
const LADDER: [&str; 11] =
    ["clock", "model", "retry", "api", "store", "plan", "poll", "push", "pass", "daemon", "export"];

/// The front, and the sandbox, which stands beside the ladder and knows only the clock and the model.
const FRONT: [&str; 7] = ["config", "logging", "report", "listen", "cli", "main", "lib"];

/// Longer files hold two subjects.
const LINES_MAX: usize = 400;

struct Source {
    path: PathBuf,
    room: String,
    /// The file up to its tests.
    code: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("\n#[cfg(test)]").next().unwrap().to_owned();
                let relative = path.strip_prefix(&root).unwrap();
                let first = relative.components().next().unwrap().as_os_str().to_str().unwrap();
                let room = first.trim_end_matches(".rs").to_owned();
                found.push(Source { path: relative.to_owned(), room, code, text });
            }
        }
    }
    assert!(found.len() > 50, "the sources are where they were");
    found
}

/// Lines of code, comments aside, that hold `word`.
fn lines_with(source: &Source, word: &str) -> Vec<String> {
    let code = source.code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter(|line| line.contains(word)).map(|line| line.trim().to_owned()).collect()
}

fn complain(found: BTreeMap<PathBuf, Vec<String>>, what: &str) {
    let found: BTreeMap<_, _> = found.into_iter().filter(|(_, lines)| !lines.is_empty()).collect();
    assert!(found.is_empty(), "{what}: {found:#?}");
}

fn nowhere_but(words: &[&str], homes: &[&str]) {
    for word in words {
        let found = sources()
            .into_iter()
            .filter(|source| !homes.iter().any(|home| source.path.starts_with(home)))
            .map(|source| (source.path.clone(), lines_with(&source, word)))
            .collect();
        complain(found, &format!("`{word}` belongs in {homes:?}"));
    }
}

#[test]
fn rooms_import_only_from_above() {
    let mut found = BTreeMap::new();
    for source in sources() {
        let Some(at) = LADDER.iter().position(|room| *room == source.room) else { continue };
        let below = LADDER[at + 1..].iter().chain(&FRONT).chain(&["sandbox"]);
        let lines = below.flat_map(|room| lines_with(&source, &format!("crate::{room}::")));
        // The remote and the local side never see each other.
        let other = match source.room.as_str() {
            "store" => lines_with(&source, "crate::api"),
            _ => Vec::new(),
        };
        found.insert(source.path.clone(), lines.chain(other).collect());
    }
    complain(found, "a room imports from below");
}

#[test]
fn the_sandbox_stands_apart() {
    let found = sources()
        .into_iter()
        .filter(|source| source.room == "sandbox")
        .map(|source| {
            let lines = lines_with(&source, "crate::").into_iter();
            let allowed = ["crate::clock", "crate::model", "crate::sandbox"];
            let lines = lines.filter(|line| !allowed.iter().any(|room| line.contains(room)));
            (source.path.clone(), lines.collect())
        })
        .collect();
    complain(found, "the sandbox must not share code with what it tests");
}

#[test]
fn what_belongs_in_one_room_is_nowhere_else() {
    nowhere_but(&["reqwest::"], &["api"]);
    nowhere_but(&["SystemTime::now", "Utc::now", "Instant::now", "tokio::time::"], &["clock.rs"]);
    nowhere_but(&["backoff::"], &["retry.rs"]);
    nowhere_but(
        &["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM", "PRAGMA "],
        &["store", "report/demo.rs"],
    );
    nowhere_but(&["println!", "eprintln!", "print!("], &["cli", "report", "logging"]);
    nowhere_but(&["std::env::var", "env::vars"], &["config", "main.rs"]);
}

#[test]
fn nothing_is_left_unfinished_or_unwrapped() {
    nowhere_but(&["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"], &[]);
    nowhere_but(&[".unwrap()", ".expect("], &[]);
}

#[test]
fn every_file_says_what_it_is_for_and_stays_short() {
    for source in sources() {
        let path = source.path.display();
        assert!(source.text.starts_with("//! "), "{path} does not begin with a `//!` line");
        let lines = source.code.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines before its tests");
    }
}
