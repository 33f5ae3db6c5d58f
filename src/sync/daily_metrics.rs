//! One request for the daily metrics of many ids on one day, and the transaction that its answer becomes.

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::api::{Failure, Request, Verdict, Windowed};
use crate::fetch::context::SyncContext;
use crate::fetch::error::{FetchError, FetchResult};
use crate::model::SubjectKind;
use crate::model::metrics::number;
use crate::schedule::backfill::{self, Bound};
use crate::store::metrics::{self, DayMetrics, Subject, Wanted};
use crate::store::runs::KindCounts;
use crate::store::{StoreResult, unsupported};

/// The result of a request.
#[derive(Debug)]
pub enum MetricsResult {
    /// The answer was written.
    Written(MetricsCounts),
    /// The server refuses the parameters, for the number of ids or another reason.
    Invalid(Failure),
    /// The server does not support the endpoint, or not for this key.
    Refused(Failure),
}

/// Counts of resources in answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MetricsCounts {
    /// With metrics.
    pub rows: u64,
    /// Of these, new or changed.
    pub changed: u64,
    /// Of these, with a value of another type than documented.
    pub type_mismatches: u64,
    /// Answered as not found.
    pub not_found: u64,
    /// Missing from the answer.
    pub passed_over: u64,
}

/// The name of the endpoint, as in `UnsupportedFeature::feature`.
pub fn endpoint(subject_kind: SubjectKind) -> String {
    format!("POST {}", path(subject_kind))
}

fn path(subject_kind: SubjectKind) -> String {
    format!("{}/metrics", subject_kind.kind().path())
}

/// The request for these ids on one day: a POST that only reads.
pub fn request(subject_kind: SubjectKind, date: &str, subjects: &[Subject]) -> Request {
    let id = |subject: &Subject| match subject_kind.platform() {
        None => Value::from(subject.id.as_str()),
        Some(_) => subject.id.parse::<i64>().map_or(Value::Null, Value::from),
    };
    let ids: Vec<Value> = subjects.iter().map(id).collect();
    let body = json!({
        (subject_kind.member()): ids, "period": "custom", "start_date": date, "end_date": date
    });
    Request::post(path(subject_kind), body.to_string())
}

/// Requests the metrics of one day and writes the answer, with the bound that it proves.
pub async fn fetch(
    ctx: &SyncContext,
    subject_kind: SubjectKind,
    day: NaiveDate,
    subjects: Vec<Subject>,
    mut bound: Bound,
) -> FetchResult<MetricsResult> {
    let date = day.to_string();
    let request = request(subject_kind, &date, &subjects);
    let fetched = ctx.fetcher.fetch(&request, |answer| Windowed::read(&date, answer)).await;
    let fetched = match fetched {
        Err(FetchError::Api(failure)) => return refusal(failure),
        fetched => fetched?,
    };
    // By a clock that runs ahead, a day may seem final that is not over.
    let today = ctx.fetcher.clock().now().date_naive();
    let server_day = fetched.head.server_date.map_or(today, |date| date.date_naive());
    let is_settled = backfill::is_settled(day, today.min(server_day));
    let mut counts = MetricsCounts::default();
    let sent = subjects.len();
    let mut answers = Vec::with_capacity(sent);
    for subject in subjects {
        match fetched.value.of(&subject.id) {
            Some((metrics, is_type_mismatch)) => {
                counts.rows += 1;
                counts.type_mismatches += u64::from(is_type_mismatch);
                let is_final = is_settled || subject.is_again;
                answers.push((subject, DayMetrics::Figures { metrics, is_final }));
            }
            None if fetched.value.is_not_found(&subject.id) => {
                counts.not_found += 1;
                answers.push((subject, DayMetrics::NotFound));
            }
            None => counts.passed_over += 1,
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
            let changed = metrics::write(tx, &wanted, &answers)?;
            if let Some(ids) = learned {
                metrics::save_ids_max(tx, subject_kind.kind(), ids, counters.at)?;
            }
            if was_refused {
                unsupported::forget(tx, &feature)?;
            }
            let mut logged = KindCounts::default();
            logged.page.rows_seen = i64::try_from(counts.rows).unwrap_or(i64::MAX);
            logged.page.type_mismatches = i64::try_from(counts.type_mismatches).unwrap_or(i64::MAX);
            logged.page.rows_changed = changed;
            counters.close(tx, &logged)?;
            Ok(changed)
        })
        .await?;
    counts.changed = changed.unsigned_abs();
    Ok(MetricsResult::Written(counts))
}

fn refusal(failure: Failure) -> FetchResult<MetricsResult> {
    // 405 and 501 refuse the method, 413 the length of the body, which a proxy may answer as well.
    match (failure.verdict, failure.status) {
        (_, Some(400 | 405 | 501)) if !failure.is_problem => Err(FetchError::Api(failure)),
        (Verdict::NotFound | Verdict::ScopeMissing, _) | (_, Some(405 | 501)) => {
            Ok(MetricsResult::Refused(failure))
        }
        (Verdict::Invalid | Verdict::TooLarge, _) | (_, Some(400 | 413)) => {
            Ok(MetricsResult::Invalid(failure))
        }
        _ => Err(FetchError::Api(failure)),
    }
}

/// Stores the bound that the server has stated.
pub async fn keep_bound(
    ctx: &SyncContext,
    subject_kind: SubjectKind,
    bound: Bound,
) -> StoreResult<()> {
    let (kind, now) = (subject_kind.kind(), ctx.fetcher.stamp());
    ctx.store.write(move |tx| metrics::save_ids_max(tx, kind, bound.ids(), now)).await
}

/// Whether a refusal is about the dates rather than the ids.
pub fn blames_dates(failure: &Failure) -> bool {
    let is_date = |field: &str| {
        let name = field.rsplit(['.', '/', ' ']).next().unwrap_or(field);
        matches!(name, "period" | "start_date" | "end_date")
    };
    !failure.fields.is_empty() && failure.fields.iter().all(|error| is_date(&error.field))
}

/// The text of a refusal, which may state the bound.
pub fn refusal_text(failure: &Failure) -> String {
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
    fn request_holds_one_day_and_ids_in_the_documented_form() {
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
