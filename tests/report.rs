//! `report` of the real binary: from an empty mirror, from a simulated week, beside a daemon. Its
//! numbers match the views; in Chromium it renders completely, sends no requests and fits a phone.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "report/browser.rs"]
mod browser;
mod support;

use std::collections::BTreeMap;
use std::path::Path;

use browser::{Theme, picture, show};
use creatormirror::model::Kind;
use creatormirror::store::Database;
use creatormirror::store::dashboard::{self, Dashboard};
use creatormirror::store::open::IfMissing;
use serde_json::json;
use support::mirrored_week::mirrored_week;
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

/// A simulated week in which every name attempts HTML injection.
fn hostile_week() -> (TestBed, Dashboard, String) {
    let (bed, now) = mirrored_week();
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
    let store = Database::open_to_read(&bed.database()).unwrap();
    let dashboard = store.read(|c| dashboard::read(c, now.timestamp())).unwrap();
    let page = report(&bed, &["--out", "-"]).expect(0).stdout;
    (bed, dashboard, page)
}

#[test]
fn shows_a_week_and_escapes_hostile_names() {
    let (bed, dashboard, page) = hostile_week();
    check_numbers(&bed, &dashboard);
    check_escaping(&page);
    check_rendering(&bed, &page);
}

fn check_numbers(bed: &TestBed, dashboard: &Dashboard) {
    let db = bed.db();
    let mut statement = db
        .prepare(
            "SELECT CAST(strftime('%s', date) AS INTEGER) / 86400, sum(views_gained) FROM post_daily
             WHERE views_gained IS NOT NULL GROUP BY date",
        )
        .unwrap();
    let days = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let mut expected: BTreeMap<i64, i64> = days.collect::<Result<_, _>>().unwrap();
    let found = dashboard.growth.days.iter().map(|(day, gain)| (*day, gain.tracked + gain.others));
    let mut found: BTreeMap<_, _> = found.collect();
    // `post_daily` has no gain on the first day of an older post; the report counts the gains within that day.
    let first = "SELECT date, post_key FROM post_daily WHERE views_gained IS NULL AND view_count IS NOT NULL";
    let mut statement = db.prepare(first).unwrap();
    let first: Vec<(String, String)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for (date, key) in first {
        let sql = "SELECT CAST(strftime('%s', ?1) AS INTEGER) / 86400, view_count FROM post_history
                   WHERE post_key = ?2 AND substr(scraped_at, 1, 10) = ?1 ORDER BY scraped_at_unix";
        let mut statement = db.prepare(sql).unwrap();
        let views = statement.query_map([&date, &key], |row| Ok((row.get(0)?, row.get(1)?)));
        let views: Vec<(i64, i64)> = views.unwrap().collect::<Result<_, _>>().unwrap();
        let gain = views.last().unwrap().1 - views[0].1;
        *expected.entry(views[0].0).or_default() += gain;
    }
    found.retain(|_, gain| *gain != 0);
    expected.retain(|_, gain| *gain != 0);
    assert!(found.len() > 4, "{found:?}");
    assert_eq!(found, expected);

    let total = bed.number("SELECT sum(follower_count) FROM accounts WHERE removed_at IS NULL");
    assert_eq!(dashboard.followers.total, total);
    // The new account was never scraped, and counts only in the total.
    assert_eq!(*dashboard.followers.curve.values().last().unwrap(), total);
    let posts = dashboard.posts.tracked + dashboard.posts.others;
    assert_eq!(posts, bed.number("SELECT count(*) FROM posts WHERE removed_at IS NULL"));
    let first = &dashboard.growth.movers[0];
    assert!(dashboard.growth.movers.windows(2).all(|pair| pair[0].gained >= pair[1].gained));
    assert!(first.scrapes.len() > 1);
    assert!(dashboard.growth.movers.iter().any(|mover| mover.is_tracked));
    let engagement: i64 = dashboard.creators.iter().map(|one| one.engagement).sum();
    let sum = "SELECT CAST(round(sum(p.engagement_rate * p.view_count)) AS INTEGER)
               FROM posts AS p JOIN accounts AS a ON a.id = p.account_id
               WHERE p.removed_at IS NULL AND a.removed_at IS NULL";
    assert_eq!(engagement, bed.number(sum));
    let spent: i64 = dashboard.requests.values().map(|spent| spent.requests).sum();
    assert_eq!(spent, i64::try_from(bed.control.log().len()).unwrap());
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
