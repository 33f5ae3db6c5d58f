//! The ready-made views: growth and days compared with a reference computation over random histories,
//! edge cases, and query plans that read only the rows of one video.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "support/mirror.rs"]
mod mirror;

use std::collections::BTreeMap;
use std::path::Path;

use creatormirror::model::{Instant, Kind};
use creatormirror::store::instance;
use mirror::Mirror;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Map, Value, json};

/// The counts of a scrape in the order of the history's columns: view, like, comment, share, play,
/// saved.
type Counts = [Option<i64>; 6];
/// A video's scrapes.
type History = BTreeMap<Instant, Counts>;

const NAMES: [&str; 6] =
    ["view_count", "like_count", "comment_count", "share_count", "play_count", "saved_count"];
const DAY_S: i64 = 86_400;

/// A video as the API shows it after a scrape.
fn video(id: &str, interval: Option<i64>, at: Instant, counts: &Counts) -> Value {
    let counts = NAMES.iter().zip(counts).map(|(name, count)| ((*name).to_owned(), json!(count)));
    let mut row: Map<String, Value> = counts.collect();
    row.insert("id".to_owned(), json!(id));
    row.insert("scrape_interval_hours".to_owned(), json!(interval));
    row.insert("last_scrape_time".to_owned(), json!(at.to_text()));
    Value::Object(row)
}

fn gain(now: Option<i64>, before: Option<i64>) -> Value {
    json!(now.zip(before).map(|(now, before)| now - before))
}

/// `video_growth`, computed from consecutive scrapes.
fn growth(id: &str, interval: Option<i64>, history: &History) -> Vec<Vec<Value>> {
    let pairs = history.iter().zip(history.iter().skip(1));
    pairs
        .map(|((from, before), (to, now))| {
            let nanos = f64::from(to.nanos) - f64::from(from.nanos);
            let hours = ((to.seconds - from.seconds) as f64 + nanos / 1e9) / 3_600.0;
            let per_hour = now[0].zip(before[0]).map(|(now, before)| (now - before) as f64 / hours);
            let is_gap = hours > 1.5 * interval.unwrap_or(24) as f64;
            vec![
                json!(id),
                json!(from.to_text()),
                json!(from.seconds),
                json!(to.to_text()),
                json!(to.seconds),
                json!(hours),
                gain(now[0], before[0]),
                gain(now[1], before[1]),
                gain(now[2], before[2]),
                gain(now[3], before[3]),
                json!(per_hour),
                json!(i64::from(is_gap)),
            ]
        })
        .collect()
}

/// `video_daily`, computed by grouping scrapes by day.
fn daily(id: &str, history: &History) -> Vec<Vec<Value>> {
    let mut days: BTreeMap<String, Counts> = BTreeMap::new();
    for (at, counts) in history {
        let day = at.to_utc().unwrap().date_naive();
        days.insert(day.to_string(), *counts);
    }
    let mut before: Counts = [None; 6];
    let mut rows = Vec::new();
    for (day, now) in days {
        let mut row = vec![json!(id), json!(day)];
        row.extend(now.iter().map(|count| json!(count)));
        row.extend((0..4).map(|n| gain(now[n], before[n])));
        rows.push(row);
        before = now;
    }
    rows
}

fn counts() -> impl Strategy<Value = Counts> {
    prop::array::uniform6(prop::option::weighted(0.85, 0_i64..1_000))
}

/// Instants near the borders of days, and arbitrary ones.
fn instant(first_day: i64) -> impl Strategy<Value = Instant> {
    let second = prop_oneof![Just(0), Just(1), Just(DAY_S - 1), 0..DAY_S];
    let nanos =
        prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(999_999_999), 1 => 0_u32..1_000_000_000];
    (0_i64..6, second, nanos).prop_map(move |(day, second, nanos)| Instant {
        seconds: (first_day + day) * DAY_S + second,
        nanos,
    })
}

