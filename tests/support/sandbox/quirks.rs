//! Ways in which servers differ, and that no client can foresee.

use std::io::Write;
use std::time::Duration;

use creatormirror::sandbox::{Answer, Call, Problem};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// Smaller answers are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_024;

/// What is peculiar about this server.
#[derive(Debug)]
pub struct Quirks {
    /// Real time that every answer takes at least.
    pub latency: Duration,
    /// Compress answers for those who ask for it.
    pub gzip: bool,
    /// Cap on tracked accounts, refused with QUOTA_EXCEEDED.
    pub account_cap: Option<usize>,
    /// The most ids of one batch request, and whether the refusal of a larger one says so.
    pub batch_bound: Option<(usize, bool)>,
    /// `deprecation` and `sunset` of `/meta`.
    pub lifecycle: (Option<String>, Option<String>),
    /// Simulated server processes, asked in turn. Each remembers idempotency keys for itself.
    pub replicas: usize,
    /// The one that answers everything.
    pub pinned_replica: Option<usize>,
    /// How often all processes were started anew.
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

    /// Lets the idempotency key be one that only this process knows, and only until a deploy. With
    /// `None` nobody is to remember it.
    pub fn own_key(&self, call: &mut Call, replica: Option<usize>) {
        let Some(key) = call.headers.remove("idempotency-key") else { return };
        if let Some(replica) = replica {
            let key = format!("{} {replica} {}", key.to_str().unwrap(), self.deploys);
            call.headers.insert("idempotency-key", key.parse().unwrap());
        }
    }

    /// Refuses batches beyond the bound.
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

    /// Compresses an answer for those who asked for it.
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
