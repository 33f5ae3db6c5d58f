//! A key that does not work: polling stops, the process and what is queued stay, and the key source
//! is read again and tried, slowly, until it works.

use crate::api::Client;
use crate::daemon::hooks::{Reloaded, ServiceState};
use crate::daemon::service::{Daemon, Step};
use crate::daemon::state::Probe;
use crate::sync::{self, RunError};

impl Daemon {
    /// Reads the key again and asks whose it is.
    pub(super) async fn probe_key(&mut self) -> Result<Step, RunError> {
        match (self.hooks.reload)() {
            Ok(reloaded) => drop(self.take_up(reloaded)),
            Err(error) => tracing::warn!(error, "the key could not be read again"),
        }
        match self.try_key().await {
            None => Ok(Step::End),
            Some(Ok(())) => {
                tracing::info!("the key works");
                self.unverified = None;
                self.key_works();
                Ok(Step::Go)
            }
            Some(Err(RunError::Store(error))) => Err(RunError::Store(error)),
            Some(Err(stop)) => {
                self.note_stop(&stop).await;
                Ok(Step::Go)
            }
        }
    }

    /// Reads settings and key anew, as a call asked for.
    pub(super) async fn reload(&mut self) -> Step {
        (self.hooks.notify)(&ServiceState::Reloading);
        let step = self.renew().await;
        (self.hooks.notify)(&ServiceState::Ready);
        self.shown.clear();
        step
    }

    /// Takes up new settings at once, and a new key when it is verified.
    pub(super) async fn renew(&mut self) -> Step {
        let reloaded = match (self.hooks.reload)() {
            Ok(reloaded) => reloaded,
            Err(error) => {
                tracing::error!(error, "nothing is changed, because the settings cannot be read");
                return Step::Go;
            }
        };
        let former = self.take_up(reloaded);
        self.ctx.fetcher.reset_wait();
        match self.or_stop(|ctx| Box::pin(sync::identify::identify(ctx))).await {
            None => return Step::End,
            Some(Ok(())) => {
                tracing::info!("settings and key are taken up");
                self.unverified = None;
                self.key_works();
            }
            Some(Err(stop)) => {
                self.ctx.fetcher.replace_client(former);
                self.stay_with_old_key(&stop);
            }
        }
        Step::Go
    }

    /// A key that is refused is left alone; one of which nobody could say anything is tried again.
    fn stay_with_old_key(&mut self, stop: &RunError) {
        if stop.about_key().is_some() {
            self.unverified = None;
            tracing::error!(
                error = %stop,
                "the key does not work and the old one stays; a systemd credential only changes with a restart"
            );
            return;
        }
        let now = self.uptime();
        let trouble = self.unverified.map_or(Probe::first(now), |before| before.later(now));
        self.unverified = Some(trouble);
        tracing::warn!(
            error = %stop,
            "settings are taken up; whether the key works cannot be told now, so the old one stays until it can"
        );
    }

    /// Puts settings and key in force; gives back what sent with the old key.
    fn take_up(&mut self, reloaded: Reloaded) -> Client {
        self.ctx.fetcher.set_request_settings(reloaded.settings.request_settings);
        self.ctx.freshness = reloaded.settings.freshness_target;
        self.settings = reloaded.settings;
        self.ctx.fetcher.replace_client(reloaded.client)
    }
}
