//! A sandbox, a folder for the database, and the real binary.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use creatormirror::clock::Clock;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::support::sandbox::{self, Control, Sandbox, SandboxSettings};

/// The sandbox's default key.
pub const KEY: &str = "sandbox-key";

/// Output and exit code of a command.
#[derive(Debug)]
pub struct Output {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
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

/// The sandbox and the folder of one test.
pub struct Fixture {
    pub folder: TempDir,
    pub control: Control,
    sandbox: Option<Sandbox>,
    pub base_url: String,
    runtime: Runtime,
}

impl Fixture {
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

    /// A fixture with a synced mirror.
    pub fn synced() -> Self {
        let fixture = Self::new();
        let ran = fixture.run(&["sync"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        fixture
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("m.db")
    }

    /// Stops the sandbox.
    pub fn stop(&mut self) {
        if let Some(sandbox) = self.sandbox.take() {
            self.runtime.block_on(sandbox.stop());
        }
    }

    /// A command with the key and the sandbox's address, and nothing else, in its environment.
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

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(&[], arguments)
    }

    /// Sets these variables for the run; an empty value removes the variable.
    pub fn run_with(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
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

/// Runs a command and waits for it.
pub fn finish(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let ran = Output {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!format!("{ran:?}").contains(KEY), "the key was printed: {ran:?}");
    ran
}
