//! A copy of the mirror holds unfinished entries until they are retried manually, and reconciles before
//! it sends anything again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use creatormirror::model::Kind;
use rusqlite::{Connection, OpenFlags};

use crate::support::sandbox::{Fault, FaultKind};
use crate::support::{BINARY, Run, TestBed, until};
use crate::{Outbox, bed};

struct Copy<'a> {
    bed: &'a TestBed,
    path: PathBuf,
}

impl<'a> Copy<'a> {
    fn of(bed: &'a TestBed, name: &str) -> Self {
        let path = bed.folder().join(name);
        bed.run(&["backup", path.to_str().unwrap()]).expect(0);
        Self { bed, path }
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.bed.start(self.bed.command_on(Path::new(BINARY), &self.path, arguments)).wait()
    }

    fn text(&self, sql: &str) -> String {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let db = Connection::open_with_flags(&self.path, flags).unwrap();
        db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn states(&self) -> String {
        self.text(
            "SELECT group_concat(state, ' ') FROM (SELECT state FROM outbox_log ORDER BY entry)",
        )
    }
}

fn count_of(bed: &TestBed, name: &str) -> usize {
    bed.creators().iter().filter(|creator| *creator == name).count()
}

#[test]
fn copy_holds_unfinished_entries_and_sends_them_once() {
    let bed = bed();
    let before = Kind::LISTS.map(|kind| bed.control.count(kind));
    let gone = bed.control.ids(Kind::Video).remove(0);
    let rows = bed.control.rows(Kind::Account);
    let free = rows.iter().find(|row| row["creator_id"].is_null()).unwrap();
    let account = free["id"].as_str().unwrap();
    // In flight when the copy is made: carried out, but the answer is unknown.
    bed.queue(&["track", "creator", "Ada"]);
    let slow = FaultKind::Slow(Duration::from_secs(600));
    bed.control.fault(Fault::on("POST", "/creators", slow));
    let run = bed.start_sync(&[]);
    until("the write was sent", || bed.writes() == 1);
    run.kill();
    bed.control.clear_faults();
    // Queued when the copy is made, and sent by the original afterwards.
    bed.queue(&["track", "creator", "Grace"]);
    bed.queue(&["track", "video", "https://www.tiktok.com/@luna/video/7300000000000000001"]);
    bed.queue(&["untrack", "video", &gone]);
    // Queued when the copy is made, and never sent by the original.
    bed.queue(&["track", "creator", "Linus"]);
    bed.queue(&["link", "@5", account]);
    // Queued by SQL, and not validated before the copy is made.
    let sql = r#"INSERT INTO outbox_requests (kind, action, body) VALUES ('creator', 'track', '{"name":"Barbara"}')"#;
    bed.db_to_write().execute_batch(sql).unwrap();
    let copy = Copy::of(&bed, "copy.db");
    assert_eq!(copy.states(), ["held"; 7].join(" "));

    bed.run(&["outbox", "discard", "5"]).expect(0);
    bed.sync_ok(&[]);
    let states =
        ["succeeded", "succeeded", "succeeded", "succeeded", "discarded", "failed", "succeeded"];
    assert_eq!(bed.states(), states);

    // The copy replaces the original, and sends nothing until the entries are retried.
    bed.control.clear_log();
    copy.run(&["sync", "--full"]).expect(0);
    assert_eq!((bed.writes(), copy.states()), (0, ["held"; 7].join(" ")));
    let status = copy.run(&["status"]).expect(0);
    assert!(status.stdout.contains("7 held"), "{}", status.stdout);
    let dry = copy.run(&["sync", "--dry-run"]).expect(0);
    assert!(!dry.stdout.contains("entry"), "{dry:#?}");

    let retried = copy.run(&["outbox", "retry", "--held"]).expect(0);
    assert_eq!(retried.stdout.lines().count(), 7, "{retried:#?}");
    copy.run(&["sync"]).expect(0);
    assert_eq!(copy.states(), ["succeeded"; 7].join(" "));
    for name in ["Ada", "Grace", "Linus", "Barbara"] {
        assert_eq!(count_of(&bed, name), 1, "{name}");
    }
    let after = Kind::LISTS.map(|kind| bed.control.count(kind));
    let grown: Vec<i64> = before.iter().zip(after).map(|(b, a)| a as i64 - *b as i64).collect();
    assert_eq!(grown[..3], [0, 4, 0], "four creators more; one video more and one less");
    let linked = bed.control.row(Kind::Account, account).unwrap();
    assert_eq!(linked["creator_name"], "Linus");
    // Reconciled first: of the creators, only Linus was sent.
    let posts = bed
        .log()
        .iter()
        .filter(|entry| entry.method == "POST" && entry.path == "/creators")
        .count();
    assert_eq!(posts, 1);
    copy.run(&["sync", "--full"]).expect(0);
    assert_eq!(copy.text("PRAGMA integrity_check"), "ok");
}

#[test]
fn copy_of_a_copy_keeps_entries_with_equal_names_apart() {
    let bed = bed();
    for _ in 0..3 {
        bed.queue(&["track", "creator", "Ada"]);
    }
    let first = Copy::of(&bed, "first.db");
    let path = bed.folder().join("second.db");
    first.run(&["backup", path.to_str().unwrap()]).expect(0);
    let second = Copy { bed: &bed, path };
    // The original sends one of the three, and is then lost.
    bed.run(&["outbox", "discard", "2", "3"]).expect(0);
    bed.sync_ok(&[]);
    assert_eq!(count_of(&bed, "Ada"), 1);
    second.run(&["sync"]).expect(0);
    second.run(&["outbox", "retry", "--held"]).expect(0);
    second.run(&["sync"]).expect(0);
    assert_eq!(second.states(), ["succeeded"; 3].join(" "));
    assert_eq!(count_of(&bed, "Ada"), 3);
    assert_eq!(second.text("SELECT count(DISTINCT result_id) || '' FROM outbox_log"), "3");
}
