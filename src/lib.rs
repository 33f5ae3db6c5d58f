//! creatormirror mirrors a CreatorAudit organization into one SQLite file.

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod logging;
pub mod model;
pub mod pass;
pub mod plan;
pub mod poll;
pub mod report;
pub mod retry;
pub mod sandbox;
pub mod store;
