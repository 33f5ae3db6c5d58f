//! Commands that queue, list and change outbox entries.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use creatormirror::model::Kind;
use serde_json::json;
use wait4::Wait4 as _;

use crate::support::{BINARY, Run, TestBed, unlimited};
use crate::{Outbox, bed, bed_of};

#[test]
fn queued_writes_are_sent_once_mirrored_and_logged() {
    let bed = bed();
    let url = "https://www.tiktok.com/@luna/video/7300000000000000001";
    let video = bed.queue(&["track", "video", url, "--interval", "6", "--metadata", "team=a b"]);
    let account = bed.queue(&["track", "account", "instagram", "@Ada.Bakes", "--category", "food"]);
    let creator = bed.queue(&["track", "creator", "Ada Lovelace", "--paused"]);
    assert_eq!((video, account, creator), (1, 2, 3));
    assert_eq!(bed.states(), ["queued"; 3]);
    assert_eq!(bed.log().len(), 0, "queueing needs no network");
    assert_eq!(bed.entry(1)["target"], "tiktok:7300000000000000001");
    let report = bed.sync_ok(&["--json"]).json();
    assert_eq!(report["outbox"], json!({"sent": 3, "succeeded": 3, "failed": 0, "left": 0}));
    assert_eq!(bed.states(), ["succeeded"; 3]);
    assert_eq!(bed.writes(), 3);
    let id = bed.text("SELECT result_id FROM outbox_log WHERE entry = 1");
    let row = bed.control.row(Kind::Video, &id).unwrap();
    assert_eq!(
        (&row["scrape_interval_hours"], &row["metadata"]["team"]),
        (&json!(6), &json!("a b"))
    );
    let joined = "SELECT count(*) FROM outbox_log AS o JOIN videos AS v ON v.id = o.result_id";
    assert_eq!(bed.number(joined), 1);
    assert_eq!(
        bed.number(
            "SELECT count(*) FROM accounts WHERE username = 'ada.bakes' AND category = 'food'"
        ),
        1
    );
    assert_eq!(
        bed.number("SELECT count(*) FROM creators WHERE name = 'Ada Lovelace' AND is_active = 0"),
        1
    );
    let shown = bed.entry(1);
    assert_eq!(shown["idempotency_key"].as_str().unwrap().len(), 36);
    assert!(uuid::Uuid::try_parse(shown["idempotency_key"].as_str().unwrap()).is_ok());
    assert_eq!(
        (&shown["state"], &shown["attempts"], &shown["http_status"]),
        (&json!("succeeded"), &json!(1), &json!(201))
    );
    // Requests are counted under the entry's kind.
    assert!(bed.last_number(Kind::Video, "requests") >= 1);
    bed.sync_ok(&["--full"]);
    bed.compare();
    assert_eq!(bed.writes(), 3, "finished entries are not sent again");
}

#[test]
fn database_flag_creates_a_missing_file_for_a_write() {
    let bed = bed();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.db");
    let run = |arguments: &[&str]| {
        bed.start(bed.command_on(Path::new(BINARY), &path, arguments)).wait().code
    };
    let mut by_setting = std::process::Command::new(BINARY);
    by_setting.env_clear().env("HOME", folder.path()).env("CREATORMIRROR_DATABASE", &path);
    let by_setting = bed.start({
        by_setting.args(["track", "creator", "Ada"]);
        by_setting
    });
    assert_eq!(by_setting.wait().code, Some(78), "a setting does not create a file");
    assert_eq!(run(&["status"]), Some(78));
    assert!(!path.exists());
    assert_eq!(run(&["track", "creator", "Ada"]), Some(0));
    assert_eq!(run(&["sync"]), Some(0));
    assert_eq!(bed.writes(), 1, "the next sync of that file sends it");
}

