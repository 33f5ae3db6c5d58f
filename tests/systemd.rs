//! The package under a real systemd: `tests/systemd/boot` boots a disposable copy of this machine, and
//! `tests/systemd/checks` installs the package there and checks its units.
//!
//! Needs root, systemd-nspawn and a package that `deploy/build-deb` made of the current sources.
//! Without one of these it is skipped.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "support/skip.rs"]
mod skip;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use skip::Need;

/// Exit code of `boot` if this machine cannot boot a container, which is not a failure.
const CANNOT_BOOT: i32 = 125;

/// The inputs of the package.
const SOURCES: [&str; 5] = ["src", "migrations", "deploy", "Cargo.toml", "Cargo.lock"];

#[test]
fn package_and_units_work_under_a_real_systemd() {
    let folder = match package_folder() {
        Ok(folder) => folder,
        Err(reason) => return skip::skip(Need::Systemd, &reason),
    };
    let scripts = root().join("tests/systemd");
    let result = Command::new(scripts.join("boot"))
        .args([scripts.join("checks"), folder])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let output = String::from_utf8_lossy(&result.stdout);
    let errors = String::from_utf8_lossy(&result.stderr);
    match result.status.code() {
        Some(0) => print(&output),
        Some(CANNOT_BOOT) => skip::skip(Need::Container, &errors),
        code => panic!("the checks failed with {code:?}:\n{output}\n{errors}"),
    }
}

/// The folder of the package, or the reason why the test is skipped.
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
        return Err("no package found; run deploy/build-deb".to_owned());
    };
    match SOURCES.into_iter().find(|source| newest(&root().join(source)) > Some(packed)) {
        Some(source) => Err(format!("the package is older than {source}; run deploy/build-deb")),
        None => Ok(folder),
    }
}

/// The latest modification time of a file or in a folder; `None` if it does not exist.
fn newest(path: &Path) -> Option<SystemTime> {
    let metadata = path.metadata().ok()?;
    if !metadata.is_dir() {
        return metadata.modified().ok();
    }
    let entries = path.read_dir().unwrap();
    entries.filter_map(|entry| newest(&entry.unwrap().path())).max()
}

/// Writes to stderr directly, because the test harness captures `eprintln!`.
fn print(text: &str) {
    let line = format!("systemd: {}\n", text.trim_end());
    std::io::stderr().write_all(line.as_bytes()).unwrap();
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
