//! Queueing with plain SQL.

use creatormirror::model::Kind;

use crate::{Outbox, bed};

fn insert(bed: &crate::support::TestBed, values: &str) -> Result<usize, String> {
    let sql = format!("INSERT INTO outbox_requests (kind, action, target, body) VALUES ({values})");
    bed.db_to_write().execute(&sql, []).map_err(|error| error.to_string())
}

#[test]
fn sql_inserts_queue_the_same_writes_as_commands() {
    let bed = bed();
    let video = bed.control.ids(Kind::Video).remove(0);
    let rows = bed.control.rows(Kind::Account);
    let account = rows.iter().find(|row| row["creator_id"].is_null()).unwrap();
    let name = format!(
        "{}:{}",
        account["platform"].as_str().unwrap(),
        account["username"].as_str().unwrap()
    );
    for values in [
        r#"'video', 'track', NULL, '{"platform":"tiktok","identifier":"7300000000000000001"}'"#
            .to_owned(),
        r#"'creator', 'track', NULL, '{"name":"Ada"}'"#.to_owned(),
        format!(r#"'creator', 'link', '@2', '{{"account_id":"{name}"}}'"#),
        format!(r#"'video', 'set', '{video}', '{{"is_active":false}}'"#),
        r#"'video', 'untrack', '@1', NULL"#.to_owned(),
    ] {
        insert(&bed, &values).unwrap();
    }
    assert_eq!(bed.states(), ["queued", "queued", "waiting", "queued", "waiting"]);
    let pending = "SELECT target FROM outbox_log WHERE kind = 'video' AND action = 'track'";
    assert_eq!(bed.text(pending), "tiktok:7300000000000000001");
    bed.sync_ok(&[]);
    assert_eq!(
        bed.states(),
        ["succeeded"; 5],
        "{:?}",
        bed.rows("SELECT entry, detail FROM outbox_log")
    );
    assert_eq!(bed.number("SELECT accounts_total FROM creators WHERE name = 'Ada'"), 1);
    bed.sync_ok(&["--full"]);
    bed.compare();
}

#[test]
fn invalid_inserts_are_rejected_with_the_reason() {
    let bed = bed();
    for (values, reason) in [
        ("'post', 'track', NULL, '{}'", "kind must be"),
        // The API has no writes for posts of accounts.
        ("'account_video', 'set', 'instagram:17', '{\"is_active\":false}'", "kind must be"),
        ("'account_video', 'untrack', 'instagram:17', NULL", "kind must be"),
        ("'video', 'add', NULL, '{}'", "action must be"),
        ("'video', 'link', 'x', '{}'", "link and unlink"),
        ("'video', 'track', NULL, NULL", "body must be a JSON object"),
        ("'video', 'track', NULL, '[1]'", "body must be a JSON object"),
        ("'video', 'track', NULL, '{oops'", "body must be a JSON object"),
        ("'video', 'track', NULL, '{\"platform\":\"tiktok\"}'", "identifier"),
        ("'video', 'track', NULL, '{\"identifier\":\"1\"}'", "platform"),
        ("'creator', 'track', NULL, '{\"name\":\"\"}'", "name"),
        ("'creator', 'track', NULL, '{\"name\":\"x\",\"nick\":\"y\"}'", "is not valid"),
        ("'video', 'set', 'x', '{}'", "at least one"),
        ("'video', 'set', NULL, '{\"is_active\":true}'", "target must name"),
        ("'video', 'set', 'x', '{\"is_active\":\"yes\"}'", "is_active must be"),
        ("'video', 'set', '@9', '{\"is_active\":true}'", "@N must name"),
        ("'creator', 'link', 'x', '{\"account_id\":\"@x\"}'", "@N must name"),
        ("'account', 'set', 'x', '{\"metadata\":{\"k\":1}}'", "metadata must be"),
    ] {
        let error = insert(&bed, values).unwrap_err();
        assert!(error.contains(reason), "{values}: {error}");
    }
    assert_eq!(bed.number("SELECT count(*) FROM outbox"), 0);
}

#[test]
fn entries_sql_cannot_validate_fail_with_the_reason() {
    let bed = bed();
    insert(&bed, r#"'video', 'track', NULL, '{"platform":"tiktok","identifier":"https://vm.tiktok.com/x/"}'"#).unwrap();
    insert(&bed, r#"'video', 'set', 'no-such-id', '{"is_active":true}'"#).unwrap();
    bed.sync(&[]).expect(1).says("2 failed");
    assert_eq!(bed.states(), ["failed"; 2]);
    assert!(bed.entry(1)["detail"].as_str().unwrap().contains("short link"));
    assert_eq!(bed.writes(), 0);
    assert!(bed.run(&["status"]).expect(0).stdout.contains("entry 1 FAILED"));
    // A failure is reported only once.
    bed.sync_ok(&[]);
}
