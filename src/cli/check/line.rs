//! The way to the API for somebody who only checks: one question at a time, never against a closed
//! gate, and without the lock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::api::{Answer, Client, Failure, RateGate, Request, document};
use crate::cli::check::mirror::Mirror;
use crate::cli::context::Context;
use crate::cli::errors;
use crate::model::{Kind, Lifecycle, instant};
use crate::pass::identify::{self, Whoami};
use crate::report::CliError;
use crate::report::rate::RateLimit;
use crate::retry::{Next, RetryPolicy, Trouble};
use crate::store::instance::{self, StoredTraffic};
use crate::store::open::IfMissing;
use crate::store::{Database, StoreResult};

/// A check is repeated once: more patience is for those who need the answer.
const RETRY: RetryPolicy =
    RetryPolicy { first: Duration::from_secs(1), cap: Duration::from_secs(60), attempts_max: 2 };

/// One request may take this long; a check is not worth the patience of a pass.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What stands between a check and the API.
#[derive(Debug)]
pub struct Line<'a> {
    context: &'a Context,
    client: Client,
    gate: RateGate,
    /// Whether the gate is one that could be read and can be kept.
    mirror: &'a Mirror,
    /// The latest answer that told the server's time.
    timing: Option<Timing>,
    /// Why a closed gate is not remembered.
    not_kept: Option<String>,
}

/// The server's time, and ours around the moment when it was told.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// When the request was sent.
    pub before: DateTime<Utc>,
    /// When its answer had come.
    pub after: DateTime<Utc>,
    /// The server's time, without the fraction of the second.
    pub date: DateTime<Utc>,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum NoAnswer {
    /// Nothing was sent.
    NotSent(String),
    /// It failed.
    Failed(Failure),
}

/// An answer that passed its check, or why there is none.
pub type Asked<T> = Result<T, NoAnswer>;

impl<'a> Line<'a> {
    /// Makes ready to ask. Without a key, only what is open to everyone can be asked.
    pub fn new(
        context: &'a Context,
        mirror: &'a Mirror,
        key: Option<SecretString>,
    ) -> Result<Self, CliError> {
        // It is not sent with what is open to everyone, so any will do to set this up.
        let key = key.unwrap_or_else(|| SecretString::from("none"));
        let mut settings = context.config.api(key);
        settings.request_timeout = REQUEST_TIMEOUT;
        let client = Client::new(&settings).map_err(|error| errors::unbuildable(&error))?;
        let mut gate = RateGate::default();
        if let Mirror::Open(store) = mirror {
            let kept = store.read(instance::traffic);
            let kept = kept.map_err(|error| context.storage(&error))?;
            let until = kept.cooldown_until.map(instant::from_micros);
            let (now, boot) = (context.clock.now(), context.clock.boot());
            gate = RateGate::restore(&kept.gate, until, now, &boot);
        }
        let client = client.with_clock(context.clock.clone());
        Ok(Self { context, client, gate, mirror, timing: None, not_kept: None })
    }

    /// `GET /meta`.
    pub async fn meta(&mut self) -> Asked<Lifecycle> {
        self.ask(&Request::get(Kind::Meta.path()).without_key(), |answer| {
            let lifecycle = Lifecycle::read(document(answer)?.get());
            lifecycle.ok_or_else(|| Failure::malformed("no lifecycle document"))
        })
        .await
    }

    /// `GET /whoami`.
    pub async fn whoami(&mut self) -> Asked<Whoami> {
        self.ask(&identify::question(), identify::read).await
    }

    /// One question, asked once more if that may help. Not asked at all while the gate is closed.
    async fn ask<T>(
        &mut self,
        request: &Request,
        check: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Asked<T> {
        let clock = &self.context.clock;
        let mut attempt = 0;
        loop {
            if matches!(self.mirror, Mirror::Unreadable) {
                let reason = "whether the rate limit allows it cannot be read from the database";
                return Err(NoAnswer::NotSent(reason.to_owned()));
            }
            if let Some(reason) = self.limit().reason() {
                return Err(NoAnswer::NotSent(reason));
            }
            attempt += 1;
            let before = clock.now();
            if request.authenticated {
                self.gate.note_sent(before, &clock.boot());
            }
            let sent = self.client.send(request).await;
            let after = clock.now();
            let (rate, date) = match &sent {
                Ok(answer) => (answer.head.rate, answer.head.server_date),
                Err(failure) => (failure.rate, failure.server_date),
            };
            if request.authenticated {
                self.gate.after_answer(&rate, date, after, &clock.boot());
            }
            self.timing = date.map(|date| Timing { before, after, date }).or(self.timing);
            let checked =
                sent.and_then(|answer| check(&answer).map_err(|failure| answer.blame(failure)));
            let failure = match checked {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            match (failure.trouble(), RETRY.next(failure.trouble(), attempt, 1.0)) {
                (Trouble::Limited(_), Next::Again { after }) => self.close(after),
                (_, Next::Again { after }) => clock.sleep(after).await,
                (_, Next::GiveUp) => return Err(NoAnswer::Failed(failure)),
            }
        }
    }

    /// The rate limit as it stands.
    pub fn limit(&self) -> RateLimit {
        let clock = &self.context.clock;
        let gate = serde_json::to_string(&self.gate).unwrap_or_default();
        let stored = StoredTraffic { gate, ..StoredTraffic::default() };
        RateLimit::read(&stored, self.context.config.rate_share, clock.now(), &clock.boot())
    }

    /// The answer that told the server's time.
    pub fn timing(&self) -> Option<Timing> {
        self.timing
    }

    /// Why a closed gate is not remembered, if it should have been.
    pub fn not_kept(&self) -> Option<&str> {
        self.not_kept.as_deref()
    }

    /// Closes the gate, for whoever comes after as well.
    fn close(&mut self, wait: Duration) {
        let clock = &self.context.clock;
        self.gate.close(wait, clock.now(), &clock.boot());
        if matches!(self.mirror, Mirror::Open(_)) {
            self.not_kept = keep_closed(self.context, wait).err().map(|error| error.to_string());
        }
    }
}

impl NoAnswer {
    /// A sentence.
    pub fn text(&self) -> String {
        match self {
            Self::NotSent(reason) => reason.clone(),
            Self::Failed(failure) => failure.to_string(),
        }
    }

    /// The failure, if something was sent.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotSent(_) => None,
            Self::Failed(failure) => Some(failure),
        }
    }
}

/// Remembers in the database that the API asked to wait. Only the lock's holder may: one that works
/// on the database now has a gate of its own, and will be told by the API itself.
fn keep_closed(context: &Context, wait: Duration) -> StoreResult<()> {
    let store = Database::open(&context.config.database, IfMissing::Refuse)?;
    let (now, boot) = (context.clock.now(), context.clock.boot());
    let mut stored = store.read(instance::traffic)?;
    let until = stored.cooldown_until.map(instant::from_micros);
    let mut gate = RateGate::restore(&stored.gate, until, now, &boot);
    gate.close(wait, now, &boot);
    stored.gate = serde_json::to_string(&gate).unwrap_or(stored.gate);
    stored.cooldown_until = gate.cooldown_until(now, &boot).map(instant::micros);
    store.write(|tx| instance::keep_traffic(tx, &stored))
}
