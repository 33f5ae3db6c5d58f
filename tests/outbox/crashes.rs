//! `kill -9` at random points, and processes that queue concurrently.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support::sandbox::{Fault, FaultKind, SandboxSettings};
use crate::support::{unlimited, until};
use crate::{Outbox, bed, bed_of};

const CREATORS: usize = 40;

#[test]
fn forty_creators_are_created_once_despite_kills() {
    let bed = bed_of(SandboxSettings { latency: Duration::from_millis(2), ..unlimited() });
    bed.control.set_replicas(4);
    let before = bed.creators().len();
    for n in 0..CREATORS {
        // Names repeat, so that only the recorded ids tell them apart.
        bed.queue(&["track", "creator", &format!("Creator {}", n % 13)]);
    }
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut kills = 0;
    while bed.number("SELECT count(*) FROM outbox_log WHERE state <> 'succeeded'") > 0 {
        let mut run = bed.start_sync(&["--quiet"]);
        let (sends, micros) =
            (bed.writes() + random.random_range(1..4), random.random_range(0..9_000));
        until("the sync has sent a write", || bed.writes() >= sends || !run.is_running());
        std::thread::sleep(Duration::from_micros(micros));
        kills += usize::from(run.is_running());
        run.kill();
        assert!(
            kills < 300,
            "{:?}",
            bed.rows("SELECT entry, state, attempts, detail FROM outbox_log")
        );
    }
    assert!(kills > 10, "only {kills} kills");
    assert_eq!(bed.creators().len(), before + CREATORS);
    assert_eq!(bed.number("SELECT count(DISTINCT result_id) FROM outbox_log"), CREATORS as i64);
    bed.sync_ok(&["--full"]);
    bed.compare();
    bed.check_integrity();
}

#[test]
fn kill_before_the_result_is_recorded_sends_nothing_twice() {
    for done in [true, false] {
        let bed = bed();
        let before = bed.creators().len();
        bed.queue(&["track", "creator", "Ada"]);
        let fault_kind = match done {
            true => FaultKind::Slow(Duration::from_secs(600)),
            false => FaultKind::ResetBefore,
        };
        bed.control.fault(Fault::on("POST", "/creators", fault_kind));
        let run = bed.start_sync(&[]);
        until("the write was sent", || bed.writes() == 1);
        run.kill();
        bed.sync_ok(&[]);
        assert_eq!(bed.states(), ["succeeded"]);
        assert_eq!(bed.creators().len(), before + 1);
    }
}

#[test]
fn failed_database_write_after_the_answer_sends_nothing_twice() {
    let bed = bed();
    let before = bed.creators().len();
    bed.queue(&["track", "creator", "Ada"]);
    let trigger = "CREATE TRIGGER disk_fails BEFORE UPDATE ON outbox WHEN new.state = 'succeeded'
                   BEGIN SELECT RAISE(ABORT, 'the disk fails here'); END";
    bed.db_to_write().execute_batch(trigger).unwrap();
    bed.sync(&[]).expect(74);
    bed.db_to_write().execute_batch("DROP TRIGGER disk_fails").unwrap();
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"]);
    assert_eq!(bed.entry(1)["attempts"], 1);
    assert_eq!(bed.creators().len(), before + 1);
}

#[test]
fn eight_processes_queue_concurrently_beside_a_daemon() {
    let bed = bed();
    let before = bed.creators().len();
    let mut daemon = bed.start(bed.command(&["run"]));
    until("the daemon runs", || bed.text("SELECT runner FROM instance") == "run");
    std::thread::scope(|scope| {
        for process in 0..8 {
            let bed = &bed;
            scope.spawn(move || {
                for n in 0..10 {
                    bed.queue(&["track", "creator", &format!("Process {process}, {n}")]);
                }
            });
        }
    });
    let run = bed.run(&["track", "creator", "The last", "--wait"]).expect(0);
    assert!(run.stdout.starts_with("81 queued"), "{}", run.stdout);
    until("all entries are sent", || {
        bed.number("SELECT count(*) FROM outbox_log WHERE state = 'succeeded'") == 81
    });
    assert!(daemon.is_running());
    assert_eq!(bed.creators().len(), before + 81);
    daemon.terminate();
    daemon.wait().expect(0);
}
