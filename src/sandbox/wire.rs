//! The sandbox's side of the socket, which can break a connection on purpose.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

const WHOLE: i64 = -1;
const RESET: i64 = -2;
/// What ends the head of an answer.
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// A handle on one connection, given to every request that comes in on it.
#[derive(Debug, Clone)]
pub struct Wire(Arc<AtomicI64>);

impl Wire {
    /// The next answer is not written; the client sees the connection reset.
    pub fn reset(&self) {
        self.0.store(RESET, Ordering::SeqCst);
    }

    /// Of the next answer only the head and this much of the body is written, then the
    /// connection is closed.
    pub fn cut_after(&self, body_bytes: usize) {
        self.0.store(i64::try_from(body_bytes).unwrap_or(i64::MAX), Ordering::SeqCst);
    }
}

/// A TCP listener whose connections obey their [`Wire`].
pub struct BreakableListener(pub TcpListener);

impl Listener for BreakableListener {
    type Io = BreakableStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let (stream, peer) = Listener::accept(&mut self.0).await;
        // Small answers must not wait for each other; failing that, they merely come late.
        let _ = stream.set_nodelay(true);
        let wire = Wire(Arc::new(AtomicI64::new(WHOLE)));
        (BreakableStream { stream, wire, head_seen: 0 }, peer)
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.0.local_addr()
    }
}

impl Connected<IncomingStream<'_, BreakableListener>> for Wire {
    fn connect_info(incoming: IncomingStream<'_, BreakableListener>) -> Self {
        incoming.io().wire.clone()
    }
}

/// A connection that can be told to break.
pub struct BreakableStream {
    stream: TcpStream,
    wire: Wire,
    /// Bytes of [`END_OF_HEAD`] that the last write ended with.
    head_seen: usize,
}

impl BreakableStream {
    /// How much of `bytes` may still be written; none when the connection is to break now.
    fn allowance(&mut self, bytes: &[u8]) -> Option<usize> {
        let left = self.wire.0.load(Ordering::SeqCst);
        match left {
            WHOLE => Some(bytes.len()),
            RESET => {
                // Without lingering, closing sends RST instead of FIN.
                let _ = self.stream.set_zero_linger();
                None
            }
            _ if self.head_seen < END_OF_HEAD.len() => Some(self.head_length(bytes)),
            0 => None,
            left => Some(bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX))),
        }
    }

    fn head_length(&self, bytes: &[u8]) -> usize {
        let mut seen = self.head_seen;
        for (n, byte) in bytes.iter().enumerate() {
            seen = next_seen(seen, *byte);
            if seen == END_OF_HEAD.len() {
                return n + 1;
            }
        }
        bytes.len()
    }

    fn wrote(&mut self, bytes: &[u8]) {
        let left = self.wire.0.load(Ordering::SeqCst);
        if left < 0 {
            return;
        }
        if self.head_seen == END_OF_HEAD.len() {
            let written = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            self.wire.0.store(left.saturating_sub(written).max(0), Ordering::SeqCst);
            return;
        }
        for byte in bytes {
            self.head_seen = next_seen(self.head_seen, *byte);
        }
    }
}

fn next_seen(seen: usize, byte: u8) -> usize {
    match END_OF_HEAD.get(seen) {
        Some(wanted) if *wanted == byte => seen + 1,
        _ => usize::from(byte == b'\r'),
    }
}

impl AsyncRead for BreakableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for BreakableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Some(allowed) = self.allowance(bytes) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        let bytes = &bytes[..allowed];
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(written)) = result {
            self.wrote(&bytes[..written]);
        }
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.wire.0.load(Ordering::SeqCst) == WHOLE {
            return Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        }
        let first = slices.iter().find(|slice| !slice.is_empty());
        self.poll_write(context, first.map_or(&[], |slice| slice))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
