//! `check`: the lines and exit codes of success and of each failure.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use chrono::TimeDelta;
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use rusqlite::Connection;

use super::fixture::{Fixture, Output, finish};
use crate::support::sandbox::{Fault, FaultKind, RetryAfter, Switch};

fn levels(ran: &Output) -> Vec<&str> {
    let words = ran.stdout.lines().filter_map(|line| line.split_whitespace().next());
    words.filter(|word| *word != "hint:").collect()
}

#[test]
fn synced_mirror_passes_and_is_not_modified() {
    let fixture = Fixture::synced();
    let before = std::fs::read(fixture.database()).unwrap();
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    // The test's folder may be on tmpfs, which is a warning.
    let rest: Vec<_> = ran.stdout.lines().filter(|line| !line.contains(" file_system ")).collect();
    let is_fine = |line: &&str| line.starts_with("ok ") || line.starts_with("info ");
    assert!(rest.iter().all(is_fine), "{}", ran.stdout);
    let ran = fixture.run(&["check", "--json"]);
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
            "contract",
            "contract",
            "contract",
            "capabilities",
            "listings"
        ]
    );
    assert_eq!(std::fs::read(fixture.database()).unwrap(), before);
    assert_eq!(fixture.run(&["check", "--quiet"]).stdout, "");
}

#[test]
fn passes_beside_a_held_lock() {
    let fixture = Fixture::synced();
    let held = Database::open(&fixture.database(), IfMissing::Refuse).unwrap();
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("lock")), (Some(0), "ok"), "{ran:?}");
    assert!(ran.line("lock").contains("held"), "{ran:?}");
    drop(held);
}

#[test]
fn refused_key_exits_77_with_status_code_and_request_id() {
    let fixture = Fixture::synced();
    let ran = fixture.run_with(&[("CREATORAUDIT_API_KEY", "not-the-key")], &["check"]);
    assert_eq!((ran.code, ran.level("key")), (Some(77), "failure"), "{ran:?}");
    let log = fixture.control.log();
    let whoami = log.iter().rfind(|request| request.path == "/whoami").unwrap();
    for part in ["401", "UNAUTHORIZED", &whoami.request_id] {
        assert!(ran.stderr.contains(part), "{part}: {ran:?}");
    }
    assert!(!format!("{ran:?}").contains("not-the-key"), "{ran:?}");
    assert_eq!((ran.level("api"), ran.level("organization")), ("ok", "warning"));
    fixture.control.set_key_enabled("sandbox-key", false);
    let ran = fixture.run(&["check"]);
    assert_eq!(ran.code, Some(77), "{ran:?}");
    assert!(ran.stderr.contains("403 FORBIDDEN"), "{ran:?}");
}

#[test]
fn missing_key_does_not_stop_other_checks() {
    let fixture = Fixture::synced();
    let ran = fixture.run_with(&[("CREATORAUDIT_API_KEY", "")], &["check"]);
    assert_eq!((ran.code, ran.level("key_source")), (Some(77), "failure"), "{ran:?}");
    assert_eq!((ran.level("api"), ran.level("lifecycle"), ran.level("clock")), ("ok", "ok", "ok"));
    assert!(ran.line("key").contains("not checked: no API key"), "{ran:?}");
    let log = fixture.control.log();
    let paths: Vec<_> = log.iter().rev().take(2).map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/openapi.json", "/meta"]);
}

#[test]
fn key_of_another_organization_exits_77() {
    let fixture = Fixture::synced();
    fixture.control.set_key_organization("sandbox-key", "org-2");
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("organization")), (Some(77), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("belongs to organization org-2"), "{ran:?}");
}

#[test]
fn warns_about_a_readable_key_file() {
    let fixture = Fixture::synced();
    let file = fixture.folder.path().join("key");
    std::fs::write(&file, "sandbox-key\n").unwrap();
    for (mode, shown) in [(0o644, "mode 0644"), (0o640, "mode 0640")] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let ran = fixture.run(&["check", "--api-key-file", file.to_str().unwrap()]);
        assert_eq!((ran.code, ran.level("key_source")), (Some(0), "warning"), "{ran:?}");
        assert!(ran.line("key_source").contains(shown), "{ran:?}");
    }
}

#[test]
fn warns_about_a_world_writable_configuration() {
    let fixture = Fixture::new();
    let file = fixture.folder.path().join("config.toml");
    std::fs::write(&file, "").unwrap();
    let name = file.to_str().unwrap();
    for (mode, is_bad) in [(0o664, false), (0o666, true), (0o602, true)] {
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        let ran = fixture.run(&["sync", "--config", name]);
        let warning = format!("has mode {mode:04o}: any user of this machine can change");
        assert_eq!((ran.code, ran.stderr.contains(&warning)), (Some(0), is_bad), "{ran:?}");
        let ran = fixture.run(&["check", "--config", name]);
        let level = if is_bad { "warning" } else { "ok" };
        assert_eq!((ran.code, ran.level("config")), (Some(0), level), "{ran:?}");
        assert_eq!(ran.stdout.contains(&warning), is_bad, "{ran:?}");
    }
}

