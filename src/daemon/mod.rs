//! The loop: the same pass, again and again, woken by the next due time, a cron sweep, a job that
//! another process handed over, or a signal.
//!
//! The front supplies the calls (signals), the herald (systemd), and a way to read settings and key
//! anew; nothing here knows where they come from. Every way out of a pass moves the next attempt
//! forward: what fails is tried again after a growing pause, per kind where it is a kind's own
//! trouble, for everything where it is everybody's.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod days;
mod jobs;
mod key;
mod pulse;
mod stops;
mod trouble;
mod wait;

use std::collections::VecDeque;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

pub use jobs::{Answer, JobRequest};
pub use pulse::Pulse;

use crate::api::Client;
use crate::model::instant;
use crate::pass::backfill::{Backfill, Backfilled};
use crate::pass::{self, Order, PassSettings, Report, Stop};
use crate::plan::work::Wish;
use crate::poll::Desk;
use crate::poll::fetch::Manners;
use crate::store::{StoreError, instance, jobs as queue};

use days::Handed;
use key::KeyTrouble;
use trouble::Troubles;

/// An instant in a line for people.
const SECONDS: &str = "%Y-%m-%d %H:%M:%S UTC";
/// How long the start waits for a rate limit before it says that it is ready without an answer.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// After a pass that found nothing to ask for.
const FRUITLESS_PAUSE: Duration = Duration::from_secs(30);
/// The longest idle time; then the loop looks again.
const IDLE_MAX: Duration = Duration::from_secs(24 * 3_600);

/// After a pass in which a kind failed: what goes on without a pause of its own does so after this.
const FAILED_PAUSE: Duration = Duration::from_secs(10);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// End, leaving everything in order.
    Stop,
    /// Read settings and key anew.
    Reload,
    /// Log how things stand.
    Summary,
}

/// What the service manager is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Up and working, or able to work as soon as the API is.
    Ready,
    /// One line for people.
    Status(String),
    /// Reading settings anew.
    Reloading,
    /// On the way out.
    Stopping,
    /// The API accepts the key, or does not.
    KeyWorks(bool),
    /// The API answers, or does not.
    ApiAnswers(bool),
}

/// What the daemon goes by.
#[derive(Debug, Clone)]
pub struct DaemonSettings {
    /// For its passes.
    pub pass: PassSettings,
    /// For its requests.
    pub manners: Manners,
    /// How long dues wait for each other at least.
    pub freshness_target: Duration,
}

/// Settings and key, read anew.
#[derive(Debug)]
pub struct Fresh {
    /// Sends with the new key.
    pub client: Client,
    /// What to go by from now on.
    pub settings: DaemonSettings,
}

/// Is shown a report, and how long its pass took.
pub type Note = dyn Fn(&Report, Duration) + Send;

/// What the front gives the daemon.
pub struct Front {
    /// Signals.
    pub calls: mpsc::Receiver<Call>,
    /// Tells the service manager.
    pub herald: Box<dyn Fn(&News) + Send>,
    /// Is shown every report.
    pub note: Box<Note>,
    /// Reads settings and key anew, or says why not.
    pub reload: Box<dyn FnMut() -> Result<Fresh, String> + Send>,
    /// What a process that handed a job over shall print, and its exit code.
    pub answer: Box<dyn Fn(&Report) -> Answer + Send>,
    /// The same of a process that handed a backfill over.
    pub answer_backfill: Box<dyn Fn(&Backfilled) -> Answer + Send>,
    /// Shows that the loop is alive.
    pub pulse: Pulse,
}

struct Daemon {
    desk: Desk,
    settings: DaemonSettings,
    front: Front,
    patience: Duration,
    troubles: Troubles,
    key: Option<KeyTrouble>,
    /// Backfills that other processes have handed over.
    handed: VecDeque<Handed>,
    /// The days that are asked for as they end.
    growth: Option<Backfill>,
    /// When days were looked at last, and until when the budget has none left for them, in time since
    /// boot.
    days_seen: Duration,
    days_rest_until: Duration,
    /// Why the key does not work, where the API has said so.
    refusal: Option<Stop>,
    /// A new key that could not be verified yet; the old one is in use.
    unverified: Option<KeyTrouble>,
    /// Calls that came in the middle of something.
    pending: Vec<Call>,
    shown: String,
    /// When the machine booted, by the wall clock; it moves when that clock is stepped.
    booted_at: DateTime<Utc>,
}

