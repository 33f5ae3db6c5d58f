//! The optional HTTP listener on loopback: `/metrics` in Prometheus text, `/healthz`, `/readyz`.
//!
//! It reads the database through a connection of its own and is told of requests and passes by the
//! daemon; it never touches either.

mod metrics;
mod text;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

pub use metrics::Metrics;

use crate::clock::Clock;
use crate::daemon::Pulse;
use crate::store::Database;

/// What the listener answers from.
#[derive(Debug)]
pub struct Listener {
    /// The numbers.
    pub metrics: Arc<Metrics>,
    /// Whether the daemon has identified itself to the API since the key last failed.
    pub is_ready: Arc<AtomicBool>,
    /// The daemon's sign of life.
    pub pulse: Pulse,
    /// The mirror.
    pub database: PathBuf,
    /// The time.
    pub clock: Clock,
}

/// Listens on `address` and answers in the background, for as long as the runtime lives. Returns the
/// address, which tells the port where any free one was asked for.
pub async fn start(address: SocketAddr, listener: Listener) -> io::Result<SocketAddr> {
    let socket = TcpListener::bind(address).await?;
    let address = socket.local_addr()?;
    let app = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .with_state(Arc::new(listener));
    tokio::spawn(async move {
        if let Err(error) = axum::serve(socket, app).await {
            tracing::error!(%error, "the listener has ended");
        }
    });
    Ok(address)
}

async fn metrics(State(listener): State<Arc<Listener>>) -> Response {
    let read = move || {
        let store = Database::open_to_read(&listener.database)?;
        listener.metrics.render(&store, listener.clock.now())
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

/// Whether the loop is alive: a restart would mend a "no".
async fn healthz(State(listener): State<Arc<Listener>>) -> (StatusCode, &'static str) {
    match listener.pulse.is_good() {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "no progress\n"),
    }
}

/// Whether the mirror is being filled: a restart would not mend a "no".
async fn readyz(State(listener): State<Arc<Listener>>) -> (StatusCode, &'static str) {
    match listener.is_ready.load(Ordering::Relaxed) {
        true => (StatusCode::OK, "ok\n"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "the API does not accept us at present\n"),
    }
}
