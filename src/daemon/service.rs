//! The loop: what is to be done now, or until when there is nothing.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::clock::Clock;
use crate::daemon::hooks::{
    DaemonHooks, DaemonSettings, ServiceState, Signal, stop_signal_received,
};
use crate::daemon::state::{Probe, State};
use crate::fetch::SyncContext;
use crate::model::instant;
use crate::schedule::decision::RunScope;
use crate::store::{StoreError, database_path, instance, jobs as queue};
use crate::sync::backfill::Backfill;
use crate::sync::{self, Report, RunError, RunOptions};

/// An instant in a line for people.
pub(super) const SECONDS: &str = "%Y-%m-%d %H:%M:%S UTC";
/// How long the start waits for a rate limit before it says that it is ready without an answer.
const START_TIMEOUT: Duration = Duration::from_secs(2);
/// After a run that found nothing to ask for.
const FRUITLESS_PAUSE: Duration = Duration::from_secs(30);
/// The longest idle time; then the loop looks again.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// After a run in which a kind failed: what goes on without a pause of its own does so after this.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// The daemon at work.
pub(super) struct Daemon {
    pub ctx: SyncContext,
    pub settings: DaemonSettings,
    pub hooks: DaemonHooks,
    pub batch_delay: Duration,
    pub state: State,
    /// How often the database has failed on end.
    pub storage_failures: u32,
    /// Backfills that other processes have handed over.
    pub backfill_job: VecDeque<BackfillJob>,
    /// The days that are asked for as they end.
    pub growth: Option<Backfill>,
    /// When days were looked at last, and until when the budget has none left for them, in time since
    /// boot.
    pub days_seen: Duration,
    pub days_rest_until: Duration,
    /// A new key that could not be verified yet; the old one is in use.
    pub unverified: Option<Probe>,
    /// Calls that came in the middle of something.
    pub pending: Vec<Signal>,
    pub shown: String,
    /// When the machine booted, by the wall clock; it moves when that clock is stepped.
    pub booted_at: DateTime<Utc>,
}

/// Runs until it is called to stop. An error is one that no waiting mends: a key that is refused
/// at the start, or a database that was deleted or replaced.
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
        state: State::STARTING,
        storage_failures: 0,
        backfill_job: VecDeque::new(),
        growth: None,
        days_seen: Duration::ZERO,
        days_rest_until: Duration::ZERO,
        unverified: None,
        pending: Vec::new(),
        shown: String::new(),
        booted_at,
    };
    let result = daemon.life().await;
    (daemon.hooks.notify)(&ServiceState::Stopping);
    if let Err(RunError::Store(StoreError::Replaced(_))) = &result {
        // What is at the path now is not ours to write to.
        return result;
    }
    let store = &daemon.ctx.store;
    let at_end = store.write(|tx| instance::set_runner(tx, None)).await;
    if let Err(error) = at_end.and(store.truncate_wal().await) {
        tracing::warn!(%error, "the database could not be tidied up");
    }
    result
}

impl Daemon {
    async fn life(&mut self) -> Result<(), RunError> {
        self.ctx
            .store
            .write(move |tx| {
                queue::requeue(tx)?;
                instance::set_runner(tx, Some("run"))
            })
            .await?;
        if self.start().await? == Step::End {
            return Ok(());
        }
        loop {
            let step = match self.step().await {
                Ok(step) => step,
                Err(stop @ RunError::Store(StoreError::Replaced(_))) => return Err(stop),
                // A full disk or a busy database passes; until then nothing is asked of the API.
                Err(RunError::Store(error)) => {
                    self.storage_failures = self.storage_failures.saturating_add(1);
                    let (failures, now) = (self.storage_failures, self.uptime());
                    let pause = self.state.storage_failed(failures, now, self.ctx.fetcher.chance());
                    let free_bytes = database_path::free_bytes(self.ctx.store.path());
                    tracing::error!(%error, seconds = pause.as_secs(), free_bytes, "the database cannot be written; trying again");
                    self.say(&format!("the database cannot be written: {error}")).await;
                    Step::Rest(pause)
                }
                Err(stop) => return Err(stop),
            };
            let step = match step {
                Step::Idle(until) => self.wait(until).await,
                Step::Rest(length) => self.rest(length).await,
                other => other,
            };
            if step == Step::End {
                self.state = State::Draining;
                return Ok(());
            }
        }
    }