fn history() -> impl Strategy<Value = Vec<(Instant, Counts)>> {
    // Days far after 1970, and around it, where seconds are negative.
    prop_oneof![3 => Just(20_000_i64), 1 => Just(-3_i64)].prop_flat_map(|first_day| {
        prop::collection::btree_map(instant(first_day), counts(), 0..24)
            .prop_map(|history| history.into_iter().collect::<Vec<_>>())
            .prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_251_120),
        ..ProptestConfig::default()
    })]
    #[test]
    fn growth_and_days_match_a_reference_computation(
        videos in prop::collection::vec((prop::option::of(1_i64..49), history()), 1..4),
    ) {
        let mut mirror = Mirror::new();
        let mut rows = Vec::new();
        for (n, (interval, history)) in videos.iter().enumerate() {
            let id = format!("v{n}");
            rows.extend(history.iter().map(|(at, counts)| video(&id, *interval, *at, counts)));
        }
        mirror.put_all(Kind::Video, &rows);
        let (mut all_growth, mut all_days) = (Vec::new(), Vec::new());
        for (n, (interval, history)) in videos.iter().enumerate() {
            let id = format!("v{n}");
            let history: History = history.iter().copied().collect();
            let (growth, days) = (growth(&id, *interval, &history), daily(&id, &history));
            let one = |view: &str, at: usize| {
                let sql = format!("SELECT * FROM {view} WHERE video_id = '{id}'");
                let mut rows = mirror.rows(&sql);
                // As text, a whole second sorts after its fractions.
                rows.sort_by_key(|row| {
                    let text = row[at].as_str().unwrap();
                    (Instant::parse(text), text.to_owned())
                });
                rows
            };
            prop_assert_eq!(&one("video_growth", 3), &growth);
            prop_assert_eq!(&one("video_daily", 1), &days);
            all_growth.extend(growth);
            all_days.extend(days);
        }
        let count = |view: &str| mirror.rows(&format!("SELECT count(*) FROM {view}"))[0][0].clone();
        prop_assert_eq!(count("video_growth"), json!(all_growth.len()));
        prop_assert_eq!(count("video_daily"), json!(all_days.len()));
    }
}

#[test]
fn gains_of_one_video_use_a_few_lookups() {
    let mut mirror = Mirror::new();
    mirror.put(Kind::Video, &json!({"id": "v1"}));
    mirror.end_run();
    let plan = mirror.plan("SELECT * FROM video_gains WHERE video_id = 'v1' AND days = 7");
    let scans = plan.lines().filter(|line| line.contains("SCAN")).collect::<Vec<_>>();
    // The windows are six constant rows.
    let is_window =
        |line: &&str| line.ends_with("CONSTANT ROW") || line.starts_with("SCAN (subquery");
    assert!(scans.iter().all(is_window), "{plan}");
    let plan = mirror.plan("SELECT * FROM video_latest WHERE account_id = 'a'");
    assert!(!plan.contains("SCAN"), "{plan}");
}

#[test]
fn views_have_the_documented_columns_in_order() {
    let mirror = Mirror::new();
    for (view, columns) in [
        (
            "video_growth",
            "video_id, from_at, from_at_unix, to_at, to_at_unix, hours, views_gained, \
             likes_gained, comments_gained, shares_gained, views_per_hour, is_gap",
        ),
        (
            "video_daily",
            "video_id, date, view_count, like_count, comment_count, share_count, play_count, \
             saved_count, views_gained, likes_gained, comments_gained, shares_gained",
        ),
        (
            "video_gains",
            "video_id, days, from_at, from_at_unix, to_at, to_at_unix, window_hours, views_gained, \
             likes_gained, comments_gained, shares_gained, saves_gained, is_new, is_partial, \
             has_wide_gap",
        ),
        (
            "creator_rollup",
            "creator_id, creator_name, accounts, followers, views, likes, comments, shares, \
             engagement_rate",
        ),
        (
            "freshness",
            "kind, id, last_scrape_time, scrape_interval_hours, expected_at, age_hours, is_overdue",
        ),
    ] {
        assert_eq!(mirror.columns(view), columns, "{view}");
    }
    let latest =
        mirror.columns("videos") + ", account_name, creator_id, creator_name, engagement_rate";
    assert_eq!(mirror.columns("video_latest"), latest);
}

