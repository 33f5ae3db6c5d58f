//! Checks that ask the API: availability, rate limit, clock skew, deprecation, key and
//! organization. Nothing is sent during a cooldown.

use std::path::Path;

use chrono::{Days, TimeDelta};
use secrecy::SecretString;

use crate::api::{Failure, Verdict};
use crate::cli::check::contract;
use crate::cli::check::mirror::Mirror;
use crate::cli::check::probe::{Probe, ProbeError, ProbeResult, Timing};
use crate::cli::check::record::{self, NEEDS_KEY};
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

/// Clock skew to warn about: schedules and `mirrored_at` are off by as much.
const SKEW_WARNING: TimeDelta = TimeDelta::seconds(5);

/// Clock skew to fail on.
const SKEW_FAILURE: TimeDelta = TimeDelta::minutes(5);

/// Sends the requests and returns the checks. Records the shapes of answers in the folder `record`.
pub async fn checks(
    context: &Context,
    mirror: &Mirror,
    key: Option<SecretString>,
    record: Option<&Path>,
) -> Vec<Check> {
    let has_key = key.is_some();
    let mut probe = match Probe::new(context, mirror, key) {
        Ok(probe) => probe,
        Err(error) => {
            let skipped = |name| Check::skipped(name, "no request can be sent");
            let names = ["rate_limit", "clock", "lifecycle", "key", "organization", "scopes"];
            let failure = std::iter::once(Check::failure("api", error));
            let skipped = names.into_iter().map(skipped).chain(record.map(|_| record::skipped()));
            return failure.chain(skipped).collect();
        }
    };
    let meta = probe.meta().await;
    let whoami = match (&meta, has_key) {
        (_, false) => Err(ProbeError::NotSent("no API key".to_owned())),
        (Err(ProbeError::Failed(failure)), _) if failure.cause() == RetryCause::NoAnswer => {
            Err(ProbeError::NotSent("the API does not respond".to_owned()))
        }
        _ => probe.whoami().await,
    };
    let mut checks = vec![
        rate_limit(context, mirror, &probe),
        api(context, &meta, &whoami),
        clock(probe.timing(), &meta),
        lifecycle(context, mirror, &meta),
        key_valid(context, &whoami),
        organization(context, mirror, &whoami),
        scopes(&whoami),
    ];
    let recorded = match (record, &whoami) {
        (Some(folder), Ok(_)) => {
            let today = context.clock.now().date_naive();
            let yesterday = today.checked_sub_days(Days::new(1)).unwrap_or(today);
            Some(record::check(&mut probe, yesterday, folder).await)
        }
        (folder, _) => folder.map(|_| record::skipped()),
    };
    let document = match &meta {
        Err(ProbeError::Failed(failure)) if failure.cause() == RetryCause::NoAnswer => {
            Err(ProbeError::NotSent("the API does not respond".to_owned()))
        }
        _ => probe.openapi().await,
    };
    checks.extend(contract::checks(&document, context.config.base_url.path()));
    checks.extend(recorded);
    checks
}

fn rate_limit(context: &Context, mirror: &Mirror, probe: &Probe<'_>) -> Check {
    if matches!(mirror, Mirror::Unreadable) {
        return Check::skipped("rate_limit", "the database cannot be read");
    }
    let limit = probe.limit();
    let text = limit.text(context.clock.now());
    if limit.is_open() {
        return Check::ok("rate_limit", text);
    }
    let text = match probe.save_error() {
        Some(reason) => format!("{text}; cannot save the wait: {reason}"),
        None => text,
    };
    let max_wait = context.config.max_wait;
    match limit.blocked_for > max_wait {
        true => {
            let message = format!("{text}, longer than max_wait ({})", span(max_wait));
            let error = CliError::new(Exit::TryAgain, message);
            Check::failure("rate_limit", error.hint("try again later"))
        }
        false => Check::warning("rate_limit", text).hint("`sync` waits for it"),
    }
}

/// Checks that the API responds, which it does if either request got a response from it.
fn api(context: &Context, meta: &ProbeResult<Lifecycle>, whoami: &ProbeResult<Whoami>) -> Check {
    let base = &context.config.base_url;
    match (meta, whoami) {
        (Ok(_), _) | (_, Ok(_)) => Check::ok("api", format!("{base} responds")),
        (_, Err(ProbeError::Failed(failure))) if failure.is_problem => {
            Check::ok("api", format!("{base} responds"))
        }
        (Err(ProbeError::NotSent(reason)), _) => Check::skipped("api", reason),
        (Err(ProbeError::Failed(failure)), _) => {
            Check::failure("api", unavailable(context, failure))
        }
    }
}

fn unavailable(context: &Context, failure: &Failure) -> CliError {
    match failure.cause() {
        RetryCause::NoAnswer => {
            let origin = context.config.origin(Setting::BaseUrl);
            CliError::new(Exit::Unavailable, RunError::Outage(failure.clone()))
                .hint(format!("`base_url` is `{}` ({origin})", context.config.base_url))
                .hint("check for a firewall or a proxy")
        }
        _ => errors::run_error(&RunError::Broken(failure.clone())),
    }
}

