//! How long SQLite waits for another process's lock: half a minute, but no longer once the program has been
//! asked to end. SQLite waits on the thread that calls it, so nothing else could end the wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use rusqlite::Connection;

/// Time between two tries to get the lock.
const TICK: Duration = Duration::from_millis(25);
/// Tries of one statement: 30 seconds.
const TRIES_MAX: i32 = 1_200;
/// Tries once the program is to end, so that its last words can be written if the lock is free soon.
const TRIES_AT_END_MAX: i32 = 30;

static IS_ENDING: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// To be set once the program is to end; a signal handler may do it.
pub fn shutdown_flag() -> Arc<AtomicBool> {
    Arc::clone(&IS_ENDING)
}

/// Whether the program is to end.
pub fn is_ending() -> bool {
    IS_ENDING.load(Ordering::Relaxed)
}

/// Makes a connection wait.
pub(super) fn wait(connection: &mut Connection) -> rusqlite::Result<()> {
    connection.busy_handler(Some(try_again))
}

/// Makes a connection fail at once instead.
pub(super) fn do_not_wait(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)
}

fn try_again(tries: i32) -> bool {
    let most = if is_ending() { TRIES_AT_END_MAX } else { TRIES_MAX };
    let goes_on = tries < most;
    if goes_on {
        std::thread::sleep(TICK);
    }
    goes_on
}
