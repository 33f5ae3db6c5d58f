//! One entry's turn: sent, or looked for, and what follows from that.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use rusqlite::Connection;

use crate::api::{Failure, Request, Verdict};
use crate::fetch::FetchError;
use crate::fetch::error::FetchResult;
use crate::fetch::fetcher::RETRY;
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::outbox::confirm::last_attempt_result;
use crate::outbox::reconcile::{self, Creators, Depth};
use crate::outbox::run::{OutboxRun, SILENT_MAX};
use crate::outbox::verdict::answered;
use crate::outbox::verdict::{self, Decision, FAILS_MAX};
use crate::retry::{RetryCause, RetryDecision};
use crate::store::StoreResult;
use crate::store::outbox::queue::{self, AttemptResult, Back};
use crate::store::outbox::{Entry, find};
use crate::store::runs::Tally;

/// Answers of 500 or 502 after which a key is given up: the server may be repeating itself.
const KEY_ERRORS_MAX: i64 = 2;
/// Looks before a creator is sent again; its name alone does not keep the server from making two.
const CREATOR_LOOKS: i64 = 2;

impl OutboxRun<'_> {
    /// Sends an entry, once.
    pub(super) async fn send(&mut self, entry: &Entry) -> FetchResult<()> {
        let is_new_creator = entry.kind == Kind::Creator && entry.action == Action::Track;
        // What is known before the first send tells later what is new.
        if is_new_creator
            && entry.first_sent_at.is_none()
            && self.creators.is_none()
            && let Err(error) = self.search(entry, Depth::SinceFirstSend).await
        {
            return self.cannot_look(entry, error).await;
        }
        self.ctx.fetcher.kind_run().await?;
        let now = self.now();
        let queued = entry.clone();
        let claim = self.ctx.store.write_durably(move |tx| queue::claim(tx, &queued, now));
        let claimed = claim.await?;
        // A user may have taken it back meanwhile.
        let Some(entry) = claimed else { return Ok(()) };
        let Some(request) = request(&entry) else {
            let detail = Some("its method or path cannot be read".to_owned());
            return self.fail(&entry, AttemptResult { detail, ..AttemptResult::default() }).await;
        };
        self.ctx.pushed.sent += 1;
        let sent = match self.ctx.fetcher.send_once(&request).await {
            Ok(sent) => sent,
            Err(error) => {
                self.put_back(&entry, Back::Untouched, now, &AttemptResult::default()).await?;
                return Err(error);
            }
        };
        match sent.result {
            Ok(answer) => {
                self.silent = 0;
                self.succeeded(&entry, &answer, sent.as_of).await
            }
            Err(failure) => self.failed(&entry, failure).await,
        }
    }

    /// Draws the consequences of an attempt that failed.
    async fn failed(&mut self, entry: &Entry, failure: Failure) -> FetchResult<()> {
        // Some answer 503 to what they did all the same; to send again is safe where that ends in a 404.
        let is_doubtful = entry.is_doubtful || entry.http_status == Some(503);
        let decision = verdict::decide(entry.action, is_doubtful, &failure);
        tracing::debug!(entry = entry.entry, ?decision, error = %failure, "an entry was not done");
        match decision {
            Decision::Unreachable => {
                self.put_back(entry, Back::Untouched, self.now(), &attempt_result(&failure))
                    .await?;
                return Err(FetchError::Outage(failure));
            }
            Decision::KeyRefused => {
                self.put_back(entry, Back::Untouched, self.now(), &attempt_result(&failure))
                    .await?;
                return Err(FetchError::KeyRefused(failure));
            }
            Decision::Unsure => {
                let attempt_result = attempt_result(&failure);
                return self.unsure(entry, failure, attempt_result).await;
            }
            Decision::Later => return self.later(entry, failure).await,
            Decision::AlreadySo | Decision::Adopt | Decision::Fail => self.silent = 0,
        }
        match decision {
            Decision::AlreadySo => self.already_so(entry, &failure).await,
            Decision::Adopt => self.adopt(entry, &failure).await,
            _ => {
                let hint = verdict::hint(entry.action, &failure).to_owned();
                self.fail(entry, AttemptResult { hint: Some(hint), ..attempt_result(&failure) })
                    .await
            }
        }
    }

    /// The outcome is not known: nothing is sent again before it was looked up.
    pub(super) async fn unsure(
        &mut self,
        entry: &Entry,
        failure: Failure,
        attempt_result: AttemptResult,
    ) -> FetchResult<()> {
        let fails = entry.fails.saturating_add(1);
        if entry.action != Action::Track && fails >= FAILS_MAX {
            let story = format!("gave up after {fails} sends with an unknown outcome: {failure}");
            let attempt_result = AttemptResult {
                detail: Some(story),
                hint: Some(RETRY_HINT.to_owned()),
                ..attempt_result
            };
            return self.fail(entry, attempt_result).await;
        }
        let settle = self.settings.reconcile_after;
        // A proxy that cannot take it just now is asked again as soon as for a read.
        let soon = (failure.status == Some(503)).then(|| self.retry_soon(entry)).flatten();
        let chance = self.ctx.fetcher.chance();
        let rest = match soon {
            Some(pause) => settle.saturating_add(pause),
            None => verdict::rest(fails, settle, chance),
        };
        let next_at = self.after(rest);
        self.put_back(entry, Back::Unsure, next_at, &attempt_result).await?;
        tracing::info!(entry = entry.entry, error = %failure, "the outcome is not known; looking before sending again");
        match soon {
            Some(_) => {
                self.soon.insert(entry.entry, next_at);
                Ok(())
            }
            None => self.is_silent(failure),
        }
    }

    /// The server asked to come again.
    async fn later(&mut self, entry: &Entry, failure: Failure) -> FetchResult<()> {
        let is_gated = failure.status == Some(429) || failure.retry_after.is_some();
        // At the rate limiter the next request waits as long as it was told to.
        if is_gated {
            return self.put_back(entry, Back::Later, self.now(), &attempt_result(&failure)).await;
        }
        let soon = self.retry_soon(entry);
        let chance = self.ctx.fetcher.chance();
        let times = u32::try_from(entry.attempts).unwrap_or(u32::MAX);
        let next_at = self.after(soon.unwrap_or_else(|| verdict::pause(times, chance)));
        self.put_back(entry, Back::Later, next_at, &attempt_result(&failure)).await?;
        match soon {
            Some(_) => _ = self.soon.insert(entry.entry, next_at),
            // The API answers, it only takes no writes: the reads of this run have their turn.
            None => {
                self.silent += 1;
                self.is_resting = self.silent >= SILENT_MAX;
            }
        }
        Ok(())
    }

    /// How long until what could not be taken just now is tried again in this run: as for reads, and as
    /// often. `None` leaves it to a later run.
    fn retry_soon(&mut self, entry: &Entry) -> Option<Duration> {
        // Others were not taken either, as often as they were tried.
        if !self.settings.stays || self.silent > 0 {
            return None;
        }
        let tries = self.tries.entry(entry.entry).or_insert(0);
        *tries += 1;
        let tries = *tries;
        match RETRY.next(RetryCause::Failing, tries, self.ctx.fetcher.chance()) {
            RetryDecision::RetryAfter(after) => self.ctx.fetcher.spend_wait(after).then_some(after),
            RetryDecision::GiveUp => None,
        }
    }

    /// Counts an attempt that the API did not serve; too many on end, and the rest is spared it.
    fn is_silent(&mut self, failure: Failure) -> FetchResult<()> {
        self.silent += 1;
        match self.silent >= SILENT_MAX {
            true => Err(FetchError::Outage(failure)),
            false => Ok(()),
        }
    }

    /// Puts a claimed entry back into the queue.
    pub(super) async fn put_back(
        &mut self,
        entry: &Entry,
        back: Back,
        next_at: i64,
        attempt_result: &AttemptResult,
    ) -> FetchResult<()> {
        let counters = self.ctx.counters(entry.kind);
        let (entry, attempt_result) = (entry.clone(), attempt_result.clone());
        self.ctx
            .store
            .write(move |tx| {
                queue::put_back(tx, &entry, back, next_at, &attempt_result)?;
                counters.close(tx, &Tally::default())
            })
            .await?;
        Ok(())
    }

    /// The server says that it exists. Where it can be found, that is what was wanted.
    async fn adopt(&mut self, entry: &Entry, failure: &Failure) -> FetchResult<()> {
        let next_at = self.after(verdict::pause(1, 1.0));
        self.put_back(entry, Back::Later, next_at, &attempt_result(failure)).await?;
        let found = match self.search(entry, Depth::All).await {
            Ok(found) => found,
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => {
                tracing::warn!(entry = entry.entry, %error, "exists, but could not be looked up; trying again later");
                return Ok(());
            }
        };
        match found.first() {
            Some(id) => {
                let detail = Some("it was already there".to_owned());
                self.found(entry, id, AttemptResult { detail, ..attempt_result(failure) }).await
            }
            None => {
                let hint = "the API says that it exists, but does not list it";
                self.fail(
                    entry,
                    AttemptResult { hint: Some(hint.to_owned()), ..attempt_result(failure) },
                )
                .await
            }
        }
    }

    /// Looks for what an entry wanted to create.
    pub(super) async fn look(&mut self, entry: &Entry) -> FetchResult<()> {
        let found = match self.search(entry, Depth::SinceFirstSend).await {
            Ok(found) => found,
            Err(error) => return self.cannot_look(entry, error).await,
        };
        let queued = entry.clone();
        let ours = self.ctx.store.read(move |c| ours(c, &queued, found)).await?;
        let now = self.now();
        if let Some(id) = ours {
            let detail = "the answer was lost; it was found by looking".to_owned();
            return self
                .found(
                    entry,
                    &id,
                    AttemptResult { detail: Some(detail), ..AttemptResult::default() },
                )
                .await;
        }
        if let Some(status) = answered(entry) {
            return self.not_shown_yet(entry, status).await;
        }
        if entry.kind == Kind::Creator && entry.looks + 1 < CREATOR_LOOKS {
            let next_at = self.after(self.settings.reconcile_after);
            let entry = entry.clone();
            let write = self.ctx.store.write(move |tx| queue::look_again(tx, &entry, next_at));
            return Ok(write.await?);
        }
        if entry.fails >= FAILS_MAX {
            let before = entry.detail.as_deref().unwrap_or("no answer");
            let story = format!("gave up after {} sends; it is not there: {before}", entry.fails);
            return self
                .fail(
                    entry,
                    AttemptResult {
                        detail: Some(story),
                        hint: Some(RETRY_HINT.to_owned()),
                        ..last_attempt_result(entry)
                    },
                )
                .await;
        }
        let (entry, new_key) = (entry.clone(), entry.key_errors >= KEY_ERRORS_MAX);
        Ok(self.ctx.store.write(move |tx| queue::send_again(tx, &entry, new_key, now)).await?)
    }

    /// Looks for what an entry wants. A list that could not be read is not asked for again in this run
    /// by another entry.
    async fn search(&mut self, entry: &Entry, depth: Depth) -> FetchResult<Vec<String>> {
        if let Some(failure) = self.unreadable.get(&entry.kind) {
            return Err(FetchError::Api(failure.clone()));
        }
        let found = self.search_anew(entry, depth).await;
        if let Err(FetchError::Api(failure)) = &found {
            // An account is looked for by its name: a bad row of one answer is not in that of another.
            if entry.kind != Kind::Account || failure.verdict != Verdict::Malformed {
                self.unreadable.insert(entry.kind, failure.clone());
            }
        }
        found
    }

    async fn search_anew(&mut self, entry: &Entry, depth: Depth) -> FetchResult<Vec<String>> {
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

    /// What could not be looked up is looked up later; until then nothing is sent. A list that cannot be
    /// read stays so until somebody mends the server: in the end the entry says so, and waits for its user.
    pub(super) async fn cannot_look(
        &mut self,
        entry: &Entry,
        error: FetchError,
    ) -> FetchResult<()> {
        if error.is_fatal() {
            return Err(error);
        }
        let why = format!("could not be looked up: {error}");
        let counts = error.failure().is_some_and(|found| found.verdict == Verdict::Malformed);
        if counts && entry.fails >= FAILS_MAX {
            let detail = Some(format!("gave up after {} tries; it {why}", entry.fails));
            let hint = Some(RETRY_HINT.to_owned());
            return self
                .fail(entry, AttemptResult { detail, hint, ..last_attempt_result(entry) })
                .await;
        }
        tracing::warn!(entry = entry.entry, %error, "could not be looked up; trying again later");
        let chance = self.ctx.fetcher.chance();
        let times = u32::try_from(entry.fails).unwrap_or(u32::MAX).max(3);
        let next_at = self.after(verdict::pause(times, chance));
        let entry = entry.clone();
        let write =
            self.ctx.store.write(move |tx| queue::put_off(tx, &entry, next_at, &why, counts));
        Ok(write.await?)
    }
}

