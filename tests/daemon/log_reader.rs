//! A log reader that stops reading stderr must not block the program.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use creatormirror::model::Kind;
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};

use super::harness::{STOP_MAX, quiet_bed};
use super::support::{BINARY, KEY, TIMEOUT, TestBed, unlimited, until};
use crate::support::sandbox::SandboxSettings;

/// A pipe without room for another byte.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = std::io::pipe().unwrap();
    let flags = rustix::fs::fcntl_getfl(&writer).unwrap();
    rustix::fs::fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while rustix::io::write(&writer, &[b'x'; 512]).is_ok() {}
    while rustix::io::write(&writer, b"x").is_ok() {}
    rustix::fs::fcntl_setfl(&writer, flags).unwrap();
    (reader, writer)
}

fn spawn(mut command: Command, stderr: PipeWriter) -> Child {
    command.stdout(std::process::Stdio::null()).stderr(stderr).spawn().unwrap()
}

/// Waits for the exit, which must be within `STOP_MAX`.
#[track_caller]
fn ends_in_time(mut child: Child) -> ExitStatus {
    let begun = Instant::now();
    while begun.elapsed() < STOP_MAX {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    panic!("the process does not exit");
}

fn terminate(child: &Child) {
    kill_process(Pid::from_child(child), Signal::TERM).unwrap();
}

/// Waits until everything is mirrored and the daemon is idle.
fn wait_for_mirror(bed: &TestBed) {
    until("everything is mirrored", || {
        bed.database().exists()
            && bed.log_of("/overview").len() == 1
            && bed.text("SELECT condition FROM instance").starts_with("idle until")
    });
}

#[test]
fn works_and_stops_while_its_log_is_not_read() {
    for signal in [Signal::TERM, Signal::INT] {
        let bed = quiet_bed(unlimited());
        let (reader, writer) = full_pipe();
        let child = spawn(bed.command(&["run", "--log-level", "trace"]), writer);
        wait_for_mirror(&bed);
        bed.compare_kind(Kind::Video);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(ends_in_time(child).code(), Some(0));
        assert_eq!(bed.text("SELECT runner FROM instance"), "");
        drop(reader);
    }
}

#[test]
fn reports_dropped_lines_once_the_reader_resumes() {
    let bed = quiet_bed(SandboxSettings { videos: 3_000, account_videos: 3_000, ..unlimited() });
    let (reader, writer) = full_pipe();
    let child = spawn(bed.command(&["run", "--log-level", "trace"]), writer);
    wait_for_mirror(&bed);
    // At this log level a request writes some kilobytes, more than the buffer holds.
    for _ in 0..8 {
        bed.sync_ok(&["--full"]);
    }
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n') {
            let line = String::from_utf8_lossy(&line.unwrap()).into_owned();
            let _ = sender.send(line);
        }
    });
    // The count is logged once there is room for it; every later line arrives.
    let next = |what: &str| loop {
        let line = lines.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("no `{what}`"));
        if line.contains(what) {
            return line;
        }
    };
    let notice = next("log lines dropped");
    let lines: u64 = notice.rsplit_once("lines=").unwrap().1.parse().unwrap();
    assert!(lines > 0, "{notice}");
    terminate(&child);
    assert_eq!(ends_in_time(child).code(), Some(0));
    next(" stopped");
}

#[test]
fn final_error_does_not_wait_for_the_log_reader() {
    let bed = quiet_bed(unlimited());
    bed.control.rotate_key(KEY, "another-key");
    let (reader, writer) = full_pipe();
    let child = spawn(bed.command(&["sync", "--log-level", "trace"]), writer);
    assert_eq!(ends_in_time(child).code(), Some(77));
    drop(reader);
    let (reader, writer) = full_pipe();
    let mut command = Command::new(BINARY);
    command.arg("--no-such-flag");
    assert_eq!(ends_in_time(spawn(command, writer)).code(), Some(2));
    drop(reader);
}
