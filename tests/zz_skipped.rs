//! Lists the tests that were skipped, after all others have run. It has no harness, which would capture its output.
//!
//! `TESTS_REQUIRE` names what this machine has, such as `tools browser`. If a test was skipped that needs nothing else,
//! it fails.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "support/skip.rs"]
mod skip;

use std::process::ExitCode;

fn main() -> ExitCode {
    let list = std::fs::read_to_string(skip::list()).unwrap_or_default();
    remove_lists();
    let mut lines: Vec<&str> = list.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    let required = std::env::var("TESTS_REQUIRE").unwrap_or_default();
    let mut exit = ExitCode::SUCCESS;
    println!("\nskipped tests: {}", lines.len());
    for line in lines {
        let mut fields = line.splitn(3, '\t');
        let mut field = || fields.next().unwrap_or_default();
        let (need, test, why) = (field(), field(), field());
        println!("  {test}: {why}");
        if required.split_whitespace().any(|name| name == need) {
            println!("    but this machine has what it needs: {need}");
            exit = ExitCode::FAILURE;
        }
    }
    exit
}

/// Removes the lists of this invocation and of those that have ended.
fn remove_lists() {
    for entry in std::fs::read_dir(skip::folder()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(process) = name.strip_prefix(skip::PREFIX) else { continue };
        let is_running = std::path::Path::new("/proc").join(process).exists();
        if !is_running || entry.path() == skip::list() {
            // Another invocation may have removed it.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
