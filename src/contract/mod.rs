//! The contract with the API: what this program uses of it, and how the API's own OpenAPI document differs.
//!
//! [`used`] collects what is used from where the code declares it; [`compare`] compares it with a [`document`];
//! [`shape`] reduces an answer to names and types, so that it can be shown to others. Pure.

pub mod compare;
pub mod document;
pub mod shape;
pub mod used;
