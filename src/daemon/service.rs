//! The scheduler loop: decides what to do now, or until when there is nothing to do.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::daemon::hooks::{
    DaemonHooks, DaemonSettings, ServiceState, Signal, stop_signal_received,
};
use crate::daemon::state::{DaemonState, Probe};
use crate::fetch::SyncContext;
use crate::model::instant;
use crate::store::{StoreError, database_path, instance, jobs as queue};
use crate::sync::backfill::Backfill;
use crate::sync::identify::identify;
use crate::sync::{self, Report, RunError, RunOptions};

/// Format of an instant in status text.
pub(super) const SECONDS: &str = "%Y-%m-%d %H:%M:%S UTC";
/// Longest wait for a rate limit at the start. Then the daemon reports READY=1 without an answer.
const START_TIMEOUT: Duration = Duration::from_secs(2);
/// Pause after a run that sent no request.
const EMPTY_RUN_PAUSE: Duration = Duration::from_secs(30);
/// Pause after a run in which a kind failed, for failures without their own backoff.
const FAILED_RUN_PAUSE: Duration = Duration::from_secs(10);
/// Longest idle time before due times are read again.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The running daemon.
pub(super) struct Daemon {
    pub ctx: SyncContext,
    pub settings: DaemonSettings,
    pub hooks: DaemonHooks,
    pub batch_delay: Duration,
    pub state: DaemonState,
    /// Database failures in a row.
    pub storage_failures: u32,
    /// Backfills submitted by other processes.
    pub backfill_jobs: VecDeque<BackfillJob>,
    /// Daily metrics of days that ended since the last backfill.
    pub new_days: Option<Backfill>,
    /// When the last slice of a backfill ran, in time since boot.
    pub last_slice_at: Duration,
    /// When the rate limit permits the next slice of a backfill, in time since boot.
    pub backfill_paused_until: Duration,
    /// Set while a new key is not verified yet and the old one is in use.
    pub unverified_key: Option<Probe>,
    /// Signals that came during other work.
    pub pending_signals: Vec<Signal>,
    /// The status last sent to the service manager.
    pub status: String,
    /// Why the last reload failed; part of the status until one succeeds.
    pub reload_error: Option<String>,
    /// When the machine booted, by the wall clock. It changes when that clock is stepped.
    pub booted_at: DateTime<Utc>,
}

/// Runs until a stop signal comes.
///
/// # Errors
///
/// Errors that no retry can fix: a key refused at the start, or a database that was deleted or replaced.
pub async fn run(
    ctx: SyncContext,
    settings: DaemonSettings,
    hooks: DaemonHooks,
) -> Result<(), RunError> {
    let batch_delay = settings.freshness_target;
    let booted_at = booted_at(ctx.fetcher.clock());
    let mut daemon = Daemon {
        ctx,
        settings,
        hooks,
        batch_delay,
        state: DaemonState::STARTING,
        storage_failures: 0,
        backfill_jobs: VecDeque::new(),
        new_days: None,
        last_slice_at: Duration::ZERO,
        backfill_paused_until: Duration::ZERO,
        unverified_key: None,
        pending_signals: Vec::new(),
        status: String::new(),
        reload_error: None,
        booted_at,
    };
    let result = daemon.run_loop().await;
    (daemon.hooks.notify)(&ServiceState::Stopping);
    if let Err(RunError::Store(StoreError::Replaced(_))) = &result {
        // The file at the path now belongs to another program.
        return result;
    }
    let store = &daemon.ctx.store;
    let cleared = store.write(|tx| instance::set_runner(tx, None)).await;
    if let Err(error) = cleared.and(store.truncate_wal().await) {
        tracing::warn!(%error, "cannot close the database cleanly");
    }
    result
}