#[test]
fn changes_deletions_and_links_update_the_mirror() {
    let bed = bed();
    let video = bed.control.ids(Kind::Video).remove(0);
    let gone = bed.control.ids(Kind::Video).remove(1);
    let rows = bed.control.rows(Kind::Account);
    let free = rows.iter().find(|row| row["creator_id"].is_null()).unwrap();
    let (account, name) = (free["id"].as_str().unwrap(), free["username"].as_str().unwrap());
    let platform = free["platform"].as_str().unwrap();
    bed.queue(&["set", "video", &video, "--paused", "--interval", "48"]);
    bed.queue(&["untrack", "video", &gone]);
    let creator = bed.queue(&["track", "creator", "Grace"]);
    assert_eq!(creator, 3);
    bed.queue(&["link", "@3", &format!("{platform}:{name}")]);
    bed.queue(&["set", "creator", "@3", "--name", "Grace H."]);
    assert_eq!(bed.states(), ["queued", "queued", "queued", "waiting", "waiting"]);
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 5]);
    let paused = format!(
        "SELECT is_active || ' ' || scrape_interval_hours FROM videos WHERE id = '{video}'"
    );
    assert_eq!(bed.text(&paused), "0 48");
    assert_eq!(
        bed.number(&format!("SELECT removed_at IS NOT NULL FROM videos WHERE id = '{gone}'")),
        1
    );
    let linked = format!("SELECT creator_name FROM accounts WHERE id = '{account}'");
    assert_eq!(bed.text(&linked), "Grace H.");
    assert_eq!(bed.number("SELECT accounts_total FROM creators WHERE name = 'Grace H.'"), 1);
    let creator = bed.text("SELECT result_id FROM outbox_log WHERE entry = 3");
    bed.queue(&["unlink", &creator[..13], account]);
    bed.queue(&["untrack", "creator", &creator]);
    bed.sync_ok(&[]);
    assert_eq!(bed.text(&linked), "");
    assert_eq!(
        bed.number("SELECT count(*) FROM creators WHERE name = 'Grace H.' AND removed_at IS NULL"),
        0
    );
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn rejects_invalid_input_with_the_reason() {
    let bed = bed();
    for (arguments, reason) in [
        (&["track", "video", "https://vm.tiktok.com/ZM8/"][..], "short link"),
        (&["track", "video", "https://www.instagram.com/reels/audio/123456/"], "it is a sound"),
        (&["track", "video", "https://www.instagram.com/stories/luna/314159265/"], "it is a story"),
        (&["track", "video", "https://www.tiktok.com/tag/cooking"], "it is a hashtag"),
        (&["track", "video", "https://www.tiktok.com/@luna/live"], "it is a live stream"),
        (&["track", "video", "https://www.tiktok.com/@luna"], "it is a profile"),
        (&["track", "video", "7300000000000000001"], "does not say which platform"),
        (&["track", "video", "C8abcDEF123", "--platform", "tiktok"], "no shortcodes"),
        (&["track", "account", "myspace", "tom"], "unknown platform"),
        (&["track", "account", "tiktok", "a b"], "is not a user name"),
        (&["track", "creator", ""], "name must not be empty"),
        (&["set", "video", "ffff-no-such", "--paused"], "begins with"),
        (&["set", "creator", "@7", "--paused"], "no entry 7"),
        (&["set", "account", "tiktok:nobody", "--paused"], "none is queued"),
        (&["set", "account", "tiktok:nobody"], "use --category, --interval, --max-posts"),
        (&["set", "video", "ffff-no-such"], "use --interval, --metadata, --paused, --active"),
        (&["track", "account", "tiktok"], "the user name is missing"),
        (
            &["track", "account", "https://www.instagram.com/p/C8abcDEF123/"],
            "not the URL of a profile",
        ),
        (
            &["track", "account", "tiktok", "https://www.instagram.com/nasa/"],
            "`nasa` is a profile on instagram, not on tiktok",
        ),
        (&["untrack", "video", "tiktok:luna"], "only accounts are named by"),
    ] {
        bed.run(arguments).expect(2).says(reason);
    }
    let count: i64 = bed.number("SELECT count(*) FROM outbox");
    assert_eq!(count, 0);
    let elsewhere = bed.command(&["track", "creator", "x", "--database", "/nonexistent/x.db"]);
    drop(elsewhere);
}

