//! The daemon as in a container: process 1, a read-only root, no capabilities, and a volume for the database.

use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use super::keys::with_key_file;
use super::listen::{address, get};
use super::storage::{unshare, wrapped};
use super::support::skip::{Need, skip};
use super::support::until;

/// Makes all but the folder `$1` read-only, and drops every capability.
const CONTAINER: &str = r#"mount --bind "$1" "$1" && mount -o remount,bind,ro / || exit 99
    shift; exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs -- "$@""#;

/// Exit code of [`CONTAINER`] if the root cannot be made read-only.
const NOT_PERMITTED: i32 = 99;

#[test]
fn runs_as_process_1_with_a_read_only_root_and_without_capabilities() {
    let Some(way) = unshare() else { return skip(Need::Mount, "mounting is not permitted") };
    let (mut bed, _, _folder) = with_key_file();
    bed.set("CREATORMIRROR_LISTEN", "127.0.0.1:0");
    let contained = |command| {
        let mut by = Command::new("unshare");
        by.args(way).args(["--pid", "--fork", "--kill-child", "sh", "-c", CONTAINER, "sh"]);
        by.arg(bed.folder());
        wrapped(by, command)
    };
    let touched = bed.start(contained(command("touch", &["/usr/probe"]))).wait();
    if touched.code == Some(NOT_PERMITTED) {
        return skip(Need::Mount, "the root cannot be mounted read-only");
    }
    touched.expect(1);
    let none = "^CapEff:[[:space:]]*0*$";
    bed.start(contained(command("grep", &[none, "/proc/self/status"]))).wait().expect(0);
    bed.start(contained(bed.command(&["sync"]))).wait().expect(0);

    let daemon = bed.start_daemon_with(contained(bed.command(&["run"])));
    daemon.notify.wait_for("STATUS=idle until");
    assert_eq!(get(address(&daemon), "/healthz").0, 200);
    bed.start(contained(bed.command(&["status"]))).wait().expect(0);
    bed.start(contained(bed.command(&["track", "creator", "Ada"]))).wait().expect(0);
    until("the creator is sent", || bed.text("SELECT state FROM outbox_log") == "succeeded");
    kill_process(child(daemon.process.id()), Signal::TERM).unwrap();
    daemon.process.wait().expect(0);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// The only child of a process.
fn child(parent: u32) -> Pid {
    let children =
        std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    Pid::from_raw(children.trim().parse().unwrap()).unwrap()
}
