//! A sandbox that tests can disturb: faults, switched-off endpoints, rows of odd shape, a log of
//! what was asked. All of it is a [`Hook`](creatormirror::sandbox::Hook) of the product's sandbox.

// Every test file is a program of its own and uses its part of this.
#![allow(unused_imports)]

mod accident;
mod control;
mod cursors;
mod faults;
mod hook;
mod journal;
mod keys;
mod members;
mod mutation;
mod quirks;
mod spoil;
mod switches;
mod truth;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use creatormirror::clock::Clock;
use creatormirror::sandbox as product;

pub use accident::{Accident, BadRow, Batch, FaultBody, Mutation, Repeat, RetryAfter, Shape};
pub use control::Control;
pub use creatormirror::sandbox::{
    Counts, Duplicates, IdStyle, Moment, Platform, SandboxKey, SandboxSettings, Scope, Totals,
};
pub use faults::Fault;
pub use journal::{Counters, Entry};
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
    let faulty = Arc::new(hook::Faulty::new(&settings));
    let sandbox = product::start_with(settings, clock, listen, faulty.clone()).await?;
    Ok(Sandbox { control: Control::new(faulty, sandbox.control()), sandbox })
}

impl Sandbox {
    /// Where the API is, to be used as a client's base URL.
    pub fn base_url(&self) -> String {
        self.sandbox.base_url()
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.sandbox.address()
    }

    /// A hand in the sandbox; clones share it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops listening; from then on connections are refused.
    pub async fn stop(self) {
        self.sandbox.stop().await;
    }
}
