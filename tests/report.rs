//! `report` of the real binary: from an empty mirror, from a simulated week, beside a daemon. Its
//! numbers match the views; in Chromium it renders completely, sends no requests and fits a phone.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "report/browser.rs"]
mod browser;
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use browser::{Theme, picture, show};
use chrono::NaiveDate;
use creatormirror::clock::Clock;
use creatormirror::model::{Kind, Value};
use creatormirror::store::Database;
use creatormirror::store::cookbook::recipes;
use creatormirror::store::dashboard::{self, ByPlatform, Dashboard, PLATFORMS};
use creatormirror::store::open::IfMissing;
use rusqlite::types::ValueRef;
use serde_json::json;
use support::mirrored_week::mirrored_week;
use support::sandbox::SandboxSettings;
use support::{TestBed, unlimited};

/// An account name that attempts HTML injection.
const HOSTILE: &str = "\"><img src=\"https://evil.example/x\" onerror=alert(1)>\
                       <script src=https://evil.example/y></script></style>&'\u{202e}";

fn report(bed: &TestBed, arguments: &[&str]) -> support::Run {
    bed.start(bed.command(&[&["report"], arguments].concat())).wait()
}

#[test]
fn reports_an_empty_mirror_but_not_a_missing_one() {
    let bed = TestBed::frozen(unlimited());
    report(&bed, &["--out", "-"]).expect(78).says("no database at");
    let store = Database::open(&bed.database(), IfMissing::Create).unwrap();
    let out = bed.folder().join("missing/report.html");
    report(&bed, &["--out", out.to_str().unwrap()]).expect(74).says("create the folder first");
    // The lock is held, as beside a daemon.
    let page = report(&bed, &["--out", "-"]).expect(0).stdout;
    drop(store);
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"), "{page}");
    assert!(page.contains("nothing is mirrored yet"));
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    // Both charts and all tables say why they are empty, and no count is shown as 0.
    assert_eq!(page.matches("Nothing is synced yet.").count(), 9, "{page}");
    assert!(page.matches("<span class=\"number\">—</span>").count() == 6, "{page}");
}

#[test]
fn a_new_mirror_says_when_its_history_begins() {
    let now = Clock::System.now();
    let settings = SandboxSettings { accounts: 2, videos: 5, account_videos: 9, ..unlimited() };
    let bed = TestBed::new(settings, Clock::manual(now));
    bed.sync_ok(&["--full"]);
    let page = report(&bed, &["--out", "-"]).expect(0).stdout;
    let begins = now
        .format("The history begins with %-d %B %Y, %H:%M UTC; this is complete after")
        .to_string();
    for days in [8, 15] {
        assert!(page.contains(&format!("{begins} {days} days.")), "{days}: {page}");
    }
    let tile = "Views in 7 days</dt><dd><span class=\"number\">—</span>";
    assert!(page.contains(tile) && page.contains("the first whole day is not over"), "{page}");
}

#[test]
fn writes_the_file_atomically_with_mode_0640() {
    use std::os::unix::fs::PermissionsExt;
    let bed = TestBed::frozen(unlimited());
    drop(Database::open(&bed.database(), IfMissing::Create).unwrap());
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let mut command = bed.command(&["report"]);
        command.current_dir(folder.path());
        let run = bed.start(command).wait().expect(0);
        assert_eq!(run.stdout, "report.html\n");
        let names: Vec<_> =
            folder.path().read_dir().unwrap().map(|one| one.unwrap().file_name()).collect();
        assert_eq!(names, ["report.html"]);
    }
    let path = folder.path().join("report.html");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o640);
    let nowhere = folder.path().join("nowhere/report.html");
    report(&bed, &["--out", nowhere.to_str().unwrap()]).expect(74).says("cannot write");
}

