//! What the API has to say: whether it is there, what its clock shows, how long it will be
//! supported, and whose the key is. Never against a closed gate.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::local::Mirror;
use crate::api::{Answer, Client, Failure, RateGate, Request, item};
use crate::cli::{CliError, Context, Exit, session};
use crate::model::{Kind, Lifecycle, instant};
use crate::pass::Stop;
use crate::pass::identify::{self, Whoami};
use crate::report::check::Check;
use crate::report::rate::RateLimit;
use crate::report::text::{moment, span};
use crate::retry::{Next, RetryPolicy, Trouble};
use crate::store::open::IfMissing;
use crate::store::{Store, StoreResult, instance, status};

/// A check is repeated once: more patience is for those who need the answer.
const RETRY: RetryPolicy =
    RetryPolicy { first: Duration::from_secs(1), cap: Duration::from_secs(60), attempts_max: 2 };

/// One request may take this long; a check is not worth the patience of a pass.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A clock this far off makes schedules and `mirrored_at` wrong by as much.
const SKEW_WARNING: TimeDelta = TimeDelta::seconds(5);

/// A clock this far off is surely not meant to be.
const SKEW_FAILURE: TimeDelta = TimeDelta::minutes(5);

/// Why what the key alone can tell is not checked.
const NEEDS_KEY: &str = "it takes a key that was accepted";

/// What stands between a check and the API.
#[derive(Debug)]
struct Line<'a> {
    context: &'a Context,
    client: Client,
    gate: RateGate,
    /// Whether the gate is one that could be read and can be kept.
    mirror: &'a Mirror,
    /// The moments around the answer that told the server's time, and that time.
    date: Option<(DateTime<Utc>, DateTime<Utc>, DateTime<Utc>)>,
    /// Why a closed gate is not remembered.
    not_kept: Option<String>,
}

/// Why there is no answer.
#[derive(Debug)]
enum NoAnswer {
    /// Nothing was sent.
    NotSent(String),
    /// It failed.
    Failed(Failure),
}

type Asked<T> = Result<T, NoAnswer>;

/// Asks, and says what came of it.
pub async fn checks(context: &Context, mirror: &Mirror, key: Option<SecretString>) -> Vec<Check> {
    let has_key = key.is_some();
    let mut line = match Line::new(context, mirror, key) {
        Ok(line) => line,
        Err(check) => return vec![check],
    };
    let meta = line.meta().await;
    let whoami = match (&meta, has_key) {
        (_, false) => Err(NoAnswer::NotSent("there is no key".to_owned())),
        (Err(NoAnswer::Failed(failure)), _) if failure.trouble() == Trouble::NoAnswer => {
            Err(NoAnswer::NotSent("the API does not answer".to_owned()))
        }
        _ => line.whoami().await,
    };
    let mut checks = vec![
        line.rate_limit(),
        api(context, &meta, &whoami),
        clock(line.date, &meta, &whoami),
        line.lifecycle(&meta),
        key_valid(&whoami),
        line.organization(&whoami),
    ];
    checks.push(match whoami {
        // Whatever the key may write, reading needs no scope.
        Ok(_) => Check::ok("scopes", "reading works; only a write shows whether the key may write"),
        Err(_) => Check::skipped("scopes", NEEDS_KEY),
    });
    checks
}

impl<'a> Line<'a> {
    fn new(
        context: &'a Context,
        mirror: &'a Mirror,
        key: Option<SecretString>,
    ) -> Result<Self, Check> {
        // What is open to everyone is asked without a key, so that any will do to set this up.
        let key = key.unwrap_or_else(|| SecretString::from("none"));
        let mut settings = context.config.api(key);
        settings.request_timeout = REQUEST_TIMEOUT;
        let client = Client::new(&settings)
            .map_err(|error| Check::failure("api", session::unbuildable(&error)))?;
        let mut gate = RateGate::default();
        if let Mirror::Open(store) = mirror {
            let kept = store.read(instance::traffic);
            let (kept, _) =
                kept.map_err(|error| Check::failure("api", session::storage(context, &error)))?;
            gate = serde_json::from_str(&kept).unwrap_or_default();
            gate.rebase(context.clock.now(), &context.clock.boot());
        }
        let client = client.with_clock(context.clock.clone());
        Ok(Self { context, client, gate, mirror, date: None, not_kept: None })
    }

    async fn meta(&mut self) -> Asked<Lifecycle> {
        self.ask(&Request::get(Kind::Meta.path()).without_key(), |answer| {
            let lifecycle = item(&answer.body).map(|raw| Lifecycle::read(raw.get()))?;
            lifecycle.ok_or_else(|| Failure::malformed("no lifecycle document"))
        })
        .await
    }