#[test]
fn one_video_reads_only_its_own_history() {
    let mirror = Mirror::new();
    for view in ["video_growth", "video_daily"] {
        for question in [
            format!("SELECT * FROM {view} WHERE video_id = 'v1'"),
            format!("SELECT * FROM {view} WHERE video_id IN ('v1', 'v2')"),
            format!("SELECT max(views_gained) FROM {view} WHERE video_id = 'v1'"),
            format!(
                "SELECT v.id, g.* FROM video_latest AS v JOIN {view} AS g ON g.video_id = v.id
                 WHERE v.id = 'v1'"
            ),
        ] {
            let plan = mirror.plan(&question);
            assert!(
                !plan.contains("SCAN") && plan.contains("PRIMARY KEY (post=?"),
                "{question}\n{plan}"
            );
            assert!(
                !plan.contains("MATERIALIZE") && !plan.contains("CO-ROUTINE"),
                "{question}\n{plan}"
            );
        }
        // Over all videos, the preceding scrape is still found by an index lookup.
        let plan = mirror.plan(&format!("SELECT sum(views_gained) FROM {view}"));
        assert_eq!(plan.matches("SCAN").count(), 1, "{plan}");
    }
    let plan = mirror.plan("SELECT * FROM video_latest WHERE id = 'v1'");
    assert!(!plan.contains("SCAN"), "{plan}");
}

#[test]
fn gap_starts_beyond_1_5_intervals() {
    let mut mirror = Mirror::new();
    let at = |minutes: i64| Instant { seconds: 1_760_000_000 + minutes * 60, nanos: 0 };
    for minutes in [0, 90, 181] {
        mirror.put(Kind::Video, &video("v", Some(1), at(minutes), &[Some(0); 6]));
    }
    let gaps = mirror.rows("SELECT is_gap FROM video_growth ORDER BY to_at");
    assert_eq!(gaps, [[json!(0)], [json!(1)]]);
}

#[test]
fn gap_is_judged_by_the_intervals_of_its_scrapes() {
    let mut mirror = Mirror::new();
    let at = |hour: i64| Instant { seconds: 1_760_000_000 + hour * 3_600, nanos: 0 };
    // The intervals when the scrapes were made; 24 hours if unknown. The longer one of the two counts.
    let scrapes =
        [(0, Some(4)), (7, Some(4)), (42, Some(24)), (52, Some(4)), (88, None), (125, None)];
    for (hour, interval) in scrapes {
        mirror.put(Kind::Video, &video("v", interval, at(hour), &[Some(0); 6]));
    }
    let gaps = mirror.rows("SELECT is_gap FROM video_growth ORDER BY to_at_unix");
    assert_eq!(gaps, [[json!(1)], [json!(0)], [json!(0)], [json!(0)], [json!(1)]]);
}

#[test]
fn pause_is_not_a_gap() {
    let mut mirror = Mirror::new();
    let start = 1_760_000_000;
    for (hour, scrape, is_active) in
        [(0, 0, true), (5, 0, false), (300, 0, true), (301, 301, true), (501, 501, true)]
    {
        let at = |hour: i64| Instant { seconds: start + hour * 3_600, nanos: 0 };
        let mut row = video("v", Some(24), at(scrape), &[Some(0); 6]);
        row["is_active"] = json!(is_active);
        mirror.stamp = at(hour).seconds * 1_000_000;
        mirror.put(Kind::Video, &row);
    }
    let gaps = mirror.rows("SELECT is_gap FROM video_growth ORDER BY to_at_unix");
    assert_eq!(gaps, [[json!(0)], [json!(1)]]);
}

#[test]
fn removed_videos_keep_their_history() {
    let mut mirror = Mirror::new();
    for hour in 0..2 {
        let at = Instant { seconds: 1_760_000_000 + hour * 3_600, nanos: 0 };
        mirror.put(Kind::Video, &video("v", Some(1), at, &[Some(10 * hour); 6]));
    }
    mirror.run("UPDATE video SET removed_at = 5");
    assert_eq!(mirror.rows("SELECT views_gained FROM video_growth"), [[json!(10)]]);
    assert_eq!(mirror.rows("SELECT removed_at IS NULL FROM video_latest"), [[json!(0)]]);
    assert!(mirror.rows("SELECT * FROM freshness").is_empty());
}

