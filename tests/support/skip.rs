//! Skipped tests. Each is printed when it is skipped, and `tests/zz_skipped.rs` lists all of them.

// Each test binary uses a part of this module.
#![allow(dead_code)]

use std::io::Write;
use std::path::{Path, PathBuf};

/// What a test needs of the machine. `TESTS_REQUIRE` names what is there, so that a test that needs nothing else must
/// not be skipped.
#[derive(Debug, Clone, Copy)]
pub enum Need {
    /// The programs that `tests/tools/install` installs.
    Tools,
    /// A browser.
    Browser,
    /// The user root.
    Root,
    /// Permission to mount.
    Mount,
    /// systemd-nspawn, root, and a package of the current sources.
    Systemd,
    /// A kernel that can boot a container.
    Container,
}

impl Need {
    fn name(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Browser => "browser",
            Self::Root => "root",
            Self::Mount => "mount",
            Self::Systemd => "systemd",
            Self::Container => "container",
        }
    }
}

/// Reports that the current test is skipped, and why.
pub fn skip(need: Need, why: &str) {
    let why = why.trim().replace(['\n', '\t'], " ");
    let test = test();
    // The harness captures `eprintln!`.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(list()).unwrap();
    file.write_all(format!("{}\t{test}\t{why}\n", need.name()).as_bytes()).unwrap();
}

/// The test binary and the test: the harness names its threads after tests.
fn test() -> String {
    let program = std::env::current_exe().unwrap_or_default();
    let program = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let program = program.rsplit_once('-').map_or(program.as_str(), |(name, _)| name).to_owned();
    match std::thread::current().name() {
        Some(name) if name != "main" => format!("{program} {name}"),
        _ => program,
    }
}

/// The list of this invocation of `cargo test`, which starts every test binary.
pub fn list() -> PathBuf {
    let parent = rustix::process::getppid().map_or(0, |parent| parent.as_raw_nonzero().get());
    folder().join(format!("{PREFIX}{parent}"))
}

/// How the names of lists begin.
pub const PREFIX: &str = "skipped-";

/// The folder of the lists.
pub fn folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}