    /// Whose key is it? Without an answer the daemon starts all the same: a boot during an outage
    /// must succeed. Nor is a rate limit sat out: whoever started it waits to hear that it is ready.
    async fn start(&mut self) -> Result<Step, RunError> {
        self.ctx.fetcher.reset_wait_to(START_TIMEOUT);
        let identified = self.or_stop(|ctx| Box::pin(sync::identify::identify(ctx))).await;
        match identified {
            None => return Ok(Step::End),
            Some(Ok(())) => self.key_works(),
            Some(Err(
                stop @ (RunError::KeyRefused(_)
                | RunError::OtherOrganization { .. }
                | RunError::Store(_)),
            )) => {
                return Err(stop);
            }
            Some(Err(stop)) => {
                tracing::warn!(error = %stop, "starting without an answer from the API");
                self.note_stop(&stop).await;
            }
        }
        (self.hooks.notify)(&ServiceState::Ready);
        Ok(Step::Go)
    }

    /// Does what is to be done now, or says until when there is nothing.
    async fn step(&mut self) -> Result<Step, RunError> {
        self.ctx.store.check_in_place().await?;
        if let State::StorageFailed { .. } = self.state {
            if let Some(left) = self.state.rest_left(self.uptime()) {
                return Ok(Step::Rest(left));
            }
            self.state.try_storage();
        }
        if let State::KeyRefused { refusal, .. } = &self.state
            && let Some(refusal) = refusal.about_key()
            && (self.refuse_job(&refusal).await? || self.refuse_backfill_job(&refusal).await?)
        {
            return Ok(Step::Go);
        }
        if let Some(step) = self.job_in_outage().await? {
            return Ok(step);
        }
        if let Some(left) = self.state.rest_left(self.uptime()) {
            return Ok(Step::Rest(left));
        }
        match &self.state {
            State::Starting { .. } | State::KeyRefused { .. } => self.probe_key().await,
            State::Outage { .. } => self.try_api().await,
            State::Polling { .. } => self.poll().await,
            State::StorageFailed { .. } | State::Draining => Ok(Step::Go),
        }
    }

    /// The next job or run, or until when there is none.
    async fn poll(&mut self) -> Result<Step, RunError> {
        let (now, uptime) = (self.now(), self.uptime());
        if self.unverified.is_some_and(|trouble| trouble.rest_left(uptime).is_none()) {
            return Ok(self.renew().await);
        }
        if let Some((job, request)) = self.claim_job().await? {
            return self.do_job(job, request).await;
        }
        let batch_delay = sync::batch_delay(&self.ctx, &self.settings.run_id, now).await?;
        self.batch_delay = batch_delay.batch_delay;
        let options = self.options();
        let is_short = self.batch_delay > self.settings.freshness_target;
        match sync::next_at(&self.ctx, &options, &self.settings.run_id, now).await? {
            Some(at) if at <= now => match self.days_between(is_short).await? {
                Some(step) => Ok(step),
                None => self.run_id(options).await,
            },
            at => {
                if let Some(step) = self.days(at, is_short).await? {
                    return Ok(step);
                }
                let days = self.days_at(now).await?;
                let unverified = self.unverified.and_then(|trouble| trouble.rest_left(uptime));
                let unverified = unverified.map(|left| instant::later(now, left));
                let at = [at, unverified, batch_delay.until, days].into_iter().flatten().min();
                let until = at.unwrap_or_else(|| instant::later(now, IDLE_MAX));
                self.say_idle(until).await;
                Ok(Step::Idle(until))
            }
        }
    }