#[test]
fn keeps_the_mode_of_an_existing_page() {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;
    let bed = TestBed::frozen(unlimited());
    drop(Database::open(&bed.database(), IfMissing::Create).unwrap());
    let page = bed.folder().join("page.html");
    for mode in [0o644, 0o604, 0o600] {
        std::fs::write(&page, "older").unwrap();
        std::fs::set_permissions(&page, Permissions::from_mode(mode)).unwrap();
        report(&bed, &["--out", page.to_str().unwrap()]).expect(0);
        assert!(std::fs::read_to_string(&page).unwrap().starts_with("<!doctype html>"));
        assert_eq!(page.metadata().unwrap().permissions().mode() & 0o777, mode);
    }
}

#[test]
fn pipe_is_written_to_and_a_link_kept() {
    use std::os::unix::fs::FileTypeExt;
    let bed = TestBed::frozen(unlimited());
    drop(Database::open(&bed.database(), IfMissing::Create).unwrap());
    let (pipe, link, page) =
        (bed.folder().join("pipe"), bed.folder().join("link.html"), bed.folder().join("page.html"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let from = pipe.clone();
    let reader = std::thread::spawn(move || std::fs::read_to_string(from).unwrap());
    report(&bed, &["--out", pipe.to_str().unwrap()]).expect(0);
    assert!(reader.join().unwrap().starts_with("<!doctype html>"));
    assert!(pipe.metadata().unwrap().file_type().is_fifo());

    std::fs::write(&page, "older").unwrap();
    std::os::unix::fs::symlink(&page, &link).unwrap();
    report(&bed, &["--out", link.to_str().unwrap()]).expect(0);
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&page).unwrap().starts_with("<!doctype html>"));

    std::fs::remove_file(&page).unwrap();
    report(&bed, &["--out", link.to_str().unwrap()]).expect(0);
    assert!(link.is_symlink());
    assert!(std::fs::read_to_string(&page).unwrap().starts_with("<!doctype html>"));
}

/// The page of a simulated week after every name became an attempt at HTML injection.
fn hostile_page(bed: &TestBed) -> String {
    for id in bed.control.ids(Kind::Creator) {
        bed.control.set_member(Kind::Creator, &id, "name", &HOSTILE.into());
    }
    for kind in [Kind::Account, Kind::Video, Kind::AccountVideo] {
        let members: &[&str] = match kind {
            Kind::Account => &["username", "name", "platform"],
            _ => &["description", "account_username"],
        };
        for id in bed.control.ids(kind) {
            for member in members {
                bed.control.set_member(kind, &id, member, &json!(HOSTILE));
            }
        }
    }
    bed.sync(&["--full"]);
    let sql = format!(
        "UPDATE outbox SET detail = '{0}', target = '{0}' WHERE state = 'failed'",
        HOSTILE.replace('\'', "''")
    );
    assert_eq!(bed.db_to_write().execute(&sql, []).unwrap(), 1);
    report(bed, &["--out", "-"]).expect(0).stdout
}

#[test]
fn shows_a_week_and_escapes_hostile_names() {
    let (bed, now) = mirrored_week();
    // The binary synced just now, on its own clock.
    let sql = "UPDATE instance SET first_synced_at = first_synced_at - 20 * 86400000000";
    assert_eq!(bed.db_to_write().execute(sql, []).unwrap(), 1);
    let store = Database::open_to_read(&bed.database()).unwrap();
    let dashboard = store.read(|c| dashboard::read(c, now.timestamp())).unwrap();
    check_numbers(&bed, &dashboard);
    check_tables(&bed, &dashboard);
    let page = hostile_page(&bed);
    check_escaping(&page);
    check_rendering(&bed, &page);
}

