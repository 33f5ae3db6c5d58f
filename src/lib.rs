//! creatormirror.

pub mod cli;
pub mod clock;
pub mod config;
pub mod logging;
pub mod model;
pub mod plan;
pub mod report;
