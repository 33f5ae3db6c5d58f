//! What the benches share: a list of videos served over loopback, and processes that are measured.

pub mod pages;
pub mod process;
pub mod server;
