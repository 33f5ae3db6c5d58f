//! Compares a stored row with the API's: what differs, and whether a later scrape explains it. Pure.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::api::{is_same_json, is_same_text};
use crate::model::{ColumnType, Instant, Kind, Row, Value, columns};
use crate::store::sample::StoredRow;

/// Columns that no scrape changes, so that a later scrape does not explain a difference.
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

/// Columns of a creator that the scrapes of its accounts change.
const CREATOR_SUMS: &[&str] = &["total_followers"];

/// A column whose value differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Its name; `history.NAME` for a count in history.
    pub column: Cow<'static, str>,
    /// The stored value.
    pub held: Option<String>,
    /// The API's value.
    pub found: Option<String>,
}

/// The result of comparing a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// Nothing differs.
    Equal,
    /// A later scrape explains all differences.
    Later,
    /// Differences that no later scrape explains.
    Drift(Vec<Difference>),
}

/// Compares a row. `is_newer` tells of a creator whether its accounts were scraped since. `scrape` holds
/// the counts in history of the scrape that the API shows, if the mirror has seen it.
pub fn compare(
    kind: Kind,
    held: &StoredRow,
    found: &Row,
    is_newer: bool,
    scrape: Option<&[Option<i64>]>,
) -> Comparison {
    let is_later = is_later(kind, held, found);
    let (mut differences, mut is_explained) = (Vec::new(), false);
    for ((column, stored), received) in
        columns::columns(kind).iter().zip(&held.values).zip(found.values())
    {
        if is_same(column.name, column.ty, stored, &received) {
            continue;
        }
        if explains(kind, column.name, is_later, is_newer) {
            is_explained = true;
            continue;
        }
        let column = Cow::Borrowed(column.name);
        differences.push(Difference { column, held: shown(stored), found: shown(&received) });
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
        (false, _) => Comparison::Drift(differences),
        (true, true) => Comparison::Later,
        (true, false) => Comparison::Equal,
    }
}

/// Whether the API shows a later scrape than the stored one.
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

fn is_same(name: &str, ty: ColumnType, stored: &Value<'_>, received: &Value<'_>) -> bool {
    match (stored, received) {
        (Value::Text(stored), Value::Text(received)) if ty == ColumnType::Object => {
            is_same_json(stored, received)
        }
        (Value::Text(stored), Value::Text(received)) => is_same_text(name, stored, received),
        _ => stored == received,
    }
}

/// Compares the members without a column. A creator read by id may have more of them than in a list;
/// those are no difference.
fn is_same_extra(kind: Kind, stored: Option<&str>, received: Option<&str>) -> bool {
    let (stored, received) = (stored.unwrap_or("{}"), received.unwrap_or("{}"));
    if kind != Kind::Creator {
        return is_same_json(stored, received);
    }
    let members = |text| serde_json::from_str::<Map<String, Json>>(text).unwrap_or_default();
    let known = members(stored);
    let mut found = members(received);
    found.retain(|name, _| known.contains_key(name));
    is_same_json(stored, &Json::Object(found).to_string())
}

/// Returns the counts of the shown scrape that differ in history. A count that the API no longer gives does
/// not.
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

    fn columns_of(kind: Kind, stored: &str, received: &str) -> Option<Vec<String>> {
        let (held, found) = (held(kind, stored), decode::row(kind, received.to_owned()).unwrap());
        let names = columns::history_columns(kind).iter();
        let counts: Vec<_> = names
            .map(|name| columns::position(kind, name).and_then(|at| held.values[at].as_integer()))
            .collect();
        match compare(kind, &held, &found, false, Some(&counts)) {
            Comparison::Equal => Some(Vec::new()),
            Comparison::Later => None,
            Comparison::Drift(found) => {
                Some(found.iter().map(|one| one.column.clone().into_owned()).collect())
            }
        }
    }

    const BEFORE: &str = r#"{"id":"v","last_scrape_time":"2026-01-01T00:00:00Z","view_count":5,
        "is_active":true,"video_url":"https://a/b?sig=1","metadata":{"a":"1","b":"2"},"new":{"x_url":"c?1"}}"#;

    #[test]
    fn url_signatures_and_member_order_are_no_difference() {
        let received = r#"{"new":{"x_url":"c?2"},"id":"v","last_scrape_time":"2026-01-01T00:00:00.000Z","view_count":5.0,
            "is_active":true,"video_url":"https://a/b?sig=2","metadata":{"b":"2","a":"1"}}"#;
        assert_eq!(columns_of(Kind::Video, BEFORE, received), Some(vec![]));
    }

    #[test]
    fn later_scrape_explains_counts_but_not_settings() {
        let later = BEFORE.replace("2026-01-01", "2026-01-02").replace(":5,", ":6,");
        assert_eq!(columns_of(Kind::Video, BEFORE, &later), None);
        let paused = later.replace("true", "false").replace(r#""1""#, r#""9""#);
        let differs = columns_of(Kind::Video, BEFORE, &paused).unwrap();
        assert_eq!(differs, ["is_active", "metadata"]);
    }

    #[test]
    fn same_or_earlier_scrape_explains_nothing() {
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
    fn scrapes_of_its_accounts_explain_only_the_sum_of_a_creator() {
        let stored =
            r#"{"id":"c","name":"Ada","accounts_summary":{"total":1,"total_followers":5}}"#;
        let received = stored.replace(":5", ":6");
        let (held, found) =
            (held(Kind::Creator, stored), decode::row(Kind::Creator, received.to_owned()).unwrap());
        assert_eq!(compare(Kind::Creator, &held, &found, true, None), Comparison::Later);
        assert!(matches!(
            compare(Kind::Creator, &held, &found, false, None),
            Comparison::Drift(found) if found.len() == 1
        ));
        // By id the API may show more members than in a list.
        let more = stored.replace("}}", r#"},"accounts":[{"id":"a"}]}"#);
        let found = decode::row(Kind::Creator, more.to_owned()).unwrap();
        assert_eq!(compare(Kind::Creator, &held, &found, false, None), Comparison::Equal);
        let received = received.replace("Ada", "Eva");
        let found = decode::row(Kind::Creator, received.to_owned()).unwrap();
        assert!(matches!(
            compare(Kind::Creator, &held, &found, true, None),
            Comparison::Drift(found) if found[0].column == "name"
        ));
    }
}
