//! The views of posts, accounts and creators over time, compared with a plain computation over random answers of the
//! API, which arrive in any order; and query plans that read only the history of the posts asked for.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "post_views/expected.rs"]
mod expected;
#[path = "support/mirror.rs"]
mod mirror;
#[path = "post_views/model.rs"]
mod model;
#[path = "post_views/world.rs"]
mod world;

use std::collections::BTreeMap;

use creatormirror::api::decode;
use creatormirror::clock::Clock;
use creatormirror::model::{Instant, Kind, Zone};
use creatormirror::schedule::zone_offsets;
use creatormirror::store::rows::{RowWriter, Source};
use creatormirror::store::{removals, zone};
use expected::Rows;
use mirror::Mirror;
use model::{Model, Post};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use rusqlite::Transaction;
use serde_json::{Value, json};
use world::{Answer, DAY_S, Event};

const POSTS_SQL: &str =
    "SELECT post_key, platform, external_id, url, video_id, account_video_id, is_tracked, account_id, account_username,
         creator_id, metadata, description, create_time, first_scrape_time, last_scrape_time, view_count, like_count,
         comment_count, share_count, play_count, saved_count, engagement_rate, is_unavailable, removed_at IS NOT NULL,
         published_date_local, published_hour_local, published_weekday_local
     FROM posts ORDER BY post_key";

/// A mirror whose setting `timezone` is Berlin.
fn berlin() -> Mirror {
    let mirror = Mirror::new();
    let (now, berlin) = (Clock::System.now(), Zone::named("Europe/Berlin").unwrap());
    let offsets = zone_offsets::zone_offsets(&berlin, now);
    let offsets = offsets.iter().map(|one| (one.from_s, one.offset_s)).collect::<Vec<_>>();
    let basis = zone_offsets::basis(&berlin, now);
    mirror.store.write(|tx| zone::replace(tx, berlin.name(), &basis, &offsets)).unwrap();
    mirror
}

/// Writes the events, those of one kind that follow each other as one page. Returns the model of the same events.
fn write(mirror: &Mirror, events: &[Event], now: i64) -> Model {
    let mut model = Model::default();
    let events = world::in_order(events, now);
    let is_page = |one: &Event, next: &Event| {
        let removes = |event: &Event| matches!(event.answer, Answer::Removed(_));
        one.answer.kind() == next.answer.kind() && !removes(one) && !removes(next)
    };
    let written = mirror.store.write(|tx| {
        for page in events.chunk_by(|(_, one), (_, next)| is_page(one, next)) {
            let kind = page[0].1.answer.kind();
            let mut writer = RowWriter::new(tx, kind)?;
            for (at, event) in page {
                match event.answer.to_json(event.n, now) {
                    Some(row) => {
                        let row = decode::row(kind, row.to_string()).unwrap();
                        writer.write(&row, Source { page: None, as_of: *at })?;
                    }
                    None => remove(tx, event, model.removal(event, *at)),
                }
                model.apply(event, *at, now);
            }
        }
        Ok(())
    });
    written.unwrap();
    model
}

fn remove(tx: &Transaction<'_>, event: &Event, at: Option<i64>) {
    let Some(at) = at else { return };
    let (kind, n) = (event.answer.kind(), event.n);
    let id = match kind {
        Kind::Account => world::account_id(n),
        Kind::Video => world::video_id(n),
        _ => n.to_string(),
    };
    let sql = format!("SELECT row_id FROM {} WHERE id = ?1", kind.name());
    let row_id = tx.query_row(&sql, [id], |row| row.get(0)).unwrap();
    removals::deleted(tx, kind, row_id, at).unwrap();
}

/// Whether a found value is the expected one. A count is one that was rounded if a float is expected.
fn is_same(found: &Value, expected: &Value) -> bool {
    match (found.as_f64(), expected.as_f64()) {
        (Some(one), Some(other)) if expected.is_f64() => {
            let tolerance = if found.is_f64() { one.abs() * 1e-9 + 1e-9 } else { 0.5 + 1e-6 };
            (one - other).abs() <= tolerance
        }
        _ => found == expected,
    }
}

