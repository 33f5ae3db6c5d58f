//! A raw HTTP client, and a sandbox on a manual clock.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use chrono::{DateTime, Utc};
use creatormirror::clock::Clock;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::sandbox::{self, Control, Sandbox, SandboxSettings};

pub fn start_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 0).unwrap()
}

/// A sandbox with its clock and a raw HTTP client.
pub struct Bench {
    pub sandbox: Sandbox,
    pub clock: Clock,
    pub control: Control,
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The fields named by a 422.
    pub fn fields(&self) -> Vec<String> {
        let errors = self.json()["errors"].as_array().cloned().unwrap_or_default();
        errors.iter().filter_map(|e| e["field"].as_str().map(str::to_owned)).collect()
    }

    /// The `code` of a problem document.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Bench {
    pub async fn new(settings: SandboxSettings) -> Self {
        let clock = Clock::manual(start_time());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = sandbox::start(settings, clock.clone(), listen).await.unwrap();
        let control = sandbox.control();
        Self { sandbox, clock, control }
    }

    /// Sends one request on a new connection. Returns all bytes of the answer.
    pub async fn raw(&self, head: &str, body: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(self.sandbox.address()).await?;
        let length = body.len();
        let request = format!(
            "{head}Host: sandbox\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await?;
        Ok(received)
    }

    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Reply {
        let mut head = format!("{method} /v2{path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| *name == "Authorization") {
            head += "Authorization: Bearer sandbox-key\r\n";
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "Content-Type") {
            head += "Content-Type: application/json\r\n";
        }
        parse(&self.raw(&head, body).await.unwrap())
    }

    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send("POST", path, &[], &body.to_string()).await
    }

    /// Every row of a list, page by page.
    pub async fn list(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let mark = if path.contains('?') { '&' } else { '?' };
            let more = cursor.map_or(String::new(), |cursor| format!("{mark}cursor={cursor}"));
            let reply = self.get(&format!("{path}{more}")).await;
            assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
            let page = reply.json();
            rows.extend(page["data"].as_array().unwrap().iter().cloned());
            cursor = page["pagination"]["next_cursor"].as_str().map(str::to_owned);
            assert_eq!(page["pagination"]["has_next"], Value::Bool(cursor.is_some()));
            if cursor.is_none() {
                return rows;
            }
        }
    }
}

pub fn parse(bytes: &[u8]) -> Reply {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    Reply { status, headers, body: bytes[end + 4..].to_vec() }
}
