//! A sandbox, a folder for a mirror, and the real binary between them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use creatormirror::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::sandbox::{self, Control, Sandbox, SandboxSettings};

/// The sandbox's own key.
pub const KEY: &str = "sandbox-key";

/// What a run printed, and its exit code.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// The line of a check, by its name.
    pub fn line(&self, name: &str) -> &str {
        let named = |line: &&str| line.split_whitespace().nth(1) == Some(name);
        self.stdout.lines().find(named).unwrap_or_else(|| panic!("no {name}: {self:?}"))
    }

    /// The level of a check, by its name.
    pub fn level(&self, name: &str) -> &str {
        self.line(name).split_whitespace().next().unwrap()
    }
}

/// The place of one test.
pub struct Bench {
    pub folder: TempDir,
    pub control: Control,
    sandbox: Option<Sandbox>,
    base_url: String,
    runtime: Runtime,
}

impl Bench {
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let settings = SandboxSettings::default();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = runtime.block_on(sandbox::start(settings, Clock::System, listen)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (control, base_url) = (sandbox.control(), sandbox.base_url());
        Self { folder, control, sandbox: Some(sandbox), base_url, runtime }
    }

    /// One that has been synced.
    pub fn synced() -> Self {
        let bench = Self::new();
        let ran = bench.run(&["sync"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        bench
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("m.db")
    }

    /// From now on nobody listens.
    pub fn stop(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.runtime.block_on(sandbox.stop());
        }
    }

    /// A command that is ready to run with the key, in an environment of nothing else.
    pub fn command(&self, binary: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .arg("--database")
            .arg(self.database())
            .env_clear()
            .env("HOME", self.folder.path())
            .env("CREATORAUDIT_BASE_URL", &self.base_url)
            .env("CREATORAUDIT_API_KEY", KEY)
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(&[], arguments)
    }

    /// With these variables; one of no value is taken away.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
        let binary = Path::new(env!("CARGO_BIN_EXE_creatormirror"));
        let mut command = self.command(binary, arguments);
        for (name, value) in variables {
            match value.is_empty() {
                true => command.env_remove(name),
                false => command.env(name, value),
            };
        }
        finish(command)
    }
}

/// Runs a command to its end.
pub fn finish(mut command: Command) -> Ran {
    let output = command.output().unwrap();
    let ran = Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!format!("{ran:?}").contains(KEY), "the key is shown: {ran:?}");
    ran
}