#[test]
fn does_not_hang_on_a_pipe_without_a_writer() {
    let fixture = Fixture::new();
    let pipe = fixture.folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let pipe = pipe.to_str().unwrap();
    for (flag, code) in [("--api-key-file", 77), ("--config", 78)] {
        let ran = fixture.run(&["sync", flag, pipe]);
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains("it is a pipe without a writer"), "{ran:?}");
    }
}

#[test]
fn disables_core_dumps_before_reading_the_key() {
    let fixture = Fixture::new();
    let pipe = fixture.folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let arguments = ["sync", "--api-key-file", pipe.to_str().unwrap()];
    let mut command = fixture.command(Path::new(env!("CARGO_BIN_EXE_creatormirror")), &arguments);
    let mut child = command.spawn().unwrap();
    // Blocks until the program opens the pipe to read the key.
    let mut writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    writer.write_all(b"sandbox-key").unwrap();
    drop(writer);
    assert!(child.wait().unwrap().success());
    let core = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>(), ["0", "0", "bytes"]);
}

#[test]
fn reads_the_key_from_a_process_substitution() {
    let fixture = Fixture::new();
    let script = r#""$0" "$@" --api-key-file <(echo sandbox-key)"#;
    let arguments = ["-c", script, env!("CARGO_BIN_EXE_creatormirror"), "sync"];
    let mut command = fixture.command(Path::new("/bin/bash"), &arguments);
    command.env_remove("CREATORAUDIT_API_KEY");
    let ran = finish(command);
    assert_eq!(ran.code, Some(0), "{ran:?}");
}

#[test]
fn reports_the_proxy_in_use() {
    let fixture = Fixture::synced();
    // Nothing listens on these ports.
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
        let ran = fixture.run_with(&[&variables[..], &[base_url]].concat(), &["check"]);
        assert_eq!(ran.level("proxy"), level, "{variables:?} {ran:?}");
        assert!(ran.line("proxy").contains(shown), "{variables:?} {ran:?}");
        assert!(!format!("{ran:?}").contains("s3cret"), "{ran:?}");
        let code = if level == "failure" { 78 } else { 69 };
        assert_eq!(ran.code, Some(code), "{variables:?} {ran:?}");
    }
}

#[test]
fn unreachable_api_exits_69() {
    let mut fixture = Fixture::synced();
    fixture.stop();
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("api")), (Some(69), "failure"), "{ran:?}");
    assert!(ran.stdout.contains("hint: `base_url` is `http://127.0.0.1:"), "{ran:?}");
    assert!(ran.line("lifecycle").contains("as of "), "{ran:?}");
    assert_eq!((ran.level("key"), ran.level("database")), ("warning", "ok"));
}

#[test]
fn https_address_of_an_http_port_is_explained() {
    let fixture = Fixture::synced();
    let base_url = fixture.base_url.replace("http://", "https://");
    let ran = fixture.run(&["check", "--base-url", &base_url]);
    assert_eq!((ran.code, ran.level("api")), (Some(69), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("an https address names an http port"), "{ran:?}");
}

#[test]
fn address_without_an_api_exits_69_and_hints_at_base_url() {
    let fixture = Fixture::synced();
    fixture.control.fault(Fault::on("*", "/*", FaultKind::Html).forever());
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("api")), (Some(69), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("check `base_url`"), "{ran:?}");
}

#[test]
fn missing_meta_endpoint_is_a_warning() {
    let fixture = Fixture::new();
    let path = "/meta".to_owned();
    fixture.control.switch_off(Switch::Endpoint { method: "*".to_owned(), path, status: 404 });
    assert_eq!(fixture.run(&["sync"]).code, Some(0));
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("api"), ran.level("key")), (Some(0), "ok", "ok"), "{ran:?}");
    assert_eq!((ran.level("lifecycle"), ran.level("capabilities")), ("warning", "warning"));
}

#[test]
fn wrong_settings_exit_78_with_a_document() {
    let fixture = Fixture::synced();
    let address = ["check", "--base-url", "http://api.creatoraudit.com/v2"];
    let ran = fixture.run(&address);
    assert_eq!((ran.code, levels(&ran)), (Some(78), vec!["failure"]), "{ran:?}");
    let document = fixture.run(&[&address[..], &["--json"]].concat()).json();
    assert_eq!(
        (&document["checks"][0]["name"], &document["exit_code"]),
        (&"config".into(), &78.into())
    );
}

