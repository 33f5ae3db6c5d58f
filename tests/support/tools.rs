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
