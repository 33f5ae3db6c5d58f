//! Unusual answers of the list endpoints: other date formats, invalid values, oversized or very slow
//! pages, and the memory that answers may take.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::support::rewriting_proxy::{Reply, RewritingProxy};
use crate::support::sandbox::SandboxSettings;
use crate::support::{TestBed, unlimited};
use creatormirror::model::Kind;

/// Peak memory of the process for any answer, bytes. An unoptimized binary needs 18 MiB more.
const PEAK_BYTES_MAX: u64 = if cfg!(debug_assertions) { 82 << 20 } else { 64 << 20 };

/// Four pages of videos, a few rows of everything else.
fn pages() -> SandboxSettings {
    SandboxSettings { videos: 700, accounts: 9, account_videos: 40, ..unlimited() }
}

fn few() -> SandboxSettings {
    SandboxSettings { videos: 5, accounts: 3, account_videos: 4, creators: 2, ..unlimited() }
}

fn is_list(path: &str, list: &str) -> bool {
    path.split('?').next() == Some(list)
}

/// The `limit` of a request.
fn limit(path: &str) -> u32 {
    limit_of(path).unwrap()
}

fn limit_of(path: &str) -> Option<u32> {
    path.split(['?', '&']).find_map(|pair| pair.strip_prefix("limit="))?.parse().ok()
}

