//! One request for the daily metrics of many resources, and its answer as one transaction.

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::api::{Failure, Request, Verdict, Windowed};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::model::SubjectKind;
use crate::model::metrics::number;
use crate::schedule::backfill::{self, Bound};
use crate::store::metrics::{self, DayMetrics, Subject, Wanted};
use crate::store::runs::KindCounts;
use crate::store::unsupported;

/// What came of a request.
#[derive(Debug)]
pub enum Asked {
    /// It was answered, and the answer is in the database.
    Answered(Done),
    /// The server refuses what was sent: too many ids, or something else about it.
    Invalid(Failure),
    /// The server does not have the endpoint, or not for this key.
    Refused(Failure),
}

/// What an answer brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Resources with figures.
    pub rows: u64,
    /// Of these, new or other than before.
    pub changed: u64,
    /// Of these, with a figure that was no number.
    pub type_mismatches: u64,
    /// Resources that the API does not know.
    pub not_found: u64,
    /// Resources that the answer says nothing about.
    pub passed_over: u64,
}

/// The name under which it is remembered that the endpoint is refused.
pub fn endpoint(subject_kind: SubjectKind) -> String {
    format!("POST {}", path(subject_kind))
}

fn path(subject_kind: SubjectKind) -> String {
    format!("{}/metrics", subject_kind.kind().path())
}

/// The request for these ids on one day. It only reads, whatever its method says.
pub fn request(subject_kind: SubjectKind, date: &str, subjects: &[Subject]) -> Request {
    let id = |subject: &Subject| match subject_kind.platform() {
        None => Value::from(subject.id.as_str()),
        Some(_) => subject.id.parse::<i64>().map_or(Value::Null, Value::from),
    };
    let mut body = Map::new();
    body.insert(subject_kind.member().to_owned(), subjects.iter().map(id).collect());
    for (name, value) in [("period", "custom"), ("start_date", date), ("end_date", date)] {
        body.insert(name.to_owned(), json!(value));
    }
    Request::post(path(subject_kind), Value::Object(body).to_string())
}

/// Asks for resources on one day, and writes what is answered. A bound that the answer proves is
/// remembered with it.
pub async fn ask(
    ctx: &SyncContext,
    subject_kind: SubjectKind,
    day: NaiveDate,
    subjects: Vec<Subject>,
    mut bound: Bound,
) -> FetchResult<Asked> {
    let date = day.to_string();
    let request = request(subject_kind, &date, &subjects);
    let fetched = ctx.fetcher.fetch(&request, |answer| Windowed::read(&date, answer)).await;
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(FetchError::Api(failure)) => return outcome(failure),
        Err(error) => return Err(error),
    };
    // What a clock that runs ahead takes for settled may not even be over.
    let today = ctx.fetcher.clock().now().date_naive();
    let server_day = fetched.head.server_date.map_or(today, |date| date.date_naive());
    let is_settled = backfill::is_settled(day, today.min(server_day));
    let mut done = Done::default();
    let sent = subjects.len();
    let mut told = Vec::with_capacity(sent);
    for subject in subjects {
        match fetched.value.of(&subject.id) {
            Some((metrics, is_type_mismatch)) => {
                done.rows += 1;
                done.type_mismatches += u64::from(is_type_mismatch);
                let is_final = is_settled || subject.is_again;
                told.push((subject, DayMetrics::Figures { metrics, is_final }));
            }
            None if fetched.value.is_not_found(&subject.id) => {
                done.not_found += 1;
                told.push((subject, DayMetrics::NotFound));
            }
            None => done.passed_over += 1,
        }
    }
    let learned = bound.answered(sent);
    let counters = ctx.counters(subject_kind.kind());
    let feature = endpoint(subject_kind);
    let was_refused = ctx.refused.contains(&feature);
    let changed = ctx
        .store
        .write(move |tx| {
            let wanted = Wanted { subject_kind, day: number(day), date, has_settled: is_settled };
            let changed = metrics::write(tx, &wanted, &told)?;
            if let Some(ids) = learned {
                metrics::save_ids_max(tx, subject_kind.kind(), ids, counters.at)?;
            }
            if was_refused {
                unsupported::forget(tx, &feature)?;
            }
            let mut counts = KindCounts::default();
            counts.page.rows_seen = i64::try_from(done.rows).unwrap_or(i64::MAX);
            counts.page.type_mismatches = i64::try_from(done.type_mismatches).unwrap_or(i64::MAX);
            counts.page.rows_changed = changed;
            counters.close(tx, &counts)?;
            Ok(changed)
        })
        .await?;
    done.changed = changed.unsigned_abs();
    Ok(Asked::Answered(done))
}

fn outcome(failure: Failure) -> FetchResult<Asked> {
    // 405 and 501 are about the method, 413 about the length of the body. A proxy may say the latter.
    match (failure.verdict, failure.status) {
        (_, Some(400 | 405 | 501)) if !failure.is_problem => Err(FetchError::Api(failure)),
        (Verdict::NotFound | Verdict::ScopeMissing, _) | (_, Some(405 | 501)) => {
            Ok(Asked::Refused(failure))
        }
        (Verdict::Invalid | Verdict::TooLarge, _) | (_, Some(400 | 413)) => {
            Ok(Asked::Invalid(failure))
        }
        _ => Err(FetchError::Api(failure)),
    }
}

/// Remembers a bound that the server has named.
pub async fn keep_bound(
    ctx: &SyncContext,
    subject_kind: SubjectKind,
    bound: Bound,
) -> FetchResult<()> {
    let now = ctx.fetcher.stamp();
    Ok(ctx
        .store
        .write(move |tx| metrics::save_ids_max(tx, subject_kind.kind(), bound.ids(), now))
        .await?)
}

/// Whether a refusal is about the window rather than the ids.
pub fn blames_window(failure: &Failure) -> bool {
    let is_window = |field: &str| {
        let name = field.rsplit(['.', '/', ' ']).next().unwrap_or(field);
        matches!(name, "period" | "start_date" | "end_date")
    };
    !failure.fields.is_empty() && failure.fields.iter().all(|error| is_window(&error.field))
}

/// Everything that a refusal says, for a bound to be read from.
pub fn words(failure: &Failure) -> String {
    let messages = failure.fields.iter().map(|error| error.message.as_str());
    std::iter::once(failure.detail.as_str()).chain(messages).collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(id: &str) -> Subject {
        Subject { row_id: 1, id: id.to_owned(), is_again: false }
    }

    #[test]
    fn a_request_names_one_day_and_ids_as_the_endpoint_wants_them() {
        let body = |subject_kind, ids: &[&str]| {
            let subjects: Vec<Subject> = ids.iter().map(|id| subject(id)).collect();
            let request = request(subject_kind, "2026-11-19", &subjects);
            let body: Value = serde_json::from_slice(&request.body.unwrap()).unwrap();
            (request.path, body)
        };
        let (path, sent) = body(SubjectKind::TiktokPosts, &["17", "18"]);
        assert_eq!(path, "/account-videos/metrics");
        assert_eq!(
            sent,
            json!({"tiktok_video_ids": [17, 18], "period": "custom",
                   "start_date": "2026-11-19", "end_date": "2026-11-19"})
        );
        let (path, sent) = body(SubjectKind::Accounts, &["a"]);
        assert_eq!((path.as_str(), &sent["account_ids"]), ("/accounts/metrics", &json!(["a"])));
    }
}
