//! A proxy to the sandbox that lets a test rewrite answers.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::{KEY, TestBed};

/// An answer that the proxy forwards.
pub struct Reply {
    pub status: u16,
    /// Header lines without the status line, each with its line end.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Reply {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// Replaces the first occurrence of a text; panics without one.
    pub fn replace(&mut self, from: &str, to: &[u8]) {
        let at = self.text().find(from).unwrap_or_else(|| panic!("no {from} in {}", self.text()));
        self.body.splice(at..at + from.len(), to.iter().copied());
    }

    /// Replaces the answer by a problem document.
    pub fn fail(&mut self, status: u16, code: &str) {
        self.status = status;
        self.headers = "content-type: application/problem+json\r\n".to_owned();
        self.body = format!(
            r#"{{"type":"about:blank","title":"x","status":{status},"detail":"x","code":"{code}"}}"#
        )
        .into_bytes();
    }
}

/// A port that forwards GET requests to a sandbox.
pub struct RewritingProxy {
    paths: Arc<Mutex<Vec<String>>>,
}

type Rewrite = dyn Fn(&str, &mut Reply) + Send + Sync;

impl RewritingProxy {
    /// Puts the proxy before the bed's sandbox. `rewrite` gets each answer with the path and query of its
    /// request, below the base.
    pub fn on(
        bed: &mut TestBed,
        rewrite: impl Fn(&str, &mut Reply) + Send + Sync + 'static,
    ) -> Self {
        let target = bed.address();
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        bed.base_url = format!("http://{}/v2", listener.local_addr().unwrap());
        let paths = Arc::<Mutex<Vec<String>>>::default();
        let (sink, rewrite): (_, Arc<Rewrite>) = (Arc::clone(&paths), Arc::new(rewrite));
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, sink, rewrite) =
                    (near.unwrap(), Arc::clone(&sink), Arc::clone(&rewrite));
                // A client that disconnects early does not fail the test.
                std::thread::spawn(move || serve(near, target, &sink, &*rewrite));
            }
        });
        Self { paths }
    }

    /// The paths and queries requested since the last call.
    pub fn take_paths(&self) -> Vec<String> {
        std::mem::take(&mut self.paths.lock().unwrap())
    }
}

fn serve(
    mut near: TcpStream,
    target: SocketAddr,
    paths: &Mutex<Vec<String>>,
    rewrite: &Rewrite,
) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        near.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let path = head.split(' ').nth(1)?.strip_prefix("/v2")?.to_owned();
    paths.lock().unwrap().push(path.clone());
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
    rewrite(&path, &mut reply);
    let Reply { status, headers, body } = reply;
    write!(
        near,
        "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .ok()?;
    near.write_all(&body).ok()
}
