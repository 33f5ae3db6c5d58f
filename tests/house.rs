//! The house checks itself: who may import whom, what stands nowhere but in its room, how files
//! begin and how long they get.

#![allow(clippy::unwrap_used)] // A test may.

#[path = "house/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use imports::Imports;

/// The ladder: a room imports only from rooms above it, and from itself. The front's rooms, from
/// `config` on, may use each other.
const LADDER: [&str; 11] = [
    "clock", "model", "retry", "schedule", "api", "store", "fetch", "outbox", "sync", "daemon",
    "export",
];

// What is known to be wrong, to be emptied. What is mended is taken off, or its test fails.

/// Imports from below: a file, and the file that it should not import.
const KNOWN_FROM_BELOW: &[&str] = &[];

/// Modules with the same parent that import each other in a circle.
const KNOWN_CYCLES: &[&str] = &[];

/// Modules whose children import from them.
const KNOWN_PARENTS: &[&str] = &[];

/// Longer files hold two subjects.
const LINES_MAX: usize = 400;

struct Source {
    path: PathBuf,
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
                found.push(Source { path: relative.to_owned(), code, text });
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

fn only_in(words: &[&str], homes: &[&str]) {
    for word in words {
        let found = sources()
            .into_iter()
            .filter(|source| !homes.iter().any(|home| source.path.starts_with(home)))
            .map(|source| (source.path.clone(), lines_with(&source, word)))
            .collect();
        complain(found, &format!("`{word}` belongs in {homes:?}"));
    }
}

fn imports(sources: &[Source]) -> Imports {
    Imports::read(sources.iter().map(|source| (source.path.as_path(), source.text.as_str())))
}

/// A module's room, as in the table of `lib.rs`.
fn room(module: &[String]) -> &str {
    module.first().map_or("", String::as_str)
}

fn written(module: &[String]) -> String {
    module.join("::")
}

/// What is found must be what is known, so that neither side grows unseen.
fn compare(found: BTreeSet<String>, known: &[&str], what: &str) {
    let known: BTreeSet<String> = known.iter().map(|one| (*one).to_owned()).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "{what}: {new:#?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "no longer true, remove from the list of what is known: {gone:#?}");
}

#[test]
fn modules_import_only_from_layers_above() {
    let sources = sources();
    let may = |from: &str, to: &str| {
        let at = |name: &str| LADDER.iter().position(|other| *other == name);
        match (at(from), at(to)) {
            // Plain data needs nothing else; the remote and the local side never see each other.
            _ if from == to => true,
            _ if from == "model" || (from, to) == ("store", "api") => false,
            // Planning is pure, and whoever sends or writes is given what was planned.
            _ if from == "schedule" => matches!(to, "model" | "retry"),
            _ if to == "schedule" && matches!(from, "api" | "store") => false,
            (Some(from), Some(to)) => to < from,
            (Some(_), None) => false,
            (None, _) => true,
        }
    };
    let imports = imports(&sources);
    let found = imports.all().filter(|(from, to)| !may(room(from), room(to)));
    let found = found.map(|(from, to)| format!("{} {}", written(from), written(to))).collect();
    compare(found, KNOWN_FROM_BELOW, "a room imports from below");
}

#[test]
fn sandbox_shares_no_code_with_the_product() {
    let sources = sources();
    let imports = imports(&sources);
    let allowed = ["clock", "model", "sandbox"];
    let found = imports
        .all()
        .filter(|(from, to)| room(from) == "sandbox" && !allowed.contains(&room(to)))
        .map(|(from, to)| format!("{} {}", written(from), written(to)))
        .collect();
    compare(found, &[], "the sandbox must not share code with what it tests");
}

#[test]
fn siblings_form_no_cycles() {
    let found = imports(&sources()).cycles();
    compare(found, KNOWN_CYCLES, "modules side by side import each other");
}

#[test]
fn child_modules_do_not_import_from_their_parent() {
    let sources = sources();
    let imports = imports(&sources);
    let found = imports
        .all()
        .filter(|(from, to)| from.len() > to.len() && from.starts_with(to))
        .map(|(_, to)| written(to))
        .collect();
    compare(found, KNOWN_PARENTS, "children import from their parent");
}

#[test]
fn restricted_calls_stay_in_their_modules() {
    only_in(&["reqwest::"], &["api"]);
    only_in(&["SystemTime::now", "Utc::now", "Instant::now", "tokio::time::"], &["clock.rs"]);
    only_in(&["backoff::"], &["retry.rs"]);
    only_in(
        &["SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM", "PRAGMA "],
        &["store", "report/demo.rs"],
    );
    only_in(&["println!", "eprintln!", "print!("], &["cli", "report", "logging"]);
    only_in(&["std::env::var", "env::vars"], &["config", "main.rs"]);
}

#[test]
fn sources_contain_no_todo_or_unwrap() {
    only_in(&["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX"], &[]);
    only_in(&[".unwrap()", ".expect("], &[]);
}

#[test]
fn files_have_module_docs_and_stay_short() {
    for source in sources() {
        let path = source.path.display();
        assert!(source.text.starts_with("//! "), "{path} does not begin with a `//!` line");
        let lines = source.code.lines().count();
        assert!(lines <= LINES_MAX, "{path} has {lines} lines before its tests");
    }
}
