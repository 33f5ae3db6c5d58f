//! The envelopes: a page of a list, and one resource. Rows are left as they are, unread.
//!
//! A page is read once, where its answer comes in; its rows are parts of the body and can be decoded
//! later, elsewhere, without reading the envelope again.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::failure::Failure;
use crate::api::mend::{Damage, Mend, ROWS_MAX};

/// Longest echo of the filters that is looked at.
const FILTERS_BYTES_MAX: usize = 64 << 10;
/// Longest JSON of a resource that is asked for alone.
const RESOURCE_BYTES_MAX: usize = 1 << 20;
/// Longest cursor that can be sent back in an address that servers and proxies accept.
const CURSOR_BYTES_MAX: usize = 8_192;

/// A page of a list.
#[derive(Debug)]
pub struct ListPage {
    /// The rows, unread.
    pub rows: Vec<ListedRow>,
    /// Whether another page follows.
    pub has_next: bool,
    /// What opens the next page; there exactly when `has_next` is true.
    pub next_cursor: Option<String>,
    /// How many rows the whole list has, where the server says so.
    pub total_count: Option<u64>,
    /// The filter and sort that the server says made this page.
    pub filters: Option<BTreeMap<String, Value>>,
}

/// A row of a page. It dereferences to its JSON text.
#[derive(Debug, Clone)]
pub struct ListedRow {
    /// The JSON text of one resource as received; it shares the body's memory.
    pub json: Bytes,
    /// What was wrong with that text, if it had to be repaired.
    pub damage: Option<Damage>,
}

impl From<Bytes> for ListedRow {
    fn from(json: Bytes) -> Self {
        Self { json, damage: None }
    }
}

impl Deref for ListedRow {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.json
    }
}

/// Members that decide are strict; the rest is taken as text and read forgivingly.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Elements<'a>,
    #[serde(borrow)]
    pagination: Pagination<'a>,
    #[serde(borrow)]
    filters: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Pagination<'a> {
    has_next: bool,
    #[serde(borrow)]
    next_cursor: Option<&'a RawValue>,
    #[serde(borrow)]
    total_count: Option<&'a RawValue>,
}

/// The elements of an array, which are not collected beyond [`ROWS_MAX`].
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Elements<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = array.next_element::<&'de RawValue>()? {
            if elements.len() == ROWS_MAX {
                return Err(A::Error::custom(format_args!(
                    "the page has more than {ROWS_MAX} rows, far more than were asked for"
                )));
            }
            elements.push(element);
        }
        Ok(Elements(elements))
    }
}

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Resource<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

impl ListPage {
    /// Reads a page, or says what is wrong with it. `mends` are the places of the body that were repaired.
    pub fn parse(body: &Bytes, mends: &[Mend]) -> Result<Self, Failure> {
        let envelope: Envelope<'_> = read(body)?;
        let pagination = envelope.pagination;
        let next_cursor = match pagination.next_cursor {
            // A cursor is passed on as it came, or not at all.
            Some(raw) if pagination.has_next && mends.iter().any(|mend| is_in(body, raw, mend)) => {
                return Err(Failure::malformed("next_cursor is not valid JSON"));
            }
            raw if pagination.has_next => Some(cursor(raw)?),
            _ => None,
        };
        let mut mends = mends.iter().peekable();
        let rows = envelope.data.0.into_iter().map(|raw| {
            let json = body.slice_ref(raw.get().as_bytes());
            let end = offset(body, raw) + json.len();
            // Repairs stand in the order of the body. Of several in a row, the last is as good as any.
            let mut damage = None;
            while let Some(mend) = mends.next_if(|mend| mend.at < end) {
                damage = is_in(body, raw, mend).then(|| mend.what.clone()).or(damage);
            }
            ListedRow { json, damage }
        });
        let filters = envelope.filters.filter(|raw| raw.get().len() <= FILTERS_BYTES_MAX);
        Ok(Self {
            rows: rows.collect(),
            has_next: pagination.has_next,
            next_cursor,
            total_count: pagination.total_count.and_then(total),
            filters: filters.and_then(|raw| serde_json::from_str(raw.get()).ok()),
        })
    }
}

/// Where a part of the body begins.
fn offset(body: &Bytes, part: &RawValue) -> usize {
    (part.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize)
}

fn is_in(body: &Bytes, part: &RawValue, mend: &Mend) -> bool {
    let begin = offset(body, part);
    (begin..begin + part.get().len()).contains(&mend.at)
}

