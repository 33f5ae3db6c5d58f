//! Replaced and disabled keys while the daemon runs.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use super::harness::{Daemon, Wire, quiet_bed};
use super::support::{KEY, TestBed, unlimited, until};
use crate::support::sandbox::SandboxKey;

const NEW_KEY: &str = "the-new-key";

/// A bed that reads its key from a file.
pub(super) fn with_key_file() -> (TestBed, PathBuf, tempfile::TempDir) {
    let mut bed = quiet_bed(unlimited());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, KEY).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    bed.set("CREATORMIRROR_API_KEY_FILE", file.to_str().unwrap());
    (bed, file, folder)
}

fn add_key(bed: &TestBed, organization_id: &str) {
    bed.control.add_key(SandboxKey {
        key: NEW_KEY.to_owned(),
        name: "the new one".to_owned(),
        organization_id: organization_id.to_owned(),
        ..SandboxKey::default()
    });
}

/// Sends SIGHUP and waits until the reload is done.
fn reload(daemon: &Daemon) {
    let seen = daemon.notify.times("READY=1").len();
    daemon.process.signal(Signal::HUP);
    daemon.notify.wait_for_more("READY=1", seen);
    let lines = daemon.notify.lines();
    assert!(lines.contains(&"RELOADING=1".to_owned()), "{lines:#?}");
    assert!(lines.iter().any(|line| line.starts_with("MONOTONIC_USEC=")), "{lines:#?}");
}

#[test]
fn sighup_switches_to_a_new_key_of_the_organization() {
    let (bed, file, _folder) = with_key_file();
    let daemon = bed.idle_daemon();
    add_key(&bed, &SandboxKey::default().organization_id);
    std::fs::write(&file, NEW_KEY).unwrap();
    bed.control.clear_log();
    reload(&daemon);
    assert_eq!(bed.log_of("/whoami").len(), 1, "the new key is verified");
    bed.control.set_key_enabled(KEY, false);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.text("SELECT api_key_name FROM instance"), "the new one");
    let run = daemon.stop();
    assert!(!run.stderr.contains(KEY) && !run.stderr.contains(NEW_KEY), "{run:#?}");
}

#[test]
fn sighup_rejects_a_key_of_another_organization() {
    let (bed, file, _folder) = with_key_file();
    let daemon = bed.idle_daemon();
    add_key(&bed, "another-organization");
    std::fs::write(&file, NEW_KEY).unwrap();
    reload(&daemon);
    bed.sync_ok(&["--full"]);
    assert_eq!(bed.text("SELECT api_key_name FROM instance"), "sandbox");
    daemon.stop().says("another-organization");
}

#[test]
fn job_writes_nothing_of_another_organization() {
    let bed = quiet_bed(unlimited());
    let daemon = bed.idle_daemon();
    bed.control.set_key_organization(KEY, "another-organization");
    bed.sync(&["--full"]).expect(77).says("another-organization");
    assert_eq!(bed.number("SELECT count(*) FROM sync_log WHERE trigger = 'full'"), 0);
    daemon.stop();
}

#[test]
fn sighup_keeps_the_old_key_if_the_new_one_is_unusable() {
    let (mut bed, file, _folder) = with_key_file();
    let daemon = bed.idle_daemon();
    // The syncs take their key from the environment, because the file's key is invalid.
    bed.variables.clear();
    std::fs::write(&file, "not-a-key-of-the-sandbox").unwrap();
    reload(&daemon);
    bed.sync_ok(&["--full"]);
    std::fs::remove_file(&file).unwrap();
    reload(&daemon);
    bed.sync_ok(&["--full"]);
    daemon.stop();
}

