//! `status`: reads only the database, beside writers, and with read-only permissions.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::support::copy_program;
use crate::support::sandbox::{Fault, FaultKind};
use creatormirror::model::Kind;
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use serde_json::Value;

use super::fixture::{Fixture, finish};

/// Without key and network.
const ALONE: &[(&str, &str)] =
    &[("CREATORAUDIT_API_KEY", ""), ("CREATORAUDIT_BASE_URL", "http://127.0.0.1:1/v2")];

#[test]
fn missing_mirror_exits_78_and_names_the_setting() {
    let fixture = Fixture::new();
    for arguments in [&["status"][..], &["status", "--json"]] {
        let ran = fixture.run_with(ALONE, arguments);
        assert_eq!(ran.code, Some(78), "{ran:?}");
        assert!(ran.stderr.contains("no database at"), "{ran:?}");
        assert!(ran.stderr.contains("(flag --database)"), "{ran:?}");
    }
    assert!(!fixture.database().exists());
}

#[test]
fn shows_everything_without_key_and_network() {
    let mut fixture = Fixture::synced();
    let requests = fixture.control.counters();
    fixture.stop();
    let ran = fixture.run_with(ALONE, &["status"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    for part in [
        "organization  0197a1b2-7c3d-7e4f-8a5b-000000000001, key `sandbox`",
        "now           not running",
        "last run      1 by sync: finished ",
        "API           supported",
        "last error    none",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    let ran = fixture.run_with(ALONE, &["status", "--json"]);
    let document = ran.json();
    assert_eq!(ran.code, Some(0));
    let kinds = document["kinds"].as_array().unwrap();
    for kind in Kind::LISTS {
        let found = kinds.iter().find(|found| found["kind"] == kind.name()).unwrap();
        assert_eq!(found["rows"], fixture.control.count(kind), "{kind}");
        assert_eq!(found["last_outcome"], "complete");
        assert!(found["complete_as_of"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(document["last_run"]["outcome"], "finished");
    assert_eq!((&document["is_running"], &document["last_error"]), (&false.into(), &Value::Null));
    assert!(document["rate_limit"]["remaining"].as_u64().unwrap() > 0);
    assert!(document["videos_due"]["scheduled"].as_u64().unwrap() > 0);
    assert!(document["next_due_at"].is_string());
    assert_eq!(format!("{requests:?}"), format!("{:?}", fixture.control.counters()));
}

#[test]
fn reports_a_running_process_beside_a_held_lock() {
    let fixture = Fixture::synced();
    let held = Database::open(&fixture.database(), IfMissing::Refuse).unwrap();
    let ran = fixture.run_with(ALONE, &["status"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("now           running\n"), "{ran:?}");
    // `status` does not wait for a write transaction.
    let ran = held.write(|tx| {
        tx.execute("UPDATE instance SET api_key_name = 'later'", []).unwrap();
        Ok(fixture.run_with(ALONE, &["status", "--json"]))
    });
    let document = ran.unwrap().json();
    assert_eq!(
        (&document["is_running"], &document["api_key_name"]),
        (&true.into(), &"sandbox".into())
    );
    drop(held);
    assert_eq!(fixture.run(&["status", "--json"]).json()["is_running"], false);
}

#[test]
fn shows_progress_of_an_interrupted_listing() {
    let fixture = Fixture::new();
    let fault = Fault::on("GET", "/videos", FaultKind::ResetBefore).forever();
    fixture.control.fault(fault);
    let ran = fixture.run(&["sync", "--only", "videos"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    fixture.control.clear_faults();
    let ran = fixture.run(&["status"]);
    assert!(ran.stdout.contains("next due      now: listing of "), "{ran:?}");
    assert!(ran.stdout.contains("videos: listing interrupted, 0 pages"), "{ran:?}");
    assert!(!ran.stdout.contains("last error    none"), "{ran:?}");
}

#[test]
fn last_error_names_its_request_id() {
    let fixture = Fixture::synced();
    let ran = fixture.run_with(&[("CREATORAUDIT_API_KEY", "not-the-key")], &["sync"]);
    assert_eq!(ran.code, Some(77), "{ran:?}");
    let request_id = fixture.control.log().last().unwrap().request_id.clone();
    let document = fixture.run(&["status", "--json"]).json();
    let error = &document["last_error"];
    assert_eq!(
        (&error["code"], &error["request_id"]),
        (&"UNAUTHORIZED".into(), &request_id.clone().into())
    );
    let ran = fixture.run(&["status"]);
    assert!(ran.stdout.contains(&format!("(request id {request_id})")), "{ran:?}");
}

#[test]
fn shows_api_deprecation() {
    let fixture = Fixture::new();
    fixture.control.set_lifecycle(Some("2027-01-01"), Some("2027-06-30"));
    assert_eq!(fixture.run(&["sync"]).code, Some(0));
    let ran = fixture.run(&["status"]);
    assert!(
        ran.stdout.contains("NOTICE: status deprecated, deprecation 2027-01-01, sunset 2027-06-30"),
        "{ran:?}"
    );
    let document = fixture.run(&["status", "--json"]).json();
    assert_eq!(document["api"]["sunset"], "2027-06-30");
}

#[test]
fn group_member_with_read_access_can_use_it() {
    const GROUP: u32 = 54_321;
    const NOBODY: u32 = 65_534;
    let fixture = Fixture::synced();
    if chown(fixture.folder.path(), None, Some(GROUP)).is_err() {
        // Only root can switch users.
        return;
    }
    std::fs::set_permissions(fixture.folder.path(), PermissionsExt::from_mode(0o750)).unwrap();
    for entry in std::fs::read_dir(fixture.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        chown(&path, None, Some(GROUP)).unwrap();
    }
    // Copy the binary to a folder that the other user can reach.
    let binary = fixture.folder.path().join("creatormirror");
    copy_program(Path::new(env!("CARGO_BIN_EXE_creatormirror")), &binary);
    let as_nobody = |arguments: &[&str]| {
        let mut command = fixture.command(Path::new(&binary), arguments);
        command.uid(NOBODY).gid(GROUP);
        finish(command)
    };
    let ran = as_nobody(&["status", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["is_running"], false);
    let held = Database::open(&fixture.database(), IfMissing::Refuse).unwrap();
    assert_eq!(as_nobody(&["status", "--json"]).json()["is_running"], true);
    drop(held);
    let ran = as_nobody(&["check"]);
    assert_eq!((ran.code, ran.level("permissions")), (Some(74), "failure"), "{ran:?}");
    assert_eq!((ran.level("integrity"), ran.level("key")), ("ok", "ok"), "{ran:?}");
}
