//! `status`: from the database alone, beside whoever writes, for whoever may read.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use crate::support::sandbox::{Accident, Fault};
use creatormirror::model::Kind;
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use serde_json::Value;

use super::bench::{Bench, finish};

/// No key and no network.
const ALONE: &[(&str, &str)] =
    &[("CREATORAUDIT_API_KEY", ""), ("CREATORAUDIT_BASE_URL", "http://127.0.0.1:1/v2")];

#[test]
fn without_a_mirror_it_is_78_and_names_the_setting() {
    let bench = Bench::new();
    for arguments in [&["status"][..], &["status", "--json"]] {
        let ran = bench.run_with(ALONE, arguments);
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(78), ""), "{ran:?}");
        assert!(ran.stderr.contains("no database at"), "{ran:?}");
        assert!(ran.stderr.contains("(flag --database)"), "{ran:?}");
    }
    assert!(!bench.database().exists());
}

#[test]
fn after_a_sync_it_tells_everything_without_key_and_network() {
    let mut bench = Bench::synced();
    let requests = bench.control.counters();
    bench.stop();
    let ran = bench.run_with(ALONE, &["status"]);
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
    let ran = bench.run_with(ALONE, &["status", "--json"]);
    let document = ran.json();
    assert_eq!(ran.code, Some(0));
    let kinds = document["kinds"].as_array().unwrap();
    for kind in Kind::LISTS {
        let found = kinds.iter().find(|found| found["kind"] == kind.name()).unwrap();
        assert_eq!(found["rows"], bench.control.count(kind), "{kind}");
        assert_eq!(found["last_outcome"], "complete");
        assert!(found["complete_as_of"].as_str().unwrap().ends_with('Z'));
    }
    assert_eq!(document["last_run"]["outcome"], "finished");
    assert_eq!((&document["is_running"], &document["last_error"]), (&false.into(), &Value::Null));
    assert!(document["rate_limit"]["remaining"].as_u64().unwrap() > 0);
    assert!(document["videos_due"]["scheduled"].as_u64().unwrap() > 0);
    assert!(document["next_due_at"].is_string());
    assert_eq!(format!("{requests:?}"), format!("{:?}", bench.control.counters()));
}

#[test]
fn beside_a_held_lock_it_says_that_somebody_is_running() {
    let bench = Bench::synced();
    let held = Database::open(&bench.database(), IfMissing::Refuse).unwrap();
    let ran = bench.run_with(ALONE, &["status"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains("now           running\n"), "{ran:?}");
    // A write that is under way is nothing to wait for.
    let ran = held.write(|tx| {
        tx.execute("UPDATE instance SET api_key_name = 'later'", []).unwrap();
        Ok(bench.run_with(ALONE, &["status", "--json"]))
    });
    let document = ran.unwrap().json();
    assert_eq!(
        (&document["is_running"], &document["api_key_name"]),
        (&true.into(), &"sandbox".into())
    );
    drop(held);
    assert_eq!(bench.run(&["status", "--json"]).json()["is_running"], false);
}

#[test]
fn an_interrupted_listing_is_shown_with_how_far_it_got() {
    let bench = Bench::new();
    let fault = Fault::on("GET", "/videos", Accident::ResetBefore).forever();
    bench.control.fault(fault);
    let ran = bench.run(&["sync", "--only", "videos"]);
    assert_ne!(ran.code, Some(0), "{ran:?}");
    bench.control.clear_faults();
    let ran = bench.run(&["status"]);
    assert!(ran.stdout.contains("next due      now: listing of "), "{ran:?}");
    assert!(ran.stdout.contains("videos: listing interrupted, 0 pages"), "{ran:?}");
    assert!(!ran.stdout.contains("last error    none"), "{ran:?}");
}

#[test]
fn the_last_error_names_its_request() {
    let bench = Bench::synced();
    let ran = bench.run_with(&[("CREATORAUDIT_API_KEY", "not-the-key")], &["sync"]);
    assert_eq!(ran.code, Some(77), "{ran:?}");
    let request_id = bench.control.log().last().unwrap().request_id.clone();
    let document = bench.run(&["status", "--json"]).json();
    let error = &document["last_error"];
    assert_eq!(
        (&error["code"], &error["request_id"]),
        (&"UNAUTHORIZED".into(), &request_id.clone().into())
    );
    let ran = bench.run(&["status"]);
    assert!(ran.stdout.contains(&format!("(request id {request_id})")), "{ran:?}");
}

#[test]
fn a_notice_of_the_api_is_passed_on() {
    let bench = Bench::new();
    bench.control.set_lifecycle(Some("2027-01-01"), Some("2027-06-30"));
    assert_eq!(bench.run(&["sync"]).code, Some(0));
    let ran = bench.run(&["status"]);
    assert!(
        ran.stdout.contains("NOTICE: status deprecated, deprecation 2027-01-01, sunset 2027-06-30"),
        "{ran:?}"
    );
    let document = bench.run(&["status", "--json"]).json();
    assert_eq!(document["api"]["sunset"], "2027-06-30");
}

#[test]
fn a_member_of_the_group_who_may_only_read_sees_it_too() {
    const GROUP: u32 = 54_321;
    const NOBODY: u32 = 65_534;
    let bench = Bench::synced();
    if chown(bench.folder.path(), None, Some(GROUP)).is_err() {
        // Only root can be somebody else.
        return;
    }
    std::fs::set_permissions(bench.folder.path(), PermissionsExt::from_mode(0o750)).unwrap();
    for entry in std::fs::read_dir(bench.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        chown(&path, None, Some(GROUP)).unwrap();
    }
    // The binary may be where others cannot go.
    let binary = bench.folder.path().join("creatormirror");
    std::fs::copy(env!("CARGO_BIN_EXE_creatormirror"), &binary).unwrap();
    std::fs::set_permissions(&binary, PermissionsExt::from_mode(0o755)).unwrap();
    let as_nobody = |arguments: &[&str]| {
        let mut command = bench.command(Path::new(&binary), arguments);
        command.uid(NOBODY).gid(GROUP);
        finish(command)
    };
    let ran = as_nobody(&["status", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["is_running"], false);
    let held = Database::open(&bench.database(), IfMissing::Refuse).unwrap();
    assert_eq!(as_nobody(&["status", "--json"]).json()["is_running"], true);
    drop(held);
    let ran = as_nobody(&["check"]);
    assert_eq!((ran.code, ran.level("permissions")), (Some(74), "failure"), "{ran:?}");
    assert_eq!((ran.level("integrity"), ran.level("key")), ("ok", "ok"), "{ran:?}");
}
