//! Compares the mirror with the sandbox's data, column by column, without the product's decoder.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use creatormirror::model::Kind;
use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use serde_json::{Map, Value};

use super::TestBed;

const OWN_COLUMNS: [&str; 4] = ["extra", "first_mirrored_at", "mirrored_at", "removed_at"];
/// Columns that come from a creator's `accounts_summary`.
const SUMMARY: [(&str, &str); 3] = [
    ("accounts_total", "total"),
    ("accounts_by_platform", "platforms"),
    ("total_followers", "total_followers"),
];
const COUNTS: [&str; 9] = [
    "follower_count",
    "following_count",
    "total_post_count",
    "view_count",
    "like_count",
    "comment_count",
    "share_count",
    "play_count",
    "saved_count",
];
/// Differences shown; the rest is counted.
const SHOWN_MAX: usize = 8;

type MirrorRow = BTreeMap<String, Sql>;

impl TestBed {
    /// Asserts that the mirror equals the sandbox: every row and column of the four lists, the scrape that
    /// each row shows, and the latest overview.
    #[track_caller]
    pub fn compare(&self) {
        self.compare_lists();
        self.compare_overview();
    }

    /// As `compare`, without the overview, which changes at midnight.
    #[track_caller]
    pub fn compare_lists(&self) {
        for kind in Kind::LISTS {
            self.compare_kind(kind);
        }
    }

    /// As `compare`, for one list.
    #[track_caller]
    pub fn compare_kind(&self, kind: Kind) {
        let db = self.db();
        let mut mirror = mirror_rows(&db, kind);
        let history = history(&db, kind);
        let mut wrong = Vec::new();
        for truth in self.control.rows(kind) {
            let key = truth_key(kind, &truth);
            match mirror.remove(&key) {
                None => wrong.push(format!("{key} is not mirrored")),
                Some(row) => {
                    differences(kind, &row, &truth, &mut |what| {
                        wrong.push(format!("{key}: {what}"))
                    });
                    if let Some(what) = scrape_difference(&history, &key, &truth) {
                        wrong.push(format!("{key}: {what}"));
                    }
                }
            }
        }
        for (key, row) in mirror {
            if row["removed_at"] == Sql::Null {
                wrong.push(format!("{key} is not listed, and not marked removed"));
            }
        }
        let (count, kind) = (wrong.len(), kind.name());
        wrong.truncate(SHOWN_MAX);
        assert!(wrong.is_empty(), "{count} differences of {kind}: {wrong:#?}");
    }

    /// Asserts that every scrape in the history of `kind` happened, with the same views unless the
    /// resource's counts were `revised` later. Returns the number of scrapes in the history.
    #[track_caller]
    pub fn check_scrapes(&self, kind: Kind, revised: &BTreeSet<String>) -> usize {
        let id = match kind {
            Kind::AccountVideo => "platform || ':' || account_video_id".to_owned(),
            _ => format!("{}_id", kind.name()),
        };
        let sql = format!("SELECT {id}, scraped_at, view_count FROM {}_history", kind.name());
        let happened = self.control.all_scrapes(kind);
        let rows = self.rows(&sql);
        for row in &rows {
            let [Sql::Text(id), Sql::Text(at), Sql::Integer(views)] = &row[..] else {
                panic!("{row:?}")
            };
            let at: DateTime<Utc> = at.parse().unwrap();
            let is_it = |shown: &str| shown.parse::<DateTime<Utc>>() == Ok(at);
            let scrape = happened[id].iter().find(|scrape| is_it(&scrape.scraped_at));
            let scrape = scrape.unwrap_or_else(|| panic!("{kind} {id} was not scraped at {at}"));
            if !revised.contains(id) {
                assert_eq!(scrape.view_count, *views, "{kind} {id} {at}");
            }
        }
        rows.len()
    }

