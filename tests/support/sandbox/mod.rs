//! A sandbox with fault injection, switched-off endpoints, malformed rows and a request log, as a
//! [`Hook`](creatormirror::sandbox::Hook) of the product's sandbox.

// Each test binary uses a part of this module.
#![allow(unused_imports)]

mod control;
mod cursors;
mod damage;
mod fault_kind;
mod faults;
mod hook;
mod keys;
mod members;
mod mutation;
mod quirks;
mod request_log;
mod switches;
mod truth;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use creatormirror::clock::Clock;
use creatormirror::sandbox as product;

pub use control::Control;
pub use creatormirror::sandbox::{
    Counts, Duplicates, IdStyle, Moment, Platform, SandboxKey, SandboxSettings, Scope, Totals,
};
pub use fault_kind::{BadRow, Batch, FaultBody, FaultKind, Mutation, Repeat, RetryAfter, Shape};
pub use faults::Fault;
pub use request_log::{Counters, LoggedRequest};
pub use switches::Switch;
pub use truth::Scrape;

/// A running sandbox. It stops when dropped.
#[derive(Debug)]
pub struct Sandbox {
    sandbox: product::Sandbox,
    control: Control,
}

/// Starts a sandbox on `listen`, on the current tokio runtime.
pub async fn start(
    settings: SandboxSettings,
    clock: Clock,
    listen: SocketAddr,
) -> io::Result<Sandbox> {
    let hook = Arc::new(hook::FaultHook::new(&settings));
    let sandbox = product::start_with(settings, clock, listen, hook.clone()).await?;
    Ok(Sandbox { control: Control::new(hook, sandbox.control()), sandbox })
}

impl Sandbox {
    /// The base URL for clients.
    pub fn base_url(&self) -> String {
        self.sandbox.base_url()
    }

    /// The listening address.
    pub fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    /// A handle to the sandbox.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops listening; later connections are refused.
    pub async fn stop(self) {
        self.sandbox.stop().await;
    }
}
