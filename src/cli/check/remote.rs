//! What the API has to say: whether it is there, what its clock shows, how long it will be
//! supported, and whose the key is. Never against a closed rate limiter.

use chrono::TimeDelta;
use secrecy::SecretString;

use crate::api::{Failure, Verdict};
use crate::cli::check::line::{Asked, Line, NoAnswer, Timing};
use crate::cli::check::mirror::Mirror;
use crate::cli::context::Context;
use crate::cli::errors;
use crate::config::Setting;
use crate::model::{Lifecycle, instant};
use crate::report::check::Check;
use crate::report::text::{moment, span};
use crate::report::{CliError, Exit};
use crate::retry::RetryCause;
use crate::store::{instance, status};
use crate::sync::RunError;
use crate::sync::identify::{self, Whoami};

/// A clock this far off makes schedules and `mirrored_at` wrong by as much.
const SKEW_WARNING: TimeDelta = TimeDelta::seconds(5);

/// A clock this far off is surely not meant to be.
const SKEW_FAILURE: TimeDelta = TimeDelta::minutes(5);

/// Why what the key alone can tell is not checked.
const NEEDS_KEY: &str = "it takes a key that was accepted";

/// Asks, and says what came of it.
pub async fn checks(context: &Context, mirror: &Mirror, key: Option<SecretString>) -> Vec<Check> {
    let has_key = key.is_some();
    let mut line = match Line::new(context, mirror, key) {
        Ok(line) => line,
        Err(error) => {
            let skipped = |name| Check::skipped(name, "no request can be made");
            let names = ["rate_limit", "clock", "lifecycle", "key", "organization", "scopes"];
            return std::iter::once(Check::failure("api", error))
                .chain(names.map(skipped))
                .collect();
        }
    };
    let meta = line.meta().await;
    let whoami = match (&meta, has_key) {
        (_, false) => Err(NoAnswer::NotSent("there is no key".to_owned())),
        (Err(NoAnswer::Failed(failure)), _) if failure.cause() == RetryCause::NoAnswer => {
            Err(NoAnswer::NotSent("the API does not answer".to_owned()))
        }
        _ => line.whoami().await,
    };
    vec![
        rate_limit(context, mirror, &line),
        api(context, &meta, &whoami),
        clock(line.timing(), &meta),
        lifecycle(context, mirror, &meta),
        key_valid(context, &whoami),
        organization(context, mirror, &whoami),
        scopes(&whoami),
    ]
}

fn rate_limit(context: &Context, mirror: &Mirror, line: &Line<'_>) -> Check {
    if matches!(mirror, Mirror::Unreadable) {
        return Check::skipped("rate_limit", "the database that remembers it cannot be read");
    }
    let limit = line.limit();
    let text = limit.text(context.clock.now());
    if limit.is_open() {
        return Check::ok("rate_limit", text);
    }
    let text = match line.not_kept() {
        Some(reason) => format!("{text}; this could not be kept for others: {reason}"),
        None => text,
    };
    let max_wait = context.config.max_wait;
    match limit.blocked_for > max_wait {
        true => {
            let message = format!("{text}, which outlasts max_wait, {}", span(max_wait));
            let error = CliError::new(Exit::TryAgain, message);
            Check::failure("rate_limit", error.hint("try again later"))
        }
        false => Check::warning("rate_limit", text).hint("sync waits for it"),
    }
}

/// Whether the API is there. One that answers one question and not the other is.
fn api(context: &Context, meta: &Asked<Lifecycle>, whoami: &Asked<Whoami>) -> Check {
    let base = &context.config.base_url;
    let refused_by_api = |no: &NoAnswer| no.failure().is_some_and(|failure| failure.is_problem);
    match (meta, whoami) {
        (Ok(_), _) | (_, Ok(_)) => Check::ok("api", format!("{base} answers")),
        (_, Err(no)) if refused_by_api(no) => Check::ok("api", format!("{base} answers")),
        (Err(NoAnswer::NotSent(reason)), _) => Check::skipped("api", reason),
        (Err(NoAnswer::Failed(failure)), _) => Check::failure("api", unavailable(context, failure)),
    }
}

