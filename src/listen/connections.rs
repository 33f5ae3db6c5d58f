//! Limits the number of connections and the duration of each.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;

/// Maximum open connections. More wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 16;

/// Maximum duration of a connection, so that idle clients cannot block others.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// A listening socket with these limits.
pub(super) struct BoundedListener {
    socket: TcpListener,
    clock: Clock,
    permits: Arc<Semaphore>,
}

impl BoundedListener {
    pub(super) fn new(socket: TcpListener, clock: Clock) -> Self {
        Self { socket, clock, permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for BoundedListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // Fails only if the semaphore is closed, which never happens.
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.socket).await;
        let clock = self.clock.clone();
        let timeout = Box::pin(async move { clock.sleep(CONNECTION_TIMEOUT).await });
        (Connection { stream, timeout, is_timed_out: false, _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

/// A connection that fails with `TimedOut` after [`CONNECTION_TIMEOUT`].
pub(super) struct Connection {
    stream: TcpStream,
    timeout: Pin<Box<dyn Future<Output = ()> + Send>>,
    is_timed_out: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Connection {
    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        self.is_timed_out = self.is_timed_out || self.timeout.as_mut().poll(context).is_ready();
        if self.is_timed_out { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check_time(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn idle_connections_time_out() {
        let clock = Clock::manual(chrono::DateTime::UNIX_EPOCH);
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut listener = BoundedListener::new(socket, clock.clone());
        let mut idle = Vec::new();
        let mut clients = Vec::new();
        for _ in 0..CONNECTIONS_MAX {
            clients.push(TcpStream::connect(address).await.unwrap());
            idle.push(listener.accept().await.0);
        }
        clients.push(TcpStream::connect(address).await.unwrap());
        assert_eq!(listener.permits.available_permits(), 0);
        let mut first = idle.remove(0);
        let (read, ()) = tokio::join!(first.read_u8(), async {
            tokio::task::yield_now().await;
            clock.advance(CONNECTION_TIMEOUT);
        });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(first);
        listener.accept().await;
    }
}
