//! Waits for a deadline, a signal, or a write by another process.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::daemon::hooks::Signal;
use crate::daemon::service::{Daemon, Step, booted_at};
use crate::daemon::state::DaemonState;
use crate::fetch::SyncContext;
use crate::model::instant;
use crate::outbox;
use crate::store::backoff::{self, Backoff};
use crate::store::jobs as queue;

/// How often the loop checks whether another process has written. Also the longest time until a step of the clock or a
/// resume from suspend is noticed.
const TICK: Duration = Duration::from_millis(500);

/// Smaller differences between the clocks do not count as a step.
const CLOCK_STEP_S_MIN: i64 = 2;

impl Daemon {
    /// Sleeps until `until`, or until a signal, a job or a queued write comes.
    pub(super) async fn wait_until(&mut self, until: DateTime<Utc>) -> Step {
        let clock = self.ctx.fetcher.clock().clone();
        // Read the version before the queues: it changes with every write from here on.
        let mut seen = self.ctx.store.data_version().await.ok();
        if has_urgent_work(&self.ctx).await || !self.pending_signals.is_empty() {
            return self.handle_signals().await;
        }
        loop {
            let left = until.signed_duration_since(clock.now()).to_std().unwrap_or_default();
            if left.is_zero() {
                return Step::Continue;
            }
            if let Some(step) = self.tick(left).await {
                return step;
            }
            // The version changes only with writes of other processes.
            let version = self.ctx.store.data_version().await.ok();
            if version != seen {
                seen = version;
                if has_urgent_work(&self.ctx).await {
                    return Step::Continue;
                }
            }
        }
    }

    /// Sleeps for `length`, during which no work is possible. Signals end the pause, and so does a job that can be answered
    /// with a refused key or an outage.
    pub(super) async fn pause(&mut self, length: Duration) -> Step {
        if !self.pending_signals.is_empty() {
            return self.handle_signals().await;
        }
        let until = self.uptime().saturating_add(length);
        loop {
            let left = until.saturating_sub(self.uptime());
            if left.is_zero() {
                return Step::Continue;
            }
            if let Some(step) = self.tick(left).await {
                return step;
            }
            // Only after a tick, so that a job whose answer cannot be written does not cause a busy loop.
            if (self.state.is_unanswered() || matches!(self.state, DaemonState::KeyRefused { .. }))
                && job_is_waiting(&self.ctx).await
            {
                return Step::Continue;
            }
        }
    }

    /// Sleeps for one tick. Returns a step after a signal, after a step of the clock, and when the database is gone.
    async fn tick(&mut self, left: Duration) -> Option<Step> {
        let clock = self.ctx.fetcher.clock().clone();
        self.hooks.heartbeat.beat(TICK);
        tokio::select! {
            () = clock.sleep(left.min(TICK)) => {
                let is_due = self.clock_was_stepped().await
                    || self.ctx.store.check_in_place().await.is_err();
                is_due.then_some(Step::Continue)
            }
            signal = self.hooks.signals.recv() => match signal {
                None | Some(Signal::Terminate) => Some(Step::Stop),
                Some(signal) => {
                    self.pending_signals.push(signal);
                    Some(self.handle_signals().await)
                }
            },
        }
    }

    /// Whether the wall clock was stepped since the last call. If so, corrects stored deadlines that are now too late.
    async fn clock_was_stepped(&mut self) -> bool {
        let before = std::mem::replace(&mut self.booted_at, booted_at(self.ctx.fetcher.clock()));
        let step_s = self.booted_at.signed_duration_since(before).num_seconds();
        if step_s.abs() < CLOCK_STEP_S_MIN {
            return false;
        }
        tracing::warn!(step_s, "wall clock was stepped");
        let request_state = self.ctx.fetcher.request_state();
        if let Err(error) = request_state.correct_stamps(&self.ctx.store).await {
            tracing::warn!(%error, "cannot correct stored times after the clock step");
        }
        true
    }

    /// Handles the signals that came during other work.
    async fn handle_signals(&mut self) -> Step {
        for signal in std::mem::take(&mut self.pending_signals) {
            match signal {
                Signal::Terminate => return Step::Stop,
                Signal::Summary => self.log_summary().await,
                Signal::Reload => {
                    if self.reload().await == Step::Stop {
                        return Step::Stop;
                    }
                }
            }
        }
        Step::Continue
    }

    async fn log_summary(&self) {
        let now = instant::micros(self.now());
        let paused = self.ctx.store.read(move |c| backoff::active(c, now)).await;
        let text = |backoff: &Backoff| {
            let until = instant::text(instant::from_micros(backoff.retry_at));
            format!("{} {} until {until}", backoff.kind, backoff.scope.name())
        };
        let paused: Vec<String> = paused.unwrap_or_default().iter().map(text).collect();
        tracing::info!(
            state = self.state.name(),
            status = self.status,
            batch_delay_s = self.batch_delay.as_secs(),
            ?paused,
            "daemon summary"
        );
    }
}

/// Whether a job is waiting, or a queued write can be sent now.
pub(super) async fn has_urgent_work(ctx: &SyncContext) -> bool {
    let now = ctx.fetcher.clock().now();
    job_is_waiting(ctx).await
        || outbox::next_at(ctx, now).await.ok().flatten().is_some_and(|at| at <= now)
}

async fn job_is_waiting(ctx: &SyncContext) -> bool {
    ctx.store.read(queue::is_waiting).await.unwrap_or(false)
}
