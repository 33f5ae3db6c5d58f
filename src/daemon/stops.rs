//! What follows from a pass, and from what stopped it: how long everything rests, what is told, and
//! the single requests by which an API that is down is tried again.

use crate::daemon::front::News;
use crate::daemon::service::{Daemon, SECONDS, Step};
use crate::daemon::state::State;
use crate::model::instant;
use crate::pass::{self, Report, Stop};

impl Daemon {
    /// Draws the consequences of a pass for what comes next.
    pub(super) async fn digest(&mut self, report: Report) -> Result<Step, Stop> {
        // Is it the API that fails, or what was asked for?
        if report.is_all_failures() {
            match self.knock().await {
                None => return Ok(Step::End),
                Some(Ok(())) => {}
                Some(Err(Stop::Store(error))) => return Err(Stop::Store(error)),
                Some(Err(stop)) => {
                    pass::pauses::take_back(&self.desk).await?;
                    self.note_stop(&stop).await;
                    return Ok(Step::Go);
                }
            }
        }
        match report.stop {
            None => {
                (self.front.herald)(&News::ApiAnswers(true));
                self.state.all_is_well();
                self.storage_failures = 0;
            }
            Some(Stop::Store(error)) => return Err(Stop::Store(error)),
            Some(stop) => self.note_stop(&stop).await,
        }
        Ok(Step::Go)
    }

    /// Asks once, whose key this is. `None`: called to stop.
    pub(super) async fn knock(&mut self) -> Option<Result<(), Stop>> {
        self.desk.fetcher.try_once();
        self.or_stop(|desk| Box::pin(pass::identify::identify(desk))).await
    }

    /// Puts off the next attempt by what stopped the last one.
    pub(super) async fn note_stop(&mut self, stop: &Stop) {
        let now = self.uptime();
        match stop {
            Stop::RateLimited(wait) => {
                self.state.limited(now.saturating_add(*wait));
                let until = instant::later(self.now(), *wait);
                self.say(&format!("rate limited until {}", until.format(SECONDS))).await;
            }
            Stop::KeyRefused(_) | Stop::OtherOrganization { .. } => {
                tracing::error!(error = %stop, "polling stops until the key works; replace the key and reload or restart");
                self.say(&format!("{stop}; replace the key and reload, or restart where it is a systemd credential")).await;
                if let Some(refusal) = stop.about_key() {
                    self.state.key_refused(refusal, now);
                }
                (self.front.herald)(&News::KeyWorks(false));
            }
            Stop::Outage(_) | Stop::Broken(_) => {
                (self.front.herald)(&News::ApiAnswers(false));
                let pause = self.state.no_answer(now, self.desk.fetcher.chance());
                tracing::warn!(error = %stop, seconds = pause.as_secs(), "trying again later");
                self.say(&stop.to_string()).await;
            }
            Stop::Store(_) | Stop::UnreadableJob(_) | Stop::Interrupted => {}
        }
    }

    /// The API has said whose key it is.
    pub(super) fn key_works(&mut self) {
        self.state.all_is_well();
        (self.front.herald)(&News::KeyWorks(true));
        (self.front.herald)(&News::ApiAnswers(true));
    }

    /// The API has answered after an outage, and maybe for the first time.
    pub(super) fn answers_again(&mut self) {
        tracing::info!("the API answers again");
        if let State::Starting { .. } = self.state {
            self.key_works();
        }
        self.state.answered();
        (self.front.herald)(&News::ApiAnswers(true));
    }

    /// After an outage: a single request tells whether it is over, where a pass would try each thing
    /// several times.
    pub(super) async fn try_api(&mut self) -> Result<Step, Stop> {
        match self.knock().await {
            None => Ok(Step::End),
            Some(Ok(())) => {
                self.answers_again();
                Ok(Step::Go)
            }
            Some(Err(Stop::Store(error))) => Err(Stop::Store(error)),
            Some(Err(stop)) => {
                self.note_stop(&stop).await;
                Ok(Step::Go)
            }
        }
    }
}
