//! The request log of the sandbox.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::sandbox::{Answer, Call, Ending, Moment};

/// Requests kept; older ones are dropped but stay in the totals.
const ENTRIES_MAX: usize = 20_000;
/// Headers kept with a request. The API key is not one of them.
const HEADERS_OF_INTEREST: [&str; 8] = [
    "accept",
    "accept-encoding",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "user-agent",
    "host",
    "connection",
];

/// One request, and its answer.
#[derive(Debug, Clone)]
pub struct LoggedRequest {
    /// Counted from 1 since the sandbox started.
    pub number: u64,
    /// When it was received, on the real monotonic clock.
    pub received: Duration,
    /// When it was received, by the server's simulated clock.
    pub server_time: Moment,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The path below the base.
    pub path: String,
    /// Decoded query pairs in the order sent.
    pub query: Vec<(String, String)>,
    /// Headers of interest.
    pub headers: BTreeMap<String, String>,
    /// Whether an `Authorization` header was there.
    pub has_authorization: bool,
    /// The body, as text.
    pub body: String,
    /// The status answered; none when the connection was broken instead.
    pub status: Option<u16>,
    /// `X-Request-ID` of the answer.
    pub request_id: String,
    /// Bytes of the answer's body, before compression.
    pub bytes: usize,
    /// The name of its fault.
    pub fault: Option<&'static str>,
    /// The simulated process that answered.
    pub replica: usize,
}

impl LoggedRequest {
    /// The value of a query parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// Totals since the sandbox started, or since they were last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    /// Requests received.
    pub requests: u64,
    /// Answers by status.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests by method and path, ids replaced by `*`.
    pub by_route: BTreeMap<String, u64>,
    /// Faults applied, by name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Bytes of bodies sent, before compression.
    pub bytes: u64,
}

/// The log and its totals.
#[derive(Debug, Default)]
pub struct RequestLog {
    /// The latest requests, oldest first.
    pub entries: VecDeque<LoggedRequest>,
    /// Totals.
    pub counters: Counters,
}

impl RequestLog {
    /// Records a request; `close` adds the answer.
    pub fn open(call: &Call, server_time: Moment) -> LoggedRequest {
        let headers = HEADERS_OF_INTEREST
            .into_iter()
            .filter_map(|name| call.header(name).map(|value| (name.to_owned(), value.to_owned())));
        LoggedRequest {
            number: call.number,
            received: Clock::System.boot().elapsed,
            server_time,
            method: call.method.clone(),
            path: call.path.clone(),
            query: call.query.clone(),
            headers: headers.collect(),
            has_authorization: call.header("authorization").is_some(),
            body: String::from_utf8_lossy(&call.body).into_owned(),
            status: None,
            request_id: call.request_id.clone(),
            bytes: 0,
            fault: None,
            replica: 0,
        }
    }

    /// Adds an entry with its answer.
    pub fn close(&mut self, mut entry: LoggedRequest, answer: &Answer) {
        entry.status = (answer.ending != Ending::Reset).then_some(answer.status);
        entry.bytes = answer.body.len();
        let counters = &mut self.counters;
        counters.requests += 1;
        counters.bytes += entry.bytes as u64;
        if let Some(status) = entry.status {
            *counters.by_status.entry(status).or_default() += 1;
        }
        if let Some(fault) = entry.fault {
            *counters.faults.entry(fault).or_default() += 1;
        }
        *counters.by_route.entry(route_name(&entry)).or_default() += 1;
        if self.entries.len() == ENTRIES_MAX {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }
}

fn route_name(entry: &LoggedRequest) -> String {
    let is_id = |part: &str| part.len() == 36 && part.contains('-');
    let parts = entry.path.split('/').map(|part| if is_id(part) { "*" } else { part });
    format!("{} {}", entry.method, parts.collect::<Vec<_>>().join("/"))
}
