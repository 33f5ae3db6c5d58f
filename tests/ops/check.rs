//! `check`: all well, and each thing that can be wrong with its line and exit code.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::TimeDelta;
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use rusqlite::Connection;

use super::bench::{Bench, Ran, finish};
use crate::support::sandbox::{Accident, Fault, RetryAfter, Switch};

fn levels(ran: &Ran) -> Vec<&str> {
    let words = ran.stdout.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| *word != "hint:").collect()
}

#[test]
fn a_synced_mirror_is_all_ok_and_nothing_is_changed() {
    let bench = Bench::synced();
    let before = std::fs::read(bench.database()).unwrap();
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    // A test's folder may be on tmpfs.
    let rest: Vec<_> = ran.stdout.lines().filter(|line| !line.contains(" file_system ")).collect();
    assert!(rest.iter().all(|line| line.starts_with("ok ")), "{}", ran.stdout);
    let ran = bench.run(&["check", "--json"]);
    let document = ran.json();
    assert_eq!((ran.code, &document["exit_code"]), (Some(0), &0.into()));
    let names: Vec<_> = document["checks"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(
        names,
        [
            "config",
            "database",
            "schema",
            "integrity",
            "wal",
            "permissions",
            "file_system",
            "disk_space",
            "lock",
            "key_source",
            "proxy",
            "rate_limit",
            "api",
            "clock",
            "lifecycle",
            "key",
            "organization",
            "scopes",
            "capabilities",
            "listings"
        ]
    );
    assert_eq!(std::fs::read(bench.database()).unwrap(), before);
    assert_eq!(bench.run(&["check", "--quiet"]).stdout, "");
}

#[test]
fn beside_a_held_lock_it_is_ok_too() {
    let bench = Bench::synced();
    let held = Database::open(&bench.database(), IfMissing::Refuse).unwrap();
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("lock")), (Some(0), "ok"), "{ran:?}");
    assert!(ran.line("lock").contains("held"), "{ran:?}");
    drop(held);
}

#[test]
fn a_refused_key_is_77_with_status_code_and_request_id() {
    let bench = Bench::synced();
    let ran = bench.run_with(&[("CREATORAUDIT_API_KEY", "not-the-key")], &["check"]);
    assert_eq!((ran.code, ran.level("key")), (Some(77), "failure"), "{ran:?}");
    let request_id = bench.control.log().last().unwrap().request_id.clone();
    for part in ["401", "UNAUTHORIZED", &request_id] {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
    assert!(!format!("{ran:?}").contains("not-the-key"), "{ran:?}");
    assert_eq!((ran.level("api"), ran.level("organization")), ("ok", "warning"));
    bench.control.set_key_enabled("sandbox-key", false);
    let ran = bench.run(&["check"]);
    assert_eq!(ran.code, Some(77), "{ran:?}");
    assert!(ran.stderr.contains("403 FORBIDDEN"), "{ran:?}");
}

#[test]
fn without_a_key_the_rest_is_checked_all_the_same() {
    let bench = Bench::synced();
    let ran = bench.run_with(&[("CREATORAUDIT_API_KEY", "")], &["check"]);
    assert_eq!((ran.code, ran.level("key_source")), (Some(77), "failure"), "{ran:?}");
    assert_eq!((ran.level("api"), ran.level("lifecycle"), ran.level("clock")), ("ok", "ok", "ok"));
    assert!(ran.line("key").contains("not checked: no API key"), "{ran:?}");
    assert_eq!(bench.control.log().last().unwrap().path, "/meta");
}

#[test]
fn a_key_of_another_organization_is_77() {
    let bench = Bench::synced();
    bench.control.set_key_organization("sandbox-key", "org-2");
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("organization")), (Some(77), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("belongs to organization org-2"), "{ran:?}");
}

#[test]
fn a_key_file_that_group_or_others_can_read_is_a_warning() {
    let bench = Bench::synced();
    let file = bench.folder.path().join("key");
    std::fs::write(&file, "sandbox-key\n").unwrap();
    for (mode, shown) in [(0o644, "mode 0644"), (0o640, "mode 0640")] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let ran = bench.run(&["check", "--api-key-file", file.to_str().unwrap()]);
        assert_eq!((ran.code, ran.level("key_source")), (Some(0), "warning"), "{ran:?}");
        assert!(ran.line("key_source").contains(shown), "{ran:?}");
    }
}

