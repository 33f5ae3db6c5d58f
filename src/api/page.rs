//! A page of a list endpoint (cursor pagination): its envelope and its decoded rows.

use std::collections::BTreeMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::answer::Answer;
use crate::api::decode::{self, Text};
use crate::api::failure::Failure;
use crate::api::filters::{filters_contradict, filters_unasked};
use crate::api::repair::{Damage, ROWS_MAX, Repair};
use crate::model::shown::printable;
use crate::model::{BadRow, Kind, Row};

/// Longest `filters` echo that is read, bytes.
const FILTERS_BYTES_MAX: usize = 64 << 10;
/// Longest cursor that fits a URL which servers and proxies accept, bytes.
const CURSOR_BYTES_MAX: usize = 8_192;
/// Longest id named in an outcome, bytes.
const ID_CHARS_MAX: usize = 80;

/// A page of a list.
#[derive(Debug, Default)]
pub struct Page {
    /// The decoded rows.
    pub rows: Vec<Row>,
    /// Rows that could not be decoded.
    pub bad: Vec<BadRow>,
    /// Rows of `rows` whose JSON was repaired.
    pub repaired: Vec<BadRow>,
    /// Cursor of the next page; `None` on the last one.
    pub next_cursor: Option<String>,
    /// The server's `total_count`, if it gives one.
    pub total_count: Option<i64>,
    /// Requested parameters that the server ignored.
    pub ignored: Vec<String>,
    /// Filters that the server applied without being requested.
    pub unasked: Vec<String>,
}

impl Page {
    /// Reads the answer to a request for a page of `kind` with the parameters `asked`.
    ///
    /// # Errors
    /// `Verdict::Malformed` if the envelope has another shape than documented.
    pub fn read(kind: Kind, asked: &[(String, String)], answer: &Answer) -> Result<Self, Failure> {
        answer.parse(|body, mends| parse(kind, asked, body, mends))
    }
}

/// Members that decide about pagination are strict; the others are read tolerantly.
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

/// The elements of an array, at most [`ROWS_MAX`].
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
                    "the page has more than {ROWS_MAX} rows, more than any page should have"
                )));
            }
            elements.push(element);
        }
        Ok(Elements(elements))
    }
}

fn parse(
    kind: Kind,
    asked: &[(String, String)],
    body: &Bytes,
    mends: &[Repair],
) -> Result<Page, Failure> {
    let envelope: Envelope<'_> = read(body)?;
    let pagination = envelope.pagination;
    let next_cursor = match pagination.next_cursor {
        // A cursor is passed on unchanged, or not at all.
        Some(raw) if pagination.has_next && mends.iter().any(|repair| is_in(body, raw, repair)) => {
            return Err(Failure::malformed("next_cursor is not valid JSON"));
        }
        raw if pagination.has_next => Some(cursor(raw)?),
        _ => None,
    };
    let echo = envelope.filters.filter(|raw| raw.get().len() <= FILTERS_BYTES_MAX);
    let echo: Option<BTreeMap<String, Value>> =
        echo.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let echo = echo.unwrap_or_default();
    let mut page = Page {
        rows: Vec::with_capacity(envelope.data.0.len()),
        next_cursor,
        total_count: pagination.total_count.and_then(total),
        ignored: filters_contradict(asked, &echo),
        unasked: filters_unasked(asked, &echo),
        ..Page::default()
    };
    let mut mends = mends.iter().peekable();
    for raw in envelope.data.0 {
        let json = body.slice_ref(raw.get().as_bytes());
        let end = offset(body, raw) + json.len();
        // Repairs are in the order of the body. Of several in one row the last is named.
        let mut damage = None;
        while let Some(repair) = mends.next_if(|repair| repair.at < end) {
            damage = is_in(body, raw, repair).then_some(&repair.what).or(damage);
        }
        match decode::listed(kind, json, damage) {
            Ok(row) => {
                if let Some(Damage::Repaired(reason)) = damage {
                    let id = Some(printable(&row.id(), ID_CHARS_MAX));
                    page.repaired.push(BadRow { id, reason });
                }
                page.rows.push(row);
            }
            Err(bad) => page.bad.push(bad),
        }
    }
    Ok(page)
}

/// Offset of a part of the body.
fn offset(body: &Bytes, part: &RawValue) -> usize {
    (part.get().as_ptr() as usize).saturating_sub(body.as_ptr() as usize)
}

fn is_in(body: &Bytes, part: &RawValue, repair: &Repair) -> bool {
    let begin = offset(body, part);
    (begin..begin + part.get().len()).contains(&repair.at)
}

/// Derived readers also accept an array for an object, which is not what is documented.
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
        _ if cursor.contains(char::REPLACEMENT_CHARACTER) => {
            Err(Failure::malformed("next_cursor is not valid Unicode text"))
        }
        1..=CURSOR_BYTES_MAX => Ok(cursor.into_owned()),
        _ => Err(Failure::malformed("next_cursor is too long to be sent back")),
    }
}

