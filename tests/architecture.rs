//! Checks of the architecture: imports between modules, calls restricted to their modules, module docs
//! and file lengths.

#![allow(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "architecture/imports.rs"]
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use imports::Imports;

/// Layers: a module imports only from modules before it, and from itself. Modules that are not listed, such
/// as `config` and `cli`, may import each other.
const LAYERS: [&str; 11] = [
    "clock", "model", "retry", "schedule", "api", "store", "fetch", "outbox", "sync", "daemon",
    "export",
];

// Known violations. A fixed one must be removed from its list, or its test fails.

/// Imports from lower layers: a module, and the module that it should not import.
const KNOWN_LOWER_IMPORTS: &[&str] = &[];

/// Import cycles of modules with the same parent.
const KNOWN_CYCLES: &[&str] = &[];

/// Modules whose children import from them.
const KNOWN_PARENTS: &[&str] = &[];

/// Maximum lines of a file before its tests.
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
    assert!(found.len() > 50, "only {} source files found", found.len());
    found
}

/// Lines of code, without comments, that contain `word`.
fn lines_with(source: &Source, word: &str) -> Vec<String> {
    let code = source.code.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.filter(|line| line.contains(word)).map(|line| line.trim().to_owned()).collect()
}

fn assert_none(found: BTreeMap<PathBuf, Vec<String>>, what: &str) {
    let found: BTreeMap<_, _> = found.into_iter().filter(|(_, lines)| !lines.is_empty()).collect();
    assert!(found.is_empty(), "{what}: {found:#?}");
}

fn only_in(words: &[&str], modules: &[&str]) {
    for word in words {
        let found = sources()
            .into_iter()
            .filter(|source| !modules.iter().any(|home| source.path.starts_with(home)))
            .map(|source| (source.path.clone(), lines_with(&source, word)))
            .collect();
        assert_none(found, &format!("`{word}` belongs in {modules:?}"));
    }
}

fn imports(sources: &[Source]) -> Imports {
    Imports::read(sources.iter().map(|source| (source.path.as_path(), source.text.as_str())))
}

/// The top-level module of a module.
fn layer(module: &[String]) -> &str {
    module.first().map_or("", String::as_str)
}

fn written(module: &[String]) -> String {
    module.join("::")
}

/// Asserts that the violations found are the known ones.
fn compare(found: BTreeSet<String>, known: &[&str], what: &str) {
    let known: BTreeSet<String> = known.iter().map(|one| (*one).to_owned()).collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "{what}: {new:#?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "fixed, remove from the list of known violations: {gone:#?}");
}

#[test]
fn modules_import_only_from_layers_above() {
    let sources = sources();
    let may = |from: &str, to: &str| {
        let at = |name: &str| LAYERS.iter().position(|other| *other == name);
        match (at(from), at(to)) {
            // `model` imports nothing; `store` and `api` are independent.
            _ if from == to => true,
            _ if from == "model" || (from, to) == ("store", "api") => false,
            // Planning is pure: `schedule` has no I/O, and the modules with I/O do not call it.
            _ if from == "schedule" => matches!(to, "model" | "retry"),
            _ if to == "schedule" && matches!(from, "api" | "store") => false,
            (Some(from), Some(to)) => to < from,
            (Some(_), None) => false,
            (None, _) => true,
        }
    };
    let imports = imports(&sources);
    let found = imports.all().filter(|(from, to)| !may(layer(from), layer(to)));
    let found = found.map(|(from, to)| format!("{} {}", written(from), written(to))).collect();
    compare(found, KNOWN_LOWER_IMPORTS, "a module imports from a lower layer");
}

#[test]
fn sandbox_shares_no_code_with_the_product() {
    let sources = sources();
    let imports = imports(&sources);
    let allowed = ["clock", "model", "sandbox"];
    let found = imports
        .all()
        .filter(|(from, to)| layer(from) == "sandbox" && !allowed.contains(&layer(to)))
        .map(|(from, to)| format!("{} {}", written(from), written(to)))
        .collect();
    compare(found, &[], "the sandbox must not share code with the product");
}

#[test]
fn siblings_form_no_cycles() {
    let found = imports(&sources()).cycles();
    compare(found, KNOWN_CYCLES, "sibling modules import each other");
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
    compare(found, KNOWN_PARENTS, "child modules import from their parent");
}

#[test]
fn restricted_calls_stay_in_their_modules() {
    only_in(&["reqwest::"], &["api"]);
    only_in(&["SystemTime::now", "Utc::now", "Instant::now", "tokio::time::"], &["clock.rs"]);
    only_in(&["ExponentialBackoff"], &["retry.rs"]);
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