fn unavailable(context: &Context, failure: &Failure) -> CliError {
    match failure.cause() {
        RetryCause::NoAnswer => {
            let origin = context.config.origin(Setting::BaseUrl);
            CliError::new(Exit::Unavailable, RunError::Outage(failure.clone()))
                .hint(format!("base_url is {}, from {origin}", context.config.base_url))
                .hint("is a firewall or a proxy in the way?")
        }
        _ => errors::stopped(&RunError::Broken(failure.clone())),
    }
}

fn key_valid(context: &Context, whoami: &Asked<Whoami>) -> Check {
    match whoami {
        Ok(Whoami { api_key_name: Some(name), .. }) => {
            Check::ok("key", format!("`{name}` is accepted"))
        }
        Ok(_) => Check::ok("key", "accepted"),
        Err(NoAnswer::NotSent(reason)) => Check::skipped("key", reason),
        Err(NoAnswer::Failed(failure)) if failure.verdict == Verdict::KeyRefused => {
            Check::failure("key", errors::stopped(&RunError::KeyRefused(failure.clone())))
        }
        Err(NoAnswer::Failed(failure)) => Check::failure("key", unavailable(context, failure)),
    }
}

/// What the API says now of its future, or said when it was asked last.
fn lifecycle(context: &Context, mirror: &Mirror, meta: &Asked<Lifecycle>) -> Check {
    let kept = match mirror {
        Mirror::Open(store) => store.read(status::lifecycle).ok().flatten(),
        Mirror::Absent | Mirror::Unreadable => None,
    };
    let (lifecycle, as_of) = match (meta, kept) {
        (Ok(lifecycle), _) => (lifecycle.clone(), String::new()),
        (Err(_), Some((lifecycle, at))) => {
            let at = moment(instant::from_micros(at), context.clock.now());
            (lifecycle, format!(", as of {at}"))
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

fn organization(context: &Context, mirror: &Mirror, whoami: &Asked<Whoami>) -> Check {
    let Ok(whoami) = whoami else { return Check::skipped("organization", NEEDS_KEY) };
    let identity = match mirror {
        Mirror::Open(store) => store.read(instance::identity).map(Some),
        Mirror::Absent | Mirror::Unreadable => Ok(None),
    };
    let bound = match identity {
        Ok(identity) => identity.and_then(|identity| identity.organization_id),
        Err(error) => return Check::failure("organization", context.storage(&error)),
    };
    let id = &whoami.organization_id;
    match identify::compare(bound.as_deref(), whoami) {
        Err(stop) => Check::failure("organization", errors::stopped(&stop)),
        Ok(()) if bound.is_some() => Check::ok("organization", format!("{id}, as the database")),
        Ok(()) => {
            Check::ok("organization", format!("{id}; the first sync binds the database to it"))
        }
    }
}

/// Whatever a key may write, reading needs no scope, and no question tells which scopes it has.
fn scopes(whoami: &Asked<Whoami>) -> Check {
    match whoami {
        Ok(_) => Check::ok("scopes", "reading works; only a write shows whether the key may write"),
        Err(_) => Check::skipped("scopes", NEEDS_KEY),
    }
}

fn clock(timing: Option<Timing>, meta: &Asked<Lifecycle>) -> Check {
    let Some(timing) = timing else {
        return match meta {
            Err(NoAnswer::NotSent(reason)) => Check::skipped("clock", reason),
            _ => Check::skipped("clock", "the server did not tell its time"),
        };
    };
    let skew = skew(timing);
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
/// while we waited, and dropped the fraction of the second.
fn skew(timing: Timing) -> TimeDelta {
    let latest = timing.date.checked_add_signed(TimeDelta::seconds(1)).unwrap_or(timing.date);
    let ahead = timing.before.signed_duration_since(latest);
    let behind = timing.after.signed_duration_since(timing.date);
    ahead.max(TimeDelta::zero()) + behind.min(TimeDelta::zero())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

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
            let found = skew(Timing { before: at(before), after: at(after), date: at(date) });
            assert_eq!(found.num_milliseconds(), skew_ms, "{before} {after} {date}");
        }
    }

    fn judged(ahead_s: i64) -> (bool, bool) {
        let now = at(ahead_s * 1_000);
        let timing = Timing { before: now, after: now, date: at(0) };
        let check = clock(Some(timing), &Ok(Lifecycle::default()));
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