fn compare(view: &str, found: &Rows, expected: &Rows) -> Result<(), TestCaseError> {
    for (found, expected) in found.iter().zip(expected) {
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|(one, other)| is_same(one, other));
        prop_assert!(same, "{view}\n   found {}\nexpected {}", json!(found), json!(expected));
    }
    prop_assert_eq!(
        found.len(),
        expected.len(),
        "{}\n{:?}\n{:?}",
        view,
        found.last(),
        expected.last()
    );
    Ok(())
}

/// The rows of a query that begins with `SELECT`, and SQLite's time when it ran, Unix seconds.
fn rows_and_now(mirror: &Mirror, sql: &str) -> (Rows, i64) {
    let now = "CAST(strftime('%s', 'now') AS INTEGER)";
    let sql = format!("SELECT {now}, q.* FROM (SELECT 1) LEFT JOIN ({sql}) AS q");
    let mut rows = mirror.rows(&sql);
    let now = rows[0][0].as_i64().unwrap();
    rows.iter_mut().for_each(|row| drop(row.remove(0)));
    rows.retain(|row| !row[0].is_null());
    (rows, now)
}

fn check_posts(
    mirror: &Mirror,
    model: &Model,
    posts: &BTreeMap<String, Post<'_>>,
    now: i64,
) -> Result<(), TestCaseError> {
    compare("posts", &mirror.rows(POSTS_SQL), &expected::posts(model, posts, now))?;
    // As text, a whole second sorts after its fractions.
    let history =
        "SELECT * FROM post_history ORDER BY post_key, scraped_at_unix, rtrim(scraped_at, 'Z')";
    compare("post_history", &mirror.rows(history), &expected::history(posts))?;
    let (gains, now) = rows_and_now(mirror, "SELECT * FROM post_gains");
    let expected = expected::sorted(expected::gains(posts, now));
    compare("post_gains", &expected::sorted(gains), &expected)?;
    check_video_gains(mirror)?;
    let ages = "SELECT post_key, views_24h, views_72h, views_7d, views_28d, engagements_24h, engagements_7d
                FROM post_age_metrics ORDER BY post_key";
    compare("post_age_metrics", &mirror.rows(ages), &expected::ages(posts))?;
    check_medians(mirror, posts)?;
    let tags = "SELECT post_key, hashtag FROM post_hashtags ORDER BY post_key, hashtag";
    let mut expected = Rows::new();
    for post in posts.values() {
        let tags = expected::hashtags(post.first_of(|member| member.now.caption).unwrap_or(""));
        expected.extend(tags.iter().map(|tag| vec![json!(post.key), json!(tag)]));
    }
    compare("post_hashtags", &mirror.rows(tags), &expected)
}

/// `video_gains` has the rows of `post_gains` of posts with a video.
fn check_video_gains(mirror: &Mirror) -> Result<(), TestCaseError> {
    let columns =
        "days, from_at, from_at_unix, to_at, to_at_unix, window_hours, views_gained, likes_gained,
                   comments_gained, shares_gained, saves_gained, is_new, is_partial, has_wide_gap";
    let sql = format!(
        "WITH one AS (SELECT video_id, {columns} FROM video_gains),
             other AS (
                 SELECT video_id, {columns} FROM post_gains JOIN posts USING (post_key) WHERE video_id IS NOT NULL
             ),
             -- The start of a window moves with the clock, but not within a statement.
             difference AS (
                 SELECT * FROM (SELECT * FROM one EXCEPT SELECT * FROM other)
                 UNION ALL
                 SELECT * FROM (SELECT * FROM other EXCEPT SELECT * FROM one)
             )
         SELECT * FROM difference"
    );
    compare("video_gains", &mirror.rows(&sql), &Rows::new())
}

fn check_medians(mirror: &Mirror, posts: &BTreeMap<String, Post<'_>>) -> Result<(), TestCaseError> {
    let sql = "SELECT post_key, views_7d, account_median_views_7d, times_median FROM post_age_metrics ORDER BY post_key";
    let found = mirror.rows(sql);
    let views =
        |row: &Vec<Value>| (posts[row[0].as_str().unwrap()].account.clone(), row[1].as_i64());
    let medians = expected::medians(&found.iter().map(views).collect::<Vec<_>>());
    let expected = found.iter().map(|row| {
        let (account, views) = views(row);
        let median = account.and_then(|account| medians.get(&account)).copied();
        let divisor = median.filter(|median| *median != 0.0);
        let times = divisor.zip(views).map(|(median, views)| views as f64 / median);
        vec![row[0].clone(), row[1].clone(), json!(median), json!(times)]
    });
    compare("post_age_metrics", &found, &expected.collect())
}