fn check_numbers(bed: &TestBed, dashboard: &Dashboard) {
    let growth = &dashboard.growth;
    let views = days_and_platforms(
        bed,
        "SELECT d.date, a.platform, sum(d.views_gained) FROM post_daily AS d
         JOIN posts AS p USING (post_key) LEFT JOIN accounts AS a ON a.id = p.account_id GROUP BY 1, 2",
    );
    let found = growth.days.iter().map(|(day, gains)| (*day, gains.views));
    assert_eq!(without_zeros(found), views);
    assert!(views.len() > 4 && views.values().any(|views| views[2] > 0), "{views:?}");
    let followers = days_and_platforms(
        bed,
        "SELECT d.date, a.platform, sum(d.followers_gained) FROM account_daily AS d
         JOIN accounts AS a ON a.id = d.account_id GROUP BY 1, 2",
    );
    let found = growth.days.iter().map(|(day, gains)| (*day, gains.followers));
    assert_eq!(without_zeros(found), followers);
    for (found, first) in [(growth.week(), 7), (growth.week_before(), 14)] {
        let days = growth.today - first..growth.today - first + 7;
        let week: i64 = days.filter_map(|day| views.get(&day)).flatten().sum();
        assert_eq!(found.unwrap().views.iter().sum::<i64>(), week);
    }

    let total = bed.number("SELECT sum(follower_count) FROM accounts WHERE removed_at IS NULL");
    assert_eq!(growth.followers, Some(total));
    assert_eq!(dashboard.posts, bed.number("SELECT count(*) FROM posts WHERE removed_at IS NULL"));
    let tracked = "SELECT count(*) FROM posts WHERE removed_at IS NULL AND is_tracked";
    assert_eq!(dashboard.tracked_posts, bed.number(tracked));
    let spent: i64 = dashboard.requests.values().map(|spent| spent.requests).sum();
    assert_eq!(spent, i64::try_from(bed.control.log().len()).unwrap());
}

/// Reads rows of a date, a platform and a figure.
fn days_and_platforms(bed: &TestBed, sql: &str) -> BTreeMap<i64, ByPlatform> {
    let mut days: BTreeMap<i64, ByPlatform> = BTreeMap::new();
    let db = bed.db();
    let mut statement = db.prepare(sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let date: NaiveDate = row.get::<_, String>(0).unwrap().parse().unwrap();
        let platform: Option<String> = row.get(1).unwrap();
        let place =
            PLATFORMS.iter().position(|known| Some(*known) == platform.as_deref()).unwrap_or(2);
        let day = date.signed_duration_since(NaiveDate::default()).num_days();
        let figure = row.get::<_, Option<i64>>(2).unwrap().unwrap_or(0);
        days.entry(day).or_default()[place] += figure;
    }
    without_zeros(days.into_iter())
}

fn without_zeros(days: impl Iterator<Item = (i64, ByPlatform)>) -> BTreeMap<i64, ByPlatform> {
    days.filter(|(_, gained)| *gained != [0; 3]).collect()
}

/// Compares the tables with the queries of the cookbook, read from the views.
fn check_tables(bed: &TestBed, dashboard: &Dashboard) {
    assert_eq!(dashboard.tables.len(), 7);
    let db = bed.db();
    for (name, table) in &dashboard.tables {
        let recipe = recipes().into_iter().find(|recipe| recipe.name == *name).unwrap();
        let mut statement = db.prepare(recipe.sql).unwrap();
        let mut rows = statement.raw_query();
        // The window of these gains moves while the test runs.
        let tolerance = if *name == "fastest-risers" { 0.02 } else { 1e-9 };
        let mut count = 0;
        while let Some(row) = rows.next().unwrap() {
            if let Some(found) = table.rows.get(count) {
                for (n, value) in found.iter().enumerate() {
                    let expected = row.get_ref(n).unwrap();
                    assert!(is_same(value, expected, tolerance), "{name}: {value:?} {expected:?}");
                }
            }
            count += 1;
        }
        assert_eq!(table.rows.len() + table.more, count, "{name}");
        assert!(count > 0 || *name == "above-median", "{name}");
    }
    let risers = &dashboard.tables["fastest-risers"];
    assert!(risers.curves.len() == risers.rows.len() && risers.curves[0].len() > 1);
}

