//! Sends one entry or reconciles it, and applies the result.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rusqlite::Connection;

use crate::api::{Failure, Request, Verdict};
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::fetcher::{RETRY, Sent};
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::outbox::confirm::last_attempt_result;
use crate::outbox::finish::is_new_creator;
use crate::outbox::reconcile::{self, Creators, Depth};
use crate::outbox::run::{OutboxRun, UNANSWERED_MAX};
use crate::outbox::verdict::{self, FAILS_MAX, NextStep};
use crate::retry::{RetryCause, RetryDecision};
use crate::store::StoreResult;
use crate::store::outbox::queue::{self, AttemptResult, Requeue};
use crate::store::outbox::{Entry, find};
use crate::store::runs::KindCounts;

/// Answers of 500 or 502 after which a new idempotency key is used: the server may replay its answer.
const KEY_ERRORS_MAX: i64 = 2;
/// Reconciliations before a creator is sent again, since the API accepts two of one name.
const CREATOR_LOOKS: i64 = 2;

impl OutboxRun<'_> {
    /// Makes one attempt to send an entry.
    pub(super) async fn send(&mut self, entry: &Entry) -> FetchResult<()> {
        // The creators known before the first attempt tell later which one is new.
        if is_new_creator(entry)
            && entry.first_sent_at.is_none()
            && self.creators.is_none()
            && let Err(error) = self.search(entry, Depth::SinceFirstSend).await
        {
            return self.reconcile_later(entry, error).await;
        }
        self.ctx.fetcher.wait_for_permit().await?;
        let now = self.now();
        let queued = entry.clone();
        let claim = self.ctx.store.write_durably(move |tx| queue::claim(tx, &queued, now));
        let claimed = claim.await?;
        // The user may have discarded it meanwhile.
        let Some(entry) = claimed else { return Ok(()) };
        let Some(request) = request(&entry) else {
            let detail = Some("invalid method or path".to_owned());
            return self.fail(&entry, AttemptResult { detail, ..AttemptResult::default() }).await;
        };
        self.ctx.pushed.sent += 1;
        match self.ctx.fetcher.send_once(&request).await {
            Ok(Sent { result: Ok(answer), as_of }) => {
                self.unanswered = 0;
                self.succeeded(&entry, &answer, as_of).await
            }
            Ok(Sent { result: Err(failure), .. }) => self.failed(&entry, failure).await,
            Err(error) => {
                self.put_back(&entry, Requeue::NotSent, now, &AttemptResult::default()).await?;
                Err(error)
            }
        }
    }

    /// Applies the failure of an attempt.
    async fn failed(&mut self, entry: &Entry, failure: Failure) -> FetchResult<()> {
        // Some servers answer 503 to a deletion that they made; a 404 then means that it is done.
        let is_doubtful = entry.is_doubtful || entry.http_status == Some(503);
        let next_step = verdict::decide(entry.action, is_doubtful, &failure);
        tracing::debug!(entry = entry.entry, ?next_step, error = %failure, "attempt failed");
        let result = attempt_result(&failure);
        if matches!(next_step, NextStep::AlreadyDone | NextStep::Adopt | NextStep::Fail) {
            self.unanswered = 0;
        }
        match next_step {
            NextStep::Unreachable => {
                self.put_back(entry, Requeue::NotSent, self.now(), &result).await?;
                Err(FetchError::Outage(failure))
            }
            NextStep::KeyRefused => {
                self.put_back(entry, Requeue::NotSent, self.now(), &result).await?;
                Err(FetchError::KeyRefused(failure))
            }
            NextStep::Unsure => self.unsure(entry, failure, result).await,
            NextStep::Later => self.retry_later(entry, &failure, &result).await,
            NextStep::AlreadyDone => {
                let detail = Some("an earlier attempt whose answer was lost succeeded".to_owned());
                let result = AttemptResult { detail, ..result };
                self.finish(entry, entry.subject.clone(), None, result).await
            }
            NextStep::Adopt => self.adopt(entry, result).await,
            NextStep::Fail => {
                let hint = Some(verdict::hint(entry.action, &failure).to_owned());
                self.fail(entry, AttemptResult { hint, ..result }).await
            }
        }
    }

    /// The outcome is not known: the entry is reconciled before it is sent again.
    pub(super) async fn unsure(
        &mut self,
        entry: &Entry,
        failure: Failure,
        attempt_result: AttemptResult,
    ) -> FetchResult<()> {
        let fails = entry.fails.saturating_add(1);
        if entry.action != Action::Track && fails >= FAILS_MAX {
            let detail = format!("gave up after {fails} attempts with unknown outcome: {failure}");
            return self.give_up(entry, detail, attempt_result).await;
        }
        let reconcile_after = self.settings.reconcile_after;
        // After a 503 it is retried as soon as a read would be.
        let retry = (failure.status == Some(503)).then(|| self.retry_in_this_run(entry)).flatten();
        let chance = self.ctx.fetcher.chance();
        let pause = match retry {
            Some(pause) => reconcile_after.saturating_add(pause),
            None => verdict::pause_unsure(fails, reconcile_after, chance),
        };
        let next_at = self.after(pause);
        self.put_back(entry, Requeue::Unsure, next_at, &attempt_result).await?;
        tracing::info!(entry = entry.entry, error = %failure, "outcome of a write not known; it will be reconciled");
        if retry.is_some() {
            self.retries.insert(entry.entry, next_at);
            return Ok(());
        }
        self.unanswered += 1;
        match self.unanswered >= UNANSWERED_MAX {
            true => Err(FetchError::Outage(failure)),
            false => Ok(()),
        }
    }

    /// Nothing was changed: retries after the pause of the rate limiter or of a backoff.
    async fn retry_later(
        &mut self,
        entry: &Entry,
        failure: &Failure,
        result: &AttemptResult,
    ) -> FetchResult<()> {
        // The rate limiter delays the next request.
        if failure.status == Some(429) || failure.retry_after.is_some() {
            return self.put_back(entry, Requeue::Later, self.now(), result).await;
        }
        let retry = self.retry_in_this_run(entry);
        let chance = self.ctx.fetcher.chance();
        let attempts = u32::try_from(entry.attempts).unwrap_or(u32::MAX);
        let next_at = self.after(retry.unwrap_or_else(|| verdict::pause(attempts, chance)));
        self.put_back(entry, Requeue::Later, next_at, result).await?;
        match retry {
            Some(_) => _ = self.retries.insert(entry.entry, next_at),
            // The API answers but accepts no writes, so the run continues with its reads.
            None => {
                self.unanswered += 1;
                self.is_paused = self.unanswered >= UNANSWERED_MAX;
            }
        }
        Ok(())
    }

    /// Returns the pause before a retry in this run, by the retry policy of reads; `None` leaves it to a later
    /// run.
    fn retry_in_this_run(&mut self, entry: &Entry) -> Option<Duration> {
        // After another entry used up its retries, this one would too.
        if !self.settings.waits_for_outcome || self.unanswered > 0 {
            return None;
        }
        let attempt = self.unavailable.entry(entry.entry).or_insert(0);
        *attempt += 1;
        match RETRY.next(RetryCause::Failing, *attempt, self.ctx.fetcher.chance()) {
            RetryDecision::RetryAfter(after) => self.ctx.fetcher.spend_wait(after).then_some(after),
            RetryDecision::GiveUp => None,
        }
    }

    /// Puts a claimed entry back into the queue.
    pub(super) async fn put_back(
        &mut self,
        entry: &Entry,
        back: Requeue,
        next_at: i64,
        attempt_result: &AttemptResult,
    ) -> FetchResult<()> {
        let counters = self.ctx.counters(entry.kind);
        let (entry, attempt_result) = (entry.clone(), attempt_result.clone());
        self.ctx
            .store
            .write(move |tx| {
                queue::requeue(tx, &entry, back, next_at, &attempt_result)?;
                counters.close(tx, &KindCounts::default())
            })
            .await?;
        Ok(())
    }

    /// The API answered that the resource exists. Finds it and uses it as the result.
    async fn adopt(&mut self, entry: &Entry, result: AttemptResult) -> FetchResult<()> {
        let next_at = self.after(verdict::pause(1, 1.0));
        self.put_back(entry, Requeue::Later, next_at, &result).await?;
        let found = match self.search(entry, Depth::All).await {
            Ok(found) => found,
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::warn!(entry = entry.entry, %error, "resource exists but cannot be found; trying again later");
                return Ok(());
            }
        };
        match found.into_iter().next() {
            Some(id) => {
                let detail = Some("it existed already".to_owned());
                let result = AttemptResult { detail, ..result };
                self.finish(entry, Some(id), None, result).await
            }
            None => {
                let hint = Some("the API says that it exists, but does not list it".to_owned());
                self.fail(entry, AttemptResult { hint, ..result }).await
            }
        }
    }

    /// Reconciles a creation: looks for the resource, and makes the entry ready to be sent again if it is
    /// not there.
    pub(super) async fn reconcile(&mut self, entry: &Entry) -> FetchResult<()> {
        let found = match self.search(entry, Depth::SinceFirstSend).await {
            Ok(found) => found,
            Err(error) => return self.reconcile_later(entry, error).await,
        };
        let queued = entry.clone();
        let created = self.ctx.store.read(move |c| created_by(c, &queued, found)).await?;
        let now = self.now();
        if let Some(id) = created {
            let detail = match verdict::success_status(entry) {
                None => "the answer was lost; the API lists the resource",
                Some(_) => "the answer could not be read; the API lists the resource",
            };
            let result =
                AttemptResult { detail: Some(detail.to_owned()), ..AttemptResult::default() };
            return self.finish(entry, Some(id), None, result).await;
        }
        if let Some(status) = verdict::success_status(entry) {
            return self.not_shown_yet(entry, status).await;
        }
        if entry.kind == Kind::Creator && entry.looks + 1 < CREATOR_LOOKS {
            return self.look_again(entry, self.settings.reconcile_after).await;
        }
        if entry.fails >= FAILS_MAX {
            let before = entry.detail.as_deref().unwrap_or("no answer");
            let detail = format!(
                "gave up after {} attempts; the API does not list it: {before}",
                entry.fails
            );
            return self.give_up(entry, detail, last_attempt_result(entry)).await;
        }
        let (entry, new_key) = (entry.clone(), entry.key_errors >= KEY_ERRORS_MAX);
        Ok(self.ctx.store.write(move |tx| queue::send_again(tx, &entry, new_key, now)).await?)
    }

    /// Fails an entry after too many attempts.
    async fn give_up(
        &mut self,
        entry: &Entry,
        detail: String,
        result: AttemptResult,
    ) -> FetchResult<()> {
        let hint =
            "when the API works, `creatormirror outbox retry N` reconciles it and tries again";
        let (detail, hint) = (Some(detail), Some(hint.to_owned()));
        self.fail(entry, AttemptResult { detail, hint, ..result }).await
    }

    /// Returns the ids of resources that match an entry. A list that could not be read is not read again in
    /// this run for another entry.
    async fn search(&mut self, entry: &Entry, depth: Depth) -> FetchResult<Vec<String>> {
        if let Some(failure) = self.unreadable.get(&entry.kind) {
            return Err(FetchError::Api(failure.clone()));
        }
        let found = self.search_lists(entry, depth).await;
        if let Err(FetchError::Api(failure)) = &found {
            // Accounts are searched by name: an undecodable row may be in one answer only.
            if entry.kind != Kind::Account || failure.verdict != Verdict::Malformed {
                self.unreadable.insert(entry.kind, failure.clone());
            }
        }
        found
    }

    async fn search_lists(&mut self, entry: &Entry, depth: Depth) -> FetchResult<Vec<String>> {
        match entry.kind {
            Kind::Account => reconcile::account(self.ctx, entry).await,
            Kind::Video => reconcile::video(self.ctx, entry, depth).await,
            _ => {
                let is_fetched = |creators: &Creators| {
                    depth == Depth::SinceFirstSend && creators.began_at >= entry.next_at
                };
                let creators = match self.creators.take().filter(is_fetched) {
                    Some(creators) => creators,
                    None => reconcile::creators(self.ctx).await?,
                };
                Ok(self.creators.insert(creators).named(entry))
            }
        }
    }

    /// Reconciles an entry later, after a search failed; until then it is not sent. A list that stays
    /// unreadable fails the entry in the end.
    pub(super) async fn reconcile_later(
        &mut self,
        entry: &Entry,
        error: FetchError,
    ) -> FetchResult<()> {
        if error.is_fatal() {
            return Err(error);
        }
        let detail = format!("could not be looked up: {error}");
        let counts = error.failure().is_some_and(|found| found.verdict == Verdict::Malformed);
        if counts && entry.fails >= FAILS_MAX {
            let detail = format!("gave up after {} attempts; it {detail}", entry.fails);
            return self.give_up(entry, detail, last_attempt_result(entry)).await;
        }
        tracing::warn!(entry = entry.entry, %error, "entry could not be reconciled; trying again later");
        let chance = self.ctx.fetcher.chance();
        let times = u32::try_from(entry.fails).unwrap_or(u32::MAX).max(3);
        let next_at = self.after(verdict::pause(times, chance));
        let entry = entry.clone();
        let write =
            self.ctx.store.write(move |tx| queue::postpone(tx, &entry, next_at, &detail, counts));
        Ok(write.await?)
    }
}

