//! creatormirror mirrors a CreatorAudit organization into one SQLite file.

pub mod api;
pub mod clock;
pub mod config;
pub mod model;
pub mod pass;
pub mod plan;
pub mod poll;
pub mod retry;
pub mod sandbox;
pub mod store;