    #[track_caller]
    fn compare_overview(&self) {
        let truth = &self.get("/overview?period=7d")["data"]["current"];
        let columns =
            "total_views, api_engagement_rate, active_accounts, account_videos, tracked_videos";
        let sql =
            format!("SELECT {columns} FROM overview_history ORDER BY observed_at DESC LIMIT 1");
        let shown = self.rows(&sql).remove(0);
        for (column, mirrored) in columns.split(", ").zip(shown) {
            let name = column.trim_start_matches("api_");
            let is_right = match mirrored {
                Sql::Integer(number) => truth[name].as_i64() == Some(number),
                Sql::Real(number) => truth[name].as_f64() == Some(number),
                _ => false,
            };
            assert!(is_right, "overview: {name} is {mirrored:?}, not {}", truth[name]);
        }
    }
}

/// The id of a row, as the sandbox names it: `platform:id` for account videos.
pub fn truth_key(kind: Kind, row: &Value) -> String {
    let id = match &row["id"] {
        Value::String(id) => id.clone(),
        other => other.to_string(),
    };
    match kind {
        Kind::AccountVideo => format!("{}:{id}", row["platform"].as_str().unwrap()),
        _ => id,
    }
}

fn text(value: &Sql) -> &str {
    match value {
        Sql::Text(text) => text,
        other => panic!("{other:?} is not text"),
    }
}

fn mirror_key(kind: Kind, row: &MirrorRow, id: &str) -> String {
    match kind {
        Kind::AccountVideo => format!("{}:{}", text(&row["platform"]), text(&row[id])),
        _ => text(&row[id]).to_owned(),
    }
}

fn view(kind: Kind) -> String {
    kind.plural().replace('-', "_")
}

fn table(db: &Connection, sql: &str) -> Vec<MirrorRow> {
    let mut statement = db.prepare(sql).unwrap();
    let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let read = |row: &rusqlite::Row<'_>| {
        names.iter().enumerate().map(|(n, name)| Ok((name.clone(), row.get(n)?))).collect()
    };
    statement.query_map([], read).unwrap().map(Result::unwrap).collect()
}

fn mirror_rows(db: &Connection, kind: Kind) -> BTreeMap<String, MirrorRow> {
    let rows = table(db, &format!("SELECT * FROM {}", view(kind)));
    let count = rows.len();
    let keyed: BTreeMap<_, _> =
        rows.into_iter().map(|row| (mirror_key(kind, &row, "id"), row)).collect();
    assert_eq!(keyed.len(), count, "a {kind} is listed twice");
    keyed
}

/// History by resource and instant.
fn history(db: &Connection, kind: Kind) -> BTreeMap<(String, DateTime<Utc>), MirrorRow> {
    if kind == Kind::Creator {
        return BTreeMap::new();
    }
    let rows = table(db, &format!("SELECT * FROM {}_history", kind.name()));
    let (count, id) = (rows.len(), format!("{}_id", kind.name()));
    let keyed: BTreeMap<_, _> = rows
        .into_iter()
        .map(|row| ((mirror_key(kind, &row, &id), instant(text(&row["scraped_at"])).unwrap()), row))
        .collect();
    assert_eq!(keyed.len(), count, "the {kind} history has a scrape twice");
    keyed
}