/// Reads one resource out of `{"data": {…}}`.
pub fn item(body: &[u8]) -> Result<&RawValue, Failure> {
    let resource: Resource<'_> = read(body)?;
    match resource.data.get() {
        json if !json.starts_with('{') => Err(Failure::malformed("data is not an object")),
        json if json.len() > RESOURCE_BYTES_MAX => {
            Err(Failure::malformed(format!("data is over {RESOURCE_BYTES_MAX} bytes long")))
        }
        _ => Ok(resource.data),
    }
}

/// Derived readers also take an array for an object, which is not what is documented.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Failure> {
    match body.iter().find(|byte| !byte.is_ascii_whitespace()) {
        Some(b'{') => {
            serde_json::from_slice(body).map_err(|error| Failure::malformed(error.to_string()))
        }
        Some(b'<') => Err(Failure::malformed("the body is a page of HTML or XML")),
        Some(_) => Err(Failure::malformed("the body is not a JSON object")),
        None => Err(Failure::malformed("the body is empty")),
    }
}

fn cursor(raw: Option<&RawValue>) -> Result<String, Failure> {
    let raw = raw.ok_or_else(|| Failure::malformed("has_next is true without a next_cursor"))?;
    let Ok(Text(cursor)) = serde_json::from_str(raw.get()) else {
        return Err(Failure::malformed("next_cursor is not a string"));
    };
    match cursor.len() {
        0 => Err(Failure::malformed("has_next is true and next_cursor is empty")),
        1..=CURSOR_BYTES_MAX => Ok(cursor.into_owned()),
        _ => Err(Failure::malformed("next_cursor is too long to be sent back")),
    }
}

