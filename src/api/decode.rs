//! Decodes the JSON of one resource to a row: tolerant, borrowing, never panicking.
//!
//! A member whose value has the documented type goes to its column. Every other member is kept as received
//! in `extra`, so that nothing is lost.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::api::fingerprint;
use crate::api::repair::Damage;
use crate::model::{BadRow, Column, ColumnType, Instant, Kind, Row, Value, columns};

/// Bytes of an id shown in an outcome.
const NAMED_ID_BYTES_MAX: usize = 80;

/// Digits of the largest 64-bit number.
const I64_DIGITS_MAX: usize = 19;

/// The member that identifies a scrape.
const SCRAPE_TIME: &str = "last_scrape_time";

/// Most members of an object. The largest documented one has 37.
const MEMBERS_MAX: usize = 1_000;

/// Deepest nesting that is stored as JSON. SQLite's JSON functions refuse a text of more than 1,000 levels, and with it
/// every query that reads the column.
const DEPTH_MAX: usize = 100;

/// Reason for a row that [`members`] rejects.
const NO_OBJECT: &str = "not a JSON object of at most 1,000 members";

/// Names and JSON texts of members.
pub type Extra<'a> = BTreeMap<Cow<'a, str>, Cow<'a, str>>;

/// Picks the members named by `columns` from an object; the other members, and members of another type than
/// their column, are returned as JSON.
pub fn pick<'a>(raw: &'a RawValue, columns: &[Column]) -> Option<Picked<'a>> {
    let mut picked = Picked {
        values: vec![Value::Null; columns.len()],
        rest: BTreeMap::new(),
        is_type_mismatch: false,
    };
    for (name, raw) in members(raw.get())? {
        let known = columns.iter().position(|column| column.name == name);
        match known.map(|at| (at, value(columns[at].ty, raw.get()))) {
            Some((at, Some((value, _)))) => picked.values[at] = value,
            found => {
                picked.is_type_mismatch |= found.is_some();
                picked.rest.insert(name, Cow::Borrowed(raw.get()));
            }
        }
    }
    Some(picked)
}

/// Result of [`pick`].
#[derive(Debug)]
pub struct Picked<'a> {
    /// One value per column.
    pub values: Vec<Value<'a>>,
    /// Name and JSON text of all other members.
    pub rest: Extra<'a>,
    /// Whether a member had another type than documented.
    pub is_type_mismatch: bool,
}

/// The text of a JSON string; `None` for other values and invalid Unicode.
pub fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    string(raw.get())
}

/// Decodes one element of a list's `data`, or the `data` of an item.
pub fn row(kind: Kind, json: impl Into<Bytes>) -> Result<Row, BadRow> {
    let no_object = BadRow { id: None, reason: NO_OBJECT };
    let Ok(json) = ByteString::try_from(json.into()) else { return Err(no_object) };
    let Some(members) = members(&json) else { return Err(no_object) };
    let known = columns::columns(kind);
    let mut draft = Draft { values: vec![Value::Null; known.len()], ..Draft::default() };
    // Members mostly come in the order of the columns, so the next column is tried first.
    let mut guess = 0;
    for (name, raw) in members {
        if name == "id" {
            draft.id = Some(raw);
        } else if let Some(at) = find(known, &name, guess) {
            guess = at + 1;
            draft.keep(at, &known[at], name, raw.get());
        } else if known.iter().any(|column| column.within.is_some_and(|(outer, _)| outer == name)) {
            draft.spread(known, name, raw);
        } else {
            draft.extra.insert(name, Cow::Borrowed(raw.get()));
        }
    }
    draft.finish(kind, &json)
}

/// Decodes a row that may have been repaired.
pub(super) fn listed(kind: Kind, json: Bytes, damage: Option<&Damage>) -> Result<Row, BadRow> {
    if let Some(Damage::Lost(id)) = damage {
        return Err(BadRow { id: id.clone(), reason: "not valid JSON" });
    }
    let mut row = row(kind, json)?;
    row.is_type_mismatch |= damage.is_some();
    Ok(row)
}

fn find(known: &[Column], name: &str, guess: usize) -> Option<usize> {
    let fits = |column: &Column| column.within.is_none() && column.name == name;
    if known.get(guess).is_some_and(fits) {
        return Some(guess);
    }
    known.iter().position(fits)
}

