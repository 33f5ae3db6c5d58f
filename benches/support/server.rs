//! The API server: sends answers rendered in advance, so that the server is not the bottleneck. It runs as
//! a separate process, so that its time and memory do not count for the client.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Error, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;

use super::pages;

const WHOAMI: &str =
    r#"{"data":{"organization_id":"0b8f7f4e-6f0e-4b7e-9a62-1f1f5c7f2f10","api_key_name":"bench"}}"#;

/// A server of a list of videos on a loopback address, killed on drop.
pub struct Server {
    base_url: String,
    process: Child,
}

impl Server {
    /// Starts this program again with the arguments `serve ROWS`, which must call [`serve`].
    pub fn start(rows: usize) -> Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg("serve")
            .arg(rows.to_string())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = process.stdout.take().ok_or_else(|| Error::other("no stdout"))?;
        let mut base_url = String::new();
        BufReader::new(stdout).read_line(&mut base_url)?;
        Ok(Self { base_url: base_url.trim().to_owned(), process })
    }

    /// Returns the base URL.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may already have exited.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves a list of this many videos until the process ends.
pub fn serve(rows: usize) -> Result<()> {
    let site = Arc::new(Site::new(rows));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}/v2", listener.local_addr()?);
    for stream in listener.incoming() {
        let (site, stream) = (Arc::clone(&site), stream?);
        thread::spawn(move || serve_connection(&site, &stream));
    }
    Ok(())
}

struct Site {
    /// Pages by cursor; the cursor of the first page is empty.
    pages: BTreeMap<String, Page>,
    whoami: Vec<u8>,
    missing: Vec<u8>,
}

struct Page {
    etag: String,
    full: Vec<u8>,
    not_modified: Vec<u8>,
}

impl Site {
    fn new(rows: usize) -> Self {
        let cursor_of = |n: usize| if n == 0 { String::new() } else { pages::cursor(n) };
        let bodies = pages::render(rows);
        Self {
            pages: bodies.iter().enumerate().map(|(n, b)| (cursor_of(n), Page::new(b))).collect(),
            whoami: answer("200 OK", "", WHOAMI),
            missing: answer("404 Not Found", "", r#"{"status":404,"code":"NOT_FOUND"}"#),
        }
    }

    fn respond(&self, target: &str, validator: Option<&str>) -> &[u8] {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path == "/v2/whoami" {
            return &self.whoami;
        }
        let cursor = query.split('&').find_map(|pair| pair.strip_prefix("cursor="));
        match self.pages.get(cursor.unwrap_or_default()) {
            Some(page) if validator == Some(&page.etag) => &page.not_modified,
            Some(page) => &page.full,
            None => &self.missing,
        }
    }
}

impl Page {
    fn new(body: &str) -> Self {
        let etag = format!("\"{:016x}\"", xxhash_rust::xxh3::xxh3_64(body.as_bytes()));
        let not_modified = answer("304 Not Modified", &etag, "");
        Self { full: answer("200 OK", &etag, body), not_modified, etag }
    }
}

fn answer(status: &str, etag: &str, body: &str) -> Vec<u8> {
    let etag = if etag.is_empty() { String::new() } else { format!("ETag: {etag}\r\n") };
    // A 304 has no body and no Content-Length.
    let length = match body.is_empty() {
        true => String::new(),
        false => format!("Content-Length: {}\r\n", body.len()),
    };
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Request-ID: req_bench\r\n\
         X-RateLimit-Limit: 1000000\r\nX-RateLimit-Remaining: 999999\r\nX-RateLimit-Reset: 60\r\n\
         {etag}{length}\r\n{body}"
    )
    .into_bytes()
}

/// Answers the requests of one connection; returns `None` when the client closes it.
fn serve_connection(site: &Site, stream: &TcpStream) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let (target, validator) = read_head(&mut reader)?;
        writer.write_all(site.respond(&target, validator.as_deref())).ok()?;
    }
}

/// Returns the request target and the value of `If-None-Match`.
fn read_head(reader: &mut impl BufRead) -> Option<(String, Option<String>)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let target = line.split(' ').nth(1)?.to_owned();
    let mut validator = None;
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(':') {
            None => return Some((target, validator)),
            Some((name, value)) if name.eq_ignore_ascii_case("if-none-match") => {
                validator = Some(value.trim().to_owned());
            }
            Some(_) => {}
        }
    }
}