    fn options(&self) -> RunOptions {
        RunOptions {
            trigger: "run",
            scope: RunScope::default(),
            only: Vec::new(),
            batch_delay: self.batch_delay,
            waits_for_outcome: false,
            is_identified: true,
            verify: None,
        }
    }

    async fn run_id(&mut self, options: RunOptions) -> Result<Step, RunError> {
        let wait = self.settings.request_settings.max_wait;
        match self.sync_once(&options, (!self.state.is_recovering()).then_some(wait)).await {
            Some(report) => {
                let is_fruitless =
                    report.requests() == 0 && !report.pushed.is_any() && report.run_error.is_none();
                let has_failed = report.kinds.iter().any(|kind| !kind.is_good());
                // A plan that led to no request would lead to none again.
                Ok(match self.digest(report).await? {
                    Step::Go if is_fruitless => {
                        Step::Idle(instant::later(self.now(), FRUITLESS_PAUSE))
                    }
                    Step::Go if has_failed => Step::Idle(instant::later(self.now(), FAILED_PAUSE)),
                    step => step,
                })
            }
            None => Ok(Step::End),
        }
    }

    /// Runs a run to its end, or to a call to stop; then it is broken off and `None` comes back. It
    /// waits for the rate limit for no longer than `wait`; without one it tries everything just once.
    pub(super) async fn sync_once(
        &mut self,
        options: &RunOptions,
        wait: Option<Duration>,
    ) -> Option<Report> {
        match wait {
            None => self.ctx.fetcher.try_once(),
            Some(wait) => self.ctx.fetcher.reset_wait_to(wait),
        }
        self.say("working").await;
        let settings = self.settings.run_id.clone();
        let begun = self.ctx.fetcher.clock().boot().elapsed;
        let report = {
            let run_id = sync::run(&mut self.ctx, options, &settings);
            tokio::select! {
                report = run_id => Some(report),
                () = stop_signal_received(&mut self.hooks.signals, &mut self.pending) => None,
            }
        };
        match &report {
            None => _ = sync::interrupt(&mut self.ctx, &settings).await,
            Some(report) => {
                let ended = self.ctx.fetcher.clock().boot().elapsed;
                (self.hooks.note)(report, ended.saturating_sub(begun));
            }
        }
        report
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        self.ctx.fetcher.clock().now()
    }

    /// Time since boot, for pauses.
    pub(super) fn uptime(&self) -> Duration {
        self.ctx.fetcher.clock().boot().elapsed
    }

    async fn say_idle(&mut self, until: DateTime<Utc>) {
        self.say(&format!("idle until {}", until.format(SECONDS))).await;
    }

    /// Tells the service manager and `status` how things stand, when it has changed.
    pub(super) async fn say(&mut self, text: &str) {
        if self.shown == text {
            return;
        }
        text.clone_into(&mut self.shown);
        (self.hooks.notify)(&ServiceState::Status(text.to_owned()));
        let batch_delay_s = i64::try_from(self.batch_delay.as_secs()).unwrap_or(i64::MAX);
        let text = text.to_owned();
        let kept =
            self.ctx.store.try_write(move |tx| instance::set_condition(tx, &text, batch_delay_s));
        let kept = kept.await;
        if let Err(error) = kept {
            tracing::debug!(%error, "the condition could not be kept");
            // So that it is told again.
            self.shown.clear();
        }
    }
}

/// A backfill that another process has handed over.
#[derive(Debug)]
pub struct BackfillJob {
    /// Its number in the queue.
    pub job: i64,
    /// How far it is.
    pub work: Backfill,
}

/// When the machine booted, by its wall clock of now.
pub(super) fn booted_at(clock: &Clock) -> DateTime<Utc> {
    let elapsed = TimeDelta::from_std(clock.boot().elapsed).unwrap_or(TimeDelta::MAX);
    clock.now().checked_sub_signed(elapsed).unwrap_or_default()
}

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Look again at once.
    Go,
    /// Nothing to do until then, unless a job or a write comes.
    Idle(DateTime<Utc>),
    /// Nothing may be done for so long, whatever comes.
    Rest(Duration),
    /// The end.
    End,
}
