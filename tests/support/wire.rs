//! A way to the sandbox that can be cut.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::{Bed, until};

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
        let wire = Self::leading_to(bed.address());
        bed.base_url = wire.base_url();
        wire
    }

    /// Leads to a sandbox that listens there.
    pub fn leading_to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let open = Some(Line::open(listener, target));
        Self { address, target, open }
    }

    /// The API at its near end.
    pub fn base_url(&self) -> String {
        format!("http://{}/v2", self.address)
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
