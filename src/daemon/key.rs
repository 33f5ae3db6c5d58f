//! A key that does not work: polling stops, the process and what is queued stay, and the key source
//! is read again and tried, slowly, until it works.

use crate::api::Client;
use crate::daemon::front::{Fresh, News};
use crate::daemon::service::{Daemon, Step};
use crate::daemon::state::Probe;
use crate::pass::{self, Stop};

impl Daemon {
    /// Reads the key again and asks whose it is.
    pub(super) async fn probe_key(&mut self) -> Result<Step, Stop> {
        match (self.front.reload)() {
            Ok(fresh) => drop(self.take_up(fresh)),
            Err(error) => tracing::warn!(error, "the key could not be read again"),
        }
        match self.knock().await {
            None => Ok(Step::End),
            Some(Ok(())) => {
                tracing::info!("the key works");
                self.unverified = None;
                self.key_works();
                Ok(Step::Go)
            }
            Some(Err(Stop::Store(error))) => Err(Stop::Store(error)),
            Some(Err(stop)) => {
                self.note_stop(&stop).await;
                Ok(Step::Go)
            }
        }
    }

    /// Reads settings and key anew, as a call asked for.
    pub(super) async fn reload(&mut self) -> Step {
        (self.front.herald)(&News::Reloading);
        let step = self.renew().await;
        (self.front.herald)(&News::Ready);
        self.shown.clear();
        step
    }

    /// Takes up new settings at once, and a new key when it is verified.
    pub(super) async fn renew(&mut self) -> Step {
        let fresh = match (self.front.reload)() {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::error!(error, "nothing is changed, because the settings cannot be read");
                return Step::Go;
            }
        };
        let former = self.take_up(fresh);
        self.desk.fetcher.renew_patience();
        match self.or_stop(|desk| Box::pin(pass::identify::identify(desk))).await {
            None => return Step::End,
            Some(Ok(())) => {
                tracing::info!("settings and key are taken up");
                self.unverified = None;
                self.key_works();
            }
            Some(Err(stop)) => {
                self.desk.fetcher.replace_client(former);
                self.stay_with_old_key(&stop);
            }
        }
        Step::Go
    }

    /// A key that is refused is left alone; one of which nobody could say anything is tried again.
    fn stay_with_old_key(&mut self, stop: &Stop) {
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
    fn take_up(&mut self, fresh: Fresh) -> Client {
        self.desk.fetcher.set_manners(fresh.settings.manners);
        self.desk.freshness = fresh.settings.freshness_target;
        self.settings = fresh.settings;
        self.desk.fetcher.replace_client(fresh.client)
    }
}