#[test]
fn profile_is_tracked_by_its_url() {
    let bed = bed();
    bed.run(&["track", "account", "https://www.instagram.com/ada.bakes/reels/?hl=en"]).expect(0);
    bed.run(&["track", "account", "tiktok", "https://www.tiktok.com/@ada"]).expect(0);
    let list = bed.folder().join("list.txt");
    std::fs::write(&list, "https://www.tiktok.com/@eve\nhttps://www.instagram.com/eve\n").unwrap();
    bed.run(&["track", "account", "--from", list.to_str().unwrap()]).expect(0);
    let targets = bed.rows("SELECT target FROM outbox_log ORDER BY entry");
    let targets: Vec<String> = targets.into_iter().map(|row| format!("{:?}", row[0])).collect();
    for (found, target) in
        targets.iter().zip(["instagram:ada.bakes", "tiktok:ada", "tiktok:eve", "instagram:eve"])
    {
        assert!(found.contains(target), "{targets:?}");
    }
}

/// `untrack video a` deleted the one video whose id began with `a`.
#[test]
fn abbreviated_ids_need_8_characters() {
    let bed = bed();
    let id = bed.text("SELECT id FROM videos ORDER BY id LIMIT 1");
    for end in 1..8 {
        let abbreviated = &id[..end];
        for command in ["untrack", "set"] {
            let paused = (command == "set").then_some("--paused");
            let arguments = [command, "video", abbreviated].into_iter().chain(paused);
            let arguments: Vec<&str> = arguments.collect();
            bed.run(&arguments).expect(2).says("needs at least 8 characters");
        }
    }
    let (creator, account) =
        (bed.text("SELECT min(id) FROM creators"), bed.text("SELECT min(id) FROM accounts"));
    bed.run(&["link", &creator[..7], &account]).expect(2).says("needs at least 8 characters");
    bed.run(&["unlink", &creator, &account[..7]]).expect(2).says("needs at least 8 characters");
    bed.db_to_write()
        .execute_batch(
            "INSERT INTO outbox_requests (kind, action, target) VALUES ('video', 'untrack', 'a')",
        )
        .unwrap();
    bed.sync(&[]).expect(1);
    assert_eq!(bed.entry(1)["state"], "failed");
    assert_eq!(bed.writes(), 0);

    // A complete id may be shorter, and a prefix of another id.
    let renamed = format!(
        "UPDATE video SET id = CASE id WHEN '{id}' THEN 'abc' ELSE 'abcdefgh' || substr(id, 9) END
         WHERE row_id IN (SELECT row_id FROM video ORDER BY id LIMIT 3)"
    );
    bed.db_to_write().execute(&renamed, []).unwrap();
    bed.queue(&["untrack", "video", "abc"]);
    assert_eq!(bed.entry(2)["target"], "abc");
    bed.run(&["untrack", "video", "abcdefg"]).expect(2).says("needs at least 8 characters");
    bed.run(&["untrack", "video", "abcdefgh"]).expect(2).says("more than one");
    let other = bed.text("SELECT max(id) FROM video WHERE id LIKE 'abcdefgh%'");
    bed.queue(&["untrack", "video", &other[..13]]);
    assert_eq!(bed.entry(3)["target"], other.as_str());
}

#[test]
fn bulk_input_is_queued_atomically_and_quickly() {
    let bed = bed();
    let path = bed.folder().join("list.csv");
    let mut file = std::fs::File::create(&path).unwrap();
    writeln!(file, "platform,identifier,scrape_interval_hours").unwrap();
    for n in 0..1_000 {
        writeln!(file, "tiktok,{},12", 7_300_000_000_000_000_000_u64 + n).unwrap();
    }
    let name = path.to_str().unwrap();
    let begun = Instant::now();
    let run = bed.run(&["track", "video", "--from", name]).expect(0);
    let took = begun.elapsed();
    assert_eq!(run.stdout.lines().count(), 1_000);
    assert!(run.stdout.starts_with("1 queued: track video tiktok:73"), "{}", run.stdout);
    // Generous, because debug builds on busy machines are slow.
    assert!(took.as_secs_f64() < 5.0, "{took:?}");
    writeln!(file, "tiktok,nonsense,12\nmyspace,1,\ntiktok,5,soon").unwrap();
    let refused = bed.run(&["track", "video", "--from", name]).expect(2);
    for line in [
        "line 1002: `nonsense`",
        "line 1003: unknown platform `myspace`",
        "line 1004: scrape_interval_hours",
    ] {
        assert!(refused.stderr.contains(line), "{line}: {}", refused.stderr);
    }
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 1_000);
}