fn check_days(
    mirror: &Mirror,
    model: &Model,
    posts: &BTreeMap<String, Post<'_>>,
) -> Result<(), TestCaseError> {
    let rows = |view: &str| {
        let (rows, now) = rows_and_now(mirror, &format!("SELECT * FROM {view}"));
        (expected::sorted(rows), now.div_euclid(DAY_S))
    };
    let (found, today) = rows("post_daily");
    compare("post_daily", &found, &expected::sorted(expected::post_days(posts, today)))?;
    let (found, today) = rows("account_daily");
    let days = expected::account_days(model, posts, today);
    compare("account_daily", &found, &expected::account_daily(&days))?;
    let (found, today) = rows("creator_daily");
    let days = expected::account_days(model, posts, today);
    compare("creator_daily", &found, &expected::creator_daily(&days))?;
    let (found, today) = rows("account_weekly");
    let days = expected::account_days(model, posts, today);
    compare("account_weekly", &found, &expected::account_weekly(model, &days))
}

/// What is kept per account and day while rows are written is the sum of `post_daily`.
fn check_kept_days(mirror: &Mirror) -> Result<(), TestCaseError> {
    let kept =
        "SELECT account_id, date(day * 86400, 'unixepoch') AS date, views, likes, comments, shares
                FROM account_day
                WHERE views != 0 OR likes != 0 OR comments != 0 OR shares != 0
                ORDER BY account_id, date";
    let sums = "SELECT * FROM (
                    SELECT coalesce(p.account_id, '') AS account_id, d.date, coalesce(sum(d.views_gained), 0) AS views,
                        coalesce(sum(d.likes_gained), 0) AS likes, coalesce(sum(d.comments_gained), 0) AS comments,
                        coalesce(sum(d.shares_gained), 0) AS shares
                    FROM post_daily AS d JOIN posts AS p USING (post_key)
                    GROUP BY p.account_id, d.date
                )
                WHERE views != 0 OR likes != 0 OR comments != 0 OR shares != 0
                ORDER BY account_id, date";
    compare("account_day", &mirror.rows(kept), &mirror.rows(sums))
}

/// The gains kept with scrapes are those computed from scratch.
fn check_kept_gains(mirror: &Mirror) -> Result<(), TestCaseError> {
    let columns = "post, at_s, at_ns, source, next_day, views_gained, likes_gained, comments_gained, shares_gained, saves_gained";
    let order = "ORDER BY post, at_s, at_ns, source";
    let rows = |table: &str| mirror.rows(&format!("SELECT {columns} FROM {table} {order}"));
    compare("post_scrape", &rows("post_scrape"), &rows("post_scrape_gains"))
}

/// `post_daily` shows what it showed when it searched the scrapes of each day, in V3.
fn check_former_days(mirror: &Mirror) -> Result<(), TestCaseError> {
    let former = include_str!("../migrations/V3__analysis.sql");
    let (_, former) = former.split_once("CREATE VIEW post_daily AS").unwrap();
    let (former, _) = former.split_once(";\n").unwrap();
    let rows = mirror.rows(&format!(
        "WITH former AS (SELECT * FROM ({former}))
         SELECT * FROM (SELECT 'former', * FROM (SELECT * FROM former EXCEPT SELECT * FROM post_daily))
         UNION ALL
         SELECT * FROM (SELECT 'now', * FROM (SELECT * FROM post_daily EXCEPT SELECT * FROM former))"
    ));
    compare("post_daily", &rows, &Rows::new())?;
    let counts = format!("SELECT (SELECT count(*) FROM ({former})) - count(*) FROM post_daily");
    compare("post_daily", &mirror.rows(&counts), &vec![vec![json!(0)]])
}

