//! Progress and result of `backup` and `restore`.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::report::progress::ProgressDisplay;
use crate::report::text::{bytes, thousands};
use crate::store::backup::{BackupCopy, CopyProgress};
use crate::store::restore::Restored;

/// Shows the progress of a copy.
pub fn show_progress(progress: &ProgressDisplay, copied: CopyProgress) {
    progress.update("copying", copied.bytes, copied.total, copied_text(copied));
}

fn copied_text(copied: CopyProgress) -> String {
    format!("{} of {}", bytes(copied.bytes), bytes(copied.total))
}

/// Result of a backup. The first line is the path alone, for scripts.
pub fn text(copy: &BackupCopy) -> String {
    let held = held(
        copy.held,
        "in the copy; if it replaces the original, `creatormirror outbox retry --held` queues them again",
    );
    format!("{}\n{}\n{held}", copy.path.display(), bytes(copy.bytes))
}

/// Result of a restore. The first line is the path alone.
pub fn restored_text(restored: &Restored) -> String {
    let replaced = match &restored.replaced {
        Some(path) => format!("the replaced file is kept as {}\n", path.display()),
        None => String::new(),
    };
    let held = held(
        restored.held,
        "because they may have been sent after the copy was made; `creatormirror outbox retry --held` queues them again",
    );
    format!("{}\n{}\n{replaced}{held}", restored.path.display(), bytes(restored.bytes))
}

/// Result of a backup as one JSON document.
pub fn json(copy: &BackupCopy) -> Value {
    json!({ "path": copy.path.display().to_string(), "bytes": copy.bytes, "held": copy.held })
}

/// Result of a restore as one JSON document.
pub fn restored_json(restored: &Restored) -> Value {
    let path = |path: &PathBuf| path.display().to_string();
    json!({
        "path": path(&restored.path),
        "bytes": restored.bytes,
        "held": restored.held,
        "replaced": restored.replaced.as_ref().map(path),
    })
}

fn held(entries: usize, reason: &str) -> String {
    match entries {
        0 => String::new(),
        entries => {
            let entries = thousands(i64::try_from(entries).unwrap_or(i64::MAX));
            format!("{entries} unfinished outbox entries are held {reason}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_and_result_have_sizes() {
        assert_eq!(copied_text(CopyProgress { bytes: 500, total: 14_260_000 }), "500 B of 14.2 MB");
        let mut copy = BackupCopy { path: "/b/m.db".into(), bytes: 14_260_000, held: 0 };
        assert_eq!(text(&copy), "/b/m.db\n14.2 MB\n");
        copy.held = 1_200;
        assert!(text(&copy).contains("\n1,200 unfinished outbox entries are held"));
    }
}
