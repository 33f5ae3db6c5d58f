//! Test harness of the daemon: `run` of the real binary with a notify socket.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use creatormirror::model::Kind;
use rustix::process::Signal;
use tempfile::TempDir;

use super::support::{Run, Running, TIMEOUT, TestBed};
use crate::support::sandbox::SandboxSettings;

pub use super::support::wire::Wire;

/// The longest that a daemon may take to stop.
pub const STOP_MAX: Duration = Duration::from_secs(5);

/// A bed on which nothing falls due during a test. The sandbox uses the system's clock.
pub fn quiet_bed(settings: SandboxSettings) -> TestBed {
    let bed = TestBed::live(settings);
    for kind in [Kind::Account, Kind::Video] {
        for id in bed.control.ids(kind) {
            bed.control.set_interval(kind, &id, 5_000);
        }
    }
    bed
}

/// A running daemon with its notify socket.
pub struct Daemon {
    pub process: Running,
    pub notify: NotifySocket,
}

impl TestBed {
    /// Starts `run` with a notify socket.
    pub fn start_daemon(&self) -> Daemon {
        self.start_daemon_with(self.command(&["run"]))
    }

    /// Starts a `run` command with a notify socket.
    pub fn start_daemon_with(&self, command: Command) -> Daemon {
        self.start_daemon_on(command, NotifySocket::bind())
    }

    /// Starts a `run` command with this notify socket.
    pub fn start_daemon_on(&self, mut command: Command, notify: NotifySocket) -> Daemon {
        command.env("NOTIFY_SOCKET", &notify.address).env("WATCHDOG_USEC", "900000");
        Daemon { process: self.start(command), notify }
    }

    /// Starts `run` and waits until it is idle.
    pub fn idle_daemon(&self) -> Daemon {
        let daemon = self.start_daemon();
        daemon.notify.wait_for("STATUS=idle until");
        daemon
    }
}

impl Daemon {
    /// Sends a signal and expects exit code 0 within `STOP_MAX`.
    #[track_caller]
    pub fn stop_by(self, signal: Signal) -> Run {
        let sent_at = Instant::now();
        self.process.signal(signal);
        let run = self.process.wait();
        assert!(sent_at.elapsed() < STOP_MAX, "it took {:?}: {run:#?}", sent_at.elapsed());
        run.expect(0)
    }

    /// Sends SIGTERM and expects exit code 0 within `STOP_MAX`.
    #[track_caller]
    pub fn stop(self) -> Run {
        self.stop_by(Signal::TERM)
    }
}

/// A notify socket, with the received lines and their times.
pub struct NotifySocket {
    address: OsString,
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    _folder: Option<TempDir>,
}

impl NotifySocket {
    fn bind() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        Self::of(UnixDatagram::bind(&path).unwrap(), path.into(), Some(folder))
    }

    /// Binds an abstract socket.
    pub fn bind_abstract() -> Self {
        let name = format!("creatormirror-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Self::of(socket, format!("@{name}").into(), None)
    }

    fn of(socket: UnixDatagram, address: OsString, folder: Option<TempDir>) -> Self {
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let lines = Arc::<Mutex<Vec<_>>>::default();
        let is_over = Arc::<AtomicBool>::default();
        let reader = std::thread::spawn({
            let (lines, is_over) = (Arc::clone(&lines), Arc::clone(&is_over));
            move || {
                let mut message = [0; 4_096];
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(length) = socket.recv(&mut message) else { continue };
                    let text = String::from_utf8_lossy(&message[..length]).into_owned();
                    let received = text.lines().map(|line| (Instant::now(), line.to_owned()));
                    lines.lock().unwrap().extend(received);
                }
            }
        });
        Self { address, lines, is_over, reader: Some(reader), _folder: folder }
    }

    /// All lines so far, except watchdog notifications.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let lines = lines.iter().map(|(_, line)| line.clone());
        lines.filter(|line| line != "WATCHDOG=1").collect()
    }

    /// When lines with this prefix were received.
    pub fn times(&self, start: &str) -> Vec<Instant> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|(_, line)| line.starts_with(start)).map(|(at, _)| *at).collect()
    }

    /// Whether a line with this prefix was received.
    pub fn has(&self, start: &str) -> bool {
        !self.times(start).is_empty()
    }

    /// The latest `STATUS=` text.
    pub fn status(&self) -> String {
        let lines = self.lines();
        let status = lines.iter().rev().find_map(|line| line.strip_prefix("STATUS="));
        status.unwrap_or_default().to_owned()
    }

    /// Waits for a line with this prefix.
    #[track_caller]
    pub fn wait_for(&self, start: &str) {
        self.wait_for_more(start, 0);
    }

    /// Waits until more than `seen` lines with this prefix were received.
    #[track_caller]
    pub fn wait_for_more(&self, start: &str, seen: usize) {
        let begun = Instant::now();
        while self.times(start).len() <= seen {
            assert!(begun.elapsed() < TIMEOUT, "no `{start}` in {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the latest `STATUS=` contains this.
    #[track_caller]
    pub fn wait_for_status(&self, part: &str) {
        let begun = Instant::now();
        while !self.status().contains(part) {
            assert!(begun.elapsed() < TIMEOUT, "no `{part}` in {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            // A panic of the reader has already shown as missing lines.
            let _ = reader.join();
        }
    }
}
