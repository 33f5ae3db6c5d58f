//! Reactions to failures: the backoff after a failed run, the status shown, and the single request that tests whether an
//! outage is over.

use crate::daemon::hooks::ServiceState;
use crate::daemon::service::{Daemon, SECONDS, Step};
use crate::daemon::state::DaemonState;
use crate::model::instant;
use crate::sync::{self, Report, RunError};

/// Result of the single request that reads the key's organization.
pub(super) enum KeyCheck {
    /// The API accepted the key.
    Accepted,
    /// The error, already handled by [`Daemon::handle_error`].
    Failed(RunError),
    /// A stop signal came first.
    Stopped,
}

impl Daemon {
    /// Updates the state after a run.
    pub(super) async fn finish_run(&mut self, report: Report) -> Result<Step, RunError> {
        // If every kind failed, check whether the API itself is down.
        if report.is_all_failures() {
            match self.check_key().await? {
                KeyCheck::Stopped => return Ok(Step::Stop),
                KeyCheck::Accepted => {}
                KeyCheck::Failed(_) => {
                    sync::backoff::take_back(&self.ctx).await?;
                    return Ok(Step::Continue);
                }
            }
        }
        match report.run_error {
            None => {
                (self.hooks.notify)(&ServiceState::ApiAnswers(true));
                self.state.recovered();
                self.storage_failures = 0;
            }
            Some(RunError::Store(error)) => return Err(RunError::Store(error)),
            Some(error) => self.handle_error(&error).await,
        }
        Ok(Step::Continue)
    }

    /// Reads the key's organization with a single request. Returns database errors.
    pub(super) async fn check_key(&mut self) -> Result<KeyCheck, RunError> {
        self.ctx.fetcher.try_once();
        match self.identify_unless_stopped().await {
            None => Ok(KeyCheck::Stopped),
            Some(Ok(())) => Ok(KeyCheck::Accepted),
            Some(Err(error @ RunError::Store(_))) => Err(error),
            Some(Err(error)) => {
                self.handle_error(&error).await;
                Ok(KeyCheck::Failed(error))
            }
        }
    }

    /// Logs the error that ended a run, shows it as the status, and schedules the next attempt.
    pub(super) async fn handle_error(&mut self, error: &RunError) {
        let now = self.uptime();
        match error {
            RunError::RateLimited(wait) => {
                self.state.rate_limited(now.saturating_add(*wait));
                let until = instant::later(self.now(), *wait);
                self.set_status(&format!("rate limited until {}", until.format(SECONDS))).await;
            }
            RunError::KeyRefused(_) | RunError::OtherOrganization { .. } => {
                tracing::error!(%error, "polling paused until the key works; replace the key and reload or restart");
                self.set_status(&format!(
                    "{error}; replace the key and reload, or restart if it is a systemd credential"
                ))
                .await;
                if let Some(refusal) = error.about_key() {
                    self.state.key_refused(refusal, now);
                }
                (self.hooks.notify)(&ServiceState::KeyWorks(false));
            }
            RunError::Outage(_) | RunError::Broken(_) => {
                (self.hooks.notify)(&ServiceState::ApiAnswers(false));
                let pause = self.state.no_answer(now, self.ctx.fetcher.chance());
                tracing::warn!(%error, retry_in_s = pause.as_secs(), "API unavailable");
                self.set_status(&error.to_string()).await;
            }
            RunError::Store(_) | RunError::UnreadableJob(_) | RunError::Interrupted => {}
        }
    }

    /// The API accepted the key.
    pub(super) fn key_accepted(&mut self) {
        self.state.recovered();
        (self.hooks.notify)(&ServiceState::KeyWorks(true));
        (self.hooks.notify)(&ServiceState::ApiAnswers(true));
    }

    /// The API answered after an outage, possibly for the first time since the start.
    pub(super) fn outage_over(&mut self) {
        tracing::info!("API available again");
        if let DaemonState::Starting { .. } = self.state {
            self.key_accepted();
        }
        self.state.answered();
        (self.hooks.notify)(&ServiceState::ApiAnswers(true));
    }

    /// Tests with a single request whether an outage is over. A run would retry every kind.
    pub(super) async fn try_api(&mut self) -> Result<Step, RunError> {
        match self.check_key().await? {
            KeyCheck::Stopped => return Ok(Step::Stop),
            KeyCheck::Accepted => self.outage_over(),
            KeyCheck::Failed(_) => {}
        }
        Ok(Step::Continue)
    }
}
