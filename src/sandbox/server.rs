//! HTTP on one side, the state on the other.

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, HttpBody, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::clock::Clock;
use crate::sandbox::call::Call;
use crate::sandbox::replies::Answer;
use crate::sandbox::state::{Breakage, Outcome, State};
use crate::sandbox::wire::Wire;

/// Largest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Smaller answers are not worth compressing.
const GZIP_BYTES_MIN: usize = 1_024;
/// Where the API begins.
pub const BASE_PATH: &str = "/v2";

/// What the server and its controls share.
#[derive(Debug, Clone)]
pub struct App(Arc<Mutex<State>>);

impl App {
    /// An app that serves this state.
    pub fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// The state. A test that panicked elsewhere leaves it as usable as it was.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers one HTTP request.
pub async fn serve(
    Shared(app): Shared<App>,
    ConnectInfo(wire): ConnectInfo<Wire>,
    request: Request,
) -> Response<Body> {
    let wants_gzip = accepts_gzip(&request);
    let call = read(request).await;
    let (latency, gzip) = {
        let settings = &app.state().settings;
        (settings.latency, settings.gzip && wants_gzip)
    };
    wait(latency).await;
    let Outcome { answer, delay, breakage } = app.state().answer(call);
    wait(delay).await;
    let response = respond(answer, gzip);
    match breakage {
        Breakage::None => {}
        Breakage::Reset => wire.reset(),
        Breakage::Cut => {
            let length = response.body().size_hint().lower();
            wire.cut_after(usize::try_from(length / 2).unwrap_or(usize::MAX));
        }
    }
    response
}

async fn wait(length: Duration) {
    if !length.is_zero() {
        Clock::System.sleep(length).await;
    }
}

async fn read(request: Request) -> Call {
    let (head, body) = request.into_parts();
    let full_path = head.uri.path().to_owned();
    let query = head.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let path = full_path.strip_prefix(BASE_PATH).unwrap_or_default().to_owned();
    Call {
        number: 0,
        method: head.method.to_string(),
        full_path,
        path,
        query,
        headers: head.headers,
        body: to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default(),
    }
}

fn accepts_gzip(request: &Request) -> bool {
    let accepted = request.headers().get("accept-encoding");
    accepted.and_then(|value| value.to_str().ok()).is_some_and(|value| value.contains("gzip"))
}

fn respond(answer: Answer, wants_gzip: bool) -> Response<Body> {
    let mut body = answer.body;
    let squeezed = wants_gzip && body.len() >= GZIP_BYTES_MIN;
    if squeezed {
        body = gzip(&body);
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = answer.status.try_into().unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in answer.headers {
        let name = HeaderName::try_from(name.as_ref());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }
    if let Some(kind) = answer.content_type {
        headers.insert("content-type", HeaderValue::from_static(kind));
    }
    if squeezed {
        headers.insert("content-encoding", HeaderValue::from_static("gzip"));
        headers.insert("vary", HeaderValue::from_static("accept-encoding"));
    }
    response
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to memory cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default().into()
}