/// A row about one of two posts with a scrape at a time that is hardly possible: before 1970 or 2000, or in the future.
fn odd_row() -> impl Strategy<Value = (Kind, Value)> {
    let today = Clock::System.now().timestamp().div_euclid(DAY_S);
    let days = vec![
        -400,
        -1,
        0,
        10_955,
        10_956,
        10_957,
        10_958,
        today - 2,
        today - 1,
        today,
        today + 1,
        today + 3,
    ];
    let second = prop::sample::select(vec![0, 1, DAY_S / 2, DAY_S - 1]);
    let time = (prop::sample::select(days), second, prop::sample::select(vec![0_u32, 1]));
    let time =
        time.prop_map(|(day, second, nanos)| Instant { seconds: day * DAY_S + second, nanos });
    let counts = prop::array::uniform5(prop::option::weighted(0.8, -5_i64..1_000));
    (prop::bool::ANY, 0_usize..3, 0_usize..2, time.clone(), prop::option::of(time), counts).prop_map(
        |(is_video, n, external, scraped, created, counts)| {
            let id = if is_video { json!(format!("v{n}")) } else { json!(n) };
            let [views, likes, comments, shares, saves] = counts;
            let row = json!({
                "id": id, "platform": "tiktok", "external_id": format!("e{external}"), "account_id": format!("a{}", n % 2),
                "last_scrape_time": scraped.to_text(), "create_time": created.map(Instant::to_text),
                "view_count": views, "like_count": likes, "comment_count": comments, "share_count": shares, "saved_count": saves,
            });
            (if is_video { Kind::Video } else { Kind::AccountVideo }, row)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_127),
        ..ProptestConfig::default()
    })]
    #[test]
    fn views_match_a_plain_computation(events in world::events(60)) {
        let now = Clock::System.now().timestamp();
        let mirror = berlin();
        let model = write(&mirror, &events, now);
        let posts = model.posts(now);
        check_posts(&mirror, &model, &posts, now)?;
        check_days(&mirror, &model, &posts)?;
        check_kept_days(&mirror)?;
        check_kept_gains(&mirror)?;
        check_former_days(&mirror)?;
    }

    #[test]
    fn days_of_posts_are_as_before_for_odd_times(rows in prop::collection::vec(odd_row(), 1..12)) {
        let mut mirror = Mirror::new();
        rows.iter().for_each(|(kind, row)| mirror.put(*kind, row));
        check_kept_gains(&mirror)?;
        check_former_days(&mirror)?;
    }

    #[test]
    fn hashtags_match_a_plain_computation(
        captions in prop::collection::vec("[#ab7Z_é桜🔥 \n\t\u{b}\u{1}\u{a0}\u{3000}\u{fe0f}\"'\\\\.,…。{}\\[\\]-]{0,24}", 1..6),
    ) {
        let mut mirror = Mirror::new();
        let rows = captions.iter().enumerate().map(|(n, caption)| json!({"id": n.to_string(), "description": caption}));
        mirror.put_all(Kind::Video, &rows.collect::<Vec<_>>());
        for (n, caption) in captions.iter().enumerate() {
            let found = mirror.rows(&format!("SELECT hashtag FROM post_hashtags WHERE post_key = 'unknown:v:{n}' ORDER BY 1"));
            let expected = expected::hashtags(caption).into_iter().map(|tag| vec![json!(tag)]);
            prop_assert_eq!(found, expected.collect::<Vec<_>>(), "{:?}", caption);
        }
    }
}

/// What a release wrote shows the same days after the upgrade.
#[test]
fn days_of_posts_are_as_before_after_the_upgrade_from_1_0_0() {
    let release = include_bytes!("fixtures/mirror-1.0.0.db.gz");
    let folder = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(folder.path().join("mirror.db")).unwrap();
    std::io::copy(&mut flate2::read::GzDecoder::new(&release[..]), &mut file).unwrap();
    let mirror = Mirror::in_folder(folder);
    let known = "SELECT count(*) > 0 FROM post_daily WHERE views_gained > 0 AND NOT is_carried";
    assert_eq!(mirror.rows(known), [[json!(1)]]);
    check_kept_gains(&mirror).unwrap();
    check_former_days(&mirror).unwrap();
    check_kept_days(&mirror).unwrap();
}