#[derive(Default)]
struct Draft<'a> {
    id: Option<&'a RawValue>,
    values: Vec<Value<'a>>,
    extra: Extra<'a>,
    is_type_mismatch: bool,
    scraped_at: Option<Instant>,
}

impl<'a> Draft<'a> {
    /// Stores a member in its column, or in `extra` if its type is not the documented one.
    fn keep(&mut self, at: usize, column: &Column, name: Cow<'a, str>, raw: &'a str) {
        match value(column.ty, raw) {
            Some((value, instant)) => {
                if column.name == SCRAPE_TIME {
                    self.scraped_at = instant;
                }
                self.values[at] = value;
                // Of a repeated member the last value counts, as in other JSON parsers.
                self.extra.remove(&name);
            }
            None => {
                self.is_type_mismatch = true;
                self.values[at] = Value::Null;
                if column.name == SCRAPE_TIME {
                    self.scraped_at = None;
                }
                self.extra.insert(name, Cow::Borrowed(raw));
            }
        }
    }

    /// Spreads a nested object over its columns. Its other members stay in `extra` under the
    /// object's name.
    fn spread(&mut self, known: &[Column], name: Cow<'a, str>, raw: &'a RawValue) {
        if raw.get() == "null" {
            return;
        }
        let Some(inner) = members(raw.get()) else {
            self.is_type_mismatch = true;
            self.extra.insert(name, Cow::Borrowed(raw.get()));
            return;
        };
        let mut rest = Extra::new();
        for (member, raw) in inner {
            let here = |column: &Column| column.within == Some((&*name, &*member));
            let Some(at) = known.iter().position(here) else {
                rest.insert(member, Cow::Borrowed(raw.get()));
                continue;
            };
            match value(known[at].ty, raw.get()) {
                Some((value, _)) => self.values[at] = value,
                None => {
                    self.is_type_mismatch = true;
                    rest.insert(member, Cow::Borrowed(raw.get()));
                }
            }
        }
        if !rest.is_empty() {
            self.extra.insert(name, Cow::Owned(object(&rest)));
        }
    }

    fn finish(self, kind: Kind, json: &ByteString) -> Result<Row, BadRow> {
        let bad = |reason| BadRow { id: self.id.map(named), reason };
        let id = match self.id {
            None => return Err(bad("no id")),
            Some(raw) => {
                id(kind, raw.get()).ok_or_else(|| bad("its id is not of the documented type"))?
            }
        };
        if id.is_empty() {
            return Err(bad("its id is empty"));
        }
        // Two ids that differ in the lost part would become one row, and neither could be requested.
        if id.contains(char::REPLACEMENT_CHARACTER) {
            return Err(bad("its id is not valid Unicode text"));
        }
        // The key of an account video is platform and id; one without a platform is still kept.
        let mut values = self.values;
        if kind == Kind::AccountVideo
            && let Some(platform @ (Value::Null | Value::Integer(_) | Value::Real(_))) =
                values.first_mut()
        {
            *platform = Value::Text(Cow::Borrowed(""));
        }
        let fingerprint = fingerprint::of(kind, &values, &self.extra);
        // A member that has a column is in `extra` only if it could not be read.
        let has_unreadable_scrape =
            columns::position(kind, SCRAPE_TIME).is_some() && self.extra.contains_key(SCRAPE_TIME);
        let extra = (!self.extra.is_empty()).then(|| object(&self.extra));
        let mut row = Row::new(json.clone(), &id, &values);
        row.extra = extra;
        row.is_type_mismatch = self.is_type_mismatch;
        row.fingerprint = fingerprint;
        row.scraped_at = self.scraped_at;
        row.has_unreadable_scrape = has_unreadable_scrape;
        Ok(row)
    }
}

/// An id is a string; for account videos, whose type is not documented, a whole number is accepted.
fn id(kind: Kind, raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with('"') {
        return string(raw);
    }
    let is_whole =
        !raw.is_empty() && raw.trim_start_matches('-').bytes().all(|b| b.is_ascii_digit());
    (kind == Kind::AccountVideo && is_whole).then_some(Cow::Borrowed(raw))
}

