//! Settings of the rooms below the front, typed and already checked. The front fills them in.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// What the remote side needs to know.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Where the API is; `https`, or `http` on loopback.
    pub base_url: Url,
    /// The organization's key.
    pub key: SecretString,
    /// A private CA to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long one request may take from start to the last byte of its answer.
    pub request_timeout: Duration,
}

/// The largest part of a kind that one listing may mark as removed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RemovalCeiling {
    /// A fraction from 0 to 1 of the kind's rows that are not removed.
    pub fraction: f64,
}