/// Runs until it is called to stop. An error is one that no waiting mends: a key that is refused
/// at the start, or a database that was deleted or replaced.
pub async fn run(desk: Desk, settings: DaemonSettings, front: Front) -> Result<(), Stop> {
    let patience = settings.freshness_target;
    let booted_at = wait::booted_at(desk.fetcher.clock());
    let mut daemon = Daemon {
        desk,
        settings,
        front,
        patience,
        troubles: Troubles::default(),
        key: None,
        handed: VecDeque::new(),
        growth: None,
        days_seen: Duration::ZERO,
        days_rest_until: Duration::ZERO,
        refusal: None,
        unverified: None,
        pending: Vec::new(),
        shown: String::new(),
        booted_at,
    };
    let result = daemon.life().await;
    (daemon.front.herald)(&News::Stopping);
    if let Err(Stop::Store(StoreError::Replaced(_))) = &result {
        // What is at the path now is not ours to write to.
        return result;
    }
    let store = &daemon.desk.store;
    let at_end = store.write(|tx| instance::set_runner(tx, None)).await;
    if let Err(error) = at_end.and(store.tidy().await) {
        tracing::warn!(%error, "the database could not be tidied up");
    }
    result
}

impl Daemon {
    async fn life(&mut self) -> Result<(), Stop> {
        self.desk
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
                Err(stop @ Stop::Store(StoreError::Replaced(_))) => return Err(stop),
                // A full disk or a busy database passes; until then nothing is asked of the API.
                Err(Stop::Store(error)) => {
                    let pause = self.troubles.storage();
                    tracing::error!(%error, seconds = pause.as_secs(), "the database cannot be written; trying again");
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
                return Ok(());
            }
        }
    }

    /// Whose key is it? Without an answer the daemon starts all the same: a boot during an outage
    /// must succeed. Nor is a rate limit sat out: whoever started it waits to hear that it is ready.
    async fn start(&mut self) -> Result<Step, Stop> {
        self.desk.fetcher.renew_patience_for(START_PATIENCE);
        let identified = self.or_stop(|desk| Box::pin(pass::identify::identify(desk))).await;
        match identified {
            None => return Ok(Step::End),
            Some(Ok(())) => self.key_works(),
            Some(Err(
                stop @ (Stop::KeyRefused(_) | Stop::OtherOrganization { .. } | Stop::Store(_)),
            )) => {
                return Err(stop);
            }
            Some(Err(stop)) => {
                tracing::warn!(error = %stop, "starting without an answer from the API");
                self.note_stop(&stop).await;
                self.key = Some(KeyTrouble::unknown(self.uptime()));
            }
        }
        (self.front.herald)(&News::Ready);
        Ok(Step::Go)
    }

    /// Does what is to be done now, or says until when there is nothing.
    async fn step(&mut self) -> Result<Step, Stop> {
        self.desk.store.check_in_place().await?;
        let (now, uptime) = (self.now(), self.uptime());
        if let Some(refusal) = self.refusal.as_ref().and_then(Stop::about_key)
            && (self.refuse_job(&refusal).await? || self.refuse_handed(&refusal).await?)
        {
            return Ok(Step::Go);
        }
        if let Some(step) = self.job_in_outage().await? {
            return Ok(step);
        }
        if let Some(trouble) = &self.key {
            return match trouble.rest_left(uptime) {
                Some(left) => Ok(Step::Rest(left)),
                None => self.probe_key().await,
            };
        }
        if let Some(left) = self.troubles.rest_left(uptime) {
            return Ok(Step::Rest(left));
        }
        if self.troubles.is_down() {
            return self.try_api().await;
        }
        if self.unverified.is_some_and(|trouble| trouble.rest_left(uptime).is_none()) {
            return Ok(self.renew().await);
        }
        if let Some((job, request)) = self.claim_job().await? {
            return self.do_job(job, request).await;
        }
        let stretch = pass::stretch(&self.desk, &self.settings.pass, now).await?;
        self.patience = stretch.patience;
        let order = self.order();
        let is_short = self.patience > self.settings.freshness_target;
        match pass::next_at(&self.desk, &order, &self.settings.pass, now).await? {
            Some(at) if at <= now => match self.days_between(is_short).await? {
                Some(step) => Ok(step),
                None => self.pass(order).await,
            },
            at => {
                if let Some(step) = self.days(at, is_short).await? {
                    return Ok(step);
                }
                let days = self.days_at(now).await?;
                let unverified = self.unverified.and_then(|trouble| trouble.rest_left(uptime));
                let unverified = unverified.map(|left| instant::later(now, left));
                let at = [at, unverified, stretch.until, days].into_iter().flatten().min();
                let until = at.unwrap_or_else(|| instant::later(now, IDLE_MAX));
                self.say_idle(until).await;
                Ok(Step::Idle(until))
            }
        }
    }

    fn order(&self) -> Order {
        Order {
            trigger: "run",
            wish: Wish::default(),
            only: Vec::new(),
            patience: self.patience,
            settles: false,
            is_identified: true,
            verify: None,
        }
    }

    async fn pass(&mut self, order: Order) -> Result<Step, Stop> {
        let wait = self.settings.manners.max_wait;
        match self.run_pass(&order, (!self.troubles.is_recovering()).then_some(wait)).await {
            Some(report) => {
                let is_fruitless =
                    report.requests() == 0 && !report.pushed.is_any() && report.stop.is_none();
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

    /// Runs a pass to its end, or to a call to stop; then it is broken off and `None` comes back. It
    /// waits for the rate limit for no longer than `wait`; without one it tries everything just once.
    async fn run_pass(&mut self, order: &Order, wait: Option<Duration>) -> Option<Report> {
        match wait {
            None => self.desk.fetcher.try_once(),
            Some(wait) => self.desk.fetcher.renew_patience_for(wait),
        }
        self.say("working").await;
        let settings = self.settings.pass.clone();
        let begun = self.desk.fetcher.clock().boot().elapsed;
        let report = {
            let pass = pass::run(&mut self.desk, order, &settings);
            tokio::select! {
                report = pass => Some(report),
                () = wait::stop_called(&mut self.front.calls, &mut self.pending) => None,
            }
        };
        match &report {
            None => _ = pass::interrupt(&mut self.desk, &settings).await,
            Some(report) => {
                let ended = self.desk.fetcher.clock().boot().elapsed;
                (self.front.note)(report, ended.saturating_sub(begun));
            }
        }
        report
    }

    fn now(&self) -> DateTime<Utc> {
        self.desk.fetcher.clock().now()
    }

    /// Time since boot, for pauses.
    fn uptime(&self) -> Duration {
        self.desk.fetcher.clock().boot().elapsed
    }

    async fn say_idle(&mut self, until: DateTime<Utc>) {
        self.say(&format!("idle until {}", until.format(SECONDS))).await;
    }

    /// Tells the service manager and `status` how things stand, when it has changed.
    async fn say(&mut self, text: &str) {
        if self.shown == text {
            return;
        }
        text.clone_into(&mut self.shown);
        (self.front.herald)(&News::Status(text.to_owned()));
        let patience_s = i64::try_from(self.patience.as_secs()).unwrap_or(i64::MAX);
        let text = text.to_owned();
        let kept =
            self.desk.store.write_at_once(move |tx| instance::set_condition(tx, &text, patience_s));
        let kept = kept.await;
        if let Err(error) = kept {
            tracing::debug!(%error, "the condition could not be kept");
            // So that it is told again.
            self.shown.clear();
        }
    }
}

/// What the loop does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Look again at once.
    Go,
    /// Nothing to do until then, unless a job or a write comes.
    Idle(DateTime<Utc>),
    /// Nothing may be done for so long, whatever comes.
    Rest(Duration),
    /// The end.
    End,
}
