//! Builds the HTTP client: validates base URL and key, and sets up TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use http::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Certificate, ClientBuilder};
use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use crate::api::scrub::Scrubber;
use crate::model::settings::ApiSettings;

/// Common servers close a connection after 5 s of idleness. Reusing one that is about to be closed would lose
/// the request.
const IDLE_SECONDS_MAX: u64 = 4;
/// Idle connections kept per host.
const IDLE_CONNECTIONS_MAX: usize = 4;
const USER_AGENT: &str = concat!("creatormirror/", env!("CARGO_PKG_VERSION"));

/// Why the client could not be built. Never contains the key.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The base URL is not acceptable.
    #[error("base_url {0}")]
    BaseUrl(&'static str),
    /// The key is not acceptable.
    #[error("the API key {0}")]
    Key(&'static str),
    /// `ca_file` cannot be read.
    #[error("ca_file {}: {source}", path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The I/O error.
        source: std::io::Error,
    },
    /// `ca_file` contains no usable certificate.
    #[error("ca_file {}: {reason}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// TLS could not be set up, for example because the system has no CA certificates.
    #[error("TLS: {0}")]
    Tls(String),
}

/// Validates the base URL: the key may be sent there.
pub(super) fn check_base_url(base: &Url) -> Result<Url, BuildError> {
    let is_loopback = match base.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => return Err(BuildError::BaseUrl("names no host")),
    };
    match base.scheme() {
        "https" => {}
        "http" if is_loopback => {}
        "http" => return Err(BuildError::BaseUrl("must be https; http is for loopback alone")),
        _ => return Err(BuildError::BaseUrl("must be https")),
    }
    if !base.username().is_empty() || base.password().is_some() {
        return Err(BuildError::BaseUrl("must not hold a user name or password"));
    }
    if base.query().is_some() || base.fragment().is_some() {
        return Err(BuildError::BaseUrl("must not hold a query or a fragment"));
    }
    Ok(base.clone())
}

/// The `Authorization` header, marked as sensitive.
pub(super) fn authorization(key: &SecretString) -> Result<HeaderValue, BuildError> {
    let key = key.expose_secret();
    if key.is_empty() {
        return Err(BuildError::Key("is empty"));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(BuildError::Key("holds characters other than visible ASCII"));
    }
    let mut value = HeaderValue::from_str(&format!("Bearer {key}"))
        .map_err(|_| BuildError::Key("cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Builds the transport: no redirects, no retries, timeouts, verification always on.
pub(super) fn transport(
    settings: &ApiSettings,
    scrubber: &Scrubber,
) -> Result<reqwest::Client, BuildError> {
    // Fails if a provider is installed already, which does not matter.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.request_timeout)
        .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS_MAX))
        .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX);
    secure(builder, settings)?.build().map_err(|error| BuildError::Tls(scrubber.chain(&error, 500)))
}

fn secure(builder: ClientBuilder, settings: &ApiSettings) -> Result<ClientBuilder, BuildError> {
    if settings.base_url.scheme() == "http" {
        // A proxy would see the key. Since no certificate is verified, none are loaded, so that a machine
        // without any can still use loopback.
        return Ok(builder.no_proxy().tls_certs_only([]));
    }
    Ok(match &settings.ca_file {
        Some(path) => builder.tls_certs_merge(certificates(path)?),
        None => builder,
    })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, BuildError> {
    let pem = std::fs::read(path)
        .map_err(|source| BuildError::CaFile { path: path.to_owned(), source })?;
    let unusable =
        |reason: &str| BuildError::Certificate { path: path.to_owned(), reason: reason.to_owned() };
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if certificates.is_empty() => Err(unusable("holds no PEM certificate")),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(unusable("holds a damaged PEM certificate")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(base: &str) -> Result<Url, BuildError> {
        check_base_url(&Url::parse(base).unwrap())
    }

    #[test]
    fn the_key_goes_to_https_and_to_loopback_only() {
        for base in [
            "https://api.creatoraudit.com/v2",
            "http://127.0.0.1:8080/v2",
            "http://127.9.9.9",
            "http://[::1]:80/v2",
            "http://localhost:1/",
            "http://LOCALHOST/v2",
        ] {
            assert!(check(base).is_ok(), "{base}");
        }
        for base in [
            "http://api.creatoraudit.com/v2",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "http://0.0.0.0",
            "ftp://localhost",
            "file:///etc/passwd",
            "https://user@api.example.com",
            "https://:pass@api.example.com",
            "https://api.example.com/?a=b",
            "https://api.example.com/#a",
        ] {
            assert!(check(base).is_err(), "{base}");
        }
    }

    #[test]
    fn a_key_is_visible_ascii_and_no_error_or_debug_output_shows_it() {
        let header = authorization(&SecretString::from("ca_live_0123456789")).unwrap();
        assert_eq!(header, "Bearer ca_live_0123456789");
        assert!(!format!("{header:?}").contains("ca_live"));
        for key in ["", "ca live", "ca_live\n", "\u{e4}ca_live", "ca_live\u{0}"] {
            let error = authorization(&SecretString::from(key)).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("ca"), "{error:?}");
        }
    }

    #[test]
    fn a_ca_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        assert!(matches!(certificates(&path), Err(BuildError::CaFile { .. })));
        for content in
            ["", "hello", "-----BEGIN CERTIFICATE-----\n%%%\n-----END CERTIFICATE-----\n"]
        {
            std::fs::write(&path, content).unwrap();
            assert!(matches!(certificates(&path), Err(BuildError::Certificate { .. })));
        }
    }
}
