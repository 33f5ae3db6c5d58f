//! Control of API keys and their rate limit.

use std::time::Duration;

use super::control::Control;
use super::{SandboxKey, Scope};

impl Control {
    /// Changes the rate limit. Requests of the current window stay counted.
    pub fn set_rate_limit(&self, limit: u32, window: Duration) {
        self.sandbox.rate_limit(|rate_limit| rate_limit.set(limit, window));
    }

    /// Spends requests of a key's budget, as another client of the same key would.
    pub fn spend(&self, key: &str, requests: u32) {
        let now = self.now();
        self.sandbox
            .rate_limit(|rate_limit| (0..requests).for_each(|_| drop(rate_limit.admit(key, now))));
    }

    /// Adds a key.
    pub fn add_key(&self, key: SandboxKey) {
        self.sandbox.rate_limit(|rate_limit| rate_limit.keys.push(key));
    }

    /// Replaces the secret of a key; the old one is refused.
    pub fn rotate_key(&self, old: &str, new: &str) -> bool {
        self.edit_key(old, |key| key.key = new.to_owned())
    }

    /// Enables or disables a key.
    pub fn set_key_enabled(&self, key: &str, enabled: bool) -> bool {
        self.edit_key(key, |key| key.enabled = enabled)
    }

    /// Changes the scope of a key.
    pub fn set_key_scope(&self, key: &str, scope: Scope) -> bool {
        self.edit_key(key, |key| key.scope = scope)
    }

    /// Changes the organization that `/whoami` shows for a key.
    pub fn set_key_organization(&self, key: &str, organization_id: &str) -> bool {
        self.edit_key(key, |key| key.organization_id = organization_id.to_owned())
    }

    fn edit_key(&self, secret: &str, change: impl FnOnce(&mut SandboxKey)) -> bool {
        self.sandbox.rate_limit(|rate_limit| {
            let key = rate_limit.keys.iter_mut().find(|key| key.key == secret);
            key.map(change).is_some()
        })
    }
}