impl Daemon {
    async fn run_loop(&mut self) -> Result<(), RunError> {
        self.ctx
            .store
            .write(move |tx| {
                queue::requeue(tx)?;
                instance::set_runner(tx, Some("run"))
            })
            .await?;
        if self.start().await? == Step::Stop {
            return Ok(());
        }
        loop {
            let step = match self.step().await {
                Ok(step) => step,
                Err(error @ RunError::Store(StoreError::Replaced(_))) => return Err(error),
                // A full disk or a busy database is temporary; until then no request is sent.
                Err(RunError::Store(error)) => {
                    self.storage_failures = self.storage_failures.saturating_add(1);
                    let (failures, now) = (self.storage_failures, self.uptime());
                    let pause = self.state.storage_failed(failures, now, self.ctx.fetcher.chance());
                    let free_bytes = database_path::free_bytes(self.ctx.store.path());
                    tracing::error!(%error, retry_in_s = pause.as_secs(), free_bytes, "cannot write the database");
                    self.set_status(&format!("cannot write the database: {error}")).await;
                    Step::Pause(pause)
                }
                Err(error) => return Err(error),
            };
            let step = match step {
                Step::WaitUntil(until) => self.wait_until(until).await,
                Step::Pause(length) => self.pause(length).await,
                other => other,
            };
            if step == Step::Stop {
                self.state = DaemonState::Draining;
                return Ok(());
            }
        }
    }