#[test]
fn foreign_file_exits_74_and_is_not_modified() {
    let fixture = Fixture::new();
    let text = "a shopping list, longer than a hundred bytes: ".repeat(40);
    std::fs::write(fixture.database(), &text).unwrap();
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("database")), (Some(74), "failure"), "{ran:?}");
    assert_eq!((ran.level("key"), ran.level("api")), ("ok", "ok"));
    assert!(ran.line("listings").contains("the database is not a mirror"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(fixture.database()).unwrap(), text);
}

#[test]
fn damaged_mirror_exits_74() {
    let fixture = Fixture::synced();
    // The damaged page is of an index: the file opens, and only a full check finds it.
    let (root, page_bytes): (u64, u64) = Connection::open(fixture.database())
        .unwrap()
        .query_row(
            "SELECT rootpage, page_size FROM sqlite_schema, pragma_page_size WHERE name = 'video_by_id'",
            [],
            |row| Ok((row.get::<_, i64>(0)? as u64, row.get::<_, i64>(1)? as u64)),
        )
        .unwrap();
    let mut file = std::fs::File::options().write(true).open(fixture.database()).unwrap();
    file.seek(SeekFrom::Start((root - 1) * page_bytes)).unwrap();
    file.write_all(&vec![0xa5; usize::try_from(page_bytes).unwrap()]).unwrap();
    drop(file);
    let ran = fixture.run(&["check"]);
    assert_eq!(ran.code, Some(74), "{ran:?}");
    assert_eq!(ran.level("integrity"), "failure", "{ran:?}");
}

#[test]
fn deep_finds_damage_that_quick_check_misses() {
    let fixture = Fixture::synced();
    // An index entry with a wrong id on an otherwise valid page.
    let db = Connection::open(fixture.database()).unwrap();
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
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("integrity")), (Some(0), "ok"), "{ran:?}");
    assert!(ran.stdout.contains("quick_check found no damage; `check --deep`"), "{ran:?}");
    let ran = fixture.run(&["check", "--deep"]);
    assert_eq!((ran.code, ran.level("integrity")), (Some(74), "failure"), "{ran:?}");
    assert!(ran.stdout.contains("video_by_id"), "{ran:?}");
    // A backup would contain the damage.
    let copy = fixture.folder.path().join("copy.db");
    let ran = fixture.run(&["backup", copy.to_str().unwrap()]);
    assert_eq!((ran.code, copy.exists()), (Some(74), false), "{ran:?}");
    let sound = Fixture::synced().run(&["check", "--deep"]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.stdout.contains("integrity_check found no damage"), "{sound:?}");
}

#[test]
fn missing_schema_object_or_changed_migration_exits_74() {
    for (sql, part) in [
        ("DROP VIEW video_growth", "view `video_growth` is missing"),
        (
            "CREATE TRIGGER evil AFTER INSERT ON outbox BEGIN DELETE FROM account; END",
            "trigger `evil` on table `outbox` belongs to no migration",
        ),
        ("DROP TABLE instance", "table `instance` is missing"),
        ("DROP INDEX video_by_id", "index `video_by_id` is missing"),
        (
            "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2",
            "migration 2 (`views`) differs from the recorded one",
        ),
        ("DELETE FROM refinery_schema_history", "`refinery_schema_history` is missing or empty"),
    ] {
        let fixture = Fixture::synced();
        let writer = Database::open(&fixture.database(), IfMissing::Refuse).unwrap();
        writer.write(|tx| Ok(tx.execute_batch(sql)?)).unwrap();
        // Also while another process holds the lock.
        let ran = fixture.run(&["check"]);
        assert_eq!((ran.code, ran.level("schema")), (Some(74), "failure"), "{sql}: {ran:?}");
        assert!(ran.stdout.contains(part), "{sql}: {ran:?}");
        assert_eq!(ran.level("integrity"), "ok", "{sql}: {ran:?}");
    }
}

#[test]
fn missing_mirror_is_a_warning_and_not_created() {
    let fixture = Fixture::new();
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("database")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.stdout.contains("(flag --database)"), "{ran:?}");
    assert_eq!((ran.level("key"), ran.level("organization")), ("ok", "ok"), "{ran:?}");
    for name in ["schema", "integrity", "capabilities", "listings"] {
        assert!(ran.line(name).contains("the database does not exist yet"), "{name}: {ran:?}");
    }
    let made = std::fs::read_dir(fixture.folder.path()).unwrap().count();
    assert_eq!(made, 0);
    // A refused key has precedence over the missing database.
    let ran = fixture.run_with(&[("CREATORAUDIT_API_KEY", "not-the-key")], &["check"]);
    assert_eq!(ran.code, Some(77), "{ran:?}");
}