#[test]
fn lists_waits_for_discards_and_retries_entries() {
    let bed = bed();
    bed.queue(&["track", "creator", "One"]);
    bed.queue(&["set", "creator", "@1", "--paused"]);
    // At once: a wait of ten minutes would end in a timeout of the test.
    let wait = ["track", "creator", "Two", "--wait=10m"];
    bed.run(&wait).expect(75).says("nothing is running that would send it");
    // Named twice, an entry is changed once.
    let discarded = bed.run(&["outbox", "discard", "1", "1"]).expect(0);
    assert_eq!(discarded.stdout, "1 discarded\n");
    assert_eq!(bed.states(), ["discarded", "failed", "queued"]);
    assert!(bed.entry(2)["detail"].as_str().unwrap().contains("entry 1"));
    bed.run(&["outbox", "retry", "1"]).expect(0);
    assert_eq!(bed.states(), ["queued", "waiting", "queued"]);
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 3]);
    bed.run(&["outbox", "retry", "1"]).expect(1).says("entry 1 is succeeded");
    bed.run(&["outbox", "show", "9"]).expect(1).says("entry 9 does not exist");
    let list = bed.run(&["outbox", "list", "--json", "--state", "succeeded"]).expect(0).json();
    assert_eq!(list["entries"].as_array().unwrap().len(), 3);
    assert!(bed.run(&["outbox", "list"]).expect(0).stdout.contains("track creator `One`"));
    bed.run(&["outbox", "show", "1"]).expect(0);
    assert!(bed.run(&["status"]).expect(0).stdout.contains("outbox        empty"));
}

#[test]
fn entry_resumes_when_its_last_missing_result_arrives() {
    let bed = bed_of(unlimited());
    bed.control.set_account_cap(Some(12));
    bed.queue(&["track", "account", "tiktok", "someone.else"]);
    bed.queue(&["track", "creator", "Ada"]);
    bed.queue(&["link", "@2", "@1"]);
    bed.sync(&[]).expect(1);
    assert_eq!(bed.states(), ["failed", "succeeded", "failed"]);
    // The other result arrived while this entry had failed.
    bed.control.set_account_cap(None);
    bed.run(&["outbox", "retry", "1"]).expect(0);
    assert_eq!(bed.states(), ["queued", "succeeded", "waiting"]);
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 3]);

    // Both are missing and one is retried: the other one is named in `detail`.
    bed.queue(&["track", "creator", "Bert"]);
    bed.queue(&["track", "account", "tiktok", "another"]);
    bed.queue(&["link", "@4", "@5"]);
    bed.run(&["outbox", "discard", "4", "5"]).expect(0);
    bed.run(&["outbox", "retry", "4"]).expect(0);
    bed.sync(&[]).expect(1);
    assert_eq!(bed.states()[3..], ["succeeded", "discarded", "failed"]);
    assert!(bed.entry(6)["detail"].as_str().unwrap().contains("entry 5 was discarded"));
    bed.run(&["outbox", "retry", "5"]).expect(0);
    bed.sync_ok(&[]);
    assert_eq!(bed.states(), ["succeeded"; 6]);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

/// Runs `track --from`, with `stdin` as its standard input. Returns the run and its peak memory in KiB.
fn track_from(bed: &TestBed, kind: &str, named: &str, stdin: Option<&Path>) -> (Run, u64) {
    let mut command = bed.command(&["track", kind, "--from", named]);
    if let Some(path) = stdin {
        command.stdin(File::open(path).unwrap());
    }
    let output = |name: &str| File::create(bed.folder().join(name)).unwrap();
    command.stdout(output("stdout")).stderr(output("stderr"));
    let mut child = command.spawn().unwrap();
    let ended = child.wait4().unwrap();
    let read = |name: &str| std::fs::read_to_string(bed.folder().join(name)).unwrap();
    let run = Run {
        code: ended.status.code(),
        stdout: read("stdout"),
        stderr: read("stderr"),
        took: std::time::Duration::ZERO,
    };
    (run, ended.rusage.maxrss >> 10)
}

/// The most memory that reading a file may take, KiB.
const MEMORY_KIB_MAX: u64 = 64 << 10;