    async fn whoami(&mut self) -> Asked<Whoami> {
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
                Ok(answer) => (answer.rate, answer.server_date),
                Err(failure) => (failure.rate, failure.server_date),
            };
            if request.authenticated {
                self.gate.after_answer(&rate, date, after, &clock.boot());
            }
            self.date = date.map(|date| (before, after, date)).or(self.date);
            let failure = match sent.and_then(|answer| check(&answer)) {
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

    fn limit(&self) -> RateLimit {
        let clock = &self.context.clock;
        let gate = serde_json::to_string(&self.gate).unwrap_or_default();
        RateLimit::read(&gate, self.context.config.rate_share, clock.now(), &clock.boot())
    }

    /// Closes the gate, for whoever comes after as well.
    fn close(&mut self, wait: Duration) {
        let clock = &self.context.clock;
        self.gate.close(wait, clock.now(), &clock.boot());
        if matches!(self.mirror, Mirror::Open(_)) {
            self.not_kept = keep_closed(self.context, wait).err().map(|error| error.to_string());
        }
    }

    fn rate_limit(&self) -> Check {
        let limit = self.limit();
        let text = limit.text(self.context.clock.now());
        if limit.is_open() {
            return Check::ok("rate_limit", text);
        }
        let text = match &self.not_kept {
            Some(reason) => format!("{text}; this could not be kept for others: {reason}"),
            None => text,
        };
        let max_wait = self.context.config.max_wait;
        match limit.blocked_for > max_wait {
            true => {
                let message = format!("{text}, which outlasts max_wait, {}", span(max_wait));
                let error = CliError::new(Exit::TryAgain, message);
                Check::failure("rate_limit", error.hint("try again later"))
            }
            false => Check::warning("rate_limit", text).hint("sync waits for it"),
        }
    }

    /// What the API says now of its future, or said when it was asked last.
    fn lifecycle(&self, meta: &Asked<Lifecycle>) -> Check {
        let kept = match self.mirror {
            Mirror::Open(store) => store.read(status::lifecycle).ok().flatten(),
            Mirror::Absent | Mirror::Unreadable => None,
        };
        let now = self.context.clock.now();
        let (lifecycle, as_of) = match (meta, kept) {
            (Ok(lifecycle), _) => (lifecycle.clone(), String::new()),
            (Err(_), Some((lifecycle, at))) => {
                (lifecycle, format!(", as of {}", moment(instant::from_micros(at), now)))
            }
            (Err(reason), None) => return Check::skipped("lifecycle", &reason.text()),
        };
        match lifecycle.notice() {
            None => Check::ok("lifecycle", format!("this version of the API is supported{as_of}")),
            Some(notice) => {
                Check::warning("lifecycle", format!("the API gives notice: {notice}{as_of}"))
                    .hint("look for a newer creatormirror before that date")
            }
        }
    }

    fn organization(&self, whoami: &Asked<Whoami>) -> Check {
        let Ok(whoami) = whoami else {
            return Check::skipped("organization", NEEDS_KEY);
        };
        let bound = match self.mirror {
            Mirror::Open(store) => match store.read(instance::identity) {
                Ok(identity) => identity.organization_id,
                Err(error) => {
                    return Check::failure("organization", session::storage(self.context, &error));
                }
            },
            Mirror::Absent | Mirror::Unreadable => None,
        };
        match identify::compare(bound.as_deref(), whoami) {
            Err(stop) => Check::failure("organization", session::stopped(&stop)),
            Ok(()) if bound.is_some() => {
                Check::ok("organization", format!("{}, as the database", whoami.organization_id))
            }
            Ok(()) => {
                let id = &whoami.organization_id;
                Check::ok("organization", format!("{id}; the first sync binds the database to it"))
            }
        }
    }
}

impl NoAnswer {
    fn text(&self) -> String {
        match self {
            Self::NotSent(reason) => reason.clone(),
            Self::Failed(failure) => failure.to_string(),
        }
    }

    fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotSent(_) => None,
            Self::Failed(failure) => Some(failure),
        }
    }
}

/// Remembers in the database that the API asked to wait. Only the lock's holder may: one that works
/// on the database now has a gate of its own, and will be told by the API itself.
fn keep_closed(context: &Context, wait: Duration) -> StoreResult<()> {
    let store = Store::open(&context.config.database, IfMissing::Refuse)?;
    let (now, boot) = (context.clock.now(), context.clock.boot());
    let (kept, stamp) = store.read(instance::traffic)?;
    let mut gate: RateGate = serde_json::from_str(&kept).unwrap_or_default();
    gate.rebase(now, &boot);
    gate.close(wait, now, &boot);
    let kept = serde_json::to_string(&gate).unwrap_or(kept);
    store.write(|tx| instance::keep_traffic(tx, &kept, stamp))
}

