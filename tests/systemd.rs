//! The package under a real systemd: `tests/systemd/boot` boots a throw-away copy of this machine, and
//! `tests/systemd/checks` installs the package there and looks whether the units keep their promises.
//!
//! It needs root, systemd-nspawn and a package that `deploy/build-deb` made of the present sources.
//! Where one of these is missing it says so and runs.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// What `boot` ends with when this machine cannot boot a container, which is no fault of ours.
const CANNOT_BOOT: i32 = 125;

/// What the package is made of.
const SOURCES: [&str; 5] = ["src", "migrations", "deploy", "Cargo.toml", "Cargo.lock"];

#[test]
fn the_units_keep_their_promises_under_a_real_systemd() {
    let folder = match package_folder() {
        Ok(folder) => folder,
        Err(reason) => return say(&format!("skipped: {reason}")),
    };
    let scripts = root().join("tests/systemd");
    let ended = Command::new(scripts.join("boot"))
        .args([scripts.join("checks"), folder])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&ended.stdout);
    let complaints = String::from_utf8_lossy(&ended.stderr);
    match ended.status.code() {
        Some(0) => say(&told),
        Some(CANNOT_BOOT) => say(&format!("skipped: {complaints}")),
        code => panic!("the checks ended with {code:?}:\n{told}\n{complaints}"),
    }
}

/// The folder of the package, or why there is nothing to test.
fn package_folder() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("only root can boot a container".to_owned());
    }
    for program in ["systemd-nspawn", "dpkg"] {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if !std::env::split_paths(&path).any(|folder| folder.join(program).exists()) {
            return Err(format!("{program} is not installed"));
        }
    }
    let folder = root().join("target/debian");
    let Some(packed) = newest(&folder) else {
        return Err("there is no package; deploy/build-deb makes one".to_owned());
    };
    match SOURCES.into_iter().find(|source| newest(&root().join(source)) > Some(packed)) {
        Some(source) => Err(format!("the package is older than {source}; run deploy/build-deb")),
        None => Ok(folder),
    }
}

/// When something in a folder, or a file, was written last. None where there is nothing.
fn newest(path: &Path) -> Option<SystemTime> {
    let metadata = path.metadata().ok()?;
    if !metadata.is_dir() {
        return metadata.modified().ok();
    }
    let entries = path.read_dir().unwrap();
    entries.filter_map(|entry| newest(&entry.unwrap().path())).max()
}

/// Past the test harness, which keeps what tests that run print to itself.
fn say(text: &str) {
    let line = format!("systemd: {}\n", text.trim_end());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
