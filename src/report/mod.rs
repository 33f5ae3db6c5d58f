//! Output for people and programs: progress, answers as text and as JSON, the HTML dashboard, and exit codes.

pub mod answer;
pub mod backfill;
pub mod backup;
pub mod check;
pub mod dashboard;
pub mod datasette;
pub mod demo;
pub mod exit;
pub mod export;
pub mod outbox;
pub mod progress;
pub mod rate;
pub mod schema;
pub mod status;
pub mod sync;
pub mod table;
pub mod terminal;
pub mod text;
pub mod verify;
pub mod week;

pub use answer::{Answer, CliResult};
pub use exit::{CliError, Exit};
