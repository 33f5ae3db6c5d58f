//! The cookbook queries over a mirror of a sandbox: each query runs, its rows match a reference
//! computation, and Datasette serves it.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike, Utc};
use creatormirror::store::cookbook::{Recipe, recipes};
use rusqlite::types::Value as Sql;
use serde_json::Value;
use support::mirrored_week::mirrored_week;
use support::tools::tool;
use support::{BINARY, TestBed, until};

/// The columns of each query.
const COLUMNS: [(&str, &str); 22] = [
    (
        "above-median",
        "post_key account_username caption url posted_at views_7d median_views_7d times_median",
    ),
    (
        "accounts-gone-quiet",
        "account_id platform username creator_name followers last_post days_ago",
    ),
    ("best-posting-hour", "hour_local posts average_views times_the_usual"),
    ("campaigns", "campaign posts accounts views engagement engagement_rate"),
    (
        "cost-of-requests",
        "kind requests not_modified percent_not_modified rows_changed scrapes_added scrapes_per_request",
    ),
    ("data-completeness", "date accounts scraped share_scraped"),
    ("engagement-by-creator", "creator platform posts views engagement engagement_rate"),
    (
        "fastest-risers",
        "post_key account_username caption url views views_gained views_per_hour is_new is_partial has_wide_gap",
    ),
    (
        "follower-growth",
        "account_id platform username creator_name since followers_before followers gained percent",
    ),
    (
        "gaps-in-history",
        "video_id platform account_username interval_hours gaps longest_hours last_gap_ended",
    ),
    (
        "losing-steam",
        "post_key account_username caption url views views_per_day_before views_per_day_now percent_lost",
    ),
    (
        "month-over-month",
        "creator month posts_published views_gained followers_gained views_change_percent",
    ),
    (
        "most-engaging-posts",
        "post_key account_username creator_name caption url views engagement engagement_rate",
    ),
    (
        "new-posts",
        "post_key account_username caption url posted_at views_24h times_the_usual views",
    ),
    ("not-refreshed", "kind id account last_scrape_time interval_hours age_hours hours_late"),
    (
        "outbox-failures",
        "entry created_at kind action target state attempts http_status code detail request_id",
    ),
    (
        "posting-frequency",
        "account_id platform username creator_name posts posts_per_week posts_before last_post",
    ),
    (
        "views-per-day",
        "date platform posts_published views_gained likes_gained comments_gained shares_gained",
    ),
    (
        "week-over-week",
        "grouped_by name views_gained views_gained_before views_change_percent followers_gained \
         followers_gained_before posts_published posts_published_before",
    ),
    (
        "weekly-growth",
        "week platform username followers followers_gained followers_gained_percent posts_published views_gained engagement_rate",
    ),
    ("what-changed", "changed_at kind name id field old_value new_value"),
    (
        "what-has-disappeared",
        "kind id platform account removed_at is_unavailable last_scrape_time last_views",
    ),
];

/// A row by column name.
type Row = BTreeMap<String, Sql>;

struct Cookbook {
    bed: TestBed,
    now: DateTime<Utc>,
}

impl Cookbook {
    /// The rows of a query, as of the last instant of the simulated week.
    fn run_query(&self, name: &str) -> Vec<Row> {
        let recipe = recipes().into_iter().find(|recipe| recipe.name == name).unwrap();
        let now = self.now.to_rfc3339_opts(SecondsFormat::Millis, true);
        self.read(&recipe.sql_with_defaults().replace("'now'", &format!("'{now}'")))
    }

