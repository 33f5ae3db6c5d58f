//! A TCP proxy to the sandbox whose connections a test can break.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{TestBed, until};

/// A port that forwards to the sandbox until it is cut.
pub struct Wire {
    address: SocketAddr,
    target: SocketAddr,
    open: Option<Line>,
}

struct Line {
    is_stopped: Arc<AtomicBool>,
    acceptor: JoinHandle<()>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    /// Puts the proxy before the bed's sandbox.
    pub fn to(bed: &mut TestBed) -> Self {
        let wire = Self::leading_to(bed.address());
        bed.base_url = wire.base_url();
        wire
    }

    /// Forwards to a sandbox at this address.
    pub fn leading_to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let open = Some(Line::open(listener, target));
        Self { address, target, open }
    }

    /// The base URL of the API through this proxy.
    pub fn base_url(&self) -> String {
        format!("http://{}/v2", self.address)
    }

    /// Breaks all connections and refuses new ones.
    pub fn cut(&mut self) {
        let Some(line) = self.open.take() else { return };
        line.is_stopped.store(true, Ordering::Relaxed);
        // Wakes the acceptor thread, which then closes the listener.
        drop(TcpStream::connect(self.address));
        line.acceptor.join().unwrap();
        for stream in line.streams.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Forwards again from the same port.
    pub fn repair(&mut self) {
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
        let is_stopped = Arc::<AtomicBool>::default();
        let streams = Arc::<Mutex<Vec<TcpStream>>>::default();
        let acceptor = std::thread::spawn({
            let (is_stopped, streams) = (Arc::clone(&is_stopped), Arc::clone(&streams));
            move || {
                for near in listener.incoming() {
                    if is_stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    let (near, far) = (near.unwrap(), TcpStream::connect(target).unwrap());
                    let mut streams = streams.lock().unwrap();
                    for (from, to) in [(&near, &far), (&far, &near)] {
                        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                        std::thread::spawn(move || forward(from, to));
                    }
                    streams.extend([near, far]);
                }
            }
        });
        Self { is_stopped, acceptor, streams }
    }
}

/// Copies until either side closes.
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
