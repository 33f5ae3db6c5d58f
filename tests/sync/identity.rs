//! API keys and database files: refused before anything is written, and keys that never appear in
//! output or files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::sandbox::{Fault, FaultBody, FaultKind, SandboxKey, SandboxSettings};
use crate::support::{KEY, Run, TestBed, unlimited};
use creatormirror::model::Kind;
use rusqlite::Connection;
use serde_json::json;

/// A key that cannot occur by chance.
const SECRET: &str = "ca_live_9f3Jq7Zt2Lx8Vb5Nw4Kd6Rm1";

#[test]
fn missing_key_sends_no_request_and_creates_no_file() {
    let bed = TestBed::frozen(unlimited());
    let mut command = bed.command(&["sync"]);
    command.env_remove("CREATORAUDIT_API_KEY");
    bed.start(command).wait().expect(77);
    assert!(bed.log().is_empty() && !bed.database().exists());
}

#[test]
fn refused_or_disabled_key_exits_77() {
    for (is_known, words) in [(false, ["401", "UNAUTHORIZED"]), (true, ["403", "FORBIDDEN"])] {
        let bed = TestBed::frozen(unlimited());
        match is_known {
            true => assert!(bed.control.set_key_enabled(KEY, false)),
            false => assert!(bed.control.rotate_key(KEY, SECRET)),
        }
        let run = bed.sync(&[]).expect(77).says(words[0]).says(words[1]);
        assert_eq!(bed.log().len(), 1, "no retry");
        run.says(&bed.log()[0].request_id);
        assert_eq!(bed.text("SELECT organization_id FROM instance"), "");
        // With a valid key the next run succeeds.
        bed.control.set_key_enabled(KEY, true);
        bed.control.rotate_key(SECRET, KEY);
        bed.sync_ok(&[]);
        bed.compare();
    }
}

#[test]
fn key_refused_during_a_run_stops_it() {
    let bed = TestBed::frozen(SandboxSettings { videos: 700, ..unlimited() });
    bed.control.fault(Fault::on("GET", "/videos", FaultKind::status(401)).after(2).forever());
    bed.sync(&[]).expect(77);
    assert_eq!(bed.log_of("/videos").len(), 3);
    let log = bed.log();
    let refused = log.iter().position(|entry| entry.status == Some(401)).unwrap();
    assert!(log.len() - refused <= 4, "requests after the refusal: {log:#?}");
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 400);
    bed.control.clear_faults();
    bed.control.clear_log();
    bed.sync_ok(&[]);
    assert_eq!(bed.log_of("/videos").len(), 2, "the listing is resumed");
    bed.compare();
}

#[test]
fn rejects_key_of_another_organization() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let id = bed.control.ids(Kind::Video).remove(4);
    bed.control.set_member(Kind::Video, &id, "description", &json!("theirs"));
    let other = SandboxKey {
        key: SECRET.to_owned(),
        name: "their key".to_owned(),
        organization_id: "0197ffff-0000-7000-8000-00000000beef".to_owned(),
        ..SandboxKey::default()
    };
    bed.control.add_key(other);
    let before = bed.everything();
    bed.control.clear_log();
    for arguments in [&[][..], &["--full", "--accept-removals"]] {
        let mut command = bed.command(&[&["sync"], arguments].concat());
        command.env("CREATORAUDIT_API_KEY", SECRET);
        let run = bed.start(command).wait().expect(77);
        run.says("their key").says("0197ffff-0000-7000-8000-00000000beef");
    }
    assert_eq!(bed.take_requests(), ["GET /whoami", "GET /whoami"]);
    assert_eq!(bed.everything(), before, "the database was changed");
    bed.sync_ok(&["--full"]);
    bed.compare();
}