#[test]
fn a_configuration_file_that_anyone_can_write_is_warned_about() {
    let bench = Bench::new();
    let file = bench.folder.path().join("config.toml");
    std::fs::write(&file, "").unwrap();
    let name = file.to_str().unwrap();
    for (mode, is_bad) in [(0o664, false), (0o666, true), (0o602, true)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let ran = bench.run(&["sync", "--config", name]);
        let warning = format!("has mode {mode:04o}: any user of this machine can change");
        assert_eq!((ran.code, ran.stderr.contains(&warning)), (Some(0), is_bad), "{ran:?}");
        let ran = bench.run(&["check", "--config", name]);
        let level = if is_bad { "warning" } else { "ok" };
        assert_eq!((ran.code, ran.level("config")), (Some(0), level), "{ran:?}");
        assert_eq!(ran.stdout.contains(&warning), is_bad, "{ran:?}");
    }
}

#[test]
fn a_key_or_configuration_from_a_pipe_that_nobody_writes_to_does_not_hang() {
    let bench = Bench::new();
    let pipe = bench.folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = pipe.to_str().unwrap();
    for (flag, code) in [("--api-key-file", 77), ("--config", 78)] {
        let ran = bench.run(&["sync", flag, pipe]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains("it is a pipe without a writer"), "{ran:?}");
    }
}

#[test]
fn no_core_is_dumped_once_the_key_is_read() {
    let bench = Bench::new();
    let pipe = bench.folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let arguments = ["sync", "--api-key-file", pipe.to_str().unwrap()];
    let mut command = bench.command(Path::new(env!("CARGO_BIN_EXE_creatormirror")), &arguments);
    let mut child = command.spawn().unwrap();
    // Opens when the program has opened it to read the key.
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    writer.write_all(b"sandbox-key").unwrap();
    drop(writer);
    assert!(child.wait().unwrap().success());
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
}

#[test]
fn a_key_from_a_process_substitution_works() {
    let bench = Bench::new();
    let script = r#""$0" "$@" --api-key-file <(echo sandbox-key)"#;
    let arguments = ["-c", script, env!("CARGO_BIN_EXE_creatormirror"), "sync"];
    let mut command = bench.command(Path::new("/bin/bash"), &arguments);
    command.env_remove("CREATORAUDIT_API_KEY");
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn the_proxy_is_the_one_that_requests_go_through() {
    let bench = Bench::synced();
    // Nobody listens there, nor where the proxies are said to be.
    let base_url = ("CREATORAUDIT_BASE_URL", "https://127.0.0.1:1/v2");
    let proxy = ("HTTPS_PROXY", "http://user:s3cret@127.0.0.1:2/");
    for (variables, level, shown) in [
        (vec![], "ok", "not configured"),
        (vec![proxy], "ok", "http://127.0.0.1:2 (HTTPS_PROXY)"),
        (vec![("all_proxy", "user:s3cret@127.0.0.1:2")], "ok", "http://127.0.0.1:2 (all_proxy)"),
        (vec![proxy, ("no_proxy", "example.com")], "ok", "http://127.0.0.1:2 (HTTPS_PROXY)"),
        (vec![proxy, ("NO_PROXY", "127.0.0.0/8")], "ok", "not used: NO_PROXY excludes"),
        (vec![proxy, ("no_proxy", "127.0.0.1")], "ok", "not used: NO_PROXY excludes"),
        (
            vec![("ALL_PROXY", "socks5://[::1]:2")],
            "failure",
            "SOCKS proxy not supported: socks5://[::1]:2 (ALL_PROXY)",
        ),
        (
            vec![("https_proxy", "ftp://127.0.0.1:2")],
            "warning",
            "https_proxy is not a valid proxy address",
        ),
    ] {
        let ran = bench.run_with(&[&variables[..], &[base_url]].concat(), &["check"]);
        assert_eq!(ran.level("proxy"), level, "{variables:?} {ran:?}");
        assert!(ran.line("proxy").contains(shown), "{variables:?} {ran:?}");
        assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
        let code = if level == "failure" { 78 } else { 69 };
        assert_eq!(ran.code, Some(code), "{variables:?} {ran:?}");
    }
}

#[test]
fn an_api_that_is_not_there_is_69() {
    let mut bench = Bench::synced();
    bench.stop();
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("api")), (Some(69), "failure"), "{ran:?}");
    assert!(ran.stdout.contains("hint: `base_url` is `http://127.0.0.1:"), "{ran:?}");
    assert!(ran.line("lifecycle").contains("as of "), "{ran:?}");
    assert_eq!((ran.level("key"), ran.level("database")), ("warning", "ok"));
}

#[test]
fn an_address_that_is_no_api_is_69_and_asks_for_the_base_url() {
    let bench = Bench::synced();
    bench.control.fault(Fault::on("*", "/*", Accident::Html).forever());
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("api")), (Some(69), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("check `base_url`"), "{ran:?}");
}

