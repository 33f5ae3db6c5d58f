//! Waiting: for the deadline, for a call, or for another process to have written something.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::mpsc;

use super::{Call, Daemon, Step};
use crate::poll::Desk;
use crate::push;
use crate::store::{StoreResult, jobs as queue};

/// How often the loop looks whether another process has written. Also the longest that a step of
/// the clock, or a suspended machine, goes unnoticed.
const TICK: Duration = Duration::from_millis(500);

impl Daemon {
    /// Sleeps until then, unless something comes up before.
    pub(super) async fn wait(&mut self, until: DateTime<Utc>) -> Step {
        let clock = self.desk.fetcher.clock().clone();
        // Listen before looking: what is written from here on moves the version.
        let mut seen = self.data_version().ok();
        if self.job_waits() || self.write_waits() || !self.pending.is_empty() {
            return self.answer_calls().await;
        }
        loop {
            let now = clock.now();
            let Ok(left) = (until - now).to_std() else { return Step::Go };
            if left.is_zero() {
                return Step::Go;
            }
            self.front.pulse.beat(TICK);
            tokio::select! {
                () = clock.sleep(left.min(TICK)) => {}
                call = self.front.calls.recv() => match call {
                    None | Some(Call::Stop) => return Step::End,
                    Some(call) => {
                        self.pending.push(call);
                        return self.answer_calls().await;
                    }
                },
            }
            // Only a write of another process moves the version that this connection sees.
            let version = self.data_version().ok();
            if version != seen {
                seen = version;
                if self.job_waits() || self.write_waits() {
                    return Step::Go;
                }
            }
        }
    }

    /// Answers the calls that came meanwhile.
    async fn answer_calls(&mut self) -> Step {
        for call in std::mem::take(&mut self.pending) {
            match call {
                Call::Stop => return Step::End,
                Call::Summary => self.summarize(),
                Call::Reload => {
                    if self.reload().await == Step::End {
                        return Step::End;
                    }
                }
            }
        }
        Step::Go
    }

    fn job_waits(&self) -> bool {
        self.may_work() && self.desk.store.read(queue::is_waiting).unwrap_or(false)
    }

    /// Whether neither the key nor any trouble keeps the daemon from working.
    fn may_work(&self) -> bool {
        let until = self.troubles.everything_rests_until();
        self.key.is_none() && until.is_none_or(|until| until <= self.now())
    }

    /// Whether something was queued that can be sent now.
    pub(super) fn write_waits(&self) -> bool {
        let now = self.now();
        self.may_work() && push::next_at(&self.desk, now).ok().flatten().is_some_and(|at| at <= now)
    }

    fn data_version(&self) -> StoreResult<i64> {
        self.desk.store.read(queue::data_version)
    }

    /// Does something at the desk, unless a call to stop comes first: then `None`.
    pub(super) async fn or_stop<T>(
        &mut self,
        work: impl for<'a> FnOnce(&'a mut Desk) -> Pin<Box<dyn Future<Output = T> + Send + 'a>>,
    ) -> Option<T> {
        tokio::select! {
            done = work(&mut self.desk) => Some(done),
            () = stop_called(&mut self.front.calls, &mut self.pending) => None,
        }
    }

    fn summarize(&self) {
        tracing::info!(
            condition = self.shown,
            patience_s = self.patience.as_secs(),
            held = ?self.troubles.held(self.now()),
            "how things stand"
        );
    }
}

/// Returns when a call to stop comes. Other calls are kept for later.
pub(super) async fn stop_called(calls: &mut mpsc::Receiver<Call>, pending: &mut Vec<Call>) {
    loop {
        match calls.recv().await {
            None | Some(Call::Stop) => return,
            Some(call) if pending.contains(&call) => {}
            Some(call) => pending.push(call),
        }
    }
}