fn named(raw: &RawValue) -> String {
    let text = string(raw.get()).unwrap_or(Cow::Borrowed(raw.get()));
    let printable = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut name = String::new();
    for c in printable {
        if name.len() + c.len_utf8() > NAMED_ID_BYTES_MAX {
            break;
        }
        name.push(c);
    }
    name
}

/// Converts a value to its column's type; `None` if it has another type.
fn value(ty: ColumnType, raw: &str) -> Option<(Value<'_>, Option<Instant>)> {
    if raw == "null" {
        return Some((Value::Null, None));
    }
    let plain = |value| Some((value, None));
    match ty {
        ColumnType::Text => plain(Value::Text(string(raw)?)),
        ColumnType::Integer => plain(Value::Integer(integer(raw)?)),
        ColumnType::Real => plain(Value::Real(real(raw)?)),
        ColumnType::Boolean => match raw {
            "true" => plain(Value::Integer(1)),
            "false" => plain(Value::Integer(0)),
            _ => None,
        },
        ColumnType::Instant => {
            let given = string(raw)?;
            let instant = Instant::parse(&given)?;
            Some((Value::Text(instant.shown(given)), Some(instant)))
        }
        ColumnType::Object => {
            let is_object = raw.starts_with('{') && !is_deep(raw);
            is_object.then_some((Value::Text(Cow::Borrowed(raw)), None))
        }
    }
}

/// The text of a JSON string, borrowed if it has no escapes.
fn string(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(raw).ok().map(Cow::Owned)
}

/// A 64-bit integer, read exactly from any spelling: `12`, `12.0`, `1.2e1`.
fn integer(raw: &str) -> Option<i64> {
    if let Ok(number) = raw.parse::<i64>() {
        return Some(number);
    }
    if !raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    let (sign, unsigned) = raw.strip_prefix('-').map_or(("", raw), |rest| ("-", rest));
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let exponent: i64 = exponent.parse().ok()?;
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0').trim_end_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    // Number of zeros after the significant digits; a negative number means that a fraction is left.
    let trailing = digits.len() - digits.trim_end_matches('0').len();
    let shift = i64::try_from(trailing).ok()? - i64::try_from(fraction.len()).ok()?;
    let zeros = usize::try_from(exponent.checked_add(shift)?).ok()?;
    if significant.len().checked_add(zeros)? > I64_DIGITS_MAX {
        return None;
    }
    format!("{sign}{significant}{}", "0".repeat(zeros)).parse().ok()
}

fn real(raw: &str) -> Option<f64> {
    if !raw.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    raw.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Writes members as a JSON object. Their values are JSON texts; one that is nested too deep becomes a string.
pub fn object(members: &Extra<'_>) -> String {
    let mut text = String::from("{");
    for (at, (name, raw)) in members.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(&**name).to_string());
        text.push(':');
        match is_deep(raw) {
            true => text.push_str(&serde_json::Value::from(&**raw).to_string()),
            false => text.push_str(raw),
        }
    }
    text.push('}');
    text
}

/// Whether a JSON text has more than [`DEPTH_MAX`] levels.
fn is_deep(raw: &str) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    raw.bytes().any(|byte| {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b'{' | b'[' if !is_text => depth += 1,
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > DEPTH_MAX
    })
}

/// The members of a JSON object in order; `None` if it is not an object or has too many.
pub(super) fn members(raw: &str) -> Option<Vec<(Cow<'_, str>, &RawValue)>> {
    let mut json = serde_json::Deserializer::from_str(raw);
    json.deserialize_map(Members).ok()
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(40);
        while let Some((Text(name), raw)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            if members.len() == MEMBERS_MAX {
                return Err(serde::de::Error::custom("too many members"));
            }
            members.push((name, raw));
        }
        Ok(members)
    }
}

