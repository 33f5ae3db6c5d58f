//! Support for tests of the real binary: a sandbox over real sockets, a folder for the database, a clean
//! environment for the binary, and queries on the results.

// Each test binary uses a part of this module.
#![allow(dead_code)]

pub mod compare;
pub mod mirrored_week;
pub mod queries;
pub mod rewriting_proxy;
pub mod sandbox;
pub mod skip;
pub mod tools;
pub mod wire;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use creatormirror::clock::Clock;
use creatormirror::model::Kind;
use rand::RngExt;
use sandbox::{Control, Sandbox, SandboxSettings};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The program under test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_creatormirror");
/// The API key that the sandbox accepts.
pub const KEY: &str = "sandbox-key";
/// Longer than any run takes; a run that hangs is killed and fails its test.
pub const TIMEOUT: Duration = Duration::from_secs(150);
/// A schedule so rare that no full sync becomes due by chance.
const NEVER: &str = "0 0 29 2 *";

/// A sandbox and a folder for its mirror.
pub struct TestBed {
    pub control: Control,
    pub clock: Clock,
    pub base_url: String,
    /// Additional environment variables of the binary.
    pub variables: Vec<(String, String)>,
    sandbox: Option<Sandbox>,
    runtime: Runtime,
    folder: TempDir,
    output: TempDir,
}

/// Settings of a small organization with a rate limit that is never reached.
pub fn unlimited() -> SandboxSettings {
    SandboxSettings { rate_limit: 1_000_000, ..SandboxSettings::default() }
}

/// The time of the frozen sandbox: long ago, so that for the binary every video is overdue.
pub fn frozen_at() -> DateTime<Utc> {
    "2024-03-04T12:00:00Z".parse().unwrap()
}

/// Copies a program. Another process does, because a child that another thread starts meanwhile would hold the copy open
/// for writing, and executing it would fail (ETXTBSY).
pub fn copy_program(program: &Path, copy: &Path) {
    let copied = Command::new("install").args(["-m", "755"]).arg(program).arg(copy).status();
    assert!(copied.unwrap().success(), "{}", copy.display());
}

impl TestBed {
    /// A sandbox whose clock stands still, so that only the test changes data.
    pub fn frozen(settings: SandboxSettings) -> Self {
        Self::new(settings, Clock::manual(frozen_at()))
    }

    /// A sandbox in real time, for rate limits. Nothing is scraped, so that its rows do not change.
    pub fn live(settings: SandboxSettings) -> Self {
        let bed = Self::new(settings, Clock::System);
        for kind in [Kind::Account, Kind::Video] {
            for id in bed.control.ids(kind) {
                bed.control.make_unavailable(kind, &id);
            }
        }
        bed
    }

    /// A sandbox on this clock.
    pub fn new(settings: SandboxSettings, clock: Clock) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = runtime.block_on(sandbox::start(settings, clock.clone(), listen)).unwrap();
        Self {
            control: sandbox.control(),
            clock,
            base_url: sandbox.base_url(),
            variables: Vec::new(),
            sandbox: Some(sandbox),
            runtime,
            folder: tempfile::tempdir().unwrap(),
            output: tempfile::tempdir().unwrap(),
        }
    }

    /// A random id of the resources that the sandbox lists.
    pub fn any_id(&self, kind: Kind, random: &mut impl RngExt) -> String {
        let mut ids = self.control.ids(kind);
        ids.swap_remove(random.random_range(0..ids.len()))
    }

    /// Sets an environment variable for later runs; replaces an earlier value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The folder of the database; no other files are in it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("mirror.db")
    }

    /// The sandbox's address.
    pub fn address(&self) -> SocketAddr {
        self.sandbox.as_ref().unwrap().address()
    }

    /// Stops the server; later connections are refused.
    pub fn stop_server(&mut self) {
        let sandbox = self.sandbox.take().unwrap();
        self.runtime.block_on(sandbox.stop());
    }

    /// The binary in a clean environment, with this database and this sandbox.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(BINARY), arguments)
    }

    /// As `command`, with another path of the binary.
    pub fn command_of(&self, binary: &Path, arguments: &[&str]) -> Command {
        self.command_on(binary, &self.database(), arguments)
    }

    /// As `command_of`, with another database.
    pub fn command_on(&self, binary: &Path, database: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary);
        command
            .args(arguments)
            .arg("--database")
            .arg(database)
            .args(["--base-url", &self.base_url])
            .env_clear()
            .env("HOME", self.output.path())
            .env("CREATORAUDIT_API_KEY", KEY)
            .stdin(Stdio::null());
        for kind in ["ACCOUNTS", "CREATORS", "VIDEOS", "ACCOUNT_VIDEOS", "OVERVIEW", "META"] {
            command.env(format!("CREATORMIRROR_FULL_SYNC_{kind}"), NEVER);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts a command and captures its output.
    pub fn start(&self, mut command: Command) -> Running {
        let file = |name: &str| {
            let (file, path) = tempfile::Builder::new()
                .prefix(name)
                .tempfile_in(self.output.path())
                .unwrap()
                .keep()
                .unwrap();
            (Stdio::from(file), path)
        };
        let ((stdout, stdout_path), (stderr, stderr_path)) = (file("stdout"), file("stderr"));
        let child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        Running { child, begun: Instant::now(), stdout: stdout_path, stderr: stderr_path }
    }

    /// Starts `sync` with these arguments.
    pub fn start_sync(&self, arguments: &[&str]) -> Running {
        self.start(self.command(&[&["sync"], arguments].concat()))
    }

    /// Runs `sync` with these arguments and waits for its exit.
    pub fn sync(&self, arguments: &[&str]) -> Run {
        self.start_sync(arguments).wait()
    }

    /// Runs `sync` and asserts exit code 0.
    pub fn sync_ok(&self, arguments: &[&str]) -> Run {
        self.sync(arguments).expect(0)
    }

    /// Sends a GET to the sandbox directly. The request appears in the log.
    pub fn get(&self, path: &str) -> Value {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(
            stream,
            "GET /v2{path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {KEY}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

/// A running process, killed on drop.
pub struct Running {
    child: Child,
    begun: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Waits for its exit.
    pub fn wait(mut self) -> Run {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.finish(status);
            }
            if self.begun.elapsed() > TIMEOUT {
                self.child.kill().unwrap();
                let status = self.child.wait().unwrap();
                panic!("timeout: {:#?}", self.finish(status));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Run {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.finish(status)
    }

    /// Sends SIGTERM.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.stderr).unwrap()).into_owned()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    fn finish(&self, status: ExitStatus) -> Run {
        let read = |path: &Path| {
            let mut bytes = Vec::new();
            File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Run {
            code: status.code(),
            stdout: read(&self.stdout),
            stderr: read(&self.stderr),
            took: self.begun.elapsed(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The result of a run.
#[derive(Debug)]
pub struct Run {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Run {
    /// Asserts an exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that stderr contains a text.
    #[track_caller]
    pub fn says(self, word: &str) -> Self {
        assert!(self.stderr.contains(word), "no `{word}` in {self:#?}");
        self
    }

    /// The JSON document on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Waits until a condition holds.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < TIMEOUT, "timeout: waited until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
