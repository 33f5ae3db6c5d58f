//! An embedded, seeded CreatorAudit API v2 over real HTTP, for tests, benches and the demo.
//!
//! Time comes from a [`Clock`]: before each request, and before a test looks at the truth, the
//! simulated organization is brought up to the clock, so that a week may pass in an instant. The
//! server counts that clock's boot time, so a step of the client's wall clock does not move it.
//! The same seed, settings and clock always give the same world.
//!
//! `world` and its parts (`growth`, `schedule`, `population`, `edits`, `words`) are what exists.
//! `rows`, `lists` (`order`, `cursor`), `figures` and `batch` show it; `writes` (`fields`,
//! `identifier`) change it. `state` leads a request through `limits` to an answer; `server` is the
//! HTTP around it. A [`Hook`] may change requests and answers on their way: [`Chaos`] does, and so
//! do the faults of the tests. [`Control`] reads and changes the world behind the API's back.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::sandbox::state::State;

mod batch;
mod call;
mod chaos;
mod control;
mod cursor;
mod edits;
mod fields;
mod figures;
mod growth;
mod hook;
mod identifier;
mod limits;
mod lists;
mod moment;
mod order;
mod population;
mod replies;
mod rows;
mod schedule;
mod server;
mod settings;
mod state;
mod words;
mod world;
mod writes;

pub use call::Call;
pub use chaos::Chaos;
pub use control::Control;
pub use figures::Totals;
pub use growth::{Counts, Platform};
pub use hook::Hook;
pub use limits::RateLimit;
pub use moment::Moment;
pub use replies::{Answer, Ending, Problem};
pub use settings::{Duplicates, IdStyle, SandboxKey, SandboxSettings, Scope};
pub use world::{Row, Scrape, World};

/// How long [`Sandbox::stop`] waits for requests that are being answered.
const STOP_WAIT: Duration = Duration::from_millis(500);

/// A running sandbox. It stops when dropped.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    control: Control,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts a sandbox on `listen` (port 0 takes any free one), on the current tokio runtime.
pub async fn start(
    settings: SandboxSettings,
    clock: Clock,
    listen: SocketAddr,
) -> io::Result<Sandbox> {
    let chaos = Arc::new(Chaos::new(&settings));
    start_with(settings, clock, listen, chaos).await
}

/// The same with this hook instead of [`Chaos`].
pub async fn start_with(
    settings: SandboxSettings,
    clock: Clock,
    listen: SocketAddr,
    hook: Arc<dyn Hook>,
) -> io::Result<Sandbox> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let state = State::new(&settings, clock, base_url(address));
    let control = Control::new(state, hook, settings.latency);
    let service = Router::new()
        .fallback(server::serve)
        .with_state(control.clone())
        .into_make_service_with_connect_info::<server::Peer>();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving =
        axum::serve(listener, service).with_graceful_shutdown(async move { drop(stopped.await) });
    let task = tokio::spawn(async move { drop(serving.await) });
    Ok(Sandbox { address, control, stop, task })
}

impl Sandbox {
    /// Where the API is, to be used as a client's base URL.
    pub fn base_url(&self) -> String {
        base_url(self.address)
    }

    /// The address that is listened on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Access to what the sandbox simulates; clones share it.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Stops listening; from then on connections are refused.
    pub async fn stop(mut self) {
        drop(self.stop);
        tokio::select! {
            _ = &mut self.task => {}
            () = Clock::System.sleep(STOP_WAIT) => self.task.abort(),
        }
    }
}

fn base_url(address: SocketAddr) -> String {
    format!("http://{address}{}", server::BASE_PATH)
}
