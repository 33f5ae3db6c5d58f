//! What follows from a run, and from what stopped it: how long everything rests, what is told, and
//! the single requests by which an API that is down is tried again.

use crate::daemon::hooks::ServiceState;
use crate::daemon::service::{Daemon, SECONDS, Step};
use crate::daemon::state::State;
use crate::model::instant;
use crate::sync::{self, Report, RunError};

impl Daemon {
    /// Draws the consequences of a run for what comes next.
    pub(super) async fn digest(&mut self, report: Report) -> Result<Step, RunError> {
        // Is it the API that fails, or what was asked for?
        if report.is_all_failures() {
            match self.try_key().await {
                None => return Ok(Step::End),
                Some(Ok(())) => {}
                Some(Err(RunError::Store(error))) => return Err(RunError::Store(error)),
                Some(Err(stop)) => {
                    sync::backoff::take_back(&self.ctx).await?;
                    self.note_stop(&stop).await;
                    return Ok(Step::Go);
                }
            }
        }
        match report.run_error {
            None => {
                (self.hooks.notify)(&ServiceState::ApiAnswers(true));
                self.state.all_is_well();
                self.storage_failures = 0;
            }
            Some(RunError::Store(error)) => return Err(RunError::Store(error)),
            Some(stop) => self.note_stop(&stop).await,
        }
        Ok(Step::Go)
    }

    /// Asks once, whose key this is. `None`: called to stop.
    pub(super) async fn try_key(&mut self) -> Option<Result<(), RunError>> {
        self.ctx.fetcher.try_once();
        self.or_stop(|ctx| Box::pin(sync::identify::identify(ctx))).await
    }

    /// Puts off the next attempt by what stopped the last one.
    pub(super) async fn note_stop(&mut self, stop: &RunError) {
        let now = self.uptime();
        match stop {
            RunError::RateLimited(wait) => {
                self.state.limited(now.saturating_add(*wait));
                let until = instant::later(self.now(), *wait);
                self.say(&format!("rate limited until {}", until.format(SECONDS))).await;
            }
            RunError::KeyRefused(_) | RunError::OtherOrganization { .. } => {
                tracing::error!(error = %stop, "polling stops until the key works; replace the key and reload or restart");
                self.say(&format!("{stop}; replace the key and reload, or restart where it is a systemd credential")).await;
                if let Some(refusal) = stop.about_key() {
                    self.state.key_refused(refusal, now);
                }
                (self.hooks.notify)(&ServiceState::KeyWorks(false));
            }
            RunError::Outage(_) | RunError::Broken(_) => {
                (self.hooks.notify)(&ServiceState::ApiAnswers(false));
                let pause = self.state.no_answer(now, self.ctx.fetcher.chance());
                tracing::warn!(error = %stop, seconds = pause.as_secs(), "trying again later");
                self.say(&stop.to_string()).await;
            }
            RunError::Store(_) | RunError::UnreadableJob(_) | RunError::Interrupted => {}
        }
    }

    /// The API has said whose key it is.
    pub(super) fn key_works(&mut self) {
        self.state.all_is_well();
        (self.hooks.notify)(&ServiceState::KeyWorks(true));
        (self.hooks.notify)(&ServiceState::ApiAnswers(true));
    }

    /// The API has answered after an outage, and maybe for the first time.
    pub(super) fn answers_again(&mut self) {
        tracing::info!("the API answers again");
        if let State::Starting { .. } = self.state {
            self.key_works();
        }
        self.state.answered();
        (self.hooks.notify)(&ServiceState::ApiAnswers(true));
    }

    /// After an outage: a single request tells whether it is over, where a run would try each thing
    /// several times.
    pub(super) async fn try_api(&mut self) -> Result<Step, RunError> {
        match self.try_key().await {
            None => Ok(Step::End),
            Some(Ok(())) => {
                self.answers_again();
                Ok(Step::Go)
            }
            Some(Err(RunError::Store(error))) => Err(RunError::Store(error)),
            Some(Err(stop)) => {
                self.note_stop(&stop).await;
                Ok(Step::Go)
            }
        }
    }
}