/// Compares a row in all columns of its view.
fn differences(kind: Kind, row: &MirrorRow, truth: &Value, report: &mut dyn FnMut(String)) {
    let truth = truth.as_object().unwrap();
    let mut unplaced: Map<String, Value> = truth.clone();
    for (name, mirrored) in row.iter().filter(|(name, _)| !OWN_COLUMNS.contains(&name.as_str())) {
        let member =
            SUMMARY.iter().find(|(column, _)| column == name).filter(|_| kind == Kind::Creator);
        let given = match member {
            Some((_, inner)) => truth.get("accounts_summary").and_then(|s| s.get(inner)),
            None => truth.get(name),
        };
        let given = given.unwrap_or(&Value::Null);
        if !has_documented_type(kind, name, given) {
            if *mirrored != Sql::Null {
                report(format!("{name} is {mirrored:?} although {given} is of the wrong type"));
            }
            continue;
        }
        unplaced.remove(member.map_or(name.as_str(), |_| "accounts_summary"));
        if !is_same(name, mirrored, given) {
            report(format!("{name} is {mirrored:?}, not {given}"));
        }
    }
    let extra = match &row["extra"] {
        Sql::Null => Map::new(),
        kept => serde_json::from_str(text(kept)).unwrap(),
    };
    if extra != unplaced {
        report(format!("extra is {extra:?}, not {unplaced:?}"));
    }
    let (first, last) = (&row["first_mirrored_at"], &row["mirrored_at"]);
    match (instant(text(first)), instant(text(last))) {
        (Some(first), Some(last)) if first <= last => {}
        _ => report(format!("mirrored from {first:?} to {last:?}")),
    }
    if row["removed_at"] != Sql::Null {
        report("is marked removed".to_owned());
    }
}

/// The scrape that the row shows must be in the history with the same counts.
fn scrape_difference(
    history: &BTreeMap<(String, DateTime<Utc>), MirrorRow>,
    key: &str,
    truth: &Value,
) -> Option<String> {
    let shown = truth.get("last_scrape_time").and_then(Value::as_str).and_then(instant)?;
    if history.is_empty() {
        return None;
    }
    let Some(scrape) = history.get(&(key.to_owned(), shown)) else {
        return Some(format!("its scrape at {shown} is not in history"));
    };
    for name in COUNTS {
        let (Some(held), Some(given)) = (scrape.get(name), truth.get(name)) else { continue };
        if !given.is_null() && whole(given).is_some() && !is_same(name, held, given) {
            return Some(format!("history at {shown} has {name} = {held:?}, not {given}"));
        }
    }
    None
}

/// Whether a member has the JSON type that the API documents, derived from the column's name.
fn has_documented_type(kind: Kind, column: &str, given: &Value) -> bool {
    if given.is_null() {
        return true;
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| column.ends_with(ending));
    if column == "id" {
        given.is_string() || kind == Kind::AccountVideo
    } else if column.starts_with("is_") {
        given.is_boolean()
    } else if ends(&["_at", "_time"]) {
        given.as_str().is_some_and(|text| instant(text).is_some())
    } else if ["metadata", "platform_data", "accounts_by_platform"].contains(&column) {
        given.is_object()
    } else if column == "duration" {
        given.is_number()
    } else if ends(&[
        "_count",
        "_hours",
        "_days",
        "_account",
        "_views",
        "_plays",
        "_total",
        "_followers",
    ]) {
        whole(given).is_some()
    } else {
        given.is_string()
    }
}

fn is_same(column: &str, mirrored: &Sql, given: &Value) -> bool {
    match (mirrored, given) {
        (Sql::Null, Value::Null) => true,
        (Sql::Integer(number), Value::Bool(flag)) => *number == i64::from(*flag),
        (Sql::Integer(number), Value::Number(_)) => whole(given) == Some(*number),
        (Sql::Real(number), Value::Number(given)) => given.as_f64() == Some(*number),
        (Sql::Text(kept), Value::Number(_)) if column == "id" => {
            matches!(given.to_string(), text if text == *kept)
        }
        (Sql::Text(kept), Value::Object(_)) => {
            serde_json::from_str::<Value>(kept).is_ok_and(|kept| kept == *given)
        }
        (Sql::Text(kept), Value::String(given)) if kept == given => true,
        (Sql::Text(kept), Value::String(given))
            if column.ends_with("_at") || column.ends_with("_time") =>
        {
            instant(kept).is_some() && instant(kept) == instant(given)
        }
        _ => false,
    }
}

/// An integer, also if written with a zero fraction (`12.0`).
fn whole(given: &Value) -> Option<i64> {
    let as_float = || given.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 9e15);
    given.as_i64().or_else(|| as_float().filter(|_| given.is_f64()).map(|number| number as i64))
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}
