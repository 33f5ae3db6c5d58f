//! What is held of a row against what the API says of it: what differs, and whether a later scrape
//! explains it. Pure.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::api::{is_same_json, is_same_text};
use crate::model::{ColumnType, Instant, Kind, Row, Value, columns};
use crate::store::sample::StoredRow;

/// What only somebody's request changes, and no scrape: no later one explains that it differs.
const ACCOUNT_SETTINGS: &[&str] = &[
    "platform",
    "type",
    "is_active",
    "creator_id",
    "creator_name",
    "category",
    "metadata",
    "added_at",
    "scrape_interval_hours",
    "max_recent_posts_per_account",
    "post_lookback_days",
    "effective_max_recent_posts_per_account",
    "effective_post_lookback_days",
];
const VIDEO_SETTINGS: &[&str] = &[
    "external_id",
    "platform",
    "type",
    "shortcode",
    "is_active",
    "scrape_interval_hours",
    "metadata",
    "added_at",
];
const ACCOUNT_VIDEO_SETTINGS: &[&str] =
    &["platform", "external_id", "type", "shortcode", "account_id"];

/// A creator has no scrape; this follows those of its accounts.
const CREATOR_SUMS: &[&str] = &["total_followers"];

/// A column whose value differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its name; `history` for a count of the scrape in history.
    pub column: Cow<'static, str>,
    /// What is held.
    pub held: Option<String>,
    /// What the API says.
    pub found: Option<String>,
}

/// What came of comparing a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared {
    /// Nothing differs.
    Equal,
    /// What differs came with a later scrape.
    Later,
    /// These differ beyond that.
    Drift(Vec<Difference>),
}

/// Compares a row. `is_newer` says of a creator that its accounts were scraped since. `scrape` is what
/// history holds of the very scrape that the API shows, if the mirror has seen it.
pub fn compare(
    kind: Kind,
    held: &StoredRow,
    found: &Row,
    is_newer: bool,
    scrape: Option<&[Option<i64>]>,
) -> Compared {
    let is_later = is_later(kind, held, found);
    let (mut differences, mut is_explained) = (Vec::new(), false);
    for ((column, mine), theirs) in
        columns::columns(kind).iter().zip(&held.values).zip(found.values())
    {
        if is_same(column.name, column.ty, mine, &theirs) {
            continue;
        }
        if explains(kind, column.name, is_later, is_newer) {
            is_explained = true;
            continue;
        }
        let column = Cow::Borrowed(column.name);
        differences.push(Difference { column, held: shown(mine), found: shown(&theirs) });
    }
    let is_same_extra = is_same_extra(kind, held.extra.as_deref(), found.extra.as_deref());
    if !is_same_extra && is_later {
        is_explained = true;
    } else if !is_same_extra {
        let (held, found) = (held.extra.clone(), found.extra.clone());
        differences.push(Difference { column: Cow::Borrowed("extra"), held, found });
    }
    if found.scraped_at.is_some() && found.scraped_at == scrape_of(kind, held) {
        differences.extend(in_history(kind, found, scrape));
    }
    match (differences.is_empty(), is_explained) {
        (false, _) => Compared::Drift(differences),
        (true, true) => Compared::Later,
        (true, false) => Compared::Equal,
    }
}

/// Whether the API shows a later scrape than the one that is held.
pub fn is_later(kind: Kind, held: &StoredRow, found: &Row) -> bool {
    found.scraped_at.is_some() && found.scraped_at > scrape_of(kind, held)
}

fn scrape_of(kind: Kind, held: &StoredRow) -> Option<Instant> {
    let at = columns::position(kind, "last_scrape_time")?;
    held.values.get(at).and_then(Value::as_text).and_then(Instant::parse)
}

fn explains(kind: Kind, column: &str, is_later: bool, is_newer: bool) -> bool {
    match kind {
        Kind::Account => is_later && !ACCOUNT_SETTINGS.contains(&column),
        Kind::Video => is_later && !VIDEO_SETTINGS.contains(&column),
        Kind::AccountVideo => is_later && !ACCOUNT_VIDEO_SETTINGS.contains(&column),
        _ => is_newer && CREATOR_SUMS.contains(&column),
    }
}

fn is_same(name: &str, ty: ColumnType, mine: &Value<'_>, theirs: &Value<'_>) -> bool {
    match (mine, theirs) {
        (Value::Text(mine), Value::Text(theirs)) if ty == ColumnType::Object => {
            is_same_json(mine, theirs)
        }
        (Value::Text(mine), Value::Text(theirs)) => is_same_text(name, mine, theirs),
        _ => mine == theirs,
    }
}

/// Of a creator that is read by id the API may tell more than in a list; what no list has told is no
/// difference.
fn is_same_extra(kind: Kind, mine: Option<&str>, theirs: Option<&str>) -> bool {
    let (mine, theirs) = (mine.unwrap_or("{}"), theirs.unwrap_or("{}"));
    if kind != Kind::Creator {
        return is_same_json(mine, theirs);
    }
    let members = |text| serde_json::from_str::<Map<String, Json>>(text).unwrap_or_default();
    let known = members(mine);
    let mut told = members(theirs);
    told.retain(|name, _| known.contains_key(name));
    is_same_json(mine, &Json::Object(told).to_string())
}

