//! Notifications to systemd or another service manager, by the sd_notify(3) protocol on
//! `NOTIFY_SOCKET`.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::atomic::{AtomicBool, Ordering};

use sd_notify::NotifyState;

use crate::config::Environment;

/// Names the socket: a path, or `@` and the name of an abstract socket (which `sd_notify::notify`
/// does not support).
const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The service manager to notify, if there is one.
#[derive(Debug)]
pub struct ServiceManager {
    socket: Option<SocketAddr>,
    has_failed: AtomicBool,
}

impl ServiceManager {
    /// Reads the socket from the environment. Without one, `notify` does nothing.
    pub fn new(environment: &Environment) -> Self {
        let socket = environment.get(NOTIFY_SOCKET).and_then(|name| match address(name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "invalid {NOTIFY_SOCKET}: service manager not notified");
                None
            }
        });
        Self { socket, has_failed: AtomicBool::new(false) }
    }

    /// Sends these states in one message. Logs a failure, as a warning only the first time in a
    /// row.
    pub fn notify(&self, states: &[NotifyState<'_>]) {
        let Some(socket) = &self.socket else { return };
        let Err(error) = send(socket, states) else {
            return self.has_failed.store(false, Ordering::Relaxed);
        };
        let message = "cannot notify the service manager";
        match self.has_failed.swap(true, Ordering::Relaxed) {
            false => tracing::warn!(%error, ?socket, "{message}"),
            true => tracing::debug!(%error, ?socket, "{message}"),
        }
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(name),
    }
}

fn send(socket: &SocketAddr, states: &[NotifyState<'_>]) -> io::Result<()> {
    let message: String = states.iter().map(|state| format!("{state}\n")).collect();
    UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), socket)?;
    Ok(())
}
