//! Reload of settings and key. A key that does not work pauses polling, but the process and the queued writes stay; the
//! key source is read and tried again with a growing pause until the key works.

use crate::api::Client;
use crate::daemon::failures::KeyCheck;
use crate::daemon::hooks::{Reloaded, ServiceState};
use crate::daemon::service::{Daemon, Step};
use crate::daemon::state::Probe;
use crate::sync::RunError;

impl Daemon {
    /// Reads the key again and tries it.
    pub(super) async fn probe_key(&mut self) -> Result<Step, RunError> {
        match (self.hooks.reload)() {
            Ok(reloaded) => drop(self.apply(reloaded)),
            Err(error) => tracing::warn!(error, "cannot read the key again"),
        }
        match self.check_key().await? {
            KeyCheck::Stopped => return Ok(Step::Stop),
            KeyCheck::Accepted => {
                tracing::info!("key accepted");
                self.unverified_key = None;
                self.key_accepted();
            }
            KeyCheck::Failed(_) => {}
        }
        Ok(Step::Continue)
    }

    /// Reloads settings and key on a signal.
    pub(super) async fn reload(&mut self) -> Step {
        (self.hooks.notify)(&ServiceState::Reloading);
        let step = self.reload_settings().await;
        (self.hooks.notify)(&ServiceState::Ready);
        self.status.clear();
        step
    }

    /// Applies new settings immediately, and a new key once the API accepts it.
    pub(super) async fn reload_settings(&mut self) -> Step {
        let reloaded = match (self.hooks.reload)() {
            Ok(reloaded) => reloaded,
            Err(error) => {
                tracing::error!(error, "reload failed; settings and key unchanged");
                self.reload_error = Some(error);
                return Step::Continue;
            }
        };
        self.reload_error = None;
        let former = self.apply(reloaded);
        self.ctx.fetcher.reset_wait();
        match self.identify_unless_stopped().await {
            None => return Step::Stop,
            Some(Ok(())) => {
                tracing::info!("settings and key reloaded");
                self.unverified_key = None;
                self.key_accepted();
            }
            Some(Err(error)) => {
                self.ctx.fetcher.replace_client(former);
                self.keep_old_key(&error);
            }
        }
        Step::Continue
    }

    /// A refused key is not tried again; a key that could not be verified is.
    fn keep_old_key(&mut self, error: &RunError) {
        if error.about_key().is_some() {
            self.unverified_key = None;
            tracing::error!(
                %error,
                "new key refused, old key kept; a systemd credential changes only with a restart"
            );
            return;
        }
        let now = self.uptime();
        let probe = self.unverified_key.map_or(Probe::first(now), |probe| probe.next_probe(now));
        self.unverified_key = Some(probe);
        tracing::warn!(%error, "settings reloaded; new key not verified, old key kept until it is");
    }

    /// Applies settings and key. Returns the client with the old key.
    fn apply(&mut self, reloaded: Reloaded) -> Client {
        self.ctx.fetcher.set_request_settings(reloaded.settings.request_settings);
        self.ctx.freshness = reloaded.settings.freshness_target;
        self.settings = reloaded.settings;
        self.ctx.fetcher.replace_client(reloaded.client)
    }
}
