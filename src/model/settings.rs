//! Settings of the lower layers, typed and validated by `config`.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

/// Settings of the HTTP client.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Base URL of the API: `https`, or `http` on loopback.
    pub base_url: Url,
    /// The organization's key.
    pub key: SecretString,
    /// PEM file of a private CA, trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Timeout of connecting.
    pub connect_timeout: Duration,
    /// Timeout of one request, from its start to the last byte of the answer.
    pub request_timeout: Duration,
}

/// The largest part of a kind that one listing may mark as removed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RemovalCeiling {
    /// A fraction from 0 to 1 of the kind's rows that are not removed.
    pub fraction: f64,
}
