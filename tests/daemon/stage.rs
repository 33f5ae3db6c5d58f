//! What tests of the daemon stand on: the real binary's `run`, a notify socket that listens to it,
//! and a wire to the sandbox that can be cut.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use creatormirror::model::Kind;
use creatormirror::sandbox::SandboxSettings;
use rustix::process::Signal;
use tempfile::TempDir;

use super::support::{Bed, PATIENCE, Run, Running, until};

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
    pub news: News,
}

impl Bed {
    /// Starts `run` with a notify socket.
    pub fn start_daemon(&self) -> Daemon {
        let news = News::listen();
        let mut command = self.command(&["run"]);
        command.env("NOTIFY_SOCKET", &news.path).env("WATCHDOG_USEC", "900000");
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
pub struct News {
    path: std::path::PathBuf,
    lines: Arc<Mutex<Vec<(Instant, String)>>>,
    is_over: Arc<AtomicBool>,
    ear: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl News {
    fn listen() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
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
        Self { path, lines, is_over, ear: Some(ear), _folder: folder }
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
            assert!(begun.elapsed() < PATIENCE, "no `{start}` in {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until the latest STATUS holds this.
    #[track_caller]
    pub fn wait_for_status(&self, part: &str) {
        let begun = Instant::now();
        while !self.status().contains(part) {
            assert!(begun.elapsed() < PATIENCE, "no `{part}` in {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for News {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(ear) = self.ear.take() {
            // It only listens; a panic in it would have shown as missing news.
            let _ = ear.join();
        }
    }
}

/// A port of its own that leads to the sandbox, until it is cut.
pub struct Wire {
    address: SocketAddr,
    target: SocketAddr,
    open: Option<Line>,
}

struct Line {
    is_over: Arc<AtomicBool>,
    acceptor: JoinHandle<()>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    /// Leads to the bed's sandbox; the bed's runs go over it from now on.
    pub fn to(bed: &mut Bed) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let (address, target) = (listener.local_addr().unwrap(), bed.address());
        bed.base_url = format!("http://{address}/v2");
        let open = Some(Line::open(listener, target));
        Self { address, target, open }
    }

    /// From now on connections are refused, and those that stand are broken.
    pub fn cut(&mut self) {
        let Some(line) = self.open.take() else { return };
        line.is_over.store(true, Ordering::Relaxed);
        // Wakes the acceptor, whose listener closes as it ends.
        drop(TcpStream::connect(self.address));
        line.acceptor.join().unwrap();
        for stream in line.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Leads to the sandbox again, from the same port.
    pub fn mend(&mut self) {
        until("the port is free again", || {
            let listener = TcpListener::bind(self.address);
            self.open = listener.ok().map(|listener| Line::open(listener, self.target));
            self.open.is_some()
        });
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

impl Line {
    fn open(listener: TcpListener, target: SocketAddr) -> Self {
        let is_over = Arc::<AtomicBool>::default();
        let streams = Arc::<Mutex<Vec<TcpStream>>>::default();
        let acceptor = std::thread::spawn({
            let (is_over, streams) = (Arc::clone(&is_over), Arc::clone(&streams));
            move || {
                for near in listener.incoming() {
                    if is_over.load(Ordering::Relaxed) {
                        return;
                    }
                    let (near, far) = (near.unwrap(), TcpStream::connect(target).unwrap());
                    let mut streams = streams.lock().unwrap();
                    for (from, to) in [(&near, &far), (&far, &near)] {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        std::thread::spawn(move || forward(from, to));
                        // Both ends are kept, to be broken off.
                    }
                    streams.extend([near, far]);
                }
            }
        });
        Self { is_over, acceptor, streams }
    }
}

/// Copies until either end is gone.
fn forward(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16_384];
    loop {
        let copied: io::Result<usize> = from.read(&mut buffer);
        match copied {
            Ok(length) if length > 0 && to.write_all(&buffer[..length]).is_ok() => {}
            _ => break,
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