#[test]
fn an_api_without_meta_is_there() {
    let bench = Bench::new();
    let path = "/meta".to_owned();
    bench.control.switch_off(Switch::Endpoint { method: "*".to_owned(), path, status: 404 });
    assert_eq!(bench.run(&["sync"]).code, Some(0));
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("api"), ran.level("key")), (Some(0), "ok", "ok"), "{ran:?}");
    assert_eq!((ran.level("lifecycle"), ran.level("capabilities")), ("warning", "warning"));
}

#[test]
fn wrong_settings_are_78_and_a_document_too() {
    let bench = Bench::synced();
    let address = ["check", "--base-url", "http://api.creatoraudit.com/v2"];
    let ran = bench.run(&address);
    assert_eq!((ran.code, levels(&ran)), (Some(78), vec!["failure"]), "{ran:?}");
    let document = bench.run(&[&address[..], &["--json"]].concat()).json();
    assert_eq!(
        (&document["checks"][0]["name"], &document["exit_code"]),
        (&"config".into(), &78.into())
    );
}

#[test]
fn a_file_that_is_no_mirror_is_74_and_stays_as_it_is() {
    let bench = Bench::new();
    let text = "a shopping list, longer than a hundred bytes: ".repeat(40);
    std::fs::write(bench.database(), &text).unwrap();
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("database")), (Some(74), "failure"), "{ran:?}");
    assert_eq!((ran.level("key"), ran.level("api")), ("ok", "ok"));
    assert_eq!(std::fs::read_to_string(bench.database()).unwrap(), text);
}

#[test]
fn a_damaged_mirror_is_74() {
    let bench = Bench::synced();
    // An index is damaged, not the schema: the file can be opened, and only a look at all of it tells.
    let (root, page_bytes): (u64, u64) = Connection::open(bench.database())
        .unwrap()
        .query_row(
            "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'video_by_id'",
            [],
            |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)),
        )
        .unwrap();
    let mut file = std::fs::File::options().write(true).open(bench.database()).unwrap();
    file.seek(SeekFrom::Start((root - 1) * page_bytes)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(page_bytes).unwrap()]).unwrap();
    drop(file);
    let ran = bench.run(&["check"]);
    assert_eq!(ran.code, Some(74), "{ran:?}");
    assert_eq!(ran.level("integrity"), "failure", "{ran:?}");
}

#[test]
fn damage_that_quick_check_does_not_see_is_seen_by_deep() {
    let bench = Bench::synced();
    // An index that has a row under another id: every page of it is sound.
    let db = Connection::open(bench.database()).unwrap();
    let root = "SELECT rootpage FROM sqlite_schema WHERE name = 'video_by_id'";
    let root: i64 = db.query_row(root, [], |row| row.get(0)).unwrap();
    db.execute_batch(&format!(
        "PRAGMA writable_schema = on;
         INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)
         SELECT 'table', 'index_as_table', 'index_as_table', {root},
                'CREATE TABLE index_as_table (id, key, PRIMARY KEY (id, key)) WITHOUT ROWID';
         PRAGMA writable_schema = reset;
         UPDATE index_as_table SET id = id || 'x' WHERE id = (SELECT max(id) FROM index_as_table);
         PRAGMA writable_schema = on;
         DELETE FROM sqlite_schema WHERE name = 'index_as_table';
         PRAGMA writable_schema = reset;"
    ))
    .unwrap();
    db.close().unwrap();
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("integrity")), (Some(0), "ok"), "{ran:?}");
    assert!(ran.stdout.contains("quick_check found no damage; `check --deep`"), "{ran:?}");
    let ran = bench.run(&["check", "--deep"]);
    assert_eq!((ran.code, ran.level("integrity")), (Some(74), "failure"), "{ran:?}");
    assert!(ran.stdout.contains("video_by_id"), "{ran:?}");
    // A copy of it would be damaged as well.
    let copy = bench.folder.path().join("copy.db");
    let ran = bench.run(&["backup", copy.to_str().unwrap()]);
    assert_eq!((ran.code, copy.exists()), (Some(74), false), "{ran:?}");
    let sound = Bench::synced().run(&["check", "--deep"]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.stdout.contains("integrity_check found no damage"), "{sound:?}");
}

#[test]
fn a_dropped_view_table_or_index_and_a_changed_migration_are_74() {
    for (sql, part) in [
        ("DROP VIEW video_growth", "view `video_growth` is missing"),
        ("DROP TABLE instance", "table `instance` is missing"),
        ("DROP INDEX video_by_id", "index `video_by_id` is missing"),
        (
            "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2",
            "migration 2 (`views`) differs from the recorded one",
        ),
        ("DELETE FROM refinery_schema_history", "`refinery_schema_history` is missing or empty"),
    ] {
        let bench = Bench::synced();
        let writer = Database::open(&bench.database(), IfMissing::Refuse).unwrap();
        writer.write(|tx| Ok(tx.execute_batch(sql)?)).unwrap();
        // Beside a writer as well.
        let ran = bench.run(&["check"]);
        assert_eq!((ran.code, ran.level("schema")), (Some(74), "failure"), "{sql}: {ran:?}");
        assert!(ran.stdout.contains(part), "{sql}: {ran:?}");
        assert_eq!(ran.level("integrity"), "ok", "{sql}: {ran:?}");
    }
}

