//! The optional HTTP listener on loopback: `/metrics` in Prometheus text format, `/healthz` and
//! `/readyz`.
//!
//! It reads the database through a read-only connection.

mod connections;
mod metrics;
mod process;
mod text;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use metrics::Metrics;

use connections::BoundedListener;

use crate::clock::Clock;
use crate::daemon::Heartbeat;
use crate::store::Database;

/// State shared by the handlers.
#[derive(Debug)]
pub struct Listener {
    /// Metrics.
    pub metrics: Arc<Metrics>,
    /// Whether the API accepts the key.
    pub is_ready: Arc<AtomicBool>,
    /// Liveness of the daemon's loop.
    pub heartbeat: Heartbeat,
    /// Path of the database.
    pub database: PathBuf,
    /// Clock.
    pub clock: Clock,
}

/// Listens on `address` and serves in the background for the lifetime of the runtime. Returns the
/// bound address, with the actual port if `address` has port 0.
pub async fn start(address: SocketAddr, listener: Listener) -> io::Result<SocketAddr> {
    let socket = TcpListener::bind(address).await?;
    let address = socket.local_addr()?;
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .layer(middleware::from_fn(guard));
    let clock = listener.clock.clone();
    let app = app.with_state(Arc::new(listener));
    tokio::spawn(async move {
        let socket = BoundedListener::new(socket, clock);
        if let Err(error) = axum::serve(socket, app).await {
            tracing::error!(%error, "listener stopped");
        }
    });
    Ok(address)
}

/// Rejects DNS rebinding: a web page whose own host name resolves to loopback. Closes each
/// connection after one response, because the number of connections is limited.
async fn guard(request: Request, next: Next) -> Response {
    let mut response = match request.headers().get_all(header::HOST).iter().all(is_loopback) {
        true => next.run(request).await,
        false => {
            let why = "invalid Host header: expected localhost or a loopback address\n";
            (StatusCode::MISDIRECTED_REQUEST, why).into_response()
        }
    };
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

fn is_loopback(host: &HeaderValue) -> bool {
    let Ok(authority) = Authority::try_from(host.as_bytes()) else { return false };
    let name = authority.host().trim_matches(['[', ']']);
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

async fn metrics(State(listener): State<Arc<Listener>>) -> Response {
    // One at a time, because each opens a database connection with its own cache.
    let rendering = listener.metrics.begin_rendering().await;
    let read = move || {
        let _rendering = rendering;
        let store = Database::open_to_read(&listener.database)?;
        listener.metrics.render(&store, &listener.clock)
    };
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(numbers)) => {
            let plain = text::from_open_metrics(&numbers);
            ([(header::CONTENT_TYPE, text::CONTENT_TYPE)], plain).into_response()
        }
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// Liveness: whether the daemon's loop makes progress. If not, a restart helps.
async fn healthz(State(listener): State<Arc<Listener>>) -> (StatusCode, &'static str) {
    match listener.heartbeat.is_alive() {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "no progress\n"),
    }
}

/// Readiness: whether the API accepts the key. If not, a restart does not help.
async fn readyz(State(listener): State<Arc<Listener>>) -> (StatusCode, &'static str) {
    match listener.is_ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the API does not accept the key\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_loopback_hosts_only() {
        for (host, is_accepted) in [
            ("localhost", true),
            ("LocalHost:9464", true),
            ("127.0.0.1:9464", true),
            ("127.8.8.8", true),
            ("[::1]:9464", true),
            ("[::1]", true),
            ("", false),
            ("rebound.example:9464", false),
            ("localhost.rebound.example", false),
            ("127.0.0.1.rebound.example", false),
            ("192.168.0.1", false),
            ("0.0.0.0:9464", false),
            ("[::]", false),
        ] {
            assert_eq!(is_loopback(&HeaderValue::from_static(host)), is_accepted, "{host}");
        }
    }
}