#[test]
fn bad_setting_on_reload_is_in_the_status_until_it_is_corrected() {
    let (bed, _file, folder) = with_key_file();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "rate_share = 0.5\n").unwrap();
    let daemon = bed.start_daemon_with(bed.command(&["run", "--config", config.to_str().unwrap()]));
    daemon.notify.wait_for("STATUS=idle until");
    std::fs::write(&config, "rate_shar = 0.5\n").unwrap();
    reload(&daemon);
    daemon.notify.wait_for_status("reload failed: ");
    daemon.notify.wait_for_status("config.toml:1: unknown setting `rate_shar`");
    assert!(bed.text("SELECT condition FROM instance").starts_with("idle until "));
    std::fs::write(&config, "rate_share = 0.4\n").unwrap();
    reload(&daemon);
    until("the status is clean again", || !daemon.notify.status().contains("reload failed"));
    daemon.stop();
}

#[test]
fn setting_that_a_reload_ignores_is_named() {
    let (bed, _file, folder) = with_key_file();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "").unwrap();
    let daemon = bed.start_daemon_with(bed.command(&["run", "--config", config.to_str().unwrap()]));
    daemon.notify.wait_for("STATUS=idle until");
    std::fs::write(&config, "listen = \"127.0.0.1:0\"\n").unwrap();
    reload(&daemon);
    until("the log names it", || daemon.process.stderr().contains("`listen` ignored on reload"));
    daemon.stop();
}

#[test]
fn disabled_key_pauses_polling_until_it_works() {
    let (bed, file, _folder) = with_key_file();
    let daemon = bed.idle_daemon();
    bed.control.set_key_enabled(KEY, false);
    bed.sync(&["--full", "--only", "overview"]).expect(77).says("the API refuses the key");
    daemon.notify.wait_for_status("the API refuses the key");
    assert!(bed.text("SELECT condition FROM instance").contains("replace the key and reload"));
    let requests = bed.log().len();

    // Neither a job nor a signal sends a request with a key that is known to be refused. A job fails
    // immediately.
    let job = bed.sync(&["--json"]).expect(77).says("the API refuses the key");
    assert!(job.took < Duration::from_secs(5), "{job:#?}");
    assert_eq!(
        (&job.json()["exit_code"], &job.json()["outcome"]),
        (&77.into(), &"key_refused".into())
    );
    daemon.process.signal(Signal::USR1);
    until("the state is logged", || daemon.process.stderr().contains("daemon summary"));
    assert_eq!(bed.log().len(), requests, "no request between probes");

    // Jobs run again once a valid key is loaded.
    add_key(&bed, &SandboxKey::default().organization_id);
    std::fs::write(&file, NEW_KEY).unwrap();
    reload(&daemon);
    daemon.notify.wait_for_status("idle until");
    bed.sync_ok(&["--full"]);
    bed.control.set_key_enabled(KEY, true);
    bed.compare();
    daemon.stop();
}

#[test]
fn reload_in_an_outage_defers_only_the_new_key() {
    let (mut bed, file, folder) = with_key_file();
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "freshness_target = \"5m\"\n").unwrap();
    let mut wire = Wire::to(&mut bed);
    let mut command = bed.command(&["run"]);
    command.arg("--config").arg(&config);
    let daemon = bed.start_daemon_with(command);
    daemon.notify.wait_for("STATUS=idle until");

    wire.cut();
    add_key(&bed, &SandboxKey::default().organization_id);
    std::fs::write(&file, NEW_KEY).unwrap();
    std::fs::write(&config, "freshness_target = \"7m\"\n").unwrap();
    reload(&daemon);
    until("the reload failure is logged", || {
        daemon.process.stderr().contains("new key not verified")
    });
    assert!(!daemon.process.stderr().contains("the key does not work"));
    daemon.notify.wait_for_status("idle until");
    until("the settings are in use", || bed.number("SELECT batch_delay_s FROM instance") == 7 * 60);

    wire.repair();
    // The old key stays in use until the new one is verified, which is retried after a minute.
    bed.sync_ok(&["--full", "--only", "overview"]);
    assert_eq!(bed.text("SELECT api_key_name FROM instance"), "sandbox");
    daemon.process.signal(Signal::HUP);
    until("the new key is in use", || {
        bed.text("SELECT api_key_name FROM instance") == "the new one"
    });
    daemon.stop();
}
