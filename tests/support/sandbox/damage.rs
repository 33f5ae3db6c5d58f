//! Applies faults: substitute answers and damaged pages.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use creatormirror::sandbox::{Answer, Call, Ending, Moment, Problem};

use super::fault_kind::{BadRow, Batch, FaultBody, FaultKind, Repeat, RetryAfter, Shape};

/// A page with raw rows.
#[derive(Serialize, Deserialize)]
pub struct RawPage {
    pub data: Vec<Box<RawValue>>,
    pagination: Map<String, Value>,
    filters: Box<RawValue>,
}

/// Cursors that may be repeated.
#[derive(Debug, Default, Clone)]
pub struct UsedCursors {
    /// The cursor of the page.
    pub own: Option<String>,
    /// The first cursor of the listing.
    pub first: Option<String>,
}

/// Applies a fault to an answer.
pub fn strike(answer: &mut Answer, fault_kind: &FaultKind, used: &UsedCursors) {
    match fault_kind {
        FaultKind::ResetAfter => answer.ending = Ending::Reset,
        FaultKind::Truncated => answer.ending = Ending::Truncated,
        FaultKind::TruncatedJson => answer.body.truncate(answer.body.len() / 2),
        FaultKind::Slow(delay) => answer.delay += *delay,
        _ => answer.body = damage(answer.body.clone(), fault_kind, used),
    }
}

/// The body of a page after a fault; unchanged if the fault does not concern pages, or the body is
/// not a page.
fn damage(body: Bytes, fault_kind: &FaultKind, used: &UsedCursors) -> Bytes {
    if let FaultKind::Batch(what) = fault_kind {
        return damage_batch(body, *what);
    }
    let Ok(page) = serde_json::from_slice::<RawPage>(&body) else { return body };
    match fault_kind {
        FaultKind::RepeatCursor(which) => repeat(page, *which, used),
        FaultKind::EarlyEnd => early_end(page),
        FaultKind::WrongShape(shape) => reshape(page, *shape),
        FaultKind::WrongTypes { row, members } => retype(page, *row, members),
        FaultKind::BadRow { row, what } => bad_row(page, *row, *what),
        _ => body,
    }
}

/// The answer that a fault substitutes for executing the request, if any.
pub fn substitute(fault_kind: &FaultKind, call: &Call, now: Moment) -> Option<Answer> {
    let html =
        "<!doctype html><html><body><h1>Please sign in to the guest network</h1></body></html>";
    Some(match fault_kind {
        FaultKind::Status { code, body, headers } => {
            let detail = "A scripted fault";
            let mut answer = match body {
                FaultBody::Problem => Problem::new(*code, detail).answer(call),
                FaultBody::Code(name) => Problem::coded(*code, name, detail).answer(call),
                FaultBody::Raw(kind, text) => {
                    let foreign = Answer::foreign(kind, text);
                    Answer { status: *code, is_foreign: false, ..foreign }
                }
            };
            answer.headers = headers.iter().map(|(n, v)| (n.clone().into(), v.clone())).collect();
            answer
        }
        FaultKind::Refuse { code, retry_after } => {
            let problem = Problem::new(*code, "A scripted refusal");
            let problem = match retry_after {
                RetryAfter::Absent => problem,
                RetryAfter::Seconds(seconds) => problem.with("retry-after", seconds.to_string()),
                RetryAfter::Date(after) => {
                    let at = now.to_utc() + *after;
                    problem.with("retry-after", httpdate::fmt_http_date(at.into()))
                }
                RetryAfter::Raw(text) => problem.with("retry-after", text.clone()),
            };
            problem.answer(call)
        }
        FaultKind::ResetBefore => Answer { ending: Ending::Reset, ..Answer::empty(200) },
        FaultKind::Html => Answer::foreign("text/html; charset=utf-8", html),
        FaultKind::RefuseCursor => Problem::refused_cursor().answer(call),
        FaultKind::NotModified => Answer::empty(304),
        FaultKind::EchoKey(code) => {
            let key = call.header("authorization").unwrap_or_default();
            let problem = Problem::new(*code, format!("Refused: {key}"));
            problem.with("x-request-id", key).answer(call)
        }
        _ => return None,
    })
}