/// A JSON string, borrowed unless it has escapes.
#[derive(Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Columns that are set, `extra`, and whether anything was odd.
    type Decoded = (Vec<(String, String)>, Option<String>, bool);

    fn decode(kind: Kind, json: &str) -> Result<Decoded, BadRow> {
        let row = row(kind, json.to_owned())?;
        let set = columns::columns(kind).iter().zip(row.values());
        let set = set.filter(|(_, value)| *value != Value::Null);
        let set =
            set.map(|(column, value)| (column.name.to_owned(), format!("{value:?}"))).collect();
        Ok((set, row.extra.clone(), row.is_type_mismatch))
    }

    fn count_of(raw: &str) -> (Option<i64>, Option<String>) {
        let json = format!(r#"{{"id":"v","view_count":{raw}}}"#);
        let row = row(Kind::Video, json.to_owned()).unwrap();
        (row.value(Kind::Video, "view_count").as_integer(), row.extra.clone())
    }

    #[test]
    fn counts_are_whole_numbers_or_kept_as_received() {
        assert_eq!(count_of("12"), (Some(12), None));
        assert_eq!(count_of("12.0"), (Some(12), None));
        assert_eq!(count_of("1.2e1"), (Some(12), None));
        assert_eq!(count_of("9007199254740993"), (Some(9_007_199_254_740_993), None));
        assert_eq!(count_of("9007199254740993.0"), (Some(9_007_199_254_740_993), None));
        assert_eq!(count_of("null"), (None, None));
        for type_mismatches in
            [r#""12.3K""#, r#""7""#, "12.5", "9223372036854775808", "1e400", "true", "[1]", "{}"]
        {
            assert_eq!(
                count_of(type_mismatches),
                (None, Some(format!(r#"{{"view_count":{type_mismatches}}}"#))),
                "{type_mismatches}"
            );
        }
    }

    #[test]
    fn unknown_members_are_kept() {
        let (set, extra, is_type_mismatch) =
            decode(Kind::Video, r#"{"id":"v","b":null,"platform":"tiktok","a":{"x":[1, 2]}}"#)
                .unwrap();
        assert_eq!(set, [("platform".to_owned(), r#"Text("tiktok")"#.to_owned())]);
        assert_eq!(extra.as_deref(), Some(r#"{"a":{"x":[1, 2]},"b":null}"#));
        assert!(!is_type_mismatch);
    }

    #[test]
    fn deep_nesting_is_kept_as_text() {
        let nested = |depth: usize| format!("{}1{}", r#"{"a":["#.repeat(depth), "]}".repeat(depth));
        let json = |raw: &str| format!(r#"{{"id":"v","metadata":{raw},"new":{raw}}}"#);
        let (set, extra, is_type_mismatch) = decode(Kind::Video, &json(&nested(50))).unwrap();
        assert_eq!((set.len(), is_type_mismatch), (1, false));
        assert_eq!(extra, Some(format!(r#"{{"new":{}}}"#, nested(50))));

        let deep = nested(2_000);
        let (set, extra, is_type_mismatch) = decode(Kind::Video, &json(&deep)).unwrap();
        assert_eq!((set.len(), is_type_mismatch), (0, true));
        let extra: BTreeMap<String, String> = serde_json::from_str(&extra.unwrap()).unwrap();
        assert_eq!((&extra["metadata"], &extra["new"]), (&deep, &deep));
        // Brackets in texts are not nesting.
        let text = serde_json::json!({ "a": "[\"{\\".repeat(200) }).to_string();
        assert_eq!(decode(Kind::Video, &json(&text)).unwrap().0.len(), 1);
    }

    #[test]
    fn a_creators_summary_is_spread_and_its_rest_kept() {
        let json = r#"{"id":"c","accounts_summary":{"total":2,"platforms":{"tiktok":2},"total_followers":"many","new":1}}"#;
        let (set, extra, is_type_mismatch) = decode(Kind::Creator, json).unwrap();
        assert_eq!(set.len(), 2);
        assert_eq!(
            extra.as_deref(),
            Some(r#"{"accounts_summary":{"new":1,"total_followers":"many"}}"#)
        );
        assert!(is_type_mismatch);
    }

    #[test]
    fn ids_are_strings_or_whole_numbers_where_the_documentation_is_silent() {
        let id = |kind, json: &str| row(kind, json.to_owned()).map(|row| row.id().into_owned());
        assert_eq!(id(Kind::AccountVideo, r#"{"id":7,"platform":"tiktok"}"#).unwrap(), "7");
        assert_eq!(id(Kind::AccountVideo, r#"{"id":"x-1","platform":"tiktok"}"#).unwrap(), "x-1");
        assert_eq!(id(Kind::AccountVideo, r#"{"id":7}"#).unwrap(), "7");
        assert_eq!(id(Kind::Video, r#"{"id":7}"#).unwrap_err().id.as_deref(), Some("7"));
        for bad in ["null", "[]", r#""x""#, "{}", r#"{"id":null}"#, r#"{"id":""}"#] {
            assert!(id(Kind::Video, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_query_of_an_address_is_not_content() {
        let print = |json: &str| row(Kind::Video, json.to_owned()).unwrap().fingerprint;
        let one = print(r#"{"id":"v","video_url":"https://x/a?sig=1","foo_url":"https://x/b?1"}"#);
        assert_eq!(
            one,
            print(r#"{"foo_url":"https://x/b?2","id":"v","video_url":"https://x/a?sig=2"}"#)
        );
        assert_ne!(
            one,
            print(r#"{"id":"v","video_url":"https://x/c?sig=1","foo_url":"https://x/b?1"}"#)
        );
        let nested = |sig: u32| {
            print(&format!(
                r#"{{"id":"v","platform_data":{{"a":1,"play_url" : "https://x/a?sig={sig}","b":2}},"foreign":[{{"x_url":"y?{sig}"}}]}}"#
            ))
        };
        assert_eq!(nested(1), nested(2));
        assert_ne!(
            print(r#"{"id":"v","platform_data":{"play_url":"https://x/a"}}"#),
            print(r#"{"id":"v","platform_data":{"play_url":"https://x/b"}}"#)
        );
        assert_ne!(
            print(r#"{"id":"v","description":"a?1"}"#),
            print(r#"{"id":"v","description":"a?2"}"#)
        );
    }

    proptest! {
        #[test]
        fn signatures_of_original_addresses_are_not_content(
            one in "[a-z0-9=&]{1,20}", other in "[a-z0-9=&]{1,20}", space in "[ ]{0,2}",
        ) {
            let print = |json: String| row(Kind::Video, json).unwrap().fingerprint;
            for name in ["video_url_original", "cover_image_url_original", "new_url_original"] {
                let column = |query: &str| format!(r#"{{"id":"v","{name}":"https://x/a?{query}"}}"#);
                prop_assert_eq!(print(column(&one)), print(column(&other)));
                let nested = |query: &str| format!(
                    r#"{{"id":"v","platform_data":{{"{name}"{space}:{space}"https://x/a?{query}","b":2}}}}"#
                );
                prop_assert_eq!(print(nested(&one)), print(nested(&other)));
                prop_assert_ne!(print(nested(&one)), print(nested(&one).replace("x/a", "x/b")));
                prop_assert_ne!(print(nested(&one)), print(nested(&one).replace(name, "another")));
            }
        }
    }

    #[test]
    fn escapes_survive() {
        let (set, extra, _) =
            decode(Kind::Video, r#"{"id":"v","description":"a\"\u00e9","new":"\u00e9"}"#).unwrap();
        assert_eq!(set, [("description".to_owned(), r#"Text("a\"é")"#.to_owned())]);
        assert_eq!(extra.as_deref(), Some(r#"{"new":"\u00e9"}"#));
    }

    #[test]
    fn an_id_that_lost_a_character_is_no_id() {
        for kind in [Kind::Video, Kind::AccountVideo] {
            let bad = decode(kind, r#"{"id":"v\ufffd"}"#).unwrap_err();
            assert_eq!(bad.reason, "its id is not valid Unicode text");
        }
    }

    proptest! {
        #[test]
        fn no_value_panics(raw in prop_oneof![
            any::<f64>().prop_map(|n| serde_json::Value::from(n).to_string()),
            any::<i128>().prop_map(|n| n.to_string()),
            ".{0,20}".prop_map(|s| serde_json::Value::from(s).to_string()),
        ]) {
            for kind in Kind::LISTS {
                for column in columns::columns(kind) {
                    let json = format!(r#"{{"id":{raw},"platform":"tiktok","{}":{raw}}}"#, column.name);
                    let _ = row(kind, json.to_owned());
                }
            }
        }
    }
}