#[test]
fn long_bulk_input_is_queued_in_bounded_memory() {
    const LINES: u64 = 60_000;
    let bed = bed();
    let path = bed.folder().join("long.jsonl");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    let note = "n".repeat(250);
    for n in 0..LINES {
        let metadata = json!({ "a": note, "b": note, "c": note, "d": note });
        let line = json!({ "name": format!("Creator {n}"), "metadata": metadata });
        writeln!(file, "{line}").unwrap();
    }
    file.into_inner().unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 60_000_000);
    let (run, memory) = track_from(&bed, "creator", "-", Some(&path));
    let run = run.expect(0);
    assert!(memory < MEMORY_KIB_MAX, "{memory} KiB");
    assert_eq!(run.stdout.lines().count() as u64, LINES);
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), LINES as i64);
    let last = "SELECT json_extract(body, '$.name') FROM outbox ORDER BY entry DESC LIMIT 1";
    assert_eq!(bed.text(last), format!("Creator {}", LINES - 1));
}

#[test]
fn rejects_malformed_bulk_input_briefly_in_bounded_memory() {
    let bed = bed();
    let path = bed.folder().join("input");
    let long = "x".repeat(5_000_000);
    for (text, reason) in [
        (format!("platform,identifier\ntiktok,1\ntiktok,{long}\n"), "line 3: longer than"),
        (format!("platform,identifier\ntiktok,{}\n", &long[..200_000]), "line 2: "),
        (format!("{{\"platform\":\"tiktok\",\"identifier\":\"{long}\"}}\n"), "line 1: longer than"),
        (format!("{{\"{}\":1}}\n", &long[..200_000]), "line 1: "),
        (format!("{}\n", &long[..200_000]), "unknown column"),
        (format!("platform,identifier\n{}", "tiktok,soon\n".repeat(100_000)), "and 99950 more"),
    ] {
        std::fs::write(&path, text).unwrap();
        let (run, memory) = track_from(&bed, "video", path.to_str().unwrap(), None);
        let run = run.expect(2).says(reason);
        assert!(run.stderr.len() < 10_000, "{} bytes", run.stderr.len());
        assert!(memory < MEMORY_KIB_MAX, "{memory} KiB");
    }
    let zero = Path::new("/dev/zero");
    for (named, stdin) in [("/dev/zero", None), ("-", Some(zero))] {
        let (run, memory) = track_from(&bed, "video", named, stdin);
        run.expect(2).says("line 1: longer than");
        assert!(memory < MEMORY_KIB_MAX, "{memory} KiB");
    }
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 0);
}

#[test]
fn full_stdout_does_not_hide_that_the_entries_are_queued() {
    let bed = bed();
    for flags in [&[][..], &["--json"]] {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        let arguments = [&["track", "creator", "Ada"], flags].concat();
        let output = bed.command(&arguments).stdout(full).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{stderr}");
        assert!(stderr.contains("the entries are queued; see"), "{flags:?}: {stderr}");
    }
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 2);
}

#[test]
fn number_of_an_entry_is_reported_as_typed_and_the_kinds_without_an_article() {
    let bed = bed();
    bed.queue(&["track", "account", "tiktok", "ada"]);
    let run = |id: &str| bed.run(&["set", "creator", id, "--paused"]).expect(2);
    run("@99999999999999999999").says("`@99999999999999999999`: there is no such entry");
    run("@1").says("the kind of entry 1 is account, not creator");
}

#[test]
fn member_that_comes_twice_is_refused_wherever_a_body_comes_from() {
    let bed = bed();
    let twice = ["track", "creator", "Ada", "--metadata", "k=1", "--metadata", "k=2"];
    bed.run(&twice).expect(2).says("--metadata: key `k` comes twice");
    let sql = "INSERT INTO outbox_requests (kind, action, body)
               VALUES ('creator', 'track', '{\"name\":\"Ada\",\"name\":\"Bob\"}')";
    bed.db_to_write().execute(sql, []).unwrap();
    bed.sync(&[]).expect(1);
    assert_eq!((bed.states(), bed.writes()), (vec!["failed".to_owned()], 0));
    let detail = bed.entry(1)["detail"].to_string();
    assert!(detail.contains("member `name` comes twice"), "{detail}");
}
