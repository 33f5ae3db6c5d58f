//! Shared by the benchmarks: a list of videos served over loopback, and the measurement of processes.

pub mod pages;
pub mod process;
pub mod server;