const RETRY_HINT: &str =
    "when the API is well, `creatormirror outbox retry N` looks and tries again";

/// Which of those that were found is the entry's: none that is another's, and no creator that was
/// known before the first send. Of several creators it is the one that became known first, so that
/// one that another entry must not take for its own is left to that entry least.
fn ours(c: &Connection, entry: &Entry, found: Vec<String>) -> StoreResult<Option<String>> {
    let mut ours: Option<(Option<i64>, String)> = None;
    for id in found {
        let key = find::key(c, entry.kind, &id)?;
        let is_known = entry.kind == Kind::Creator && key <= entry.known_creator;
        if is_known || find::is_taken(c, entry.entry, &id)? {
            continue;
        }
        if ours.as_ref().is_none_or(|(before, _)| key < *before) {
            ours = Some((key, id));
        }
    }
    Ok(ours.map(|(_, id)| id))
}

/// The request as it was frozen, if that can be read.
fn request(entry: &Entry) -> Option<Request> {
    let method = Method::from_bytes(entry.method.as_bytes()).ok()?;
    let mut request = Request::new(method, entry.path.clone()?);
    request.body = entry.body.as_ref().map(|body| Bytes::from(body.clone()));
    // The API knows keys for creations alone.
    if entry.action == Action::Track {
        request = request.idempotency_key(&entry.idempotency_key);
    }
    Some(request)
}

/// What the API said.
pub(super) fn attempt_result(failure: &Failure) -> AttemptResult {
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