#[test]
fn latest_state_includes_account_creator_and_rate() {
    let mut mirror = Mirror::new();
    mirror.put(Kind::Creator, &json!({"id": "c1", "name": "Ada"}));
    mirror.put(
        Kind::Account,
        &json!({"id": "a1", "name": "Ada bakes", "creator_id": "c1", "creator_name": "old name"}),
    );
    mirror.put(
        Kind::Account,
        &json!({"id": "a2", "creator_id": "c9", "creator_name": "not mirrored"}),
    );
    let video = |id: &str, account: Value, views: Value, shares: Value| {
        json!({"id": id, "account_id": account, "view_count": views, "like_count": 20,
               "comment_count": 4, "share_count": shares})
    };
    mirror.put(Kind::Video, &video("v1", json!("a1"), json!(100), json!(1)));
    mirror.put(Kind::Video, &video("v2", json!("a2"), json!(0), json!(1)));
    mirror.put(Kind::Video, &video("v3", json!("a7"), json!(null), json!(1)));
    mirror.put(Kind::Video, &video("v4", json!(null), json!(100), json!(null)));
    let sql = "SELECT account_name, creator_id, creator_name, engagement_rate FROM video_latest ORDER BY id";
    assert_eq!(
        mirror.rows(sql),
        [
            [json!("Ada bakes"), json!("c1"), json!("Ada"), json!(0.25)],
            [json!(null), json!("c9"), json!("not mirrored"), json!(null)],
            [json!(null), json!(null), json!(null), json!(null)],
            // Shares are unknown.
            [json!(null), json!(null), json!(null), json!(0.24)],
        ]
    );
}

#[test]
fn extreme_counts_do_not_break_the_views() {
    let mut mirror = Mirror::new();
    mirror.put(Kind::Creator, &json!({"id": "c1", "name": "Ada"}));
    for (id, likes) in [("a1", -3_i64), ("a2", 1 << 40), ("a3", -(1 << 50))] {
        let views = i64::MAX;
        mirror.put(
            Kind::Account,
            &json!({"id": id, "creator_id": "c1", "view_count": views, "like_count": likes}),
        );
    }
    let rows = mirror.rows("SELECT views, likes FROM creator_rollup");
    assert_eq!(rows[0][0].as_f64().unwrap(), 3.0 * i64::MAX as f64);
    assert_eq!(rows[0][1], json!((1_i64 << 40) - (1 << 50) - 3));
    for (day, followers) in [(1, -i64::MAX), (2, 0), (3, i64::MAX)] {
        let at = format!("2026-09-0{day}T12:00:00Z");
        mirror.put(
            Kind::Account,
            &json!({"id": "a4", "follower_count": followers, "last_scrape_time": at}),
        );
    }
    let weeks = mirror.rows("SELECT followers_gained FROM account_weekly ORDER BY week LIMIT 1");
    assert_eq!(weeks[0][0].as_f64().unwrap(), 2.0 * i64::MAX as f64);
}

#[test]
fn creator_rollup_sums_accounts_not_removed() {
    let mut mirror = Mirror::new();
    for (id, name) in [("c1", "Ada"), ("c2", "Ben"), ("c3", "gone")] {
        mirror.put(Kind::Creator, &json!({"id": id, "name": name}));
    }
    let account = |id: &str, active: bool, followers: Value, views: Value| {
        json!({"id": id, "creator_id": "c1", "is_active": active, "follower_count": followers,
               "view_count": views, "like_count": 8, "comment_count": 1, "share_count": 1})
    };
    mirror.put(Kind::Account, &account("a1", true, json!(5), json!(30)));
    mirror.put(Kind::Account, &account("a2", false, json!(7), json!(10)));
    mirror.put(Kind::Account, &account("a3", true, json!(1_000), json!(1_000)));
    mirror.run("UPDATE account SET removed_at = 5 WHERE id = 'a3'");
    mirror.run("UPDATE creator SET removed_at = 5 WHERE id = 'c3'");
    let empty = json!(null);
    assert_eq!(
        mirror.rows("SELECT * FROM creator_rollup ORDER BY creator_id"),
        [
            vec![
                json!("c1"),
                json!("Ada"),
                json!(2),
                json!(12),
                json!(40),
                json!(16),
                json!(2),
                json!(2),
                json!(0.5)
            ],
            vec![
                json!("c2"),
                json!("Ben"),
                json!(0),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty.clone(),
                empty
            ],
        ]
    );
}

/// An instant this many seconds before SQLite's `now`, in the API's format.
fn ago(mirror: &Mirror, seconds: i64) -> Value {
    let sql = format!("SELECT strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-{seconds} seconds')");
    mirror.rows(&sql)[0][0].clone()
}