    /// Checks the key. The daemon also starts without an answer: a boot during an outage must succeed, and systemd waits
    /// for READY=1.
    async fn start(&mut self) -> Result<Step, RunError> {
        self.ctx.fetcher.reset_wait_to(START_TIMEOUT);
        match self.identify_unless_stopped().await {
            None => return Ok(Step::Stop),
            Some(Ok(())) => self.key_accepted(),
            Some(Err(
                error @ (RunError::KeyRefused(_)
                | RunError::OtherOrganization { .. }
                | RunError::Store(_)),
            )) => {
                return Err(error);
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "started without an answer from the API");
                self.handle_error(&error).await;
            }
        }
        (self.hooks.notify)(&ServiceState::Ready);
        Ok(Step::Continue)
    }

    /// Does the most urgent work, or returns until when there is none.
    async fn step(&mut self) -> Result<Step, RunError> {
        self.ctx.store.check_in_place().await?;
        if let DaemonState::StorageFailed { .. } = self.state {
            if let Some(left) = self.state.pause_left(self.uptime()) {
                return Ok(Step::Pause(left));
            }
            self.state.retry_storage();
        }
        if let DaemonState::KeyRefused { refusal, .. } = &self.state
            && let Some(refusal) = refusal.about_key()
            && (self.refuse_job(&refusal).await? || self.refuse_backfill_job(&refusal).await?)
        {
            return Ok(Step::Continue);
        }
        if let Some(step) = self.job_in_outage().await? {
            return Ok(step);
        }
        if let Some(left) = self.state.pause_left(self.uptime()) {
            return Ok(Step::Pause(left));
        }
        match &self.state {
            DaemonState::Starting { .. } | DaemonState::KeyRefused { .. } => self.probe_key().await,
            DaemonState::Outage { .. } => self.try_api().await,
            DaemonState::Polling { .. } => self.poll().await,
            DaemonState::StorageFailed { .. } | DaemonState::Draining => Ok(Step::Continue),
        }
    }

    /// Starts the next job or run, or returns until when none is due.
    async fn poll(&mut self) -> Result<Step, RunError> {
        let (now, uptime) = (self.now(), self.uptime());
        if self.unverified_key.is_some_and(|probe| probe.pause_left(uptime).is_none()) {
            return Ok(self.reload_settings().await);
        }
        if let Some((job, request)) = self.claim_job().await? {
            return self.do_job(job, request).await;
        }
        let batch_delay = sync::batch_delay(&self.ctx, &self.settings.sync_settings, now).await?;
        self.batch_delay = batch_delay.batch_delay;
        let options = self.options();
        let is_short = self.batch_delay > self.settings.freshness_target;
        let next = sync::next_at(&self.ctx, &options, &self.settings.sync_settings, now).await?;
        if next.is_some_and(|at| at <= now) {
            return match self.backfill_between_runs(is_short).await? {
                Some(step) => Ok(step),
                None => self.run_due(options).await,
            };
        }
        if let Some(step) = self.backfill(next, is_short).await? {
            return Ok(step);
        }
        let backfill_at = self.next_backfill_at(now).await?;
        let probe_left = self.unverified_key.and_then(|probe| probe.pause_left(uptime));
        let probe_at = probe_left.map(|left| instant::later(now, left));
        let until = [next, probe_at, batch_delay.until, backfill_at].into_iter().flatten().min();
        let until = until.unwrap_or_else(|| instant::later(now, IDLE_MAX));
        self.set_status(&format!("idle until {}", until.format(SECONDS))).await;
        Ok(Step::WaitUntil(until))
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            trigger: "run",
            batch_delay: self.batch_delay,
            is_identified: true,
            ..RunOptions::default()
        }
    }

    async fn run_due(&mut self, options: RunOptions) -> Result<Step, RunError> {
        let wait = self.settings.request_settings.max_wait;
        let wait = (!self.state.is_recovering()).then_some(wait);
        let Some(report) = self.sync_once(&options, wait).await else {
            return Ok(Step::Stop);
        };
        let is_empty =
            report.requests() == 0 && !report.pushed.is_any() && report.run_error.is_none();
        let has_failed = report.kinds.iter().any(|kind| !kind.is_good());
        Ok(match self.finish_run(report).await? {
            // The next plan would send no request either.
            Step::Continue if is_empty => {
                Step::WaitUntil(instant::later(self.now(), EMPTY_RUN_PAUSE))
            }
            Step::Continue if has_failed => {
                Step::WaitUntil(instant::later(self.now(), FAILED_RUN_PAUSE))
            }
            step => step,
        })
    }

    /// Makes one run. Returns `None` if a stop signal interrupted it. The run waits for the rate limit for at most `wait`;
    /// with `None`, every request is tried only once.
    pub(super) async fn sync_once(
        &mut self,
        options: &RunOptions,
        wait: Option<Duration>,
    ) -> Option<Report> {
        match wait {
            None => self.ctx.fetcher.try_once(),
            Some(wait) => self.ctx.fetcher.reset_wait_to(wait),
        }
        self.set_status("working").await;
        let settings = self.settings.sync_settings.clone();
        let started_at = self.uptime();
        let report = tokio::select! {
            report = sync::run(&mut self.ctx, options, &settings) => Some(report),
            () = stop_signal_received(&mut self.hooks.signals, &mut self.pending_signals) => None,
        };
        match &report {
            None => _ = sync::interrupt(&mut self.ctx, &settings).await,
            Some(report) => {
                (self.hooks.on_run)(report, self.uptime().saturating_sub(started_at));
            }
        }
        report
    }

    /// Reads the key's organization. Returns `None` if a stop signal comes first.
    pub(super) async fn identify_unless_stopped(&mut self) -> Option<Result<(), RunError>> {
        tokio::select! {
            done = identify(&mut self.ctx) => Some(done),
            () = stop_signal_received(&mut self.hooks.signals, &mut self.pending_signals) => None,
        }
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.ctx.fetcher.clock().now()
    }

    /// Returns the time since boot, used for pauses.
    pub(super) fn uptime(&self) -> Duration {
        self.ctx.fetcher.clock().boot().elapsed
    }

    /// Shows a changed status to the service manager and in `status`.
    pub(super) async fn set_status(&mut self, text: &str) {
        let text = match &self.reload_error {
            Some(error) => format!("{text}; reload failed: {error}"),
            None => text.to_owned(),
        };
        if self.status == text {
            return;
        }
        self.status.clone_from(&text);
        (self.hooks.notify)(&ServiceState::Status(text.clone()));
        let batch_delay_s = i64::try_from(self.batch_delay.as_secs()).unwrap_or(i64::MAX);
        let store = &self.ctx.store;
        let written = store.try_write(move |tx| instance::set_condition(tx, &text, batch_delay_s));
        if let Err(error) = written.await {
            tracing::debug!(%error, "cannot store the status");
            // The next call tries again, even with the same text.
            self.status.clear();
        }
    }
}

/// A backfill submitted by another process.
#[derive(Debug)]
pub struct BackfillJob {
    /// The job's number in the queue.
    pub job: i64,
    /// The work, with its progress.
    pub work: Backfill,
}

/// Returns when the machine booted, by the current wall clock.
pub(super) fn booted_at(clock: &Clock) -> DateTime<Utc> {
    let elapsed = TimeDelta::from_std(clock.boot().elapsed).unwrap_or(TimeDelta::MAX);
    clock.now().checked_sub_signed(elapsed).unwrap_or_default()
}

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Take the next step now.
    Continue,
    /// Nothing is due until then; a job, a queued write or a signal wakes the loop earlier.
    WaitUntil(DateTime<Utc>),
    /// No work is possible for this long; only signals, and jobs that can be refused, wake the loop.
    Pause(Duration),
    /// Stop the daemon.
    Stop,
}