/// A difference beyond 64 bits is the greatest integer, as tables and `post_daily` have integers.
#[test]
fn gains_beyond_64_bits_are_kept_as_integers() {
    let mut mirror = Mirror::new();
    for (day, views) in [(1, -i64::MAX), (2, i64::MAX)] {
        let at = format!("2026-01-0{day}T10:00:00Z");
        mirror.put(Kind::Video, &json!({"id": "v", "last_scrape_time": at, "view_count": views}));
    }
    let gained = "SELECT views_gained FROM post_daily WHERE date = '2026-01-02'";
    assert_eq!(mirror.rows(gained), [[json!(i64::MAX)]]);
}

#[test]
fn video_without_a_scrape_joins_the_post_in_a_feed() {
    let mut mirror = Mirror::new();
    let of_feed = json!({
        "id": 1, "platform": "tiktok", "external_id": "e", "account_id": "a", "view_count": 7,
        "last_scrape_time": "2026-01-05T10:00:00Z",
    });
    mirror.put(Kind::AccountVideo, &of_feed);
    mirror.put(Kind::Video, &json!({"id": "v", "platform": "tiktok", "external_id": "e"}));
    let posts =
        mirror.rows("SELECT post_key, video_id, is_tracked, account_id, view_count FROM posts");
    assert_eq!(posts, [[json!("tiktok:e"), json!("v"), json!(1), json!("a"), json!(7)]]);
}

/// A row per day from the year 1 on would take minutes to read.
#[test]
fn absurd_scrape_times_do_not_begin_the_views_per_day() {
    let mut mirror = Mirror::new();
    for (day, followers) in [("0001-01-01", 5), ("1999-12-31", 6), ("2026-11-01", 8)] {
        mirror.put(
            Kind::Account,
            &json!({"id": "a", "follower_count": followers, "last_scrape_time": format!("{day}T23:59:59Z")}),
        );
    }
    let sql = "SELECT week, followers_gained FROM account_weekly ORDER BY week LIMIT 1";
    assert_eq!(mirror.rows(sql), [[json!("2026-10-26"), json!(2)]]);
    assert_eq!(mirror.rows("SELECT count(*) FROM account_history"), [[json!(3)]]);
}

#[test]
fn one_post_or_account_reads_only_its_own_history() {
    let mut mirror = Mirror::new();
    let video = |n: usize| {
        json!({
            "id": format!("v{n}"), "platform": "tiktok", "external_id": format!("e{n}"), "account_id": format!("a{}", n % 9),
            "last_scrape_time": format!("2026-01-0{}T10:00:00Z", 1 + n % 9), "create_time": "2026-01-01T00:00:00Z",
        })
    };
    mirror.put(Kind::Video, &video(0));
    mirror.end_run();
    for has_statistics in [false, true] {
        if has_statistics {
            mirror.put_all(Kind::Video, &(1..300).map(video).collect::<Vec<_>>());
            mirror.run("ANALYZE");
        }
        for question in [
            "posts WHERE account_id = 'a1'",
            "posts WHERE post_key = 'tiktok:e1'",
            "post_history WHERE post_key = 'tiktok:e1'",
            "post_gains WHERE post_key = 'tiktok:e1'",
            "post_gains WHERE post_key = 'tiktok:e1' AND days = 7",
            "post_daily WHERE post_key = 'tiktok:e1'",
            "post_daily WHERE post_key = 'tiktok:e1' AND date >= '2026-01-02'",
            "post_age_metrics WHERE post_key = 'tiktok:e1'",
            "post_hashtags WHERE post_key = 'tiktok:e1'",
            "account_daily WHERE account_id = 'a1'",
            "account_weekly WHERE account_id = 'a1'",
            "posts AS p JOIN post_gains AS g USING (post_key) WHERE p.account_id = 'a1' AND g.days = 7",
        ] {
            let plan = mirror.plan(&format!("SELECT * FROM {question}"));
            // Days, windows, ages and the parts of a caption are no tables; zone_offset is small.
            let is_small = |line: &&str| {
                let scanned = line.trim_start_matches("SCAN ");
                ["d", "w", "h", "g", "m", "day", "z", "CONSTANT ROW"].contains(&scanned)
                    || scanned.starts_with("(subquery")
                    || scanned.contains("VIRTUAL TABLE")
                    || ["post_hashtags", "instance", "post_age"].contains(&scanned)
            };
            let scans = plan.lines().filter(|line| line.contains("SCAN")).collect::<Vec<_>>();
            assert!(scans.iter().all(is_small), "{question}\n{scans:?}\n{plan}");
        }
    }
}