#[test]
fn a_missing_mirror_is_a_warning_is_not_made_and_leaves_the_rest_checked() {
    let bench = Bench::new();
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("database")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.stdout.contains("(flag --database)"), "{ran:?}");
    assert_eq!((ran.level("key"), ran.level("organization")), ("ok", "ok"), "{ran:?}");
    let made = std::fs::read_dir(bench.folder.path()).unwrap().count();
    assert_eq!(made, 0);
    // The first that applies: the key comes before the configuration.
    let ran = bench.run_with(&[("CREATORAUDIT_API_KEY", "not-the-key")], &["check"]);
    assert_eq!(ran.code, Some(77), "{ran:?}");
}

#[test]
fn a_notice_of_the_api_is_a_warning() {
    let bench = Bench::synced();
    bench.control.set_lifecycle(Some("2027-01-01"), Some("2027-06-30"));
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("lifecycle")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.line("lifecycle").contains("sunset 2027-06-30"), "{ran:?}");
    assert_eq!(bench.run(&["check", "--json"]).json()["outcome"], "warning");
}

#[test]
fn a_clock_that_is_off_is_a_warning_and_then_a_failure() {
    let bench = Bench::synced();
    for (ahead_s, code, level, side) in [
        (60, 0, "warning", "behind"),
        (-60, 0, "warning", "ahead of"),
        (3_600, 1, "failure", "behind"),
    ] {
        bench.control.set_clock_offset(TimeDelta::seconds(ahead_s));
        let ran = bench.run(&["check"]);
        assert_eq!((ran.code, ran.level("clock")), (Some(code), level), "{ran:?}");
        assert!(ran.line("clock").contains(side), "{ran:?}");
    }
}

#[test]
fn what_the_server_refuses_is_a_warning_until_it_is_tried_again() {
    let bench = Bench::new();
    let (path, name) = ("/videos".to_owned(), "order_by".to_owned());
    bench.control.switch_off(Switch::Refused { path, name, value: None });
    assert_eq!(bench.run(&["sync"]).code, Some(0));
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("capabilities")), (Some(0), "warning"), "{ran:?}");
    let line = ran.line("capabilities");
    assert!(line.contains("GET /videos order_by") && line.contains("(in 6 d 23 h)"), "{line}");
}

#[test]
fn a_429_is_remembered_and_nothing_more_is_sent() {
    let bench = Bench::synced();
    let refuse = Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(120) };
    bench.control.fault(Fault::on("GET", "/whoami", refuse));
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("rate_limit")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.line("key").contains("not checked: rate limited"), "{ran:?}");
    let sent = bench.control.log().len();
    let short = [("CREATORMIRROR_MAX_WAIT", "5s")];
    let ran = bench.run_with(&short, &["check"]);
    assert_eq!((ran.code, ran.level("rate_limit")), (Some(75), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("longer than max_wait (5 s)"), "{ran:?}");
    assert_eq!((ran.level("api"), ran.level("lifecycle")), ("warning", "ok"), "{ran:?}");
    assert_eq!(bench.run_with(&short, &["sync"]).code, Some(75));
    assert_eq!(bench.control.log().len(), sent, "something was sent through a closed rate limiter");
    let document = bench.run(&["status", "--json"]).json();
    assert_eq!(document["rate_limit"]["closed_by_api"], true);
    assert!(document["rate_limit"]["closed_until"].is_string());
}

#[test]
fn a_429_beside_a_held_lock_is_honoured_but_not_kept() {
    let bench = Bench::synced();
    let held = Database::open(&bench.database(), IfMissing::Refuse).unwrap();
    let refuse = Accident::Refuse { code: 429, retry_after: RetryAfter::Seconds(120) };
    bench.control.fault(Fault::on("GET", "/whoami", refuse));
    let ran = bench.run(&["check"]);
    assert_eq!((ran.code, ran.level("rate_limit")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.line("rate_limit").contains("cannot save the wait"), "{ran:?}");
    drop(held);
}

#[test]
fn the_password_of_a_proxy_is_not_shown() {
    let bench = Bench::synced();
    let variables = [
        ("CREATORAUDIT_BASE_URL", "https://127.0.0.1:1/v2"),
        ("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9"),
    ];
    let ran = bench.run_with(&variables, &["check"]);
    assert!(ran.line("proxy").contains("http://127.0.0.1:9 (HTTPS_PROXY)"), "{ran:?}");
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
}
