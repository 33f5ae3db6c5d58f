//! Sends the requests of `check`: one at a time, within the rate limit and its cooldown, without
//! the instance lock.

use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::api::{Answer, Client, Failure, Request, document};
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

/// Attempts per request; fewer than in a run, so that `check` ends soon.
const ATTEMPTS_MAX: u32 = 2;

/// Timeout per request; shorter than in a run.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A client for the requests of `check`.
#[derive(Debug)]
pub struct Probe<'a> {
    context: &'a Context,
    fetcher: Fetcher,
    /// The database with the rate limiter's state, if it can be read.
    mirror: &'a Mirror,
    /// Clock comparison of the latest response with a `Date` header.
    timing: Option<Timing>,
    /// Why a cooldown could not be saved.
    save_error: Option<String>,
    /// Whether the requests are answered by the API.
    is_api: bool,
}

/// The server's clock, and ours before and after it was read.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// When the request was sent.
    pub before: DateTime<Utc>,
    /// When the response arrived.
    pub after: DateTime<Utc>,
    /// The response's `Date` header, in whole seconds.
    pub date: DateTime<Utc>,
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It was not sent, for this reason.
    #[error("{0}")]
    NotSent(String),
    /// It failed.
    #[error("{0}")]
    Failed(Failure),
}

/// Result of a request.
pub type ProbeResult<T> = Result<T, ProbeError>;

impl<'a> Probe<'a> {
    /// Creates a client with the rate limiter state of `mirror`. Without a key, only `/meta` can be
    /// requested.
    pub fn new(
        context: &'a Context,
        mirror: &'a Mirror,
        key: Option<SecretString>,
    ) -> Result<Self, CliError> {
        // A placeholder: `/meta` is requested without a key.
        let key = key.unwrap_or_else(|| SecretString::from("none"));
        let mut settings = context.config.api(key);
        settings.request_timeout = REQUEST_TIMEOUT;
        let client = Client::new(&settings).map_err(|error| errors::client_error(&error))?;
        let mut stored = StoredRequestState::default();
        if let Mirror::Open(store) = mirror {
            stored =
                store.read(instance::request_state).map_err(|error| context.store_error(&error))?;
            // Only rows written to the database need a stamp.
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
        Ok(Self { context, fetcher, mirror, timing: None, save_error: None, is_api: true })
    }

    /// `GET /meta`.
    pub async fn meta(&mut self) -> ProbeResult<Lifecycle> {
        self.send(&Request::get(Kind::Meta.path()).without_key(), |answer| {
            let lifecycle = Lifecycle::read(document(answer)?.get());
            lifecycle.ok_or_else(|| Failure::malformed("no lifecycle document"))
        })
        .await
    }

    /// `GET /whoami`.
    pub async fn whoami(&mut self) -> ProbeResult<Whoami> {
        self.send(&identify::request(), identify::read).await
    }

    /// Requests the API's OpenAPI document. It may come from another server than the API: neither its clock nor a
    /// wait it asks for counts.
    pub async fn openapi(&mut self) -> ProbeResult<Answer> {
        let request = Request::get("/openapi.json").without_key();
        let timing = self.timing;
        self.is_api = false;
        let answer = self.answer(&request).await;
        (self.timing, self.is_api) = (timing, true);
        answer
    }

    /// Returns the answer to a request, undecoded.
    pub async fn answer(&mut self, request: &Request) -> ProbeResult<Answer> {
        self.send(request, |answer| Ok(answer.clone())).await
    }

    /// Sends a request, with one retry. Does not send it during a cooldown.
    async fn send<T>(
        &mut self,
        request: &Request,
        read: impl Fn(&Answer) -> Result<T, Failure>,
    ) -> ProbeResult<T> {
        if matches!(self.mirror, Mirror::Unreadable) {
            let reason = "the rate limit cannot be read from the database";
            return Err(ProbeError::NotSent(reason.to_owned()));
        }
        let started = self.context.clock.now();
        let result = self.fetcher.fetch(request, read).await;
        let after = self.context.clock.now();
        let (before, date) = match &result {
            Ok(fetched) => (instant::from_micros(fetched.as_of), fetched.head.server_date),
            Err(error) => (started, error.failure().and_then(|failure| failure.server_date)),
        };
        self.timing = date.map(|date| Timing { before, after, date }).or(self.timing);
        if self.is_api && self.fetcher.has_sent() {
            self.save_cooldown();
        }
        result.map(|fetched| fetched.value).map_err(|error| match error {
            FetchError::Api(failure)
            | FetchError::KeyRefused(failure)
            | FetchError::Outage(failure) => ProbeError::Failed(failure),
            error => {
                ProbeError::NotSent(self.limit().reason().unwrap_or_else(|| error.to_string()))
            }
        })
    }

    /// Returns the present state of the rate limit.
    pub fn limit(&self) -> RateLimit {
        let clock = &self.context.clock;
        let limiter = self
            .fetcher
            .request_state()
            .limiter(|limiter| serde_json::to_string(limiter).unwrap_or_default());
        let stored = StoredRequestState { rate_limiter: limiter, ..StoredRequestState::default() };
        RateLimit::read(&stored, self.context.config.rate_share, clock.now(), &clock.boot())
    }

    /// Returns the latest clock comparison.
    pub fn timing(&self) -> Option<Timing> {
        self.timing
    }

    /// Returns why a cooldown could not be saved.
    pub fn save_error(&self) -> Option<&str> {
        self.save_error.as_deref()
    }

    /// Saves a cooldown that the API asked for, so that later commands respect it.
    fn save_cooldown(&mut self) {
        let clock = &self.context.clock;
        let until = self
            .fetcher
            .request_state()
            .limiter(|limiter| limiter.cooldown_until(clock.now(), &clock.boot()));
        let wait = until.and_then(|until| (until - clock.now()).to_std().ok());
        if let (Some(wait), Mirror::Open(_)) = (wait, self.mirror) {
            self.save_error = write_cooldown(self.context, wait).err().map(|e| e.to_string());
        }
    }
}

/// Writes a cooldown to the database. Fails if another process holds the lock: it has its own rate
/// limiter, which the API will ask to wait too.
fn write_cooldown(context: &Context, wait: Duration) -> StoreResult<()> {
    let store = Database::open(&context.config.database, IfMissing::Refuse)?;
    let (now, boot) = (context.clock.now(), context.clock.boot());
    let state = RequestState::new(&store.read(instance::request_state)?, &context.clock);
    state.limiter(|limiter| limiter.close(wait, now, &boot));
    store.write(|tx| state.keep(tx))
}
