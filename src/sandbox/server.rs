//! HTTP on one side, the state on the other.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, Response};
use axum::serve::IncomingStream;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::net::{TcpListener, TcpStream};

use crate::clock::Clock;
use crate::sandbox::call::Call;
use crate::sandbox::control::Control;
use crate::sandbox::replies::{Answer, Ending};

/// Largest body that is read.
const BODY_BYTES_MAX: usize = 1 << 20;
/// Where the API begins.
pub const BASE_PATH: &str = "/v2";

/// The socket that a request came in on.
#[derive(Debug, Clone)]
pub struct Peer(Option<Arc<OwnedFd>>);

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(incoming: IncomingStream<'_, TcpListener>) -> Self {
        let stream = incoming.io();
        // Small answers must not wait for each other; failing that, they merely come late.
        let _ = stream.set_nodelay(true);
        Self(stream.as_fd().try_clone_to_owned().ok().map(Arc::new))
    }
}

impl Peer {
    /// Lets the connection end with RST instead of FIN when it is closed.
    fn reset_on_close(&self) -> Option<()> {
        let socket = self.0.as_ref()?.try_clone().ok()?;
        TcpStream::from_std(socket.into()).ok()?.set_zero_linger().ok()
    }
}

/// Answers one HTTP request.
pub async fn serve(
    State(sandbox): State<Control>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
) -> Response<Body> {
    let mut call = read(request).await;
    wait(sandbox.latency).await;
    let mut admission = sandbox.lock().admit(&mut call);
    let mut answer = match admission.refusal.take() {
        Some(refusal) => refusal.answer(&call),
        None => {
            let instead = sandbox.hook.before(&mut call, admission.now);
            let mut answer = instead.unwrap_or_else(|| sandbox.lock().execute(&call));
            sandbox.hook.after(&call, &mut answer);
            answer
        }
    };
    admission.finish(&call, &mut answer);
    sandbox.hook.finish(&call, &mut answer);
    wait(answer.delay).await;
    if answer.ending == Ending::Reset {
        // If that fails, the connection is closed anyway.
        let _ = peer.reset_on_close();
    }
    respond(answer)
}

async fn wait(length: Duration) {
    if !length.is_zero() {
        Clock::System.sleep(length).await;
    }
}

async fn read(request: Request) -> Call {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    let query = head.uri.query().unwrap_or_default();
    let query = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    Call {
        method: head.method.to_string(),
        full_path: path.to_owned(),
        query,
        headers: head.headers,
        body: to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default(),
        ..Call::get(path.strip_prefix(BASE_PATH).unwrap_or_default())
    }
}

fn respond(answer: Answer) -> Response<Body> {
    let length = answer.body.len();
    let body = match answer.ending {
        Ending::Whole => Body::from(answer.body),
        Ending::Reset => broken(Bytes::new()),
        Ending::Truncated => broken(answer.body.slice(..length / 2)),
    };
    let mut response = Response::new(body);
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
    if answer.ending == Ending::Truncated {
        headers.insert("content-length", HeaderValue::from(length));
    }
    response
}

/// A body that ends the connection after `sent`. Without any, not even the head is written.
fn broken(sent: Bytes) -> Body {
    let error = || Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionAborted));
    if sent.is_empty() {
        return Body::from_stream(stream::iter([error()]));
    }
    // What was sent so far is flushed when the body is not ready.
    let end = stream::once(async move {
        tokio::task::yield_now().await;
        error()
    });
    Body::from_stream(stream::iter([Ok(sent)]).chain(end))
}
