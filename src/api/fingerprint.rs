//! Fingerprint of the content of a resource: equal means unchanged.

use std::borrow::Cow;
use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use crate::model::row::{DECODER_VERSION, NO_FINGERPRINT};
use crate::model::{ColumnType, Kind, Value, columns};

/// Suffixes of members whose values are URLs.
const URL_ENDS: [&str; 2] = ["_url", "_url_original"];

/// Hashes values in column order, then `extra` by name, each with its length, so that different contents have
/// different byte streams. Query strings of URL members are left out, because signed media URLs rotate without
/// a change of the resource.
pub fn of(kind: Kind, values: &[Value<'_>], extra: &BTreeMap<Cow<'_, str>, Cow<'_, str>>) -> i64 {
    let mut hash = Xxh3::new();
    hash.update(&DECODER_VERSION.to_le_bytes());
    for (column, value) in columns::columns(kind).iter().zip(values) {
        match value {
            Value::Null => hash.update(&[0]),
            Value::Integer(number) => {
                hash.update(&[1]);
                hash.update(&number.to_le_bytes());
            }
            Value::Real(number) => {
                hash.update(&[2]);
                hash.update(&number.to_bits().to_le_bytes());
            }
            Value::Text(text) if column.ty == ColumnType::Object => {
                hash.update(&[3]);
                hash_text(&mut hash, &without_nested_queries(text));
            }
            Value::Text(text) => {
                hash.update(&[3]);
                hash_text(&mut hash, without_query(column.name, text));
            }
        }
    }
    for (name, raw) in extra {
        hash_text(&mut hash, name);
        hash_text(&mut hash, &without_nested_queries(without_query(name, raw)));
    }
    match hash.digest().cast_signed() {
        NO_FINGERPRINT => 1,
        digest => digest,
    }
}

/// Whether two texts of a member are equal content.
pub fn is_same_text(name: &str, one: &str, other: &str) -> bool {
    without_query(name, one) == without_query(name, other)
}

/// Whether two JSON texts are equal content, regardless of the order of members.
pub fn is_same_json(one: &str, other: &str) -> bool {
    let (one, other) = (without_nested_queries(one), without_nested_queries(other));
    let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).ok();
    one == other || read(&one).zip(read(&other)).is_some_and(|(one, other)| one == other)
}

fn hash_text(hash: &mut Xxh3, text: &str) {
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}

fn without_query<'a>(name: &str, text: &'a str) -> &'a str {
    if !URL_ENDS.iter().any(|end| name.ends_with(end)) {
        return text;
    }
    text.split_once('?').map_or(text, |(address, _)| address)
}

/// JSON without the query strings of URL members at any depth.
fn without_nested_queries(json: &str) -> Cow<'_, str> {
    const NAME_PART: &str = "_url";
    if !json.contains(NAME_PART) {
        return Cow::Borrowed(json);
    }
    let mut kept = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once(NAME_PART) {
        kept.push_str(before);
        kept.push_str(NAME_PART);
        rest = after;
        let name_end = after.strip_prefix("_original").unwrap_or(after);
        let Some(after) = name_end.strip_prefix('"') else { continue };
        let value = after.trim_start().strip_prefix(':').map(str::trim_start);
        let Some(address) = value.and_then(|value| value.strip_prefix('"')) else { continue };
        // A URL ends at the next quote; one with an escaped quote is not a URL.
        let Some(end) = address.find('"') else { continue };
        let (address, after) = address.split_at(end);
        kept.push_str(rest.strip_suffix(name_end).unwrap_or_default());
        kept.push_str("\":\"");
        kept.push_str(address.split_once('?').map_or(address, |(address, _)| address));
        rest = after;
    }
    kept.push_str(rest);
    Cow::Owned(kept)
}