#[test]
fn freshness_expects_a_scrape_one_interval_later() {
    let mut mirror = Mirror::new();
    let (hour, two_hours, day) =
        (ago(&mirror, 3_600), ago(&mirror, 2 * 3_600 + 60), ago(&mirror, 86_400 + 60));
    let video = |id: &str, at: &Value, interval: Value, more: Value| {
        let mut row = json!({"id": id, "last_scrape_time": at, "scrape_interval_hours": interval});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    for row in [
        video("v1 late", &two_hours, json!(2), json!({"is_active": true})),
        video("v2 paused", &two_hours, json!(2), json!({"is_active": false})),
        video("v3 unavailable", &two_hours, json!(2), json!({"is_unavailable": true})),
        video("v4 in time", &hour, json!(2), json!({})),
        video("v5 never", &json!(null), json!(2), json!({})),
        video("v6 late by default", &day, json!(null), json!({})),
        video("v7 in time by default", &two_hours, json!(null), json!({})),
        video("v8 extreme", &two_hours, json!(i64::MAX), json!({})),
    ] {
        mirror.put(Kind::Video, &row);
    }
    let overdue = mirror.rows("SELECT id FROM freshness WHERE is_overdue = 1 ORDER BY id");
    assert_eq!(overdue, [[json!("v1 late")], [json!("v6 late by default")]]);
    let never = "SELECT expected_at, age_hours, is_overdue FROM freshness WHERE id = 'v5 never'";
    assert_eq!(mirror.rows(never), [[json!(null), json!(null), json!(0)]]);
    let age = mirror.rows("SELECT age_hours FROM freshness WHERE id = 'v4 in time'");
    assert!((1.0..1.1).contains(&age[0][0].as_f64().unwrap()), "{age:?}");
}

#[test]
fn expected_time_keeps_the_fraction_of_a_second() {
    let mut mirror = Mirror::new();
    for (id, at) in [("v1", "2026-12-31T23:59:59.999999999Z"), ("v2", "2026-02-28T12:00:00Z")] {
        mirror.put(
            Kind::Video,
            &json!({"id": id, "last_scrape_time": at, "scrape_interval_hours": 25}),
        );
    }
    assert_eq!(
        mirror.rows("SELECT expected_at FROM freshness ORDER BY id"),
        [[json!("2027-01-02T00:59:59.999999999Z")], [json!("2026-03-01T13:00:00Z")]]
    );
}

#[test]
fn account_videos_follow_the_interval_of_their_account() {
    let mut mirror = Mirror::new();
    let late = ago(&mirror, 7 * 3_600);
    for (id, active) in [("a1", true), ("a2", false), ("a3", true)] {
        let row = json!({"id": id, "is_active": active, "scrape_interval_hours": 6,
                         "last_scrape_time": late});
        mirror.put(Kind::Account, &row);
        let row = json!({"id": 7, "platform": id, "account_id": id, "last_scrape_time": late});
        mirror.put(Kind::AccountVideo, &row);
    }
    let row = json!({"id": 8, "platform": "a1", "account_id": null, "last_scrape_time": late});
    mirror.put(Kind::AccountVideo, &row);
    mirror.run("UPDATE account SET removed_at = 5 WHERE id = 'a3'");
    assert_eq!(
        mirror.rows(
            "SELECT kind, id, scrape_interval_hours, is_overdue FROM freshness ORDER BY kind, id"
        ),
        [
            [json!("account"), json!("a1"), json!(6), json!(1)],
            [json!("account"), json!("a2"), json!(6), json!(0)],
            [json!("account_video"), json!("a1:7"), json!(6), json!(1)],
            [json!("account_video"), json!("a1:8"), json!(null), json!(0)],
            [json!("account_video"), json!("a2:7"), json!(6), json!(0)],
            [json!("account_video"), json!("a3:7"), json!(6), json!(0)],
        ]
    );
}

#[test]
fn older_sqlite_shell_reads_the_views() {
    let mirror = Mirror::new();
    let path: &Path = mirror.store.path();
    mirror.store.read(|c| instance::identity(c).map(drop)).unwrap();
    let sql = "SELECT count(*) FROM video_growth; SELECT count(*) FROM video_daily; \
               SELECT count(*) FROM video_latest; SELECT count(*) FROM creator_rollup; \
               SELECT count(*) FROM freshness;";
    // Skip where `sqlite3` is not installed.
    let Ok(output) = std::process::Command::new("sqlite3").arg(path).arg(sql).output() else {
        return;
    };
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "0\n0\n0\n0\n0\n");
}
