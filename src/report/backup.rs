//! A copy of the mirror: how far it is, and what came of it.

use crate::report::progress::Progress;
use crate::report::text::{bytes, thousands};
use crate::store::backup::{BackupCopy, CopyProgress};
use crate::store::restore::Restored;

/// Shows how far a copy is.
pub fn tell(progress: &Progress, copied: CopyProgress) {
    progress.tell("copying", copied.bytes, copied.total, far(copied));
}

fn far(copied: CopyProgress) -> String {
    format!("{} of {}", bytes(copied.bytes), bytes(copied.total))
}

/// Result of a backup: the path by itself, so that a script can take it, and what to know about it.
pub fn text(copy: &BackupCopy) -> String {
    let held = held(
        copy.held,
        "in it; where it takes the original's place, `creatormirror outbox retry --held` queues them again",
    );
    format!("{}\n{}\n{held}", copy.path.display(), bytes(copy.bytes))
}

/// Result of a restore, likewise.
pub fn restored(restored: &Restored) -> String {
    let replaced = match &restored.replaced {
        Some(path) => format!("the replaced file is kept as {}\n", path.display()),
        None => String::new(),
    };
    let held = held(
        restored.held,
        "as they may have been sent since the copy was made; `creatormirror outbox retry --held` queues them again",
    );
    format!("{}\n{}\n{replaced}{held}", restored.path.display(), bytes(restored.bytes))
}

fn held(entries: usize, why: &str) -> String {
    match entries {
        0 => String::new(),
        entries => {
            let entries = thousands(i64::try_from(entries).unwrap_or(i64::MAX));
            format!("{entries} unfinished outbox entries are held {why}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_and_answer_read_well() {
        assert_eq!(far(CopyProgress { bytes: 500, total: 14_260_000 }), "500 B of 14.2 MB");
        let mut copy = BackupCopy { path: "/b/m.db".into(), bytes: 14_260_000, held: 0 };
        assert_eq!(text(&copy), "/b/m.db\n14.2 MB\n");
        copy.held = 1_200;
        assert!(text(&copy).contains("\n1,200 unfinished outbox entries are held"));
    }
}
