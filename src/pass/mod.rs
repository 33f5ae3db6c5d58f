//! One pass: push what is ready, poll what is due, list what is to be listed. Daemon, one-shot and demo all
//! call [`run()`].
//!
//! Several kinds are at work at a time. A kind that fails does not keep the others from their turn,
//! unless the trouble is everybody's: a refused key, an unreachable API, a rate limit beyond the
//! user's patience, a database that cannot be written. Whatever happens, each turn's outcome is
//! written down.

pub mod backfill;
pub mod compare;
pub mod findings;
pub mod identify;
mod judge;
mod next;
mod order;
pub mod pauses;
mod phases;
pub mod preview;
mod report;
mod run;
mod standing;
mod stop;
mod stretch;
mod turn;
mod verify;

pub use findings::{Findings, Sampling};
pub use next::next_at;
pub use order::{Order, PassSettings};
pub use report::{KindReport, Report};
pub use run::{interrupt, run, run_and_grow};
pub use stop::Stop;
pub use stretch::{Stretch, stretch};
