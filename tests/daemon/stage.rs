//! What tests of the daemon stand on: the real binary's `run`, and a notify socket that listens to it.

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

use super::support::{Bed, Run, Running, TIMEOUT};
use crate::support::sandbox::SandboxSettings;

pub use super::support::wire::Wire;

/// Longer than this a daemon must not take to end.
pub const STOP_MAX: Duration = Duration::from_secs(5);

/// A bed on which nothing falls due while a test lasts. The sandbox lives in real time.
pub fn still(settings: SandboxSettings) -> Bed {
    let bed = Bed::live(settings);
    for kind in [Kind::Account, Kind::Video] {
        for id in bed.control.ids(kind) {
            bed.control.set_interval(kind, &id, 5_000);
        }
    }
    bed
}

/// A daemon that runs.
pub struct Daemon {
    pub process: Running,
    pub news: ServiceState,
}

impl Bed {
    /// Starts `run` with a notify socket.
    pub fn start_daemon(&self) -> Daemon {
        self.start_daemon_by(self.command(&["run"]))
    }

    /// Starts a command that is `run`, with a notify socket.
    pub fn start_daemon_by(&self, command: Command) -> Daemon {
        self.start_daemon_told(command, ServiceState::listen())
    }

    /// Starts a command that is `run`, with this notify socket.
    pub fn start_daemon_told(&self, mut command: Command, news: ServiceState) -> Daemon {
        command.env("NOTIFY_SOCKET", &news.address).env("WATCHDOG_USEC", "900000");
        Daemon { process: self.start(command), news }
    }

    /// Starts `run` and waits until it has nothing to do.
    pub fn idle_daemon(&self) -> Daemon {
        let daemon = self.start_daemon();
        daemon.news.wait_for("STATUS=idle until");
        daemon
    }
}

impl Daemon {
    /// Ends it by a signal. It has to go well, and in time.
    #[track_caller]
    pub fn stop_by(self, signal: Signal) -> Run {
        let asked = Instant::now();
        self.process.signal(signal);
        let run = self.process.wait();
        assert!(asked.elapsed() < STOP_MAX, "it took {:?}: {run:#?}", asked.elapsed());
        run.expect(0)
    }

    /// Ends it.
    #[track_caller]
    pub fn stop(self) -> Run {
        self.stop_by(Signal::TERM)
    }
}

/// What the service manager was told, line by line, and when.
pub struct ServiceState {
    address: OsString,
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
    is_over: Arc<AtomicBool>,
    ear: Option<JoinHandle<()>>,
    _folder: Option<TempDir>,
}

impl ServiceState {
    fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        Self::of(UnixDatagram::bind(&path).unwrap(), path.into(), Some(folder))
    }

    /// Listens on an abstract socket.
    pub fn listen_abstractly() -> Self {
        let name = format!("creatormirror-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixDatagram::bind_addr(&address).unwrap();
        Self::of(socket, format!("@{name}").into(), None)
    }

    fn of(socket: UnixDatagram, address: OsString, folder: Option<TempDir>) -> Self {
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let lines = Arc::<Mutex<Vec<_>>>::default();
        let is_over = Arc::<AtomicBool>::default();
        let ear = std::thread::spawn({
            let (lines, is_over) = (Arc::clone(&lines), Arc::clone(&is_over));
            move || {
                let mut message = [0; 4_096];
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(length) = socket.recv(&mut message) else { continue };
                    let text = String::from_utf8_lossy(&message[..length]).into_owned();
                    let heard = text.lines().map(|line| (Instant::now(), line.to_owned()));
                    lines.lock().unwrap().extend(heard);
                }
            }
        });
        Self { address, lines, is_over, ear: Some(ear), _folder: folder }
    }

    /// Everything so far, signs of life aside.
    pub fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        let lines = lines.iter().map(|(_, line)| line.clone());
        lines.filter(|line| line != "WATCHDOG=1").collect()
    }

    /// When it was told so, each time.
    pub fn times(&self, start: &str) -> Vec<Instant> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|(_, line)| line.starts_with(start)).map(|(at, _)| *at).collect()
    }

    /// Whether a line that starts like this was told.
    pub fn has(&self, start: &str) -> bool {
        !self.times(start).is_empty()
    }

    /// The latest STATUS.
    pub fn status(&self) -> String {
        let lines = self.lines();
        let status = lines.iter().rev().find_map(|line| line.strip_prefix("STATUS="));
        status.unwrap_or_default().to_owned()
    }

    /// Waits for a line that starts like this.
    #[track_caller]
    pub fn wait_for(&self, start: &str) {
        self.wait_for_more(start, 0);
    }

    /// Waits for a line that starts like this, beyond those heard already.
    #[track_caller]
    pub fn wait_for_more(&self, start: &str, heard: usize) {
        let begun = Instant::now();
        while self.times(start).len() <= heard {
            assert!(begun.elapsed() < TIMEOUT, "no `{start}` in {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the latest STATUS holds this.
    #[track_caller]
    pub fn wait_for_status(&self, part: &str) {
        let begun = Instant::now();
        while !self.status().contains(part) {
            assert!(begun.elapsed() < TIMEOUT, "no `{part}` in {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for ServiceState {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(ear) = self.ear.take() {
            // It only listens; a panic in it would have shown as missing news.
            let _ = ear.join();
        }
    }
}