/// A whole number, also when written as a float or a string.
fn total(raw: &RawValue) -> Option<i64> {
    let text = raw.get().trim_matches('"');
    text.strip_suffix(".0").unwrap_or(text).parse().ok().filter(|total| *total >= 0)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::*;

    const PAGE: &str = r#"{"data":[{"id":"a"},{"id":"b","n":1e400}],"more":[1],
        "pagination":{"has_next":true,"limit":200,"next_cursor":"c\u002f1","total_count":7},
        "filters":{"order_by":"added_at","is_active":null}}"#;

    fn parse(body: &str) -> Result<Page, Failure> {
        super::parse(Kind::Video, &[], &Bytes::copy_from_slice(body.as_bytes()), &[])
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
        let rows = page.rows.iter().map(|row| (row.id(), row.extra.as_deref()));
        let b = (Cow::from("b"), Some(r#"{"n":1e400}"#));
        assert_eq!(rows.collect::<Vec<_>>(), [(Cow::from("a"), None), b]);
        assert_eq!(page.next_cursor.as_deref(), Some("c/1"));
        assert_eq!(page.total_count, Some(7));
        assert!(page.ignored.is_empty() && page.unasked.is_empty());
    }

    #[test]
    fn what_the_server_says_it_did_is_compared_with_what_was_asked() {
        let asked = [("order_by".to_owned(), "username".to_owned())];
        let body = PAGE.replace("null}}", "true}}");
        let page = super::parse(Kind::Video, &asked, &body.into(), &[]).unwrap();
        assert_eq!(
            (page.ignored, page.unasked),
            (vec!["order_by".to_owned()], vec!["is_active".to_owned()])
        );
    }

    #[test]
    fn a_row_that_cannot_be_decoded_costs_itself_alone() {
        let body = r#"{"data":[{"id":"a"},{"id":7},null],"pagination":{"has_next":false}}"#;
        let page = parse(body).unwrap();
        assert_eq!(page.rows.len(), 1);
        assert_eq!(
            page.bad.iter().map(|bad| bad.id.as_deref()).collect::<Vec<_>>(),
            [Some("7"), None]
        );
    }

    #[test]
    fn a_page_of_far_too_many_rows_is_refused() {
        let page = |rows: usize| {
            format!(
                r#"{{"data":[{}],"pagination":{{"has_next":false}}}}"#,
                vec![r#"{"id":"a"}"#; rows].join(",")
            )
        };
        assert_eq!(parse(&page(ROWS_MAX)).unwrap().rows.len(), ROWS_MAX);
        assert!(reason(&page(ROWS_MAX + 1)).contains("more than 1000 rows"));
    }

    #[test]
    fn reports_repairs_by_row_and_rejects_them_in_a_cursor() {
        let read = |body: &str| {
            let (body, mends) = crate::api::repair::repair(body.as_bytes()).unwrap();
            super::parse(Kind::Video, &[], &body.into(), &mends)
        };
        let text = r#"{"x":NaN,"data":[{"id":"a"},{"id":"b","n":NaN},{"id":"c",}],
            "pagination":{"has_next":true,"next_cursor":"C","total_count":NaN}}"#;
        let page = read(text).unwrap();
        assert_eq!(
            page.rows.iter().map(|row| row.is_type_mismatch).collect::<Vec<_>>(),
            [false, true]
        );
        let of = |id: &str, reason| vec![BadRow { id: Some(id.to_owned()), reason }];
        assert_eq!(page.repaired, of("b", "a number that JSON does not have"));
        assert_eq!(page.bad, of("c", "not valid JSON"));
        assert!(read(&text.replace("\"C\"", "\"C\n\"")).is_err());
        assert!(read(&text.replace("true", "NaN")).is_err());
    }

    #[test]
    fn the_last_page_needs_no_cursor_and_ignores_one() {
        for cursor in ["null", "\"\"", "\"x\"", "7", "{}"] {
            let body = with_pagination(&format!(r#"{{"has_next":false,"next_cursor":{cursor}}}"#));
            assert_eq!(parse(&body).unwrap().next_cursor, None, "{cursor}");
        }
        let body = with_pagination(r#"{"has_next":false}"#);
        assert_eq!(parse(&body).unwrap().next_cursor, None);
    }

    #[test]
    fn a_next_page_without_a_usable_cursor_is_malformed() {
        for cursor in ["null", "\"\"", "7", "{}", "[\"x\"]", "\"\\ufffd\""] {
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
            assert!(parse(&page("1", filters)).unwrap().ignored.is_empty(), "{filters}");
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
            let _ = super::parse(Kind::Video, &[], &body.into(), &[]);
        }

        #[test]
        fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = super::parse(Kind::Video, &[], &body.into(), &[]);
        }
    }
}
