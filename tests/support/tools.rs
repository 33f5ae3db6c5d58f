//! External programs that read our files; `tests/tools/install` installs them.

use std::path::{Path, PathBuf};

use super::skip::{Need, skip};

/// The path of a tool (`python`, `datasette`, …). If it is not installed, reports that the test
/// is skipped, and returns `None`.
pub fn tool(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let path = folder.join(name);
    if !path.exists() {
        skip(Need::Tools, &format!("`{name}` is not installed; run `tests/tools/install`"));
        return None;
    }
    Some(path)
}

/// The path of a Chromium. If there is none, reports that the test is skipped, and returns `None`.
pub fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let places =
        std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = places.into_iter().find(|path| path.is_file());
    if found.is_none() {
        skip(Need::Browser, "Chromium is not installed; `.ci/run` installs it");
    }
    found
}