fn key_valid(context: &Context, whoami: &ProbeResult<Whoami>) -> Check {
    match whoami {
        Ok(Whoami { api_key_name: Some(name), .. }) => {
            Check::ok("key", format!("`{name}` is accepted"))
        }
        Ok(_) => Check::ok("key", "accepted"),
        Err(ProbeError::NotSent(reason)) => Check::skipped("key", reason),
        Err(ProbeError::Failed(failure)) if failure.verdict == Verdict::KeyRefused => {
            Check::failure("key", errors::run_error(&RunError::KeyRefused(failure.clone())))
        }
        Err(ProbeError::Failed(failure)) => Check::failure("key", unavailable(context, failure)),
    }
}

/// Reports deprecation notices of the API, from now or from the last run.
fn lifecycle(context: &Context, mirror: &Mirror, meta: &ProbeResult<Lifecycle>) -> Check {
    let stored = mirror.store().ok().and_then(|store| store.read(status::lifecycle).ok().flatten());
    let (lifecycle, as_of) = match (meta, stored) {
        (Ok(lifecycle), _) => (lifecycle.clone(), String::new()),
        (Err(_), Some((lifecycle, at))) => {
            let at = moment(instant::from_micros(at), context.clock.now());
            (lifecycle, format!(", as of {at}"))
        }
        (Err(reason), None) => return Check::skipped("lifecycle", &reason.to_string()),
    };
    match lifecycle.notice() {
        None => Check::ok("lifecycle", format!("API version supported{as_of}")),
        Some(notice) => Check::warning("lifecycle", format!("API notice: {notice}{as_of}"))
            .hint("install a newer creatormirror before that date"),
    }
}

fn organization(context: &Context, mirror: &Mirror, whoami: &ProbeResult<Whoami>) -> Check {
    let Ok(whoami) = whoami else { return Check::skipped("organization", NEEDS_KEY) };
    let bound = match mirror.store().ok().map(|store| store.read(instance::identity)).transpose() {
        Ok(identity) => identity.and_then(|identity| identity.organization_id),
        Err(error) => return Check::failure("organization", context.store_error(&error)),
    };
    let id = &whoami.organization_id;
    match identify::compare(bound.as_deref(), whoami) {
        Err(error) => Check::failure("organization", errors::run_error(&error)),
        Ok(()) if bound.is_some() => {
            Check::ok("organization", format!("{id}, matches the database"))
        }
        Ok(()) => {
            Check::ok("organization", format!("{id}; the first sync binds the database to it"))
        }
    }
}

/// Reports what is known of the key's scopes: reading needs none, and the API does not list them.
fn scopes(whoami: &ProbeResult<Whoami>) -> Check {
    match whoami {
        Ok(_) => Check::ok("scopes", "can read; whether the key can write is unknown"),
        Err(_) => Check::skipped("scopes", NEEDS_KEY),
    }
}

fn clock(timing: Option<Timing>, meta: &ProbeResult<Lifecycle>) -> Check {
    let Some(timing) = timing else {
        return match meta {
            Err(ProbeError::NotSent(reason)) => Check::skipped("clock", reason),
            _ => Check::skipped("clock", "the server sent no Date header"),
        };
    };
    let skew = skew(timing);
    let length = span(skew.abs().to_std().unwrap_or_default());
    let side = if skew > TimeDelta::zero() { "ahead of" } else { "behind" };
    let text = format!("{length} {side} the server's");
    let hint = "set the clock, for example with NTP: times in the mirror are off by as much";
    match skew.abs() {
        off if off > SKEW_FAILURE => {
            let error = CliError::new(Exit::Partial, format!("the clock is {text}"));
            Check::failure("clock", error.hint(hint))
        }
        off if off > SKEW_WARNING => Check::warning("clock", text).hint(hint),
        off if off.is_zero() => Check::ok("clock", "matches the server's"),
        _ => Check::ok("clock", text),
    }
}

/// Returns how far our clock is ahead of the server's, at least. The server read its clock at some
/// time during the request, and `Date` omits fractions of a second.
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
    fn response_time_and_truncated_seconds_are_not_skew() {
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

    fn clock_result(ahead_s: i64) -> (bool, bool) {
        let now = at(ahead_s * 1_000);
        let timing = Timing { before: now, after: now, date: at(0) };
        let check = clock(Some(timing), &Ok(Lifecycle::default()));
        (check.error().is_some(), !check.hints.is_empty())
    }

    #[test]
    fn skew_of_seconds_warns_and_of_minutes_fails() {
        for (ahead_s, is_failure, has_hint) in [
            (0, false, false),
            (-5, false, false),
            (-6, false, true),
            (7, false, true),
            (-300, false, true),
            (-301, true, true),
            (3_600, true, true),
        ] {
            assert_eq!(clock_result(ahead_s), (is_failure, has_hint), "{ahead_s}");
        }
    }
}