    fn read(&self, sql: &str) -> Vec<Row> {
        let db = self.bed.db();
        let mut statement = db.prepare(sql).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let rows = statement.query_map([], |row| {
            names.iter().enumerate().map(|(n, name)| Ok((name.clone(), row.get(n)?))).collect()
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn days_ago(&self, days: i64) -> DateTime<Utc> {
        self.now - TimeDelta::days(days)
    }

    fn check_columns(&self) {
        let expected: BTreeMap<&str, &str> = COLUMNS.into_iter().collect();
        let db = self.bed.db();
        for Recipe { name, sql, .. } in recipes() {
            let columns = db.prepare(sql).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(
                columns.column_names().collect::<Vec<_>>().join(" "),
                expected[name],
                "{name}"
            );
            // No post stands out, and a week is too short for what was before it.
            let may_be_empty = ["above-median", "losing-steam"].contains(&name);
            assert!(may_be_empty || !self.run_query(name).is_empty(), "{name} returns no rows");
        }
    }

    fn check_fastest_risers(&self) {
        let found = self.run_query("fastest-risers");
        let gained: Vec<i64> = found.iter().map(|row| number(row, "views_gained")).collect();
        assert!(gained.len() > 20 && gained.is_sorted_by(|one, next| one >= next), "{gained:?}");
        let best = self.read("SELECT max(views_gained) AS best FROM post_gains WHERE days = 7");
        assert_eq!(gained[0], number(&best[0], "best"));
        for row in &found {
            assert!(text(row, "url").starts_with("https://www."), "{row:?}");
        }
    }

    /// Compares the sums that are kept per account with the gains of each post.
    fn check_views_per_day(&self) {
        let since = self.days_ago(30).date_naive();
        let sql = format!(
            "SELECT d.date, a.platform, sum(d.views_gained) AS views_gained
             FROM post_daily AS d
             JOIN posts AS p ON p.post_key = d.post_key
             JOIN accounts AS a ON a.id = p.account_id
             WHERE d.date >= '{since}' GROUP BY d.date, a.platform"
        );
        let by_day = |rows: Vec<Row>| -> BTreeMap<(String, String), i64> {
            let gains = rows.into_iter().filter(|row| row["views_gained"] != Sql::Null);
            let gains = gains.map(|row| {
                let key = (text(&row, "date"), text(&row, "platform"));
                (key, number(&row, "views_gained"))
            });
            gains.filter(|(_, gained)| *gained != 0).collect()
        };
        let expected = by_day(self.read(&sql));
        assert!(expected.len() > 7, "{expected:?}");
        assert_eq!(by_day(self.run_query("views-per-day")), expected);
    }

    /// Compares with the gains of each post; nothing is known of the week before.
    fn check_week_over_week(&self) {
        let sql = format!(
            "SELECT a.platform, sum(d.views_gained) AS views_gained
             FROM post_daily AS d
             JOIN posts AS p ON p.post_key = d.post_key
             JOIN accounts AS a ON a.id = p.account_id
             WHERE d.date BETWEEN '{}' AND '{}' GROUP BY a.platform",
            self.days_ago(7).date_naive(),
            self.days_ago(1).date_naive(),
        );
        let gained = |rows: &[Row], name: &str| -> BTreeMap<String, i64> {
            rows.iter().map(|row| (text(row, name), number(row, "views_gained"))).collect()
        };
        let mut found = self.run_query("week-over-week");
        assert!(found.iter().any(|row| text(row, "grouped_by") == "creator"), "{found:?}");
        found.retain(|row| text(row, "grouped_by") == "platform");
        assert_eq!(gained(&found, "name"), gained(&self.read(&sql), "platform"));
        assert!(found.iter().all(|row| row["views_gained_before"] == Sql::Null), "{found:?}");
    }

    fn check_posting_frequency(&self) {
        let posts = self
            .read("SELECT * FROM posts WHERE account_id IS NOT NULL AND create_time IS NOT NULL");
        let found = self.run_query("posting-frequency");
        for row in &found {
            let own = posts.iter().filter(|post| post["account_id"] == row["account_id"]);
            let times: Vec<_> = own.map(|post| instant(post, "create_time")).collect();
            let since = |days| times.iter().filter(|at| **at >= self.days_ago(days)).count() as i64;
            assert_eq!(number(row, "posts"), since(28), "{row:?}");
            assert_eq!(number(row, "posts_before"), since(56) - since(28), "{row:?}");
        }
        assert!(found.iter().any(|row| number(row, "posts") > 0), "{found:?}");
        assert!(found.iter().any(|row| row["last_post"] == Sql::Null), "{found:?}");
    }

    fn check_follower_growth(&self) {
        let mut histories: BTreeMap<String, Vec<(DateTime<Utc>, i64)>> = BTreeMap::new();
        for row in self.read("SELECT * FROM account_history") {
            let scrape = (instant(&row, "scraped_at"), number(&row, "follower_count"));
            histories.entry(text(&row, "account_id")).or_default().push(scrape);
        }
        let found = self.run_query("follower-growth");
        assert_eq!(found.len(), histories.len());
        for row in found {
            let history = histories.get_mut(&text(&row, "account_id")).unwrap();
            history.sort();
            let first_day = history[0].0.date_naive().max(self.days_ago(7).date_naive());
            assert_eq!(text(&row, "since"), first_day.to_string());
            let before = history.iter().rev().find(|(at, _)| at.date_naive() <= first_day);
            let (before, now) = (before.unwrap().1, history.last().unwrap().1);
            assert_eq!(number(&row, "followers_before"), before, "{row:?}");
            assert_eq!(number(&row, "gained"), now - before, "{row:?}");
        }
    }

    /// Compares with the server's request log.
    fn check_cost_of_requests(&self) {
        let total =
            |rows: &[Row], column: &str| rows.iter().map(|row| number(row, column)).sum::<i64>();
        let found = self.run_query("cost-of-requests");
        let seen = self.bed.control.log();
        assert_eq!(total(&found, "requests"), i64::try_from(seen.len()).unwrap());
        let unchanged = seen.iter().filter(|entry| entry.status == Some(304)).count();
        assert_eq!(total(&found, "not_modified"), i64::try_from(unchanged).unwrap());
        let held: i64 = ["account", "video", "account_video"]
            .iter()
            .map(|kind| self.bed.number(&format!("SELECT count(*) FROM {kind}_history")))
            .sum();
        let scrapes = found.iter().filter(|row| text(row, "kind") != "overview").cloned();
        assert_eq!(total(&scrapes.collect::<Vec<_>>(), "scrapes_added"), held);
    }

    fn check_best_posting_hour(&self) {
        let mut posts: BTreeMap<(String, String), (String, DateTime<Utc>, i64)> = BTreeMap::new();
        let sql = "SELECT * FROM posts WHERE removed_at IS NULL AND create_time IS NOT NULL
                   AND view_count IS NOT NULL";
        for row in self.read(sql) {
            let post = (text(&row, "platform"), text(&row, "post_key"));
            let (at, views) = (instant(&row, "create_time"), number(&row, "view_count"));
            posts.insert(post, (text(&row, "account_username"), at, views));
        }
        posts.retain(|_, (_, at, _)| (self.days_ago(90)..=self.days_ago(2)).contains(at));
        let usual = |platform: &str, account: &str| {
            let own =
                posts.iter().filter(|((other, _), post)| other == platform && post.0 == account);
            let views: Vec<f64> = own.map(|(_, post)| post.2 as f64).collect();
            views.iter().sum::<f64>() / views.len() as f64
        };
        let mut hours: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
        for ((platform, _), (account, at, views)) in &posts {
            let usual = usual(platform, account);
            if usual > 0.0 {
                hours.entry(at.hour().into()).or_default().push(*views as f64 / usual);
            }
        }
        let found = self.run_query("best-posting-hour");
        assert_eq!(found.len(), hours.len());
        for row in &found {
            let hour = &hours[&number(row, "hour_local")];
            assert_eq!(number(row, "posts"), i64::try_from(hour.len()).unwrap());
            let expected = hour.iter().sum::<f64>() / hour.len() as f64;
            let Sql::Real(shown) = row["times_the_usual"] else { panic!("{row:?}") };
            assert!((shown - expected).abs() < 0.006, "{row:?}: {expected}");
        }
    }

    fn check_recorded_events(&self) {
        let gone = self.run_query("what-has-disappeared");
        let is_removed = |row: &&Row| row["removed_at"] != Sql::Null;
        assert_eq!(gone.iter().filter(is_removed).count(), 1, "{gone:#?}");
        assert!(gone.iter().any(|row| number(row, "is_unavailable") == 1), "{gone:#?}");
        let quiet = self.run_query("accounts-gone-quiet");
        let silent = quiet.iter().find(|row| text(row, "username") == "silent.one").unwrap();
        assert_eq!(silent["last_post"], Sql::Null);
        let failures = self.run_query("outbox-failures");
        assert_eq!(failures.len(), 1, "{failures:#?}");
        assert_eq!(text(&failures[0], "state"), "failed");
    }

    /// Starts Datasette as documented, and fetches every query.
    fn check_datasette(&self) {
        let Some(datasette) = tool("datasette") else { return };
        let metadata = Command::new(BINARY)
            .args(["schema", "--datasette", "--database"])
            .arg(self.bed.database())
            .env_clear()
            .output()
            .unwrap();
        let path = self.bed.folder().join("metadata.json");
        std::fs::write(&path, metadata.stdout).unwrap();
        let mut serve = Command::new(datasette);
        serve.arg("serve").arg(self.bed.database()).arg("--metadata").arg(&path);
        serve.args(["--port", "0", "--setting", "sql_time_limit_ms", "60000"]);
        serve.env_clear().env("HOME", self.bed.folder()).stdin(Stdio::null());
        let running = self.bed.start(serve);
        let port = || {
            let stderr = running.stderr();
            let (_, rest) = stderr.split_once("running on http://127.0.0.1:")?;
            rest.split(' ').next()?.parse::<u16>().ok()
        };
        until("Datasette is up", || port().is_some());
        let port = port().unwrap();
        for recipe in recipes() {
            let (Recipe { name, title, .. }, sql) = (&recipe, recipe.sql_with_defaults());
            let answer = get(port, &format!("/mirror/{name}.json?_shape=array"));
            let rows: Vec<Value> = serde_json::from_str(&answer).unwrap();
            assert_eq!(rows.len(), self.read(&sql).len(), "{name}");
            if let Some(row) = rows.first() {
                let columns: BTreeSet<&str> =
                    row.as_object().unwrap().keys().map(String::as_str).collect();
                let (_, expected) = COLUMNS.iter().find(|(known, _)| known == name).unwrap();
                assert_eq!(columns, expected.split_whitespace().collect(), "{name}");
            }
            assert!(get(port, "/mirror").contains(title.as_str()), "{name}");
        }
        // Column descriptions are shown, and internal tables are hidden.
        assert!(
            get(port, "/mirror/coverage")
                .contains("Rows that were removed from the API and are kept in the mirror")
        );
        let offered: Value = serde_json::from_str(&get(port, "/mirror.json")).unwrap();
        for table in offered["tables"].as_array().unwrap() {
            assert_eq!(table["hidden"], true, "{}", table["name"]);
        }
    }
}

fn text(row: &Row, column: &str) -> String {
    match &row[column] {
        Sql::Text(text) => text.clone(),
        other => panic!("{column} is {other:?} in {row:?}"),
    }
}

fn number(row: &Row, column: &str) -> i64 {
    match &row[column] {
        Sql::Integer(number) => *number,
        other => panic!("{column} is {other:?} in {row:?}"),
    }
}

fn instant(row: &Row, column: &str) -> DateTime<Utc> {
    DateTime::parse_from_rfc3339(&text(row, column)).unwrap().to_utc()
}

fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 200 "), "{path}: {answer}");
    body.to_owned()
}

#[test]
fn every_cookbook_query_returns_correct_rows() {
    let (bed, now) = mirrored_week();
    let cookbook = Cookbook { bed, now };
    cookbook.check_columns();
    cookbook.check_fastest_risers();
    cookbook.check_views_per_day();
    cookbook.check_week_over_week();
    cookbook.check_posting_frequency();
    cookbook.check_follower_growth();
    cookbook.check_cost_of_requests();
    cookbook.check_best_posting_hour();
    cookbook.check_recorded_events();
    cookbook.check_datasette();
}
