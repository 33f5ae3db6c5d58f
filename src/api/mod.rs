//! The remote side.
pub mod decode;
