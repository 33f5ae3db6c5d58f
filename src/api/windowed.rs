//! The answer of a batch endpoint: sums over a window of days, by id.
//!
//! It is accepted only if the window in the answer is the requested one; a server that uses its default window
//! instead would otherwise fill a day with a month.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::api::answer::Answer;
use crate::api::decode;
use crate::api::failure::Failure;
use crate::api::page::read;
use crate::model::metrics::{Metrics, NAMES};
use crate::model::{ColumnType, columns};

/// Longest `meta`, which repeats at most the requested ids, bytes.
const META_BYTES_MAX: usize = 64 << 10;

/// Length of the date at the start of an instant.
const DATE_BYTES: usize = 10;

/// Answer of a batch endpoint about one day. Ids are in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Windowed {
    figures: BTreeMap<String, (Metrics, bool)>,
    not_found: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
    #[serde(borrow, default)]
    meta: Option<&'a RawValue>,
}

impl Windowed {
    /// Reads the answer to a request for a day, `YYYY-MM-DD`.
    pub fn read(day: &str, answer: &Answer) -> Result<Self, Failure> {
        answer.parse(|body, _| Self::parse(body, day))
    }

    fn parse(body: &[u8], day: &str) -> Result<Self, Failure> {
        let envelope: Envelope<'_> = read(body)?;
        if envelope.meta.is_some_and(|raw| raw.get().len() > META_BYTES_MAX) {
            return Err(Failure::malformed(format!("meta is over {META_BYTES_MAX} bytes long")));
        }
        let meta = envelope.meta.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
        let meta = meta.unwrap_or(Value::Null);
        check_window(&meta, day)?;
        let not_found = meta["not_found"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(Self {
            figures: figures(envelope.data)?,
            not_found: not_found.iter().filter_map(id).collect(),
        })
    }

    /// The figures of an id, and whether one of them was not a number.
    pub fn of(&self, id: &str) -> Option<(Metrics, bool)> {
        self.figures.get(&id.to_lowercase()).copied()
    }

    /// Whether the server says that it does not know the id.
    pub fn is_not_found(&self, id: &str) -> bool {
        self.not_found.contains(&id.to_lowercase())
    }
}

fn figures(data: &RawValue) -> Result<BTreeMap<String, (Metrics, bool)>, Failure> {
    let Some(members) = decode::members(data.get()) else {
        // Some languages write an empty map as an empty list.
        let is_empty = serde_json::from_str::<[(); 0]>(data.get()).is_ok();
        return match is_empty {
            true => Ok(BTreeMap::new()),
            false => Err(Failure::malformed("data is not an object")),
        };
    };
    let columns = NAMES.map(|name| columns::unlogged(name, ColumnType::Integer));
    let read = |raw: &RawValue| {
        let picked = decode::pick(raw, &columns)?;
        let mut metrics = Metrics::default();
        for (metric, value) in metrics.iter_mut().zip(&picked.values) {
            *metric = value.as_integer();
        }
        Some((metrics, picked.is_type_mismatch))
    };
    Ok(members.into_iter().filter_map(|(id, raw)| Some((id.to_lowercase(), read(raw)?))).collect())
}

fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.to_lowercase()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

/// Checks the window; members that are missing cannot contradict.
fn check_window(meta: &Value, day: &str) -> Result<(), Failure> {
    let differs = |name: &str| {
        let date = meta[name].as_str()?;
        (date.get(..DATE_BYTES).unwrap_or(date) != day).then(|| format!("{name} is {date}"))
    };
    let length = || {
        let days = meta["days"].as_i64()?;
        (days != 1).then(|| format!("days is {days}"))
    };
    match differs("start_date").or_else(|| differs("end_date")).or_else(length) {
        None => Ok(()),
        Some(what) => Err(Failure::malformed(format!(
            "the answer is for another window than {day}: {}",
            crate::model::shown::printable(&what, 80)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: &str = "2026-11-19";

    fn parse(body: &str) -> Result<Windowed, Failure> {
        Windowed::parse(body.as_bytes(), DAY)
    }

    #[test]
    fn a_documented_answer_is_read() {
        let read = parse(
            r#"{"data":{"AB-1":{"views":5,"plays":6.0,"likes":0,"comments":1,"shares":2,"engagement":3,"new":9},
                        "17":{"views":"7","plays":null},"x":null,"y":"no"},
                "meta":{"period":"custom","start_date":"2026-11-19","end_date":"2026-11-19","days":1,
                        "not_found":["CD-2",18,null,{}]},"more":[]}"#,
        )
        .unwrap();
        let figures = [Some(5), Some(6), Some(0), Some(1), Some(2), Some(3)];
        assert_eq!(read.of("ab-1"), Some((figures, false)));
        assert_eq!(read.of("17"), Some((Metrics::default(), true)));
        assert_eq!((read.of("x"), read.of("y"), read.of("z")), (None, None, None));
        assert!(read.is_not_found("cd-2") && read.is_not_found("18") && !read.is_not_found("17"));
    }

    #[test]
    fn an_answer_for_another_window_is_not_taken() {
        for meta in [
            r#"{"start_date":"2026-10-21","end_date":"2026-11-19"}"#,
            r#"{"start_date":"2026-11-19","end_date":"2026-11-20"}"#,
            r#"{"period":"30d","days":30}"#,
            r#"{"start_date":""}"#,
        ] {
            assert!(parse(&format!(r#"{{"data":{{}},"meta":{meta}}}"#)).is_err(), "{meta}");
        }
        for meta in ["null", "{}", "[]", "3", r#"{"start_date":"2026-11-19T00:00:00Z","days":"1"}"#]
        {
            assert!(parse(&format!(r#"{{"data":{{}},"meta":{meta}}}"#)).is_ok(), "{meta}");
        }
        assert!(parse(r#"{"data":[]}"#).is_ok());
    }

    #[test]
    fn what_is_no_answer_is_malformed() {
        for body in
            ["", "[]", "<html>", "{}", r#"{"data":null}"#, r#"{"data":[1]}"#, r#"{"data":{"a":{"#]
        {
            assert!(parse(body).is_err(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Windowed::parse(&body, DAY);
        }

        #[test]
        fn any_meta_is_survived(meta in r#"[\{\}\[\]":,a-z0-9_é-]{0,60}"#) {
            let _ = parse(&format!(r#"{{"data":{{}},"meta":{meta}}}"#));
        }
    }
}