/// Asserts that the output of a run and the files in its folder do not contain the key.
#[track_caller]
fn shows_no_key(bed: &TestBed, run: &Run) {
    for (what, text) in [("stdout", &run.stdout), ("stderr", &run.stderr)] {
        assert!(!text.contains(SECRET), "the key is on {what}: {text}");
    }
    for path in files(bed.folder()) {
        let bytes = std::fs::read(&path).unwrap();
        let is_there = bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        assert!(!is_there, "the key is in {}", path.display());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn key_never_appears_in_output_or_files() {
    let cases = [
        ("/whoami", 401, 77),
        ("/whoami", 500, 69),
        ("/videos", 403, 77),
        ("/videos", 422, 1),
        ("/videos", 404, 1),
        ("/videos", 500, 69),
        ("/account-videos", 404, 0),
        ("/overview", 400, 0),
    ];
    std::thread::scope(|scope| {
        for case in cases {
            for format in ["text", "json"] {
                scope.spawn(move || echo(case, format));
            }
        }
    });
}

/// The server repeats the key in its answers.
fn echo((path, status, code): (&str, u16, i32), format: &str) {
    let mut bed = TestBed::frozen(unlimited());
    bed.control.rotate_key(KEY, SECRET);
    bed.set("CREATORAUDIT_API_KEY", SECRET);
    bed.set("RUST_LOG", "trace");
    bed.set("RUST_BACKTRACE", "full");
    bed.control.fault(Fault::on("GET", path, FaultKind::EchoKey(status)).forever());
    let run = bed.sync(&["--log-format", format, "--json"]).expect(code);
    for word in ["TRACE", "request over"] {
        assert!(run.stderr.contains(word), "no `{word}` in the trace: {run:#?}");
    }
    shows_no_key(&bed, &run);
}

#[test]
fn redacts_the_key_in_mirrored_data() {
    let mut bed = TestBed::frozen(unlimited());
    bed.control.rotate_key(KEY, SECRET);
    bed.set("RUST_LOG", "trace");
    for kind in Kind::LISTS {
        let id = bed.control.ids(kind).remove(0);
        bed.control.set_member(kind, &id, "name", &json!(format!("my key is {SECRET}.")));
    }
    // The key comes from a file.
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("key");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let mut command = bed.command(&["sync", "--api-key-file", file.to_str().unwrap()]);
    command.env_remove("CREATORAUDIT_API_KEY");
    let run = bed.start(command).wait().expect(0);
    shows_no_key(&bed, &run);
    assert_eq!(bed.number("SELECT count(*) FROM videos"), 60);
    assert!(bed.text("SELECT name FROM accounts WHERE name LIKE 'my key is%'").len() > 10);
}

#[test]
fn rejects_foreign_file_without_changing_it() {
    let bed = TestBed::frozen(unlimited());
    let text = "a shopping list, and a long one at that: milk, bread, eggs. ".repeat(80);
    std::fs::write(bed.database(), &text).unwrap();
    bed.sync(&[]).expect(74).says("is not a creatormirror database");
    assert_eq!(std::fs::read_to_string(bed.database()).unwrap(), text);

    std::fs::remove_file(bed.database()).unwrap();
    let other = Connection::open(bed.database()).unwrap();
    other
        .execute_batch("CREATE TABLE recipes (name TEXT); INSERT INTO recipes VALUES ('soup')")
        .unwrap();
    drop(other);
    let before = std::fs::read(bed.database()).unwrap();
    bed.sync(&[]).expect(74).says("is not a creatormirror database");
    assert_eq!(std::fs::read(bed.database()).unwrap(), before);
    assert!(bed.log().is_empty(), "no request before the database is checked");
}

#[test]
fn http_outside_loopback_exits_78() {
    let mut bed = TestBed::frozen(unlimited());
    bed.base_url = "http://192.0.2.1/v2".to_owned();
    bed.sync(&[]).expect(78);
    assert!(!bed.database().exists());
}

#[test]
fn loopback_requests_bypass_the_proxy() {
    let mut bed = TestBed::frozen(unlimited());
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"] {
        bed.set(variable, &address);
    }
    bed.sync_ok(&[]);
    assert!(proxy.accept().is_err(), "the proxy was used");
}

#[test]
fn unreachable_api_exits_69_within_a_minute() {
    let mut bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    let before = bed.content();
    bed.stop_server();
    let run = bed.sync(&["--full"]).expect(69).says("unreachable");
    assert!(run.took < Duration::from_secs(60), "{run:#?}");
    assert_eq!(bed.content(), before);
}

/// Lets `/whoami` answer with this organization and key name, given as JSON strings.
fn whoami_says(bed: &TestBed, organization: &str, name: &str) {
    let body =
        format!("{{\"data\":{{\"organization_id\":{organization},\"api_key_name\":{name}}}}}");
    let body = FaultBody::Raw("application/json", body.leak());
    let what = FaultKind::Status { code: 200, body, headers: Vec::new() };
    bed.control.clear_faults();
    bed.control.fault(Fault::on("GET", "/whoami", what).forever());
}

/// Runs every command that shows the key's name and organization, and checks its output.
fn shows_no_control_characters(bed: &TestBed) {
    for arguments in [&["status"][..], &["status", "--json"], &["check"], &["check", "--json"]] {
        let run = bed.start(bed.command(arguments)).wait();
        for text in [&run.stdout, &run.stderr] {
            let is_control = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
            assert!(!text.contains(is_control) && text.len() < 20_000, "{arguments:?}: {run:#?}");
        }
    }
}

#[test]
fn rotated_key_has_another_name_and_the_same_organization() {
    let bed = TestBed::frozen(unlimited());
    for name in ["old key", "new key"] {
        whoami_says(&bed, "\"org-1\"", &format!("\"{name}\""));
        bed.sync_ok(&[]);
        assert_eq!(bed.text("SELECT api_key_name FROM instance"), name);
    }
}

#[test]
fn escapes_and_shortens_key_names() {
    let long = "x".repeat(1_000_000);
    for name in [r"\u001b[2J\u001b]0;title\u0007\r\n\u009b31m\u202e", &long, r"\u0000\u007f"] {
        let bed = TestBed::frozen(unlimited());
        whoami_says(&bed, "\"org-1\"", &format!("\"key {name}\""));
        let run = bed.sync_ok(&["--log-level", "trace"]);
        assert!(!run.stderr.contains('\u{1b}') && !run.stderr.contains('\u{9b}'));
        assert!(bed.number("SELECT length(api_key_name) FROM instance") < 300);
        shows_no_control_characters(&bed);
        // Another organization with the same key name.
        whoami_says(&bed, "\"org-2\"", &format!("\"key {name}\""));
        let run = bed.sync(&[]).expect(77);
        assert!(!run.stderr.contains('\u{1b}') && run.stderr.len() < 10_000, "{run:#?}");
        // An id with control characters or excessive length is invalid.
        whoami_says(&bed, &format!("\"org {name}\""), "\"key\"");
        let run = bed.sync(&[]).expect(69).says("organization_id");
        assert!(!run.stderr.contains('\u{1b}') && run.stderr.len() < 10_000, "{run:#?}");
        shows_no_control_characters(&bed);
    }
}

#[test]
fn redacts_every_encoding_of_the_key() {
    let key = r#"ca_"quo\te~d/9f3J"#;
    for spelling in [
        r#"ca_\"quo\\te~d/9f3J"#,
        r"ca_\u0022quo\u005cte~d/9f3J",
        r"ca_\u0022quo\u005Cte\u007ed\/9f3J",
        "ca_%22quo%5Cte%7Ed%2F9f3J",
        "ca_%22quo%5cte%7ed/9f3J",
        r"\u0063a_%22quo\\te%7Ed/9f3\u004A",
        r#"ca_\\\"quo\\\\te~d/9f3J"#,
    ] {
        let mut bed = TestBed::frozen(unlimited());
        bed.control.rotate_key(KEY, key);
        bed.set("CREATORAUDIT_API_KEY", key);
        whoami_says(&bed, "\"org-1\"", &format!("\"echo {spelling}!\""));
        let run = bed.sync_ok(&["--log-level", "trace"]);
        assert_eq!(bed.text("SELECT api_key_name FROM instance"), "echo [redacted]!", "{spelling}");
        let status = bed.start(bed.command(&["status", "--json"])).wait();
        for text in [run.stderr, run.stdout, status.stdout] {
            assert!(!text.contains("9f3J"), "{spelling}: {text}");
        }
        // The same in problem documents and headers.
        bed.control.fault(Fault::on("GET", "/videos", FaultKind::EchoKey(500)).forever());
        let run = bed.sync(&["--full", "--log-level", "trace"]).expect(69);
        assert!(!run.stderr.contains("9f3J"), "{run:#?}");
        assert_eq!(bed.number("SELECT count(*) FROM sync_log WHERE detail LIKE '%9f3J%'"), 0);
    }
}
