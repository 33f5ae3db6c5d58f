//! Hostile statements through one server: none changes a byte, reads internal data, outlives its timeout, or takes the
//! process over 64 MiB.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use creatormirror::model::Kind;
use serde_json::json;

use crate::client::Client;
use crate::statements::{REFUSED, bounded};
use crate::support::BINARY;
use crate::{mirror, serve};

/// Memory that the server may have, KiB.
const PEAK_KIB_MAX: u64 = 64 * 1024;

/// What the internal tables contain; no answer may contain it.
const SECRET: &str = "internal-value-7f3a";

/// The files of the database with their content, and the names of all files beside it. `-shm` holds the readers' marks.
fn files(folder: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    files
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let content = (!name.ends_with("-shm")).then(|| std::fs::read(entry.path()).unwrap());
            (name, content)
        })
        .collect()
}

#[test]
fn hostile_statements_do_no_harm() {
    let bounded = bounded();
    assert!(REFUSED.len() + bounded.len() >= 200);
    let bed = mirror();
    let db = bed.db_to_write();
    let body = json!({ "name": SECRET }).to_string();
    let sql = "INSERT INTO outbox_requests (kind, action, body) VALUES ('creator', 'track', ?1)";
    db.execute(sql, [body]).unwrap();
    let sql = "UPDATE instance SET rate_limiter = ?1, api_meta = ?1, condition = ?1, cooldown_until = 4000000000000000";
    db.execute(sql, [format!("{{\"x\":\"{SECRET}\"}}")]).unwrap();
    db.execute("UPDATE instance SET cooldown_until = NULL", []).unwrap();
    drop(db);
    let everything = bed.everything();
    let mut client = serve(&bed, &["--timeout", "200ms"]);
    // The first reader makes the empty files that SQLite has beside the database.
    client.query("SELECT 1").unwrap();
    let before = files(bed.folder());
    for sql in REFUSED {
        let Err(error) = client.query(sql) else { panic!("not refused: {sql}") };
        assert!(!error.contains(SECRET), "{sql}: {error}");
    }
    for sql in &bounded {
        let shown: String = sql.chars().take(200).collect();
        let begun = Instant::now();
        let answer = client.query(sql);
        // Far more than a busy machine needs beyond the 200 ms.
        assert!(begun.elapsed() < Duration::from_secs(30), "{shown}: {:?}", begun.elapsed());
        let text = answer.map_or_else(|error| error, |document| document.to_string());
        assert!(!text.contains(SECRET), "{shown}");
        assert!(text.len() < 250_000, "{shown}: {} bytes", text.len());
        let peak = client.peak_kib();
        assert!(peak < PEAK_KIB_MAX, "{shown}: {peak} KiB");
    }
    // The server still answers.
    let videos = client.query("SELECT count(*) FROM videos").unwrap();
    assert_eq!(videos["rows"], json!([[bed.control.count(Kind::Video)]]));
    client.close_input();
    assert_eq!(client.wait().code(), Some(0));
    let after = files(bed.folder());
    let changed = after.iter().find(|(name, content)| before.get(*name) != Some(*content));
    assert_eq!(changed.map(|(name, _)| name), None);
    assert_eq!(after.len(), before.len());
    assert_eq!(bed.everything(), everything);
}

/// A statement that is stopped was running when its time was over, and no call delays the next.
#[test]
fn endless_statements_are_stopped() {
    let bed = mirror();
    let mut client = serve(&bed, &["--timeout", "50ms"]);
    for sql in bounded().iter().take(6) {
        match client.query(sql) {
            Err(error) => assert!(
                error.contains("stopped after 0.05 s") || error.contains("too long"),
                "{sql}: {error}"
            ),
            Ok(found) => assert!(!found["truncated"].is_null(), "{sql}: {found}"),
        }
    }
}

/// Sorting goes to temporary files, and the files that a statement writes have a bound. Here the shell sets a lower one.
#[test]
fn temporary_files_are_bounded() {
    let bed = mirror();
    let sort = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT 200000)
                SELECT x, printf('%.100c', 'a') FROM r ORDER BY random()";
    let mut client = serve(&bed, &["--timeout", "2m"]);
    assert_eq!(client.query(sort).unwrap()["truncated"]["reason"], "rows");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 2000; exec \"$0\" \"$@\"", BINARY, "mcp", "--timeout", "2m"]);
    command.arg("--database").arg(bed.database()).env_clear().env("HOME", bed.folder());
    let mut client = Client::start(command);
    let error = client.query(sort).unwrap_err();
    assert!(
        error.contains("too much temporary storage\nhint: sort, group or join fewer rows"),
        "{error}"
    );
    client.query("SELECT 1").unwrap();
}