/// A whole number, also when it is written as a float or a string.
fn total(raw: &RawValue) -> Option<u64> {
    let text = raw.get().trim_matches('"');
    text.strip_suffix(".0").unwrap_or(text).parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = r#"{"data":[{"id":"a"},{"id":"b","n":1e400}],"more":[1],
        "pagination":{"has_next":true,"limit":200,"next_cursor":"c\u002f1","total_count":7},
        "filters":{"order_by":"added_at","is_active":null}}"#;

    fn parse(body: &str) -> Result<ListPage, Failure> {
        ListPage::parse(&Bytes::copy_from_slice(body.as_bytes()), &[])
    }

    fn with_pagination(pagination: &str) -> String {
        format!(r#"{{"data":[],"pagination":{pagination}}}"#)
    }

    fn reason(body: &str) -> String {
        parse(body).unwrap_err().detail.clone()
    }

    #[test]
    fn a_documented_page_is_read() {
        let page = parse(PAGE).unwrap();
        let rows: Vec<&[u8]> = page.rows.iter().map(|row| &row[..]).collect();
        assert_eq!(rows, [&br#"{"id":"a"}"#[..], br#"{"id":"b","n":1e400}"#]);
        assert!(page.has_next);
        assert_eq!(page.next_cursor.as_deref(), Some("c/1"));
        assert_eq!(page.total_count, Some(7));
        assert_eq!(page.filters.unwrap()["order_by"], "added_at");
    }

    #[test]
    fn rows_are_parts_of_the_body() {
        let body = Bytes::from_static(PAGE.as_bytes());
        let page = ListPage::parse(&body, &[]).unwrap();
        assert!(page.rows.iter().all(|row| body.as_ptr_range().contains(&row.as_ptr())));
    }

    #[test]
    fn a_page_of_far_too_many_rows_is_refused() {
        let page = |rows: usize| {
            format!(
                r#"{{"data":[{}],"pagination":{{"has_next":false}}}}"#,
                vec!["{}"; rows].join(",")
            )
        };
        assert_eq!(parse(&page(ROWS_MAX)).unwrap().rows.len(), ROWS_MAX);
        assert!(reason(&page(ROWS_MAX + 1)).contains("more than 1000 rows"));
        let long = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(RESOURCE_BYTES_MAX));
        assert!(item(long.as_bytes()).is_err());
    }

    #[test]
    fn a_repair_is_told_of_its_row_and_not_allowed_in_a_cursor() {
        let read = |body: &str| {
            let (body, mends) = crate::api::mend::mend(body.as_bytes()).unwrap();
            ListPage::parse(&body.into(), &mends)
        };
        let page = r#"{"x":NaN,"data":[{"id":"a"},{"id":"b","n":NaN},{"id":"c",}],
            "pagination":{"has_next":true,"next_cursor":"C","total_count":NaN}}"#;
        let rows = read(page).unwrap().rows;
        assert_eq!(rows[0].damage, None);
        assert_eq!(rows[1].damage, Some(Damage::Repaired("a number that JSON does not have")));
        assert_eq!(rows[2].damage, Some(Damage::Lost(Some("c".to_owned()))));
        assert!(read(&page.replace("\"C\"", "\"C\n\"")).is_err());
        assert!(read(&page.replace("true", "NaN")).is_err());
    }

    #[test]
    fn the_last_page_needs_no_cursor_and_ignores_one() {
        for cursor in ["null", "\"\"", "\"x\"", "7", "{}"] {
            let body = with_pagination(&format!(r#"{{"has_next":false,"next_cursor":{cursor}}}"#));
            assert_eq!(parse(&body).unwrap().next_cursor, None, "{cursor}");
        }
        assert!(!parse(&with_pagination(r#"{"has_next":false}"#)).unwrap().has_next);
    }

    #[test]
    fn a_next_page_without_a_usable_cursor_is_malformed() {
        for cursor in ["null", "\"\"", "7", "{}", "[\"x\"]", "\"\\ud800\""] {
            let body = with_pagination(&format!(r#"{{"has_next":true,"next_cursor":{cursor}}}"#));
            assert!(reason(&body).contains("cursor"), "{cursor}");
        }
        assert!(reason(&with_pagination(r#"{"has_next":true}"#)).contains("next_cursor"));
        let long = format!(r#"{{"has_next":true,"next_cursor":"{}"}}"#, "x".repeat(9_000));
        assert!(reason(&with_pagination(&long)).contains("too long"));
    }

    #[test]
    fn what_decides_must_have_its_documented_type() {
        for body in [
            "",
            "  ",
            "null",
            "[]",
            "[[],{\"has_next\":false}]",
            "<!doctype html>",
            "{}",
            r#"{"data":[]}"#,
            r#"{"data":{},"pagination":{"has_next":false}}"#,
            r#"{"data":null,"pagination":{"has_next":false}}"#,
            r#"{"pagination":{"has_next":false}}"#,
            r#"{"data":[],"pagination":null}"#,
            r#"{"data":[],"pagination":{}}"#,
            r#"{"data":[],"pagination":{"has_next":"false"}}"#,
            r#"{"data":[],"pagination":{"has_next":0}}"#,
            r#"{"data":[],"pagination":{"has_next":null}}"#,
            r#"{"data":[],"pagination":{"has_next":false}} trailing"#,
            r#"{"data":[{"id":"a"}"#,
        ] {
            assert!(!reason(body).is_empty(), "{body}");
        }
    }

    #[test]
    fn what_does_not_decide_may_be_of_any_type() {
        let page = |total: &str, filters: &str| {
            format!(
                r#"{{"data":[],"pagination":{{"has_next":false,"total_count":{total}}},"filters":{filters}}}"#
            )
        };
        for (total, expected) in [
            ("null", None),
            ("-1", None),
            ("\"12\"", Some(12)),
            ("12.0", Some(12)),
            ("1.5", None),
            ("{}", None),
        ] {
            assert_eq!(parse(&page(total, "null")).unwrap().total_count, expected, "{total}");
        }
        for filters in ["null", "[]", "\"x\"", "7"] {
            assert!(parse(&page("1", filters)).unwrap().filters.is_none(), "{filters}");
        }
    }

    #[test]
    fn an_item_is_an_object_in_an_envelope() {
        assert_eq!(item(br#"{"data":{"id":1},"x":2}"#).unwrap().get(), r#"{"id":1}"#);
        for body in ["", "{}", "[]", r#"{"data":[]}"#, r#"{"data":null}"#, "<html>", "[{}]"] {
            assert!(item(body.as_bytes()).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_mutated_body_is_read_or_refused(
            position in 0..PAGE.len(), byte in any::<u8>(), end in 0..=PAGE.len(),
        ) {
            let mut body = PAGE.as_bytes().to_vec();
            body[position] = byte;
            body.truncate(end);
            if let Ok(page) = ListPage::parse(&Bytes::copy_from_slice(&body), &[]) {
                prop_assert_eq!(page.has_next, page.next_cursor.is_some());
            }
            let _ = item(&body);
        }

        #[test]
        fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = ListPage::parse(&Bytes::copy_from_slice(&body), &[]);
            let _ = item(&body);
        }
    }
}
