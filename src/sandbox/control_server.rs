//! What a test may do to the server: accidents, limits, keys, cursors, deploys.

use std::time::Duration;

use chrono::TimeDelta;

use crate::sandbox::control::Control;
use crate::sandbox::faults::Fault;
use crate::sandbox::settings::{SandboxKey, Scope};
use crate::sandbox::switches::Switch;

impl Control {
    /// Lets an accident wait for its request.
    pub fn fault(&self, fault: Fault) {
        self.with(|state| state.faults.add(fault));
    }

    /// How many accidents still wait; none when a test has seen all that it scripted.
    pub fn faults_waiting(&self) -> usize {
        self.with(|state| state.faults.waiting())
    }

    /// Forgets all accidents, and ends the chaos.
    pub fn clear_faults(&self) {
        self.with(|state| {
            state.faults.clear();
            state.faults.chaos = 0.0;
        });
    }

    /// Sets the real time that every answer takes at least.
    pub fn set_latency(&self, latency: Duration) {
        self.with(|state| state.settings.latency = latency);
    }

    /// Changes the rate limit from now on. What was used in this window stays used.
    pub fn set_rate_limit(&self, limit: u32, window: Duration) {
        self.with(|state| state.gate.set(limit, window));
    }

    /// Spends requests of a key's budget, as another client of the same key would.
    pub fn spend(&self, key: &str, requests: u32) {
        self.with(|state| {
            let now = state.world.now;
            for _ in 0..requests {
                let _ = state.gate.pass(key, now);
            }
        });
    }

    /// Lets the server's clock be wrong, `Date` and world included.
    pub fn set_clock_offset(&self, offset: TimeDelta) {
        self.with(|state| state.time.set_offset(offset));
    }

    /// A deploy: all idempotency keys are forgotten.
    pub fn deploy(&self) {
        self.with(|state| state.replicas.restart());
    }

    /// Lets one simulated process answer everything; `None` lets them take turns again.
    pub fn pin_replica(&self, replica: Option<usize>) {
        self.with(|state| state.replicas.pinned = replica);
    }

    /// Makes every cursor handed out so far invalid.
    pub fn expire_cursors(&self) {
        self.with(|state| state.walks.epoch += 1);
    }

    /// Sets the dates that `/meta` shows.
    pub fn set_lifecycle(&self, deprecation: Option<&str>, sunset: Option<&str>) {
        self.with(|state| {
            state.lifecycle.deprecation = deprecation.map(str::to_owned);
            state.lifecycle.sunset = sunset.map(str::to_owned);
        });
    }

    /// Switches an endpoint or parameter off.
    pub fn switch_off(&self, switch: Switch) {
        self.with(|state| state.switches.push(switch));
    }

    /// Switches everything on again.
    pub fn switch_all_on(&self) {
        self.with(|state| state.switches.clear());
    }

    /// Sets the cap on tracked accounts.
    pub fn set_account_cap(&self, cap: Option<usize>) {
        self.with(|state| state.world.settings.account_cap = cap);
    }

    /// Sets the most ids of one batch request, and whether the refusal of a larger one says so.
    pub fn set_batch_bound(&self, ids_max: usize, is_named: bool) {
        self.with(|state| {
            state.world.settings.batch_ids_max = ids_max;
            state.world.settings.batch_names_max = is_named;
        });
    }

    /// Adds a key.
    pub fn add_key(&self, key: SandboxKey) {
        self.with(|state| state.gate.keys.push(key));
    }

    /// Replaces the secret of a key; the old one is no longer let in.
    pub fn rotate_key(&self, old: &str, new: &str) -> bool {
        self.edit_key(old, |key| key.key = new.to_owned())
    }

    /// Enables or disables a key.
    pub fn set_key_enabled(&self, key: &str, enabled: bool) -> bool {
        self.edit_key(key, |key| key.enabled = enabled)
    }

    /// Changes what a key may do.
    pub fn set_key_scope(&self, key: &str, scope: Scope) -> bool {
        self.edit_key(key, |key| key.scope = scope)
    }

    /// Changes the organization that `/whoami` tells for a key.
    pub fn set_key_organization(&self, key: &str, organization_id: &str) -> bool {
        self.edit_key(key, |key| key.organization_id = organization_id.to_owned())
    }

    fn edit_key(&self, secret: &str, change: impl FnOnce(&mut SandboxKey)) -> bool {
        self.with(|state| {
            let key = state.gate.keys.iter_mut().find(|key| key.key == secret);
            key.map(change).is_some()
        })
    }
}