/// Whether the API is there. One that answers one question and not the other is.
fn api(context: &Context, meta: &Asked<Lifecycle>, whoami: &Asked<Whoami>) -> Check {
    let base = &context.config.base_url;
    let refused_by_api = |no: &NoAnswer| no.failure().is_some_and(|failure| failure.is_problem);
    match (meta, whoami) {
        (Ok(_), _) | (_, Ok(_)) => Check::ok("api", format!("{base} answers")),
        (_, Err(no)) if refused_by_api(no) => Check::ok("api", format!("{base} answers")),
        (Err(NoAnswer::NotSent(reason)), _) => Check::skipped("api", reason),
        (Err(NoAnswer::Failed(failure)), _) => Check::failure("api", unavailable(failure)),
    }
}

fn unavailable(failure: &Failure) -> CliError {
    session::stopped(&match failure.trouble() {
        Trouble::NoAnswer => Stop::Outage(failure.clone()),
        _ => Stop::Broken(failure.clone()),
    })
}

fn key_valid(whoami: &Asked<Whoami>) -> Check {
    use crate::api::Verdict;
    match whoami {
        Ok(Whoami { api_key_name: Some(name), .. }) => {
            Check::ok("key", format!("`{name}` is accepted"))
        }
        Ok(_) => Check::ok("key", "accepted"),
        Err(NoAnswer::NotSent(reason)) => Check::skipped("key", reason),
        Err(NoAnswer::Failed(failure)) if failure.verdict == Verdict::KeyRefused => {
            Check::failure("key", session::stopped(&Stop::KeyRefused(failure.clone())))
        }
        Err(NoAnswer::Failed(failure)) => Check::failure("key", unavailable(failure)),
    }
}

fn clock(
    date: Option<(DateTime<Utc>, DateTime<Utc>, DateTime<Utc>)>,
    meta: &Asked<Lifecycle>,
    whoami: &Asked<Whoami>,
) -> Check {
    let Some((before, after, date)) = date else {
        let reason = match meta.as_ref().err().or(whoami.as_ref().err()) {
            Some(NoAnswer::NotSent(reason)) => reason.as_str(),
            Some(NoAnswer::Failed(_)) | None => "the server did not tell its time",
        };
        return Check::skipped("clock", reason);
    };
    let skew = skew(before, after, date);
    let length = span(skew.abs().to_std().unwrap_or_default());
    let side = if skew > TimeDelta::zero() { "ahead of" } else { "behind" };
    let text = format!("{length} {side} the server's");
    let hint = "set the clock, by NTP for instance: instants in the mirror are off by as much";
    match skew.abs() {
        off if off > SKEW_FAILURE => {
            let error = CliError::new(Exit::Partial, format!("the clock is {text}"));
            Check::failure("clock", error.hint(hint))
        }
        off if off > SKEW_WARNING => Check::warning("clock", text).hint(hint),
        off if off.is_zero() => Check::ok("clock", "agrees with the server's"),
        _ => Check::ok("clock", text),
    }
}

/// How far our clock is ahead of the server's, at least. The server read its clock at some moment
/// between `before` and `after`, and dropped the fraction of the second.
fn skew(before: DateTime<Utc>, after: DateTime<Utc>, date: DateTime<Utc>) -> TimeDelta {
    let (earliest, latest) = (date, date + TimeDelta::seconds(1));
    let ahead = before.signed_duration_since(latest);
    let behind = after.signed_duration_since(earliest);
    if ahead > TimeDelta::zero() {
        ahead
    } else if behind < TimeDelta::zero() {
        behind
    } else {
        TimeDelta::zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_750_000_000_000 + ms).unwrap()
    }

    #[test]
    fn what_the_answer_took_and_the_dropped_fraction_are_no_skew() {
        for (before, after, date, skew_ms) in [
            (0, 10, 0, 0),
            (990, 1_005, 0, 0),
            (0, 9_000, 4_000, 0),
            (20_000, 20_010, 0, 19_000),
            (0, 10, 20_000, -19_990),
            (1_000, 1_010, 0, 0),
            (1_001, 1_010, 0, 1),
        ] {
            let found = skew(at(before), at(after), at(date));
            assert_eq!(found.num_milliseconds(), skew_ms, "{before} {after} {date}");
        }
    }

    fn judged(ahead_s: i64) -> (bool, bool) {
        let date = Some((at(ahead_s * 1_000), at(ahead_s * 1_000), at(0)));
        let no = || Err(NoAnswer::NotSent(String::new()));
        let check = clock(date, &no(), &Err(NoAnswer::NotSent(String::new())));
        (check.error().is_some(), !check.hints.is_empty())
    }

    #[test]
    fn a_clock_off_by_seconds_is_a_warning_and_by_minutes_a_failure() {
        for (ahead_s, is_failure, is_remarked) in [
            (0, false, false),
            (-5, false, false),
            (-6, false, true),
            (7, false, true),
            (-300, false, true),
            (-301, true, true),
            (3_600, true, true),
        ] {
            assert_eq!(judged(ahead_s), (is_failure, is_remarked), "{ahead_s}");
        }
    }
}
