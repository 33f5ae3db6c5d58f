//! A way to the sandbox on which a test changes what comes back.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{Bed, KEY};

/// An answer on its way.
pub struct Reply {
    pub status: u16,
    /// Lines of its head without the status line, each ended.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text that is to be replaced.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Replaces the first occurrence; there has to be one.
    pub fn replace(&mut self, from: &str, to: &[u8]) {
        let at = self.text().find(from).unwrap_or_else(|| panic!("no {from} in {}", self.text()));
        self.body.splice(at..at + from.len(), to.iter().copied());
    }

    /// A problem document instead.
    pub fn fail(&mut self, status: u16, code: &str) {
        self.status = status;
        self.headers = "content-type: application/problem+json\r\n".to_owned();
        self.body = format!(
            r#"{{"type":"about:blank","title":"x","status":{status},"detail":"x","code":"{code}"}}"#
        )
        .into_bytes();
    }
}

/// A port that leads to a bed's sandbox.
pub struct Meddler {
    asked: Arc<Mutex<Vec<String>>>,
}

type Meddle = dyn Fn(&str, &mut Reply) + Send + Sync;

impl Meddler {
    /// Leads to the bed's sandbox; the bed's runs go over it from now on. Of every answer to a GET,
    /// `meddle` is told the path and query that was asked for, below the base.
    pub fn on(bed: &mut Bed, meddle: impl Fn(&str, &mut Reply) + Send + Sync + 'static) -> Self {
        let target = bed.address();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        bed.base_url = format!("http://{}/v2", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (sink, meddle): (_, Arc<Meddle>) = (Arc::clone(&asked), Arc::new(meddle));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, sink, meddle) = (near.unwrap(), Arc::clone(&sink), Arc::clone(&meddle));
                // A client that goes away in the middle is no concern of a test.
                std::thread::spawn(move || serve(near, target, &sink, &*meddle));
            }
        });
        Self { asked }
    }

    /// The paths and queries asked for since this was asked last.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn serve(
    mut near: TcpStream,
    target: SocketAddr,
    asked: &Mutex<Vec<String>>,
    meddle: &Meddle,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        near.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.strip_prefix("/v2")?.to_owned();
    asked.lock().unwrap().push(path.clone());
    let mut far = TcpStream::connect(target).ok()?;
    let etag = head.lines().find(|line| line.to_lowercase().starts_with("if-none-match"));
    let etag = etag.map(|line| format!("{line}\r\n")).unwrap_or_default();
    write!(
        far,
        "GET /v2{path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {KEY}\r\n{etag}Connection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = Vec::new();
    far.read_to_end(&mut answer).ok()?;
    let at = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let body = answer.split_off(at + 4);
    let head = String::from_utf8(answer).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let headers: String = head
        .lines()
        .skip(1)
        .filter(|line| {
            let line = line.to_lowercase();
            !line.is_empty()
                && !line.starts_with("content-length")
                && !line.starts_with("connection")
        })
        .map(|line| format!("{line}\r\n"))
        .collect();
    let mut reply = Reply { status, headers, body };
    meddle(&path, &mut reply);
    let Reply { status, headers, body } = reply;
    write!(
        near,
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .ok()?;
    near.write_all(&body).ok()
}