/// What history lacks of the scrape that is shown. A number that it has and the API no longer gives
/// is no lack.
fn in_history(kind: Kind, found: &Row, scrape: Option<&[Option<i64>]>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (at, name) in columns::history_columns(kind).iter().enumerate() {
        let Some(count) = found.value(kind, name).as_integer() else { continue };
        let held = scrape.and_then(|counts| counts.get(at).copied().flatten());
        if held != Some(count) {
            differences.push(Difference {
                column: Cow::Owned(format!("history.{name}")),
                held: held.map(|held| held.to_string()),
                found: Some(count.to_string()),
            });
        }
    }
    differences
}

fn shown(value: &Value<'_>) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Text(text) => Some(text.clone().into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::decode;

    fn held(kind: Kind, json: &str) -> StoredRow {
        let row = decode::row(kind, json.to_owned()).unwrap();
        StoredRow {
            row_id: 1,
            values: row.values().map(Value::into_owned).collect(),
            extra: row.extra.clone(),
            fingerprint: row.fingerprint,
            as_of: 0,
            is_removed: false,
        }
    }

    fn columns_of(kind: Kind, mine: &str, theirs: &str) -> Option<Vec<String>> {
        let (held, found) = (held(kind, mine), decode::row(kind, theirs.to_owned()).unwrap());
        let names = columns::history_columns(kind).iter();
        let counts: Vec<_> = names
            .map(|name| columns::position(kind, name).and_then(|at| held.values[at].as_integer()))
            .collect();
        match compare(kind, &held, &found, false, Some(&counts)) {
            Compared::Equal => Some(Vec::new()),
            Compared::Later => None,
            Compared::Drift(found) => {
                Some(found.iter().map(|one| one.column.clone().into_owned()).collect())
            }
        }
    }

    const BEFORE: &str = r#"{"id":"v","last_scrape_time":"2026-01-01T00:00:00Z","view_count":5,
        "is_active":true,"video_url":"https://a/b?sig=1","metadata":{"a":"1","b":"2"},"new":{"x_url":"c?1"}}"#;

    #[test]
    fn signatures_of_addresses_and_the_order_of_members_are_no_difference() {
        let theirs = r#"{"new":{"x_url":"c?2"},"id":"v","last_scrape_time":"2026-01-01T00:00:00.000Z","view_count":5.0,
            "is_active":true,"video_url":"https://a/b?sig=2","metadata":{"b":"2","a":"1"}}"#;
        assert_eq!(columns_of(Kind::Video, BEFORE, theirs), Some(vec![]));
    }

    #[test]
    fn a_later_scrape_explains_counts_but_no_settings() {
        let later = BEFORE.replace("2026-01-01", "2026-01-02").replace(":5,", ":6,");
        assert_eq!(columns_of(Kind::Video, BEFORE, &later), None);
        let paused = later.replace("true", "false").replace(r#""1""#, r#""9""#);
        let differs = columns_of(Kind::Video, BEFORE, &paused).unwrap();
        assert_eq!(differs, ["is_active", "metadata"]);
    }

    #[test]
    fn the_same_scrape_explains_nothing_and_an_earlier_one_neither() {
        let other = BEFORE.replace(":5,", ":6,").replace("b?sig", "c?sig").replace("new", "newer");
        let differs = columns_of(Kind::Video, BEFORE, &other).unwrap();
        assert_eq!(differs, ["video_url", "view_count", "extra", "history.view_count"]);
        let earlier = BEFORE.replace("2026-01-01", "2025-01-01");
        assert_eq!(columns_of(Kind::Video, BEFORE, &earlier).unwrap(), ["last_scrape_time"]);
        let never = BEFORE.replace(r#""2026-01-01T00:00:00Z""#, "null");
        assert_eq!(columns_of(Kind::Video, BEFORE, &never).unwrap(), ["last_scrape_time"]);
        assert_eq!(columns_of(Kind::Video, &never, BEFORE), None);
    }

    #[test]
    fn a_creator_follows_the_scrapes_of_its_accounts_in_its_sum_alone() {
        let mine = r#"{"id":"c","name":"Ada","accounts_summary":{"total":1,"total_followers":5}}"#;
        let theirs = mine.replace(":5", ":6");
        let (held, found) =
            (held(Kind::Creator, mine), decode::row(Kind::Creator, theirs.to_owned()).unwrap());
        assert_eq!(compare(Kind::Creator, &held, &found, true, None), Compared::Later);
        assert!(matches!(
            compare(Kind::Creator, &held, &found, false, None),
            Compared::Drift(found) if found.len() == 1
        ));
        // By id the API may tell more of it than in a list.
        let more = mine.replace("}}", r#"},"accounts":[{"id":"a"}]}"#);
        let found = decode::row(Kind::Creator, more.to_owned()).unwrap();
        assert_eq!(compare(Kind::Creator, &held, &found, false, None), Compared::Equal);
        let theirs = theirs.replace("Ada", "Eva");
        let found = decode::row(Kind::Creator, theirs.to_owned()).unwrap();
        assert!(matches!(
            compare(Kind::Creator, &held, &found, true, None),
            Compared::Drift(found) if found[0].column == "name"
        ));
    }
}