/// The answer of a batch endpoint after a fault; unchanged for other bodies.
fn damage_batch(body: Bytes, what: Batch) -> Bytes {
    let Ok(mut answer) = serde_json::from_slice::<Value>(&body) else { return body };
    let Some(data) = answer["data"].as_object().cloned() else { return body };
    let ids: Vec<String> = data.keys().cloned().collect();
    let (mut kept, mut missing) = (data, Vec::new());
    match what {
        Batch::Omit(count) => ids.iter().take(count).for_each(|id| drop(kept.remove(id))),
        Batch::NotFound(count) => {
            missing.extend(ids.iter().take(count));
            missing.iter().for_each(|id| drop(kept.remove(*id)));
        }
        Batch::OtherWindow => {
            answer["meta"]["period"] = json!("30d");
            answer["meta"]["start_date"] = json!("2020-01-01");
            answer["meta"]["days"] = json!(30);
        }
        Batch::Capitals => {
            kept = kept.into_iter().map(|(id, figures)| (id.to_uppercase(), figures)).collect();
        }
        Batch::WrongTypes => {
            if let Some(first) = ids.first().and_then(|id| kept.get_mut(id)?.as_object_mut()) {
                first.insert("views".to_owned(), json!("12.3K"));
                first.remove("likes");
            }
            if let Some(second) = ids.get(1) {
                kept.insert(second.clone(), Value::Null);
            }
        }
        Batch::Foreign => {
            let figures = json!({ "views": 1, "plays": 1, "likes": 1, "saves": 9 });
            kept.insert("00000000-0000-4000-8000-000000000000".to_owned(), figures);
            kept.values_mut().for_each(|figures| figures["saves"] = json!(9));
            answer["links"] = json!([]);
        }
        Batch::List => {
            answer["data"] = kept.into_iter().map(|(_, figures)| figures).collect();
            return bytes(&answer);
        }
    }
    for id in missing {
        if let Some(list) = answer["meta"]["not_found"].as_array_mut() {
            list.push(json!(id));
        }
    }
    answer["data"] = Value::Object(kept);
    bytes(&answer)
}

fn repeat(mut page: RawPage, which: Repeat, used: &UsedCursors) -> Bytes {
    let cursor = match which {
        Repeat::Own => &used.own,
        Repeat::First => &used.first,
    };
    if let Some(cursor) = cursor {
        page.pagination.insert("next_cursor".to_owned(), json!(cursor));
        page.pagination.insert("has_next".to_owned(), json!(true));
    }
    bytes(&page)
}

fn early_end(mut page: RawPage) -> Bytes {
    page.pagination.insert("next_cursor".to_owned(), Value::Null);
    page.pagination.insert("has_next".to_owned(), json!(false));
    bytes(&page)
}

fn reshape(mut page: RawPage, shape: Shape) -> Bytes {
    let RawPage { data, pagination, filters } = &page;
    match shape {
        Shape::NoData => bytes(&json!({ "pagination": pagination, "filters": filters })),
        Shape::DataObject => {
            bytes(&json!({ "data": {}, "pagination": pagination, "filters": filters }))
        }
        Shape::NoPagination => bytes(&json!({ "data": data, "filters": filters })),
        Shape::Array => bytes(data),
        Shape::Empty => Bytes::new(),
        Shape::HasNextText => {
            page.pagination.insert("has_next".to_owned(), json!("true"));
            bytes(&page)
        }
        Shape::NextWithoutCursor => {
            page.pagination.insert("has_next".to_owned(), json!(true));
            page.pagination.insert("next_cursor".to_owned(), Value::Null);
            bytes(&page)
        }
    }
}

fn retype(mut page: RawPage, row: usize, members: &[(String, String)]) -> Bytes {
    edit(&mut page, row, |row| {
        for (name, text) in members {
            if let Ok(value) = RawValue::from_string(text.clone()) {
                row.insert(name.clone(), value);
            }
        }
    });
    bytes(&page)
}

fn bad_row(mut page: RawPage, row: usize, what: BadRow) -> Bytes {
    let text = match what {
        BadRow::Null => "null",
        BadRow::Text => "\"oops\"",
        BadRow::NoId => {
            edit(&mut page, row, |row| drop(row.remove("id")));
            return bytes(&page);
        }
        BadRow::IdObject => return retype(page, row, &[("id".to_owned(), "{}".to_owned())]),
    };
    if let (Some(slot), Ok(value)) =
        (page.data.get_mut(row), RawValue::from_string(text.to_owned()))
    {
        *slot = value;
    }
    bytes(&page)
}

fn edit(page: &mut RawPage, row: usize, change: impl Fn(&mut BTreeMap<String, Box<RawValue>>)) {
    let Some(slot) = page.data.get_mut(row) else { return };
    let Ok(mut members) = serde_json::from_str(slot.get()) else { return };
    change(&mut members);
    if let Ok(value) = serde_json::value::to_raw_value(&members) {
        *slot = value;
    }
}

pub fn bytes(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}
