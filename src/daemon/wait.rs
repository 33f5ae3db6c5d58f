//! Waiting: for the deadline, for a call, or for another process to have written something.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::daemon::hooks::{Signal, stop_signal_received};
use crate::daemon::service::{Daemon, Step, booted_at};
use crate::daemon::state::State;
use crate::fetch::SyncContext;
use crate::model::instant;
use crate::outbox;
use crate::store::backoff::{self, Backoff};
use crate::store::{StoreResult, jobs as queue};

/// How often the loop looks whether another process has written. Also the longest that a step of
/// the clock, or a suspended machine, goes unnoticed.
const TICK: Duration = Duration::from_millis(500);

/// A difference of the clocks below this is no step.
const CLOCK_STEP_S_MIN: i64 = 2;

impl Daemon {
    /// Sleeps until then, unless a call, a job or a write comes before.
    pub(super) async fn wait(&mut self, until: DateTime<Utc>) -> Step {
        let clock = self.ctx.fetcher.clock().clone();
        // Listen before looking: what is written from here on moves the version.
        let mut seen = self.data_version().await.ok();
        if self.job_waits().await || self.write_waits().await || !self.pending.is_empty() {
            return self.answer_calls().await;
        }
        loop {
            let Ok(left) = until.signed_duration_since(clock.now()).to_std() else {
                return Step::Go;
            };
            if left.is_zero() {
                return Step::Go;
            }
            if let Some(step) = self.tick(left).await {
                return step;
            }
            // Only a write of another process moves the version that this connection sees.
            let version = self.data_version().await.ok();
            if version != seen {
                seen = version;
                if self.job_waits().await || self.write_waits().await {
                    return Step::Go;
                }
            }
        }
    }

    /// Lets time pass in which nothing can be done; a job waits as well, unless it is to be told that
    /// the key is refused or the API is down. Beside that only calls are heard.
    pub(super) async fn rest(&mut self, length: Duration) -> Step {
        if !self.pending.is_empty() {
            return self.answer_calls().await;
        }
        let until = self.uptime().saturating_add(length);
        loop {
            let left = until.saturating_sub(self.uptime());
            if left.is_zero() {
                return Step::Go;
            }
            if let Some(step) = self.tick(left).await {
                return step;
            }
            // Not before a moment has passed: what cannot be written cannot be answered either.
            if (self.state.is_unanswered() || matches!(self.state, State::KeyRefused { .. }))
                && self.job_waits().await
            {
                return Step::Go;
            }
        }
    }

    /// Sleeps for a moment. After a call is answered, after a step of the clock, and when the database
    /// is gone, it is time to look again.
    async fn tick(&mut self, left: Duration) -> Option<Step> {
        let clock = self.ctx.fetcher.clock().clone();
        self.hooks.heartbeat.beat(TICK);
        tokio::select! {
            () = clock.sleep(left.min(TICK)) => {
                (self.note_clock_step().await || self.ctx.store.check_in_place().await.is_err()).then_some(Step::Go)
            }
            call = self.hooks.signals.recv() => match call {
                None | Some(Signal::Terminate) => Some(Step::End),
                Some(call) => {
                    self.pending.push(call);
                    Some(self.answer_calls().await)
                }
            },
        }
    }

    /// Whether the wall clock was stepped since this was asked last. What it had put off for too long
    /// is then brought back.
    async fn note_clock_step(&mut self) -> bool {
        let before = std::mem::replace(&mut self.booted_at, booted_at(self.ctx.fetcher.clock()));
        let seconds = self.booted_at.signed_duration_since(before).num_seconds();
        if seconds.abs() < CLOCK_STEP_S_MIN {
            return false;
        }
        tracing::warn!(seconds, "the clock was stepped");
        let (request_state, clock) = (self.ctx.fetcher.request_state(), self.ctx.fetcher.clock());
        if let Err(error) = request_state.correct_stamps(&self.ctx.store, clock).await {
            tracing::warn!(%error, "what was written by the former clock stays as it is");
        }
        true
    }

    /// Answers the calls that came meanwhile.
    async fn answer_calls(&mut self) -> Step {
        for call in std::mem::take(&mut self.pending) {
            match call {
                Signal::Terminate => return Step::End,
                Signal::Summary => self.summarize().await,
                Signal::Reload => {
                    if self.reload().await == Step::End {
                        return Step::End;
                    }
                }
            }
        }
        Step::Go
    }

    async fn job_waits(&self) -> bool {
        self.ctx.store.read(queue::is_waiting).await.unwrap_or(false)
    }

    /// Whether something was queued that can be sent now.
    async fn write_waits(&self) -> bool {
        let now = self.ctx.fetcher.clock().now();
        outbox::next_at(&self.ctx, now).await.ok().flatten().is_some_and(|at| at <= now)
    }

    async fn data_version(&self) -> StoreResult<i64> {
        self.ctx.store.data_version().await
    }

    /// Does something at the context, unless a call to stop comes first: then `None`.
    pub(super) async fn or_stop<T>(
        &mut self,
        work: impl for<'a> FnOnce(&'a mut SyncContext) -> Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    ) -> Option<T> {
        tokio::select! {
            done = work(&mut self.ctx) => Some(done),
            () = stop_signal_received(&mut self.hooks.signals, &mut self.pending) => None,
        }
    }

    /// What is left alone for now, and until when.
    async fn paused(&self) -> Vec<String> {
        let now = instant::micros(self.ctx.fetcher.clock().now());
        let paused =
            self.ctx.store.read(move |c| backoff::active(c, now)).await.unwrap_or_default();
        let of = |one: &Backoff| {
            let until = instant::text(instant::from_micros(one.retry_at));
            format!("{} {} until {until}", one.kind, one.scope.name())
        };
        paused.iter().map(of).collect()
    }

    async fn summarize(&self) {
        tracing::info!(
            state = self.state.name(),
            condition = self.shown,
            batch_delay_s = self.batch_delay.as_secs(),
            paused = ?self.paused().await,
            "how things stand"
        );
    }
}
