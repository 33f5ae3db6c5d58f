//! The sandbox over real sockets: what it promises to the tests, benches and people that use it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, Utc};
use creatormirror::clock::Clock;
use creatormirror::model::Kind;
use creatormirror::sandbox::{self, Control, Sandbox, SandboxSettings};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn start_time() -> DateTime<Utc> {
    DateTime::from_timestamp(1_750_000_000, 0).unwrap()
}

/// A sandbox with its clock, and a client that sees every byte.
struct Bench {
    sandbox: Sandbox,
    clock: Clock,
    control: Control,
}

/// An answer as it came over the wire.
#[derive(Debug)]
struct Reply {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Bench {
    async fn new(settings: SandboxSettings) -> Self {
        let clock = Clock::manual(start_time());
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let sandbox = sandbox::start(settings, clock.clone(), listen).await.unwrap();
        let control = sandbox.control();
        Self { sandbox, clock, control }
    }

    /// Everything the server sends in answer to one request on a fresh connection.
    async fn raw(&self, head: &str, body: &str) -> std::io::Result<Vec<u8>> {
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

    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Reply {
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

    async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "").await
    }

    /// Every row of a list, page by page.
    async fn walk(&self, path: &str) -> Vec<Value> {
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

fn parse(bytes: &[u8]) -> Reply {
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

fn by_id(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| (row["platform"].to_string(), row["id"].to_string()));
    rows
}

#[tokio::test]
async fn every_list_walks_to_the_truth_in_every_order() {
    let bench = Bench::new(SandboxSettings { null_sort_first: true, ..Default::default() }).await;
    let walks = [
        (Kind::Account, "/accounts?limit=5"),
        (Kind::Account, "/accounts?limit=3&order_by=last_scrape_time&order_direction=desc"),
        (Kind::Account, "/accounts?limit=3&order_by=username&order_direction=asc"),
        (Kind::Creator, "/creators?limit=2"),
        (Kind::Video, "/videos?limit=7&order_by=added_at&order_direction=asc"),
        (Kind::Video, "/videos?limit=7&order_by=create_time"),
        (Kind::Video, "/videos?limit=7&sort=-view_count"),
        (Kind::AccountVideo, "/account-videos?limit=40"),
        (Kind::AccountVideo, "/account-videos?limit=33&order_by=view_count"),
    ];
    for (kind, path) in walks {
        let rows = bench.walk(path).await;
        assert_eq!(by_id(rows), by_id(bench.control.rows(kind)), "{path}");
    }
    assert_eq!(bench.control.count(Kind::Video), 60);
    assert_eq!(bench.control.count(Kind::AccountVideo), 150);
    for path in ["/whoami", "/meta", "/health", "/overview"] {
        assert_eq!(bench.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn time_brings_scrapes_and_the_truth_remembers_each() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let before: BTreeMap<_, _> = (bench.control.ids(Kind::Video).into_iter())
        .map(|id| (id.clone(), bench.control.scrapes(Kind::Video, &id)))
        .collect();
    bench.clock.advance(Duration::from_secs(49 * 3_600));
    let mut moved = 0;
    for (id, before) in before {
        let after = bench.control.scrapes(Kind::Video, &id);
        assert_eq!(after[..before.len()], before[..]);
        let row = bench.control.row(Kind::Video, &id).unwrap();
        let shown = after.last().map(|scrape| scrape.view_count);
        assert_eq!(row["view_count"].as_i64(), shown);
        moved += usize::from(after.len() > before.len());
    }
    assert!(moved > 40, "{moved}");
}