/// Whether values are the same within this relative tolerance.
fn is_same(found: &Value<'_>, expected: ValueRef<'_>, tolerance: f64) -> bool {
    let (found, expected) = match (found, expected) {
        (Value::Null, ValueRef::Null) => return true,
        (Value::Text(found), ValueRef::Text(expected)) => return found.as_bytes() == expected,
        (Value::Integer(found), ValueRef::Integer(expected)) => (*found as f64, expected as f64),
        (Value::Real(found), ValueRef::Real(expected)) => (*found, expected),
        _ => return false,
    };
    (found - expected).abs() <= tolerance * expected.abs().max(100.0)
}

fn check_escaping(page: &str) {
    for tag in ["<img", "<script", "</style>&", "onerror=alert(1)>", "\u{202e}", " style="] {
        assert!(!page.contains(tag), "{tag}");
    }
    assert!(page.matches("&quot;&gt;&lt;img src=").count() > 20);
    assert!(page.contains("Writes that need attention"));
    // The page links to posts only, and loads nothing.
    let links = page.matches("href=\"https://www.instagram.com/p/").count();
    assert!(links > 0 && links == page.matches("href=").count(), "{links}");
    let addresses = page.matches("://").count() - links;
    assert_eq!(addresses, page.matches("https://evil.example/").count(), "only in text");
    assert!(!page.contains("url(") && !page.contains("@import"));
    assert!(!page.contains(support::KEY));
}

/// Renders in both themes, in desktop and phone widths.
fn check_rendering(bed: &TestBed, page: &str) {
    let mut backs = Vec::new();
    for theme in [Theme::Light, Theme::Dark] {
        let Some(shown) = show(bed, page, theme) else { return };
        assert!(shown.log.contains("console output is captured"), "{}", shown.log);
        let complaints: Vec<_> = shown
            .log
            .lines()
            .filter(|line| line.contains("CONSOLE") && !line.contains("console output is captured"))
            .collect();
        assert!(complaints.is_empty(), "{complaints:#?}");
        assert!(!shown.requests.iter().any(|head| head.contains("evil")), "{:#?}", shown.requests);
        let ours = shown.requests.iter().filter(|head| head.contains("report.test"));
        let paths: Vec<_> = ours.filter_map(|head| head.split(' ').nth(1)).collect();
        assert!(paths.iter().all(|path| ["/gauge", "/report"].contains(path)), "{paths:?}");
        assert_eq!(shown.frames.len(), 3);
        for frame in &shown.frames {
            assert!(
                frame["scroll"].as_f64() <= frame["width"].as_f64(),
                "the page scrolls: {frame}"
            );
            assert_eq!(frame["tiles"], "grid", "the style sheet is not applied: {frame}");
            assert_eq!(frame["charts"], 3, "{frame}");
            assert_eq!(frame["scripts"], 0, "{frame}");
            assert!(frame["labels"].as_f64().unwrap() > 10.0, "too small to read: {frame}");
        }
        backs.push((shown.frames[0]["back"].clone(), shown.frames[0]["bar"].clone()));
    }
    assert!(backs[0].0 != backs[1].0 && backs[0].1 != backs[1].1, "{backs:?}");
    std::thread::scope(|scope| {
        for theme in [Theme::Light, Theme::Dark] {
            for size in [(1200, 1900), (390, 3600)] {
                scope.spawn(move || {
                    let path = picture(bed, page, theme, size).unwrap();
                    assert!(is_image(&path, size), "{}", path.display());
                });
            }
        }
    });
}

/// Whether the file is a PNG of this size that is not blank.
fn is_image(path: &Path, (width, height): (u32, u32)) -> bool {
    let bytes = std::fs::read(path).unwrap();
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    bytes.len() > 50_000 && bytes[16..24] == size[..]
}
