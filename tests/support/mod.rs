//! What the tests of the real binary stand on: a sandbox over real sockets, a folder for a real
//! database, a clean environment to run the binary in, and ways to look at what came of it.

// Every test file is a program of its own and uses its part of this.
#![allow(dead_code)]

pub mod compare;
pub mod lived;
pub mod looks;
pub mod meddler;
pub mod sandbox;
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
/// The key that the sandbox lets in.
pub const KEY: &str = "sandbox-key";
/// Far more than any run here takes; one that hangs is killed and fails its test.
pub const TIMEOUT: Duration = Duration::from_secs(150);
/// A minute that no test lives to see, so that no full sync comes in between by chance.
const NEVER: &str = "0 0 29 2 *";

/// A sandbox and a place for a mirror of it.
pub struct Bed {
    pub control: Control,
    pub clock: Clock,
    pub base_url: String,
    /// Environment variables of the binary, beside the few that all runs have.
    pub variables: Vec<(String, String)>,
    sandbox: Option<Sandbox>,
    runtime: Runtime,
    folder: TempDir,
    output: TempDir,
}

/// Settings of a small organization whose rate limit is out of reach.
pub fn calm() -> SandboxSettings {
    SandboxSettings { rate_limit: 1_000_000, ..SandboxSettings::default() }
}

/// The time at which frozen beds stand: long ago, so that to the binary every video is late.
pub fn frozen_at() -> DateTime<Utc> {
    "2024-03-04T12:00:00Z".parse().unwrap()
}

impl Bed {
    /// A bed whose sandbox stands still in time, so that nothing changes but what a test changes.
    pub fn frozen(settings: SandboxSettings) -> Self {
        Self::new(settings, Clock::manual(frozen_at()))
    }

    /// A bed whose sandbox lives in real time, for rate limits. Nothing is scraped any more, so that
    /// its rows stand still all the same.
    pub fn live(settings: SandboxSettings) -> Self {
        let bed = Self::new(settings, Clock::System);
        for kind in [Kind::Account, Kind::Video] {
            for id in bed.control.ids(kind) {
                bed.control.make_unavailable(kind, &id);
            }
        }
        bed
    }

    /// A bed whose sandbox lives by this clock.
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

    /// The id of one resource that the sandbox lists, picked by chance.
    pub fn any_id(&self, kind: Kind, random: &mut impl RngExt) -> String {
        let mut ids = self.control.ids(kind);
        ids.swap_remove(random.random_range(0..ids.len()))
    }

    /// Sets an environment variable of the runs to come; an earlier value of it is forgotten.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// The folder of the database and of nothing else.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("mirror.db")
    }

    /// Where the sandbox listens.
    pub fn address(&self) -> SocketAddr {
        self.sandbox.as_ref().unwrap().address()
    }

    /// Switches the server off: from now on connections are refused.
    pub fn stop_server(&mut self) {
        let sandbox = self.sandbox.take().unwrap();
        self.runtime.block_on(sandbox.stop());
    }

    /// The binary in a clean environment, with this database and this sandbox.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(BINARY), arguments)
    }

    /// The same with the binary at another place.
    pub fn command_of(&self, binary: &Path, arguments: &[&str]) -> Command {
        self.command_on(binary, &self.database(), arguments)
    }

    /// The same with another database.
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

    /// Starts a command, its output caught.
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

    /// Runs `sync` with these arguments to its end.
    pub fn sync(&self, arguments: &[&str]) -> Run {
        self.start_sync(arguments).wait()
    }

    /// Runs `sync` and insists on exit code 0.
    pub fn sync_well(&self, arguments: &[&str]) -> Run {
        self.sync(arguments).expect(0)
    }

    /// Asks the sandbox directly, over a socket of its own. It shows in the log.
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

/// A run that is under way. Dropping it kills it.
pub struct Running {
    child: Child,
    begun: Instant,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Waits for its end.
    pub fn wait(mut self) -> Run {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.over(status);
            }
            if self.begun.elapsed() > TIMEOUT {
                self.child.kill().unwrap();
                let status = self.child.wait().unwrap();
                panic!("a run does not end: {:#?}", self.over(status));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// `kill -9`.
    pub fn kill(mut self) -> Run {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.over(status)
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    /// Any signal.
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

    fn over(&self, status: ExitStatus) -> Run {
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
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run that is over.
#[derive(Debug)]
pub struct Run {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Run {
    /// Insists on an exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Insists on a word on stderr.
    #[track_caller]
    pub fn says(self, word: &str) -> Self {
        assert!(self.stderr.contains(word), "no `{word}` in {self:#?}");
        self
    }

    /// The document on stdout.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

/// Waits until something is so.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < TIMEOUT, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Says aloud that a test is not run, and why. The line reaches the log even of tests that run.
pub fn skip(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
