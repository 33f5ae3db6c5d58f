//! creatormirror.

pub mod api;
pub mod clock;
pub mod model;
pub mod retry;