#[test]
fn api_deprecation_is_a_warning() {
    let fixture = Fixture::synced();
    fixture.control.set_lifecycle(Some("2027-01-01"), Some("2027-06-30"));
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("lifecycle")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.line("lifecycle").contains("sunset 2027-06-30"), "{ran:?}");
    assert_eq!(fixture.run(&["check", "--json"]).json()["outcome"], "warning");
}

#[test]
fn clock_skew_is_a_warning_then_a_failure() {
    let fixture = Fixture::synced();
    for (ahead_s, code, level, side) in [
        (60, 0, "warning", "behind"),
        (-60, 0, "warning", "ahead of"),
        (3_600, 1, "failure", "behind"),
    ] {
        fixture.control.set_clock_offset(TimeDelta::seconds(ahead_s));
        let ran = fixture.run(&["check"]);
        assert_eq!((ran.code, ran.level("clock")), (Some(code), level), "{ran:?}");
        assert!(ran.line("clock").contains(side), "{ran:?}");
    }
}

#[test]
fn unsupported_feature_is_a_warning_until_retried() {
    let fixture = Fixture::new();
    let (path, name) = ("/videos".to_owned(), "order_by".to_owned());
    fixture.control.switch_off(Switch::Refused { path, name, value: None });
    assert_eq!(fixture.run(&["sync"]).code, Some(0));
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("capabilities")), (Some(0), "warning"), "{ran:?}");
    let line = ran.line("capabilities");
    assert!(line.contains("GET /videos order_by") && line.contains("(in 6 d 23 h)"), "{line}");
}

#[test]
fn rate_limit_is_stored_and_stops_requests() {
    let fixture = Fixture::synced();
    let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(120) };
    fixture.control.fault(Fault::on("GET", "/whoami", refuse));
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("rate_limit")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.line("key").contains("not checked: rate limited"), "{ran:?}");
    let sent = fixture.control.log().len();
    let short = [("CREATORMIRROR_MAX_WAIT", "5s")];
    let ran = fixture.run_with(&short, &["check"]);
    assert_eq!((ran.code, ran.level("rate_limit")), (Some(75), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("longer than max_wait (5 s)"), "{ran:?}");
    assert_eq!((ran.level("api"), ran.level("lifecycle")), ("warning", "ok"), "{ran:?}");
    assert_eq!(fixture.run_with(&short, &["sync"]).code, Some(75));
    assert_eq!(fixture.control.log().len(), sent, "a request was sent during the cooldown");
    let document = fixture.run(&["status", "--json"]).json();
    assert_eq!(document["rate_limit"]["closed_by_api"], true);
    assert!(document["rate_limit"]["closed_until"].is_string());
}

#[test]
fn rate_limit_beside_a_held_lock_is_not_stored() {
    let fixture = Fixture::synced();
    let held = Database::open(&fixture.database(), IfMissing::Refuse).unwrap();
    let refuse = FaultKind::Refuse { code: 429, retry_after: RetryAfter::Seconds(120) };
    fixture.control.fault(Fault::on("GET", "/whoami", refuse));
    let ran = fixture.run(&["check"]);
    assert_eq!((ran.code, ran.level("rate_limit")), (Some(0), "warning"), "{ran:?}");
    assert!(ran.line("rate_limit").contains("cannot save the wait"), "{ran:?}");
    drop(held);
}

#[test]
fn does_not_print_the_proxy_password() {
    let fixture = Fixture::synced();
    let variables = [
        ("CREATORAUDIT_BASE_URL", "https://127.0.0.1:1/v2"),
        ("HTTPS_PROXY", "http://user:hunter2@127.0.0.1:9"),
    ];
    let ran = fixture.run_with(&variables, &["check"]);
    assert!(ran.line("proxy").contains("http://127.0.0.1:9 (HTTPS_PROXY)"), "{ran:?}");
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(!format!("{ran:?}").contains("hunter2"), "{ran:?}");
}

#[test]
fn failed_command_prints_a_document() {
    let fixture = Fixture::new();
    for command in [
        "sync",
        "backfill --days 1",
        "track account tiktok someone",
        "set video v --paused",
        "untrack video v",
        "link c a",
        "unlink c a",
        "outbox list",
        "outbox show 1",
        "outbox retry 1",
        "outbox discard 1",
        "status",
        "verify",
        "export --format csv --out unused",
        "backup unused",
        "restore unused",
    ] {
        let arguments: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let ran = fixture.run_with(&[("CREATORMIRROR_TIMEZONE", "Europe/Atlantis")], &arguments);
        let document = ran.json();
        assert_eq!(
            (ran.code, &document["exit_code"]),
            (Some(78), &78.into()),
            "{command}: {ran:?}"
        );
        assert!(document["detail"].as_str().unwrap().contains("timezone"), "{command}: {ran:?}");
        assert!(ran.stderr.contains("Europe/Atlantis"), "{command}: {ran:?}");
    }
}