/// Returns which of the found resources the entry created: none of another entry, and no creator known
/// before the first attempt. Of several creators the one that became known first, so that others remain for
/// entries to which this one is not open.
fn created_by(c: &Connection, entry: &Entry, found: Vec<String>) -> StoreResult<Option<String>> {
    let mut first: Option<(Option<i64>, String)> = None;
    for id in found {
        let row_id = find::row_id(c, entry.kind, &id)?;
        let is_known = entry.kind == Kind::Creator && row_id <= entry.known_creator;
        if is_known || find::is_taken(c, entry.entry, &id)? {
            continue;
        }
        if first.as_ref().is_none_or(|(before, _)| row_id < *before) {
            first = Some((row_id, id));
        }
    }
    Ok(first.map(|(_, id)| id))
}

/// The request of an entry; `None` if its method or path is invalid.
fn request(entry: &Entry) -> Option<Request> {
    let method = Method::from_bytes(entry.method.as_bytes()).ok()?;
    let mut request = Request::new(method, entry.path.clone()?);
    request.body = entry.body.as_ref().map(|body| Bytes::from(body.clone()));
    // The API accepts idempotency keys for creations only.
    if entry.action == Action::Track {
        request = request.idempotency_key(&entry.idempotency_key);
    }
    Some(request)
}

/// The result of an attempt that the API refused.
fn attempt_result(failure: &Failure) -> AttemptResult {
    let fields: Vec<_> = failure
        .fields
        .iter()
        .map(|error| serde_json::json!({ "field": error.field, "message": error.message }))
        .collect();
    AttemptResult {
        http_status: failure.status,
        code: Some(failure.code.clone().unwrap_or_else(|| failure.verdict.name().to_owned())),
        detail: Some(failure.to_string()),
        fields: (!fields.is_empty()).then(|| serde_json::Value::from(fields).to_string()),
        hint: None,
        request_id: failure.request_id.clone(),
    }
}
