//! Server behaviour that clients cannot foresee: latency, compression, caps, replicas, deploys.

use std::io::Write;
use std::time::Duration;

use creatormirror::sandbox::{Answer, Call, Problem};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Smaller answers are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_024;

/// Behaviour of this server.
#[derive(Debug)]
pub struct Quirks {
    /// Least real time of every answer.
    pub latency: Duration,
    /// Compress answers if the client accepts gzip.
    pub gzip: bool,
    /// Cap on tracked accounts, refused with QUOTA_EXCEEDED.
    pub account_cap: Option<usize>,
    /// Maximum number of ids of a batch request, and whether the error names it.
    pub batch_bound: Option<(usize, bool)>,
    /// `deprecation` and `sunset` of `/meta`.
    pub lifecycle: (Option<String>, Option<String>),
    /// Simulated server processes, used in turn. Each stores its idempotency keys separately.
    pub replicas: usize,
    /// The process that answers all requests.
    pub pinned_replica: Option<usize>,
    /// Number of restarts of all processes.
    pub deploys: u32,
}

impl Default for Quirks {
    fn default() -> Self {
        Self {
            latency: Duration::ZERO,
            gzip: false,
            account_cap: None,
            batch_bound: None,
            lifecycle: (None, None),
            replicas: 1,
            pinned_replica: None,
            deploys: 0,
        }
    }
}

impl Quirks {
    /// The process that answers this request.
    pub fn replica(&self, call: &Call) -> usize {
        self.pinned_replica.unwrap_or(call.number as usize) % self.replicas
    }

    /// Makes the idempotency key unique to this process and deploy; removes it for `None`.
    pub fn own_key(&self, call: &mut Call, replica: Option<usize>) {
        let Some(key) = call.headers.remove("idempotency-key") else { return };
        if let Some(replica) = replica {
            let key = format!("{} {replica} {}", key.to_str().unwrap(), self.deploys);
            call.headers.insert("idempotency-key", key.parse().unwrap());
        }
    }

    /// Refuses batches over the maximum.
    pub fn check_batch(&self, call: &Call) -> Result<(), Problem> {
        let Some((max, is_named)) = self.batch_bound else { return Ok(()) };
        if !call.path.ends_with("/metrics") {
            return Ok(());
        }
        let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
        for (name, value) in body.as_object().into_iter().flatten() {
            if value.as_array().is_some_and(|ids| ids.len() > max) {
                let named = format!("must have at most {max} items");
                let message = if is_named { &named } else { "has too many items" };
                return Err(Problem::field(name, message));
            }
        }
        Ok(())
    }

    /// Sets the dates that `/meta` shows.
    pub fn end_of_life(&self, call: &Call, answer: &mut Answer) {
        let (deprecation, sunset) = &self.lifecycle;
        if call.path == "/meta" && answer.status == 200 && deprecation.is_some() {
            let mut meta: Value = serde_json::from_slice(&answer.body).unwrap();
            meta["data"]["status"] = json!("deprecated");
            meta["data"]["deprecation"] = json!(deprecation);
            meta["data"]["sunset"] = json!(sunset);
            answer.body = serde_json::to_vec(&meta).unwrap().into();
        }
    }

    /// Compresses an answer if the client accepts gzip.
    pub fn compress(&self, call: &Call, answer: &mut Answer) {
        let accepted = call.header("accept-encoding").unwrap_or_default();
        if !self.gzip || !accepted.contains("gzip") || answer.body.len() < GZIP_BYTES_MIN {
            return;
        }
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&answer.body).unwrap();
        answer.body = encoder.finish().unwrap().into();
        answer.add("content-encoding", "gzip");
        answer.add("vary", "accept-encoding");
    }
}
