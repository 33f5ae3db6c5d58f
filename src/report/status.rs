//! `status`: the state of the mirror at one moment, as text and as JSON.

mod facts;
mod json;
mod read;
mod text;

pub use facts::{NextListing, Status};
pub use json::json;
pub use read::read;
pub use text::{text, unsupported_text};

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;
    use crate::model::BackoffScope;
    use crate::model::outbox::State;
    use crate::model::{Instant, Kind, Lifecycle};
    use crate::report::rate::RateLimit;
    use crate::store::backoff::Backoff;
    use crate::store::freshness::Freshness;
    use crate::store::instance::Identity;
    use crate::store::listings::KindState;
    use crate::store::metrics::MetricsRange;
    use crate::store::outbox::Summary;
    use crate::store::status::{KindStatus, LastError, LastRun, Schedule, Sizes, Snapshot};
    use crate::store::unsupported::UnsupportedFeature;

    const NOW: i64 = 1_800_000_000;

    fn micros(ago_s: i64) -> i64 {
        (NOW - ago_s) * 1_000_000
    }

    fn scraped(ago_s: i64) -> Option<Instant> {
        Some(Instant { seconds: NOW - ago_s, nanos: 0 })
    }

    fn kind(kind: Kind, rows: i64) -> KindStatus {
        KindStatus {
            kind,
            rows,
            removed: 0,
            state: KindState {
                complete_as_of: Some(micros(3_600)),
                last_full_sync_at: Some(micros(3_600)),
                last_outcome: Some(crate::model::Outcome::Complete),
                full_sync_due_after: Some(micros(3_600)),
                held_removals: 0,
            },
            open_listing: None,
            freshness: None,
            unreadable_scrapes: None,
        }
    }

    fn status() -> Status {
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        let freshness = Freshness {
            rows: 1_000,
            is_sample: true,
            never_scraped: 2,
            newest: scraped(60),
            median: scraped(3_600),
            p95: scraped(86_400),
            oldest: scraped(90_000),
        };
        let mut videos = kind(Kind::Video, 20_000);
        (videos.freshness, videos.state.held_removals, videos.removed) =
            (Some(freshness), 4_000, 7);
        Status {
            now,
            database: "/m.db".into(),
            sizes: Sizes { database: 12_000_000, wal: 0 },
            is_running: false,
            snapshot: Snapshot {
                identity: Identity {
                    installation_id: "i".to_owned(),
                    organization_id: Some("org-1".to_owned()),
                    api_key_name: Some("nightly\u{1b}[31m".to_owned()),
                },
                schema_version: 2,
                daemon: Some(("idle until noon".to_owned(), 450)),
                last_run: Some(LastRun {
                    run_id: 12,
                    trigger: "sync".to_owned(),
                    started_at: micros(100),
                    finished_at: Some(micros(90)),
                    outcome: "finished".to_owned(),
                    detail: None,
                    requests: 1_234,
                }),
                kinds: vec![kind(Kind::Account, 12), videos],
                schedule: Schedule { scheduled: 19_000, overdue: 0, next_due_at: Some(NOW + 300) },
                daily: vec![MetricsRange {
                    kind: Kind::Video,
                    from: "2026-12-01".to_owned(),
                    to: "2027-01-14".to_owned(),
                    days: 45,
                    is_growing: true,
                }],
                request_state: crate::store::instance::StoredRequestState::default(),
                unsupported: vec![UnsupportedFeature {
                    feature: "GET /videos order_by".to_owned(),
                    status: Some(422),
                    code: Some("VALIDATION_ERROR".to_owned()),
                    detail: None,
                    request_id: Some("req_7".to_owned()),
                    refused_at: micros(600),
                    retry_at: micros(-600_000),
                }],
                paused: vec![Backoff {
                    kind: Kind::Video,
                    scope: BackoffScope::Listing,
                    failures: 3,
                    retry_at: micros(-1_200),
                }],
                outbox: Summary {
                    counts: vec![(State::Queued, 3), (State::Succeeded, 40)],
                    failed: Vec::new(),
                },
                last_error: Some(LastError {
                    run_id: 9,
                    at: micros(7_200),
                    kind: Some("video".to_owned()),
                    code: "INTERNAL_ERROR".to_owned(),
                    detail: Some("500 INTERNAL_ERROR: Internal error".to_owned()),
                    request_id: Some("req_9".to_owned()),
                }),
                lifecycle: Some((Lifecycle::default(), micros(7_200))),
            },
            rate: RateLimit::default(),
            listings: BTreeMap::from([(
                Kind::Account,
                NextListing::At(now + Duration::from_secs(60)),
            )]),
        }
    }

    #[test]
    fn text_shows_all_facts() {
        let text = text(&status(), None);
        for line in [
            "organization  org-1, key `nightly [31m`\n",
            "database      /m.db, 12.0 MB, schema version 2\n",
            "now           not running\n",
            "last run      12 by sync: finished 2027-01-15T07:58:30Z (1 min 30 s ago) after 10 s, 1,234 requests\n",
            "next due      2027-01-15T08:01:00Z (in 1 min): listing of accounts; \
             then the first of 19,000 scheduled videos 2027-01-15T08:05:00Z (in 5 min)\n",
            "days          videos 2026-12-01 to 2027-01-14\n",
            "rate limit    open\n",
            "outbox        3 queued\n",
            "API           supported, as of 2027-01-15T06:00:00Z (2 h ago)\n",
            "last error    2027-01-15T06:00:00Z (2 h ago) in run 9, video: 500 INTERNAL_ERROR: Internal error (request id req_9)\n",
            "videos    20,000        7  2027-01-15T07:00:00Z (1 h ago)  complete      ~1 min  ~1 h    ~1 d  never\n",
            "videos: 4,000 removals held back",
            "videos: listing paused until 2027-01-15T08:20:00Z after 3 failures in a row; `sync --full` tries now",
            "videos: 2 of a sample of 1,000 not scraped yet",
            "not supported by the server: GET /videos order_by (422 VALIDATION_ERROR, request id req_7); next try",
        ] {
            assert!(text.contains(line), "{line}\n---\n{text}");
        }
        assert!(
            !text.contains('\u{1b}') && !text.lines().any(|line| line.ends_with(' ')),
            "{text}"
        );
    }

    #[test]
    fn table_fits_80_columns() {
        let mut status = status();
        let mut kinds: Vec<KindStatus> =
            Kind::ALL.into_iter().map(|one| kind(one, 12_345_678)).collect();
        let freshness = status.snapshot.kinds[1].freshness.clone();
        for kind in &mut kinds {
            kind.freshness = freshness.clone();
            kind.state.last_outcome = Some(crate::model::Outcome::ScrapesUnreadable);
        }
        status.snapshot.kinds = kinds;
        for width in [80, 100, 120, 160] {
            let text = text(&status, Some(width));
            let table = text.split("\n\n").nth(1).unwrap();
            assert_eq!(table.lines().count(), Kind::ALL.len() + 1, "{table}");
            assert!(table.lines().all(|line| line.chars().count() <= width), "{width}: {table}");
            assert_eq!(table.contains("p95"), width >= 100, "{width}: {table}");
        }
    }

    #[test]
    fn due_work_is_shown_first() {
        let mut status = status();
        status.snapshot.schedule.overdue = 35;
        status.listings.insert(Kind::Video, NextListing::Now);
        let text = text(&status, None);
        assert!(text.contains("next due      now: 35 videos, listing of videos\n"), "{text}");
        assert_eq!(json(&status)["next_due_at"], "2027-01-15T08:00:00Z");
    }

    #[test]
    fn unfinished_run_is_running_or_was_killed() {
        let mut status = status();
        let run = status.snapshot.last_run.as_mut().unwrap();
        (run.finished_at, run.outcome) = (None, "running".to_owned());
        assert!(
            text(&status, None)
                .contains("12 by sync: started 2027-01-15T07:58:20Z (1 min 40 s ago), killed")
        );
        assert_eq!(json(&status)["last_run"]["outcome"], "killed");
        assert!(text(&status, None).contains("not running"));
        status.is_running = true;
        assert!(
            text(&status, None)
                .contains("daemon: idle until noon; batches due rows for up to 7 min 30 s")
        );
        assert_eq!(json(&status)["daemon"]["batch_delay_seconds"], 450);
        assert!(text(&status, None).contains("12 by sync: running since 2027-01-15T07:58:20Z"));
        assert_eq!(json(&status)["last_run"]["outcome"], "running");
    }

    #[test]
    fn document_has_stable_keys() {
        let document = json(&status());
        assert_eq!(document["organization_id"], "org-1");
        assert_eq!(document["next_due_at"], "2027-01-15T08:01:00Z");
        let videos = &document["kinds"][1];
        assert_eq!((&videos["kind"], &videos["rows"]), (&"video".into(), &20_000.into()));
        assert_eq!(videos["complete_as_of"], "2027-01-15T07:00:00Z");
        assert_eq!(videos["freshness"]["median_age_s"], 3_600);
        assert_eq!(videos["freshness"]["newest"], "2027-01-15T07:59:00Z");
        assert_eq!(document["daily_metrics"][0]["from"], "2026-12-01");
        assert_eq!(document["videos_due"]["overdue"], 0);
        assert_eq!(document["last_error"]["request_id"], "req_9");
        assert_eq!(document["unsupported"][0]["feature"], "GET /videos order_by");
        assert_eq!(document["paused"][0]["scope"], "listing");
        assert_eq!(document["paused"][0]["retry_at"], "2027-01-15T08:20:00Z");
        assert_eq!(document["rate_limit"]["is_open"], true);
        assert_eq!(document["api"]["sunset"], serde_json::Value::Null);
    }
}