/// Rewrites every scrape time of an answer.
fn respell(reply: &mut Reply, spell: impl Fn(&str) -> String) {
    const NAME: &str = r#""last_scrape_time":""#;
    let text = reply.text();
    let mut parts = text.split(NAME);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap();
        out.push_str(&format!(r#""last_scrape_time":{}{rest}"#, spell(time)));
    }
    reply.body = out.into_bytes();
}

#[test]
fn accepts_other_unambiguous_scrape_time_formats() {
    let spellings: [fn(&str) -> String; 5] = [
        |time| format!(r#""{}+0000""#, time.trim_end_matches('Z')),
        |time| format!(r#""{}+00""#, time.trim_end_matches('Z')),
        |time| format!(r#""{}""#, time.replace('T', " ")),
        |time| format!(r#""{}""#, time.to_lowercase()),
        |time| format!(r#""{} -0000""#, time.trim_end_matches('Z').replace('T', " ")),
    ];
    for spell in spellings {
        let mut bed = TestBed::frozen(few());
        let _proxy = RewritingProxy::on(&mut bed, move |_, reply| respell(reply, spell));
        bed.sync_ok(&[]);
        bed.compare();
    }
}

#[test]
fn unreadable_scrape_times_fail_the_run() {
    let spellings: [fn(&str) -> String; 2] =
        [|time| format!(r#""{}""#, time.trim_end_matches('Z')), |_| "1763625600".to_owned()];
    for spell in spellings {
        let mut bed = TestBed::frozen(few());
        let proxy = RewritingProxy::on(&mut bed, move |path, reply| {
            if is_list(path, "/videos") {
                respell(reply, spell);
                reply.headers = reply.headers.replace("etag: \"", "etag: \"other-");
            }
        });
        // A page confirmed by a 304 fails in the same way.
        for _ in 0..2 {
            bed.sync(&["--full"]).expect(1).says("last_scrape_time of 5 videos cannot be read");
            assert_eq!(bed.last_outcome(Kind::Video), "scrapes_unreadable");
        }
        assert_eq!(bed.number("SELECT count(*) FROM video_history"), 0);
        assert!(bed.number("SELECT count(*) FROM account_history") > 0);
        let status = bed.start(bed.command(&["status"])).wait().expect(0);
        assert!(status.stdout.contains("last_scrape_time of 5 videos"), "{status:#?}");
        let check = bed.start(bed.command(&["check"])).wait().expect(1);
        assert!(check.stdout.contains("last_scrape_time of 5 videos"), "{check:#?}");
        drop(proxy);
        bed.base_url = format!("http://{}/v2", bed.address());
        bed.sync_ok(&["--full"]);
        bed.compare();
        let check = bed.start(bed.command(&["check"])).wait();
        assert!(!check.stdout.contains("last_scrape_time of"), "{check:#?}");
    }
}

#[test]
fn repairs_one_bad_value_without_losing_rows() {
    let damages: [fn(&mut Reply); 6] = [
        |reply| reply.body.splice(0..0, *b"\xef\xbb\xbf").for_each(drop),
        |reply| reply.replace(r#""duration":"#, br#""ratio":NaN,"duration":"#),
        |reply| reply.replace(r#""duration":"#, br#""ratio":-Infinity,"duration":"#),
        |reply| reply.replace(r#""description":""#, b"\"description\":\"\xff"),
        |reply| reply.replace(r#""description":""#, b"\"description\":\"\x01\n"),
        |reply| reply.replace(r#""description":""#, br#""description":"\x"#),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let mut bed = TestBed::frozen(SandboxSettings { videos: 600, ..pages() });
        let _proxy = RewritingProxy::on(&mut bed, move |path, reply| {
            if is_list(path, "/videos") && !path.contains("cursor=") && reply.status == 200 {
                damage(reply);
            }
        });
        bed.sync_ok(&[]);
        assert_eq!(bed.number("SELECT count(*) FROM videos"), 600);
        let detail = bed.text("SELECT detail FROM sync_log WHERE kind = 'video'");
        let mismatches = bed.number("SELECT type_mismatches FROM sync_log WHERE kind = 'video'");
        let is_named = detail.contains("the JSON of 1 row was repaired: ");
        assert_eq!(
            (is_named, mismatches),
            (number > 0, i64::from(number > 0)),
            "{number}: {detail}"
        );
    }
}

#[test]
fn keeps_text_with_a_lone_surrogate() {
    let mut bed = TestBed::frozen(few());
    let _proxy = RewritingProxy::on(&mut bed, |path, reply| {
        if is_list(path, "/videos") && reply.status == 200 {
            let cut = br#""new":{"\ud83d":"b\ude00"},"description":"\ud83d\ude00 a\ud83d"#;
            reply.replace(r#""description":""#, &[&cut[..], br#"","x":""#].concat());
        }
    });
    bed.sync_ok(&[]);
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 5);
    let cut = "FROM videos WHERE extra ->> 'new' IS NOT NULL";
    assert_eq!(bed.text(&format!("SELECT description {cut}")), "\u{1f600} a\u{fffd}");
    let extra = bed.text(&format!("SELECT extra -> 'new' {cut}"));
    let extra: serde_json::Value = serde_json::from_str(&extra).unwrap();
    assert_eq!(extra, serde_json::json!({"\u{fffd}": "b\u{fffd}"}));
    assert_eq!(bed.number("SELECT type_mismatches FROM sync_log WHERE kind = 'video'"), 0);
}

#[test]
fn drops_only_the_row_that_is_not_json() {
    let mut bed = TestBed::frozen(SandboxSettings { videos: 600, ..pages() });
    let _proxy = RewritingProxy::on(&mut bed, |path, reply| {
        if is_list(path, "/videos") && !path.contains("cursor=") && reply.status == 200 {
            reply.replace(r#""duration":"#, br#""ratio":,"duration":"#);
        }
    });
    bed.sync(&[]).expect(1).says("not valid JSON");
    assert_eq!(bed.last_outcome(Kind::Video), "rows_dropped");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 599);
}

#[test]
fn page_without_row_boundaries_fails_only_its_list() {
    let mut bed = TestBed::frozen(pages());
    let _proxy = RewritingProxy::on(&mut bed, |path, reply| {
        if is_list(path, "/videos") && reply.status == 200 {
            reply.replace("}", b"");
        }
    });
    bed.sync(&[]).expect(1);
    assert_eq!(bed.last_outcome(Kind::Video), "incomplete");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 0);
    for kind in [Kind::Account, Kind::Creator, Kind::AccountVideo] {
        bed.compare_kind(kind);
    }
}

#[test]
fn requests_smaller_pages_after_server_errors() {
    for (status, code) in [(500, "INTERNAL_ERROR"), (504, "UPSTREAM_TIMEOUT")] {
        let mut bed = TestBed::frozen(pages());
        let proxy = RewritingProxy::on(&mut bed, move |path, reply| {
            if is_list(path, "/videos") && limit(path) > 60 {
                reply.fail(status, code);
            }
        });
        bed.sync_ok(&[]);
        bed.compare();
        // The smaller limit is stored, and `status` shows it.
        proxy.take_paths();
        bed.sync_ok(&["--full"]);
        let requests: Vec<_> =
            proxy.take_paths().into_iter().filter(|path| is_list(path, "/videos")).collect();
        assert_eq!(requests.len(), 700 / 50, "{requests:#?}");
        assert!(requests.iter().all(|path| limit(path) == 50), "{requests:#?}");
        let status = bed.start(bed.command(&["status"])).wait().expect(0);
        assert!(status.stdout.contains("GET /videos limit=200"), "{status:#?}");
        // After a week the larger limit is tried again.
        bed.db_to_write().execute("UPDATE unsupported_feature SET retry_at = 0", []).unwrap();
        bed.sync_ok(&["--full"]);
        assert!(proxy.take_paths().iter().any(|path| path.contains("limit=200")));
        bed.compare();
    }
}

#[test]
fn requests_smaller_pages_after_oversized_bodies() {
    let mut bed = TestBed::frozen(SandboxSettings { videos: 300, ..pages() });
    let proxy = RewritingProxy::on(&mut bed, |path, reply| {
        if is_list(path, "/videos") && reply.status == 200 {
            let text = reply.text();
            let long = format!(r#""padding":"{}","duration":"#, "x".repeat(50_000));
            reply.body = text.replace(r#""duration":"#, &long).into_bytes();
        }
    });
    bed.sync_ok(&[]);
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 300);
    let requests = proxy.take_paths();
    let requests: Vec<u32> =
        requests.iter().filter(|path| is_list(path, "/videos")).map(|path| limit(path)).collect();
    // The limit is halved twice; then come the page that showed it and the other pages.
    assert_eq!(requests, [[200, 100, 50].as_slice(), &[50; 6]].concat());
}

#[test]
fn cursor_refused_with_smaller_limit_restarts_the_list() {
    let mut bed = TestBed::frozen(pages());
    let has_refused = AtomicBool::new(false);
    let proxy = RewritingProxy::on(&mut bed, move |path, reply| {
        if !is_list(path, "/videos") || !path.contains("cursor=") {
            return;
        }
        match limit(path) {
            200 => reply.fail(500, "INTERNAL_ERROR"),
            // The first cursor was issued for pages of 200 rows.
            _ if !has_refused.swap(true, Ordering::Relaxed) => reply.fail(422, "VALIDATION_ERROR"),
            _ => {}
        }
    });
    bed.sync_ok(&[]);
    bed.compare();
    let requests = proxy.take_paths();
    let whole =
        requests.iter().filter(|path| is_list(path, "/videos") && limit(path) == 100).count();
    assert_eq!(whole, 1 + 7, "{requests:#?}");
}

#[test]
fn short_outage_does_not_reduce_the_page_size() {
    let mut bed = TestBed::frozen(pages());
    let failures = AtomicU32::new(0);
    let proxy = RewritingProxy::on(&mut bed, move |path, reply| {
        if is_list(path, "/videos")
            && path.contains("cursor=")
            && failures.fetch_add(1, Ordering::Relaxed) < 7
        {
            reply.fail(500, "INTERNAL_ERROR");
        }
    });
    bed.sync_ok(&[]);
    bed.compare();
    assert_eq!(bed.number("SELECT count(*) FROM unsupported_feature"), 0);
    proxy.take_paths();
    bed.sync_ok(&["--full"]);
    let requests = proxy.take_paths();
    assert_eq!(requests.iter().filter(|path| is_list(path, "/videos")).count(), 4, "{requests:#?}");
}

#[test]
fn page_that_always_fails_does_not_reduce_the_page_size() {
    let mut bed = TestBed::frozen(pages());
    let proxy = RewritingProxy::on(&mut bed, |path, reply| {
        if is_list(path, "/videos") && path.contains("cursor=") {
            reply.fail(500, "INTERNAL_ERROR");
        }
    });
    bed.sync(&[]).expect(69).says("500 INTERNAL_ERROR");
    assert_eq!(
        bed.number("SELECT count(*) FROM unsupported_feature"),
        0,
        "no unsupported feature was recorded"
    );
    assert!(proxy.take_paths().len() < 30);
    bed.compare_kind(Kind::Account);
}

#[test]
fn stops_reading_an_endless_list() {
    let mut bed = TestBed::frozen(few());
    let page = AtomicU32::new(0);
    let proxy = RewritingProxy::on(&mut bed, move |path, reply| {
        if !is_list(path, "/videos") {
            return;
        }
        let page = page.fetch_add(1, Ordering::Relaxed);
        let rows: Vec<String> =
            (0..200).map(|row| format!(r#"{{"id":"v-{page}-{row}"}}"#)).collect();
        // The total grows with every page.
        let total = 1_000 + page * 200;
        reply.status = 200;
        reply.body = format!(
            r#"{{"data":[{}],"pagination":{{"has_next":true,"next_cursor":"c{page}","total_count":{total}}}}}"#,
            rows.join(",")
        )
        .into_bytes();
    });
    bed.sync(&[]).expect(1).says("at most 2000 were expected");
    assert_eq!(bed.last_outcome(Kind::Video), "incomplete");
    let requests = proxy.take_paths();
    assert!(requests.iter().filter(|path| is_list(path, "/videos")).count() <= 12, "{requests:#?}");
    assert_eq!(bed.removed(Kind::Video), 0);
}

#[test]
fn changed_url_signatures_are_not_a_change() {
    let mut bed = TestBed::frozen(few());
    let signature = AtomicU32::new(0);
    let _proxy = RewritingProxy::on(&mut bed, move |_, reply| {
        let number = signature.fetch_add(1, Ordering::Relaxed);
        let sign = format!(r#""foo_url_original":"https://x/a?sig={number}","id":"#);
        reply.headers = reply
            .headers
            .lines()
            .filter(|line| !line.starts_with("etag"))
            .map(|line| format!("{line}\r\n"))
            .collect();
        reply.body = reply.text().replace(r#""id":"#, &sign).into_bytes();
    });
    bed.sync_ok(&[]);
    bed.sync_ok(&["--full"]);
    let sql =
        "SELECT sum(rows_changed) FROM sync_log WHERE run_id = 2 AND kind IN ('account', 'video')";
    assert_eq!(bed.number(sql), 0);
}

#[test]
fn weak_etags_still_give_304() {
    let confirmed = |weaken: bool| {
        let mut bed = TestBed::frozen(few());
        let _proxy = RewritingProxy::on(&mut bed, move |_, reply| {
            if weaken {
                reply.headers = reply.headers.replace("etag: \"", "etag: W/\"");
            }
        });
        bed.sync_ok(&["--full"]);
        bed.sync_ok(&["--full"]);
        bed.number("SELECT sum(not_modified) FROM sync_log WHERE run_id = 2")
    };
    let strong = confirmed(false);
    assert!(strong >= 4, "{strong}");
    assert_eq!(confirmed(true), strong);
}

type Flood = fn(&mut Reply);

/// Answers whose naive decoding takes far more memory than their length.
fn floods() -> Vec<(&'static str, Flood)> {
    vec![
        ("a million and a half rows", |reply| flood(reply, &vec!["{}"; 1_500_000].join(","), "")),
        ("rows up to the bound", |reply| flood(reply, &vec!["{}"; 1_300_000].join(","), "")),
        ("nine million objects", |reply| flood(reply, "", &vec!["{}"; 9_000_000].join(","))),
        ("a million objects beside the rows", |reply| {
            flood(reply, "", &vec!["{}"; 1_000_000].join(","))
        }),
        ("deep nesting", |reply| flood(reply, "", &"[".repeat(3_000_000))),
        ("a deep row", |reply| {
            let deep = format!("{}{}", "[".repeat(1_500_000), "]".repeat(1_500_000));
            flood(reply, &format!(r#"{{"id":"a","x":{deep}}}"#), "");
        }),
        ("a row of many members", |reply| {
            let members: Vec<String> = (0..350_000).map(|n| format!(r#""{n}":1"#)).collect();
            flood(reply, &format!("{{{}}}", members.join(",")), "");
        }),
        ("many bad bytes", |reply| {
            flood(reply, "", "");
            reply.body = vec![0xff; 4_000_000];
        }),
        ("many control characters", |reply| {
            flood(reply, &format!("\"{}\"", "\u{1}".repeat(4_000_000)), "");
        }),
    ]
}

fn flood(reply: &mut Reply, rows: &str, more: &str) {
    reply.status = 200;
    reply.body = format!(
        r#"{{"data":[{rows}],"filters":{{"x":[{more}]}},"more":[{more}],"pagination":{{"has_next":false}}}}"#
    )
    .into_bytes();
}

#[test]
fn pages_stay_within_the_memory_limit() {
    for (name, flood) in floods() {
        let mut bed = TestBed::frozen(few());
        let _proxy = RewritingProxy::on(&mut bed, move |path, reply| {
            if is_list(path, "/videos") {
                flood(reply);
            }
        });
        check_peak_memory(&bed, name, &[]);
    }
}

#[test]
fn concurrent_long_pages_share_the_memory_limit() {
    let many = SandboxSettings { videos: 2_400, account_videos: 2_400, ..unlimited() };
    let mut bed = TestBed::frozen(many);
    bed.set("CREATORMIRROR_MAX_CONCURRENT_REQUESTS", "16");
    let version = AtomicU32::new(0);
    let _proxy = RewritingProxy::on(&mut bed, move |path, reply| {
        if limit_of(path).is_some() && reply.status == 200 {
            let long = format!(r#""padding":"{}","id":"#, "x".repeat(9_000));
            reply.body = reply.text().replace(r#""id":"#, &long).into_bytes();
            // No 304, so that every page is read again.
            let version = version.fetch_add(1, Ordering::Relaxed);
            reply.headers = reply.headers.replace("etag: \"", &format!("etag: \"{version}-"));
        }
    });
    for _ in 0..2 {
        check_peak_memory(&bed, "long pages", &["--full"]);
    }
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 2_400);
}

#[test]
fn documents_stay_within_the_memory_limit() {
    // `/meta` is read like `/overview`.
    for path in ["/whoami", "/overview"] {
        let bodies = [
            format!(r#"{{"data":{{"x":[{}]}}}}"#, vec!["[]"; 1_300_000].join(",")),
            format!(r#"{{"data":{{"current":{{{}}}}}}}"#, vec![r#""a":1"#; 600_000].join(",")),
            format!(r#"{{"data":{{"organization_id":"{}"}}}}"#, "x".repeat(3_900_000)),
            "[".repeat(30_000_000),
        ];
        for (number, body) in bodies.into_iter().enumerate() {
            let mut bed = TestBed::frozen(few());
            let _proxy = RewritingProxy::on(&mut bed, move |requests, reply| {
                if is_list(requests, path) {
                    reply.status = 200;
                    reply.body = body.clone().into_bytes();
                }
            });
            check_peak_memory(&bed, &format!("{path} {number}"), &[]);
        }
    }
}

/// Reads the peak from `/proc` while the process runs: the value known after its exit includes the
/// memory of its parent.
#[track_caller]
fn check_peak_memory(bed: &TestBed, name: &str, arguments: &[&str]) {
    let mut run = bed.start_sync(arguments);
    let mut peak = 0;
    while run.is_running() {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", run.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kib = line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0);
        peak = peak.max(kib << 10);
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let run = run.wait();
    eprintln!("{name}: {} MiB, {:?}", peak >> 20, run.code);
    assert!(peak > 0 && peak < PEAK_BYTES_MAX, "{name}: {} MiB, {run:#?}", peak >> 20);
    assert!(run.code.is_some(), "{name}: {run:#?}");
}
