//! The way to the API for somebody who only checks: one question at a time, never against a closed
//! rate limiter, and without the lock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::api::{Answer, Client, Failure, RateLimiter, Request, document};
use crate::cli::check::mirror::Mirror;
use crate::cli::context::Context;
use crate::cli::errors;
use crate::fetch::FetchError;
use crate::fetch::fetcher::{Fetcher, RequestSettings};
use crate::fetch::request_state::RequestState;
use crate::model::{Kind, Lifecycle, instant};
use crate::report::CliError;
use crate::report::rate::RateLimit;
use crate::store::instance::{self, StoredRequestState};
use crate::store::open::IfMissing;
use crate::store::{Database, StoreResult};
use crate::sync::identify::{self, Whoami};

/// A request is repeated once: more patience is for those who need the answer.
const ATTEMPTS_MAX: u32 = 2;

/// One request may take this long; a check is not worth the patience of a run.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What stands between a check and the API.
#[derive(Debug)]
pub struct Line<'a> {
    context: &'a Context,
    fetcher: Fetcher,
    /// Whether the rate limit is one that could be read and can be kept.
    mirror: &'a Mirror,
    /// The latest answer that told the server's time.
    timing: Option<Timing>,
    /// Why a closed rate limiter is not remembered.
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
        let mut stored = StoredRequestState::default();
        if let Mirror::Open(store) = mirror {
            stored =
                store.read(instance::request_state).map_err(|error| context.storage(&error))?;
            // Nothing is written that would be ordered by it.
            stored.stamp = 0;
        }
        let (client, clock) = (client.with_clock(context.clock.clone()), context.clock.clone());
        let request_settings = RequestSettings {
            rate_share: context.config.rate_share,
            max_wait: Duration::ZERO,
            max_concurrent_requests: 1,
            seed: 0,
        };
        let fetcher =
            Fetcher::beside(client, RequestState::new(&stored, &clock), clock, request_settings);
        fetcher.limit_attempts(ATTEMPTS_MAX);
        Ok(Self { context, fetcher, mirror, timing: None, not_kept: None })
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
        self.ask(&identify::request(), identify::read).await
    }

    /// One question, asked once more if that may help. Not asked at all while the API asks to wait.
    async fn ask<T>(
        &mut self,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> Asked<T> {
        if matches!(self.mirror, Mirror::Unreadable) {
            let reason = "whether the rate limit allows it cannot be read from the database";
            return Err(NoAnswer::NotSent(reason.to_owned()));
        }
        let begun = self.context.clock.now();
        let asked = self.fetcher.fetch(request, read).await;
        let after = self.context.clock.now();
        let (before, date) = match &asked {
            Ok(fetched) => (instant::from_micros(fetched.as_of), fetched.head.server_date),
            Err(error) => (begun, error.failure().and_then(|failure| failure.server_date)),
        };
        self.timing = date.map(|date| Timing { before, after, date }).or(self.timing);
        if self.fetcher.has_sent() {
            self.keep_cooldown();
        }
        asked.map(|fetched| fetched.value).map_err(|error| match error {
            FetchError::Api(failure)
            | FetchError::KeyRefused(failure)
            | FetchError::Outage(failure) => NoAnswer::Failed(failure),
            error => NoAnswer::NotSent(self.limit().reason().unwrap_or_else(|| error.to_string())),
        })
    }

    /// The rate limit as it stands.
    pub fn limit(&self) -> RateLimit {
        let clock = &self.context.clock;
        let limiter = self
            .fetcher
            .request_state()
            .limiter(|limiter| serde_json::to_string(limiter).unwrap_or_default());
        let stored = StoredRequestState { rate_limiter: limiter, ..StoredRequestState::default() };
        RateLimit::read(&stored, self.context.config.rate_share, clock.now(), &clock.boot())
    }

    /// The answer that told the server's time.
    pub fn timing(&self) -> Option<Timing> {
        self.timing
    }

    /// Why a closed rate limiter is not remembered, if it should have been.
    pub fn not_kept(&self) -> Option<&str> {
        self.not_kept.as_deref()
    }

    /// Keeps a wait that the API asked for, for whoever comes after.
    fn keep_cooldown(&mut self) {
        let clock = &self.context.clock;
        let until = self
            .fetcher
            .request_state()
            .limiter(|limiter| limiter.cooldown_until(clock.now(), &clock.boot()));
        let wait = until.and_then(|until| (until - clock.now()).to_std().ok());
        if let (Some(wait), Mirror::Open(_)) = (wait, self.mirror) {
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
/// on the database now has a rate limiter of its own, and will be told by the API itself.
fn keep_closed(context: &Context, wait: Duration) -> StoreResult<()> {
    let store = Database::open(&context.config.database, IfMissing::Refuse)?;
    let (now, boot) = (context.clock.now(), context.clock.boot());
    let mut stored = store.read(instance::request_state)?;
    let until = stored.cooldown_until.map(instant::from_micros);
    let mut limiter = RateLimiter::restore(&stored.rate_limiter, until, now, &boot);
    limiter.close(wait, now, &boot);
    stored.rate_limiter = serde_json::to_string(&limiter).unwrap_or(stored.rate_limiter);
    stored.cooldown_until = limiter.cooldown_until(now, &boot).map(instant::micros);
    store.write(|tx| instance::save_request_state(tx, &stored))
}
