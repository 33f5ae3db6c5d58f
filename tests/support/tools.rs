//! Programs of others that tests hand our files to; `tests/tools/install` puts them there.

use std::path::{Path, PathBuf};

/// A program among the tools (`python`, `datasette`, …); `None`, said aloud, where they are not
/// installed.
pub fn tool(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin");
    let path = folder.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no {name} among the tools; `tests/tools/install` installs them");
        return None;
    }
    Some(path)
}

/// A Chromium; `None`, said aloud, where there is none.
pub fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let places =
        std::env::split_paths(&folders).flat_map(|folder| names.map(|name| folder.join(name)));
    let found = places.into_iter().find(|path| path.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium; `.ci/run` installs it where it may");
    }
    found
}
