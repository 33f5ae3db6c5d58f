//! Schedules of full syncs: crontab expressions and shorthands, in several time zones.

#![no_main]

use chrono::{DateTime, TimeDelta};
use creatormirror::model::Zone;
use creatormirror::schedule::FullSyncSchedule;
use libfuzzer_sys::fuzz_target;

/// Zones with changes of an hour, of half an hour, of a whole day, and without any.
const ZONES: [&str; 4] = ["Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "UTC"];

fuzz_target!(|input: (u32, &str)| {
    let (seconds, text) = input;
    let Ok(Some(schedule)) = FullSyncSchedule::parse(text, u64::from(seconds)) else { return };
    assert_eq!(
        FullSyncSchedule::parse(&schedule.to_string(), seconds.into()),
        Ok(Some(schedule.clone()))
    );
    let after = DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds.into());
    for zone in ZONES.into_iter().filter_map(Zone::named) {
        // A date comes at most every eight years, as February 29 around 2100, and on one weekday of these every 40.
        if let Some(next) = schedule.next_after(after, &zone) {
            assert!(next > after, "{schedule} in {zone}: {next} is not after {after}");
            assert!(schedule.fires_between(after, next, &zone));
            assert!(!schedule.fires_between(after, next - TimeDelta::seconds(1), &zone));
        }
    }
});
