//! The log of changes and the creators of accounts, compared with a plain model over random answers and removals;
//! the time zone's offsets, the retention, and erasing an account, with the real binary.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

mod support;

use std::collections::BTreeMap;

use creatormirror::api::decode;
use creatormirror::model::{Kind, columns, instant};
use creatormirror::store::Database;
use creatormirror::store::open::IfMissing;
use creatormirror::store::removals;
use creatormirror::store::rows::{RowWriter, Source};
use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use support::{TestBed, unlimited};

/// 2026-01-01, microseconds; the request at stamp `n` starts `n` seconds later.
const START: i64 = 1_767_225_600_000_000;
const SECOND: i64 = 1_000_000;

/// A member of an answer and the values it may have. The texts of `metadata` are equal content in pairs.
const MEMBERS: &[(&str, &[&str])] = &[
    ("platform", &[r#""tiktok""#, r#""instagram""#]),
    ("name", &[r#""Ada""#, r#""Eva""#, "null"]),
    ("username", &[r#""ada""#, r#""eva""#]),
    ("account_username", &[r#""ada""#, r#""eva""#]),
    ("external_id", &["null", r#""""#, r#""700""#, r#""701""#]),
    ("is_active", &["true", "false", "null"]),
    ("is_unavailable", &["true", "false"]),
    ("duration", &["1.5", "12", "null"]),
    ("scrape_interval_hours", &["6", "24"]),
    ("creator_id", &["null", r#""c1""#, r#""c2""#]),
    ("metadata", &[r#"{"a":"1","b":"2"}"#, r#"{"b": "2", "a": "1"}"#, r#"{"a":"2"}"#, "null"]),
    ("added_at", &[r#""2026-01-01T00:00:00Z""#, r#""2026-01-01T01:00:00+01:00""#]),
    ("view_count", &["1", "2", "null"]),
    ("follower_count", &["1", "2"]),
    ("total_followers", &["1", "2"]),
    ("last_scrape_time", &[r#""2026-01-02T00:00:00Z""#, r#""2026-01-03T00:00:00Z""#]),
    ("updated_at", &[r#""2026-01-02T00:00:00Z""#, r#""2026-01-03T00:00:00Z""#]),
    ("cover_image_url", &[r#""https://a/b""#, r#""https://a/c""#]),
    ("platform_data", &[r#"{"plays":1}"#, r#"{"plays":2}"#]),
    ("unknown", &["1", "2"]),
];

/// Columns that are counts, times or media: not in the log.
const UNLOGGED: &[&str] = &[
    "view_count",
    "follower_count",
    "total_followers",
    "last_scrape_time",
    "updated_at",
    "cover_image_url",
    "platform_data",
];

#[derive(Debug, Clone)]
enum Event {
    /// An answer shows the row, with these choices of members; its request started `late` stamps ago.
    Answer { choices: Vec<usize>, late: i64 },
    /// A listing without the row.
    Absent,
    /// The API answers 404.
    NotFound,
    /// Our own request deleted the row.
    Deleted,
}

fn event() -> impl Strategy<Value = Event> {
    let choices = proptest::collection::vec(0_usize..4, MEMBERS.len());
    prop_oneof![
        6 => (choices, prop_oneof![3 => Just(0_i64), 1 => 1_i64..4])
            .prop_map(|(choices, late)| Event::Answer { choices, late }),
        1 => Just(Event::Absent),
        1 => Just(Event::NotFound),
        1 => Just(Event::Deleted),
    ]
}

/// A sequence in which answers differ from the one before in few members.
fn events() -> impl Strategy<Value = Vec<(usize, Event)>> {
    let edited = (0_usize..2, event(), proptest::collection::vec(any::<bool>(), MEMBERS.len()));
    proptest::collection::vec(edited, 1..25).prop_map(|drawn| {
        let mut last: [Vec<usize>; 2] = [vec![0; MEMBERS.len()], vec![0; MEMBERS.len()]];
        let mut sequence = Vec::new();
        for (which, mut event, mask) in drawn {
            if let Event::Answer { choices, .. } = &mut event {
                for ((choice, former), keeps) in choices.iter_mut().zip(&last[which]).zip(&mask) {
                    if *keeps {
                        *choice = *former;
                    }
                }
                last[which].clone_from(choices);
            }
            sequence.push((which, event));
        }
        sequence
    })
}

/// The members that an answer shows. The platform of an account video is part of its key.
fn answer(kind: Kind, which: usize, choices: &[usize]) -> Vec<(&'static str, &'static str)> {
    let known = |name: &str| name == "unknown" || columns::position(kind, name).is_some();
    let members = MEMBERS.iter().zip(choices).filter(|((name, _), _)| known(name));
    let shown = members.map(|((name, values), choice)| match *name {
        "platform" if kind == Kind::AccountVideo => (*name, values[which]),
        _ => (*name, values[choice % values.len()]),
    });
    shown.collect()
}

/// The value of a column after an answer.
fn in_column(name: &str, json: &str) -> Value {
    match serde_json::from_str(json).unwrap() {
        Value::Bool(flag) => json!(i64::from(flag)),
        Value::Number(number) if name == "duration" => json!(number.as_f64()),
        Value::Object(_) => json!(json),
        Value::String(_) if name == "added_at" => json!("2026-01-01T00:00:00Z"),
        other => other,
    }
}

fn is_same(old: &Value, new: &Value) -> bool {
    let object = |value: &Value| serde_json::from_str::<Map<String, Value>>(value.as_str()?).ok();
    old == new || object(old).is_some_and(|old| object(new) == Some(old))
}

fn text(at: i64) -> Value {
    json!(instant::text(instant::from_micros(at)))
}

/// A row as the model holds it.
#[derive(Debug, Default)]
struct Held {
    columns: BTreeMap<&'static str, Value>,
    as_of: i64,
    removed_at: Option<i64>,
    is_absent: bool,
    /// Creator, from, to.
    creators: Vec<(String, i64, Option<i64>)>,
}

impl Held {
    fn post_key(&self, kind: Kind, id: &str) -> Option<String> {
        let letter = match kind {
            Kind::Video => "v",
            Kind::AccountVideo => "av",
            _ => return None,
        };
        let platform = self.columns["platform"].as_str().unwrap();
        match self.columns["external_id"].as_str() {
            None | Some("") => Some(format!("{platform}:{letter}:{id}")),
            Some(external_id) => Some(format!("{platform}:{external_id}")),
        }
    }

    /// Brings the creators up to date.
    fn link(&mut self, at: i64) {
        let creator = self.columns.get("creator_id").and_then(Value::as_str);
        let creator = creator.filter(|_| self.removed_at.is_none()).map(str::to_owned);
        if let Some((open, from, to)) = self.creators.last_mut().filter(|(.., to)| to.is_none()) {
            if Some(&*open) == creator.as_ref() {
                return;
            }
            *to = Some(at.max(*from));
            if to == &Some(*from) {
                self.creators.pop();
            }
        }
        let free_from = self.creators.last().and_then(|(.., to)| *to).unwrap_or(at);
        self.creators.extend(creator.map(|creator| (creator, at.max(free_from), None)));
    }
}

/// The log that a sequence of events must leave.
struct Model {
    kind: Kind,
    rows: [Option<Held>; 2],
    log: Vec<Vec<Value>>,
}

impl Model {
    fn shown_id(&self, which: usize) -> String {
        match self.kind {
            Kind::AccountVideo => format!("{}:{which}", ["tiktok", "instagram"][which]),
            _ => which.to_string(),
        }
    }

    fn add(&mut self, at: i64, which: usize, field: &str, old: Value, new: Value) {
        let id = self.shown_id(which);
        let row = vec![text(at), json!(self.kind.name()), json!(id), json!(field), old, new];
        self.log.push(row);
    }

    fn answer(&mut self, which: usize, members: &[(&'static str, &'static str)], at: i64) {
        let columns: BTreeMap<_, _> =
            members.iter().map(|(name, value)| (*name, in_column(name, value))).collect();
        let Some(mut held) = self.rows[which].take() else {
            let mut held = Held { columns, as_of: at, ..Held::default() };
            held.link(at);
            self.rows[which] = Some(held);
            return;
        };
        if at >= held.as_of {
            held.as_of = at;
            held.is_absent = false;
            if let Some(removed_at) = held.removed_at.take() {
                self.add(at, which, "removed_at", text(removed_at), Value::Null);
            }
            let key = held.post_key(self.kind, &which.to_string());
            for column in columns::columns(self.kind) {
                let Some(new) = columns.get(column.name) else { continue };
                let old = held.columns.insert(column.name, new.clone()).unwrap();
                if !is_same(&old, new) && !UNLOGGED.contains(&column.name) {
                    self.add(at, which, column.name, old, new.clone());
                }
            }
            let new_key = held.post_key(self.kind, &which.to_string());
            if key != new_key {
                self.add(at, which, "post_key", json!(key), json!(new_key));
            }
            held.link(at);
        }
        self.rows[which] = Some(held);
    }

    fn remove(&mut self, which: usize, at: i64) {
        let Some(held) = self.rows[which].as_mut().filter(|held| held.removed_at.is_none()) else {
            return;
        };
        held.removed_at = Some(at);
        held.link(at);
        self.add(at, which, "removed_at", Value::Null, text(at));
    }
}

fn rows(c: &Connection, sql: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    use rusqlite::types::ValueRef;
    let mut statement = c.prepare(sql)?;
    let width = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| {
        let value = |column| {
            Ok(match row.get_ref(column)? {
                ValueRef::Null => Value::Null,
                ValueRef::Integer(number) => json!(number),
                ValueRef::Real(number) => json!(number),
                ValueRef::Text(text) => json!(str::from_utf8(text).unwrap()),
                ValueRef::Blob(_) => panic!("no view returns a BLOB"),
            })
        };
        (0..width).map(value).collect()
    };
    statement.query_map([], read)?.collect()
}

fn new_mirror() -> (tempfile::TempDir, Database) {
    let folder = tempfile::tempdir().unwrap();
    let store = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
    (folder, store)
}

/// Applies the events to a mirror and to the model, and compares the logs.
fn compare(kind: Kind, events: &[(usize, Event)]) {
    let (_folder, store) = new_mirror();
    let mut model = Model { kind, rows: [None, None], log: Vec::new() };
    let table = kind.name();
    for (stamp, (which, event)) in events.iter().enumerate() {
        let (which, at) = (*which, START + i64::try_from(stamp).unwrap() * SECOND);
        let row_id = |tx: &rusqlite::Transaction<'_>| {
            let sql = format!("SELECT row_id FROM {table} WHERE id = ?1");
            tx.query_row(&sql, [which.to_string()], |row| row.get::<_, i64>(0)).ok()
        };
        match event {
            Event::Answer { choices, late } => {
                let at = at - late * SECOND;
                let members = answer(kind, which, choices);
                model.answer(which, &members, at);
                let mut json = format!(r#"{{"id":"{which}""#);
                for (name, value) in &members {
                    json.push_str(&match *name {
                        "total_followers" => {
                            format!(r#","accounts_summary":{{"total_followers":{value}}}"#)
                        }
                        _ => format!(r#","{name}":{value}"#),
                    });
                }
                json.push('}');
                let row = decode::row(kind, json).unwrap();
                let source = Source { page: None, as_of: at };
                store.write(|tx| RowWriter::new(tx, kind)?.write(&row, source)).unwrap();
            }
            Event::Absent => {
                if let Some(held) = model.rows[which].as_mut() {
                    held.is_absent = true;
                }
                let sql = format!(
                    "UPDATE {table} SET absent_listing = 1 WHERE id = ?1 AND removed_at IS NULL"
                );
                store.write(|tx| Ok(tx.execute(&sql, [which.to_string()])?)).unwrap();
            }
            Event::NotFound => {
                if model.rows[which].as_ref().is_some_and(|held| held.is_absent) {
                    model.remove(which, at);
                }
                store
                    .write(|tx| {
                        let row_id = row_id(tx);
                        row_id.map_or(Ok(false), |id| removals::not_found(tx, kind, id, at))
                    })
                    .unwrap();
            }
            Event::Deleted => {
                if let Some(held) = model.rows[which].as_mut()
                    && held.removed_at.is_none()
                {
                    held.as_of = held.as_of.max(at);
                }
                model.remove(which, at);
                store
                    .write(|tx| {
                        let row_id = row_id(tx);
                        row_id.map_or(Ok(false), |id| removals::deleted(tx, kind, id, at))
                    })
                    .unwrap();
            }
        }
    }
    let log =
        "SELECT changed_at, kind, id, field, old_value, new_value FROM change_log ORDER BY change";
    assert_eq!(store.read(|c| Ok(rows(c, log)?)).unwrap(), model.log, "{kind}: {events:?}");
    if kind == Kind::Account {
        let sql = "SELECT account_id, creator_id, from_at, to_at FROM creator_accounts
                   ORDER BY account_id, from_at";
        let mut expected = Vec::new();
        for (id, held) in model.rows.iter().enumerate() {
            for (creator, from, to) in held.iter().flat_map(|held| &held.creators) {
                let to = to.map_or(Value::Null, text);
                expected.push(vec![json!(id.to_string()), json!(creator), text(*from), to]);
            }
        }
        assert_eq!(store.read(|c| Ok(rows(c, sql)?)).unwrap(), expected, "{events:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn log_has_every_edit_once(events in events()) {
        for kind in Kind::LISTS {
            compare(kind, &events);
        }
    }
}

/// The request of the answer that shows an account again may have started before the account was found removed.
#[test]
fn intervals_of_creators_do_not_overlap_after_a_late_return() {
    let linked = |creator: usize, late: i64| {
        let mut choices = vec![0; MEMBERS.len()];
        choices[MEMBERS.iter().position(|(name, _)| *name == "creator_id").unwrap()] = creator;
        (0, Event::Answer { choices, late })
    };
    let removal = [(0, Event::Absent), (0, Event::NotFound)];
    let mut events = vec![linked(1, 0)];
    events.extend(removal);
    events.extend([linked(2, 2), linked(1, 0)]);
    compare(Kind::Account, &events);
}

#[test]
fn a_day_and_a_resource_are_found_by_index() {
    let (_folder, store) = new_mirror();
    for (condition, index) in [
        ("changed_at >= strftime('%Y-%m-%dT%H:%M:%SZ', 'now', '-1 day')", "change_by_time"),
        ("kind = 'account' AND id = 'a'", "change_by_id"),
        ("id = 'a'", "change_by_id"),
    ] {
        let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM change_log WHERE {condition}");
        let plan = store.read(|c| Ok(rows(c, &sql)?)).unwrap();
        assert!(plan[0][3].as_str().unwrap().contains(index), "{plan:?}");
    }
}

#[test]
fn runs_store_the_offsets_of_the_time_zone() {
    let mut bed = TestBed::frozen(unlimited());
    bed.set("CREATORMIRROR_TIMEZONE", "Europe/Berlin");
    bed.sync_ok(&[]);
    assert_eq!(bed.text("SELECT timezone FROM mirror_info"), "Europe/Berlin");
    let offset = |at: &str| {
        bed.number(&format!(
            "SELECT offset_s FROM zone_offset WHERE from_s <= CAST(strftime('%s', '{at}') AS INTEGER)
             ORDER BY from_s DESC LIMIT 1"
        ))
    };
    for (at, seconds) in [
        ("1999-07-01", 3_600),
        ("2025-03-30 00:59:59", 3_600),
        ("2025-03-30 01:00:00", 7_200),
        ("2025-10-26 00:59:59", 7_200),
        ("2025-10-26 01:00:00", 3_600),
    ] {
        assert_eq!(offset(at), seconds, "{at}");
    }
    bed.set("CREATORMIRROR_TIMEZONE", "UTC");
    bed.sync_ok(&[]);
    assert_eq!(bed.number("SELECT count(*) FROM zone_offset WHERE offset_s = 0"), 1);
    assert_eq!(bed.number("SELECT count(*) FROM zone_offset"), 1);
    assert_eq!(bed.text("SELECT timezone FROM mirror_info"), "UTC");
}

#[test]
fn changes_are_kept_unless_a_retention_is_set() {
    let mut bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    bed.db_to_write()
        .execute_batch(
            "INSERT INTO change (changed_at, kind, id, field) VALUES (0, 'video', 'old', 'name');
             INSERT INTO change (changed_at, kind, id, field)
             SELECT as_of, 'video', 'new', 'name' FROM account LIMIT 1;",
        )
        .unwrap();
    bed.sync_ok(&[]);
    assert_eq!(
        bed.text("SELECT group_concat(id) FROM (SELECT id FROM change_log ORDER BY change)"),
        "old,new"
    );
    bed.set("CREATORMIRROR_CHANGE_LOG_RETENTION", "30d");
    bed.sync_ok(&[]);
    assert_eq!(
        bed.text("SELECT group_concat(id) FROM (SELECT id FROM change_log ORDER BY change)"),
        "new"
    );
}

/// Posts, by platform: of accounts, tracked, paused, all.
#[test]
fn usage_counts_posts_of_both_kinds_that_are_not_removed() {
    let (_folder, store) = new_mirror();
    let put = |kind, json: &str| {
        let row = decode::row(kind, json.to_owned()).unwrap();
        let source = Source { page: None, as_of: START };
        store.write(|tx| RowWriter::new(tx, kind)?.write(&row, source)).unwrap().row_id
    };
    put(Kind::Account, r#"{"id":"a","platform":"tiktok","is_active":false}"#);
    put(Kind::AccountVideo, r#"{"id":1,"platform":"tiktok","account_id":"a"}"#);
    put(Kind::AccountVideo, r#"{"id":2,"platform":"tiktok","account_id":"other"}"#);
    put(Kind::AccountVideo, r#"{"id":3}"#);
    put(Kind::Video, r#"{"id":"v","platform":"tiktok","is_active":false}"#);
    put(Kind::Video, r#"{"id":"w","platform":"tiktok","is_active":true}"#);
    let gone = put(Kind::Video, r#"{"id":"x","platform":"tiktok"}"#);
    store.write(|tx| removals::deleted(tx, Kind::Video, gone, START)).unwrap();
    let found = store.read(|c| Ok(rows(c, "SELECT * FROM usage ORDER BY platform")?)).unwrap();
    assert_eq!(json!(found), json!([[null, 1, 0, 0, 1], ["tiktok", 2, 2, 2, 4]]));
}

/// Every text of the database that contains a word, as `table.column`.
fn places_of(db: &Connection, word: &str) -> Vec<String> {
    let columns = "SELECT m.name, c.name FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
                   WHERE m.type = 'table'";
    let mut found = Vec::new();
    for column in rows(db, columns).unwrap() {
        let (table, column) = (column[0].as_str().unwrap(), column[1].as_str().unwrap());
        let sql =
            format!(r#"SELECT count(*) FROM "{table}" WHERE instr(lower("{column}"), ?1) > 0"#);
        let count: i64 = db.query_row(&sql, [word], |row| row.get(0)).unwrap();
        if count > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

#[test]
fn erasing_an_account_leaves_nothing_of_it() {
    let bed = TestBed::frozen(unlimited());
    bed.sync_ok(&[]);
    bed.start(bed.command(&["backfill", "--days", "2"])).wait().expect(0);
    let id = bed.text(
        "SELECT a.id FROM accounts AS a WHERE a.creator_id IS NOT NULL
           AND EXISTS (SELECT 1 FROM account_videos AS v WHERE v.account_id = a.id)
           AND EXISTS (SELECT 1 FROM videos AS v WHERE v.account_id = a.id) LIMIT 1",
    );
    let of_account = |column: &str| {
        bed.text(&format!("SELECT {column} FROM accounts WHERE id = '{id}'")).to_lowercase()
    };
    let username = of_account("username");
    let target = format!("{}:{username}", of_account("platform"));
    // A former name, in the log of changes.
    bed.control.set_member(Kind::Account, &id, "username", &json!("Newer.Name"));
    bed.sync_ok(&["--full"]);
    bed.start(bed.command(&["set", "account", &id, "--paused"])).wait().expect(0);
    bed.start(bed.command(&["track", "account", &of_account("platform"), &username]))
        .wait()
        .expect(0);
    let others = bed.number(
        "SELECT count(*) FROM video_history AS h JOIN videos AS v ON v.id = h.video_id
                             WHERE v.account_id IS NOT NULL",
    );
    let db = bed.db_to_write();
    let own = places_of(&db, &id);
    assert!(own.len() > 4 && !places_of(&db, &target).is_empty(), "{own:?}");
    bed.control.delete(Kind::Account, &id);
    let prepare = format!("CREATE TEMP TABLE erase (id TEXT); INSERT INTO erase VALUES ('{id}');");
    db.execute_batch(&prepare).unwrap();
    db.execute_batch(include_str!("../deploy/erase-account.sql")).unwrap();
    for word in [id.as_str(), target.as_str(), "newer.name"] {
        assert_eq!(places_of(&db, word), [""; 0], "{word}");
    }
    for (table, parent) in [
        ("account_scrape", "account"),
        ("post_scrape", "post"),
        ("creator_account", "account"),
        ("account_due", "account"),
        ("video_due", "video"),
    ] {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE {parent} NOT IN (SELECT {} FROM {parent})",
            if parent == "post" { "post" } else { "row_id" }
        );
        assert_eq!(bed.number(&sql), 0, "{table}");
    }
    let kept = "SELECT count(*) FROM post AS p WHERE views_7d IS NOT
                    (SELECT views FROM post_age AS a WHERE a.post = p.post AND a.hours = 168)";
    assert_eq!(bed.number(kept), 0);
    assert!(others > 0 && bed.number("SELECT count(*) FROM video_history") > 0);
    let creators =
        "SELECT count(*) FROM metric_subject AS s JOIN metric_day AS d ON d.kind = s.kind
                    JOIN metric AS m ON m.slot = d.slot AND m.row_id = s.row_id";
    assert!(bed.number(creators) > 0);
    drop(db);
    for file in ["", "-wal"] {
        let mut path = bed.database().into_os_string();
        path.push(file);
        let bytes = std::fs::read(path).unwrap_or_default();
        let is_in = bytes.windows(id.len()).any(|window| window == id.as_bytes());
        assert!(!is_in, "{file}");
    }
    bed.sync_ok(&["--full"]);
    assert_eq!(places_of(&bed.db(), &id), [""; 0]);
}

/// The other rows of a post, of another account, keep their days.
#[test]
fn erasing_an_account_leaves_the_rest_of_its_posts_right() {
    let (_folder, store) = new_mirror();
    let put = |kind, json: Value| {
        let row = decode::row(kind, json.to_string()).unwrap();
        let source = Source { page: None, as_of: START };
        store.write(|tx| RowWriter::new(tx, kind)?.write(&row, source)).unwrap();
    };
    put(Kind::Account, json!({"id": "erased"}));
    put(Kind::Account, json!({"id": "kept"}));
    let row = |id: Value, account: &str, post: usize, day: usize, views: usize| {
        json!({"id": id, "platform": "tiktok", "external_id": format!("e{post}"), "account_id": account,
               "create_time": "2026-01-01T00:00:00Z", "last_scrape_time": format!("2026-01-0{day}T10:00:00Z"),
               "view_count": views})
    };
    for (post, accounts) in [["erased", "kept"], ["kept", "erased"]].into_iter().enumerate() {
        for day in 1..5 {
            put(Kind::Video, row(json!(format!("v{post}")), accounts[0], post, day, day * 10));
            if day % 2 == 0 {
                put(Kind::AccountVideo, row(json!(post), accounts[1], post, day, day * 11));
            }
        }
    }
    let path = store.path().to_owned();
    drop(store);
    let db = Connection::open(path).unwrap();
    let columns = "post, at_s, at_ns, source, next_day, views_gained";
    let differences =
        format!("SELECT {columns} FROM post_scrape EXCEPT SELECT {columns} FROM post_scrape_gains");
    let days = "SELECT a.account_id, a.day, a.views FROM account_day AS a WHERE a.views <> 0";
    let sums = "SELECT coalesce(p.account_id, ''), s.at_s / 86400, sum(s.views_gained) FROM post_scrape AS s JOIN post AS p USING (post)
                WHERE s.views_gained <> 0 GROUP BY p.account_id, s.at_s / 86400";
    let sorted = |sql: &str| rows(&db, &format!("SELECT * FROM ({sql}) ORDER BY 1, 2")).unwrap();
    assert_eq!(sorted(days), sorted(sums));
    db.execute_batch("CREATE TEMP TABLE erase (id TEXT); INSERT INTO erase VALUES ('erased');")
        .unwrap();
    db.execute_batch(include_str!("../deploy/erase-account.sql")).unwrap();
    assert_eq!(sorted("SELECT post, at_s FROM post_scrape").len(), 6);
    assert_eq!(rows(&db, &differences).unwrap(), [[Value::Null; 0]; 0]);
    assert_eq!(sorted(days), sorted(sums));
    let accounts = sorted("SELECT DISTINCT account_id, is_tracked FROM posts");
    assert_eq!(accounts, [[json!("kept"), json!(0)], [json!("kept"), json!(1)]]);
}
