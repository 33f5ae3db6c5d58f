//! Control of a running sandbox: faults, request log, and server behaviour.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use creatormirror::sandbox as product;
use serde_json::Value;

use super::faults::Fault;
use super::hook::FaultHook;
use super::request_log::{Counters, LoggedRequest, RequestLog};
use super::switches::Switch;

/// A handle to a running sandbox. Clones control the same sandbox, from any thread.
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) hook: Arc<FaultHook>,
    pub(super) sandbox: product::Control,
}

impl Control {
    /// A handle to this sandbox, whose requests pass this hook.
    pub fn new(hook: Arc<FaultHook>, sandbox: product::Control) -> Self {
        hook.sandbox.set(sandbox.clone()).unwrap();
        Self { hook, sandbox }
    }

    /// Adds a fault for a later request.
    pub fn fault(&self, fault: Fault) {
        self.hook.state().faults.add(fault);
    }

    /// Faults that no request has met yet.
    pub fn faults_waiting(&self) -> usize {
        self.hook.state().faults.waiting()
    }

    /// Removes all faults and stops random faults (`chaos`).
    pub fn clear_faults(&self) {
        let mut state = self.hook.state();
        state.faults.clear();
        state.is_chaos_over = true;
    }

    /// Switches an endpoint or parameter off.
    pub fn switch_off(&self, switch: Switch) {
        self.hook.state().switches.push(switch);
    }

    /// Switches everything on again.
    pub fn switch_all_on(&self) {
        self.hook.state().switches.clear();
    }

    /// The requests received so far, oldest first.
    pub fn log(&self) -> Vec<LoggedRequest> {
        self.hook.state().request_log.entries.iter().cloned().collect()
    }

    /// Totals of the requests received so far.
    pub fn counters(&self) -> Counters {
        self.hook.state().request_log.counters.clone()
    }

    /// Clears the log and its totals.
    pub fn clear_log(&self) {
        self.hook.state().request_log = RequestLog::default();
    }

    /// Makes every cursor handed out so far invalid.
    pub fn expire_cursors(&self) {
        self.hook.state().cursors.expire();
    }

    /// Sets the least real time of every answer.
    pub fn set_latency(&self, latency: Duration) {
        self.hook.state().quirks.latency = latency;
    }

    /// Shifts the server's clock, including `Date` and the data.
    pub fn set_clock_offset(&self, offset: TimeDelta) {
        self.sandbox.set_clock_offset(offset);
    }

    /// Lets this number of simulated processes answer in turn. Each stores its idempotency keys separately.
    pub fn set_replicas(&self, replicas: usize) {
        self.hook.state().quirks.replicas = replicas;
    }

    /// Lets one simulated process answer all requests; `None` lets them take turns again.
    pub fn pin_replica(&self, replica: Option<usize>) {
        self.hook.state().quirks.pinned_replica = replica;
    }

    /// Simulates a deploy: all idempotency keys are lost.
    pub fn deploy(&self) {
        self.hook.state().quirks.deploys += 1;
    }

    /// Compresses answers if the client accepts gzip.
    pub fn set_gzip(&self, gzip: bool) {
        self.hook.state().quirks.gzip = gzip;
    }

    /// Gives media URLs a signature that changes every day.
    pub fn sign_urls(&self) {
        self.hook.state().signed_urls = true;
    }

    /// Sets the dates that `/meta` shows.
    pub fn set_lifecycle(&self, deprecation: Option<&str>, sunset: Option<&str>) {
        let lifecycle = (deprecation.map(str::to_owned), sunset.map(str::to_owned));
        self.hook.state().quirks.lifecycle = lifecycle;
    }

    /// Changes the OpenAPI document: sets what a JSON pointer refers to, or removes it.
    pub fn edit_openapi(&self, pointer: &str, value: Option<Value>) {
        self.hook.state().openapi_edits.push((pointer.to_owned(), value));
    }

    /// Undoes the changes of the OpenAPI document.
    pub fn restore_openapi(&self) {
        self.hook.state().openapi_edits.clear();
    }

    /// Sets the cap on tracked accounts.
    pub fn set_account_cap(&self, cap: Option<usize>) {
        self.hook.state().quirks.account_cap = cap;
    }

    /// Sets the maximum number of ids of a batch request, and whether the error names it.
    pub fn set_batch_bound(&self, ids_max: usize, is_named: bool) {
        self.hook.state().quirks.batch_bound = Some((ids_max, is_named));
    }
}
