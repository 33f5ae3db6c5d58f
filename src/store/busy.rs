//! Busy handler: how long SQLite waits for another process's lock.
//!
//! Half a minute, and less once the program is shutting down. SQLite waits on the calling thread, so
//! only the handler can end the wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rusqlite::Connection;

/// Time between two tries to get the lock.
const INTERVAL: Duration = Duration::from_millis(25);
/// Tries for one statement: 30 seconds.
const TRIES_MAX: i32 = 1_200;
/// Tries during shutdown, so that the last state can be written if the lock is free soon.
const TRIES_AT_SHUTDOWN_MAX: i32 = 30;

static IS_SHUTTING_DOWN: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// The flag that shortens the waits; a signal handler may set it.
pub fn shutdown_flag() -> Arc<AtomicBool> {
    Arc::clone(&IS_SHUTTING_DOWN)
}

/// Whether the program is shutting down.
pub fn is_shutting_down() -> bool {
    IS_SHUTTING_DOWN.load(Ordering::Relaxed)
}

/// Makes a connection wait for a lock.
pub(super) fn wait(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(try_again))
}

/// Makes a connection fail immediately if the database is locked.
pub(super) fn do_not_wait(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)
}

fn try_again(tries: i32) -> bool {
    let tries_max = if is_shutting_down() { TRIES_AT_SHUTDOWN_MAX } else { TRIES_MAX };
    let is_left = tries < tries_max;
    if is_left {
        std::thread::sleep(INTERVAL);
    }
    is_left
}
