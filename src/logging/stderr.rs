//! The only writer to stderr: a thread behind a bounded queue, so that a stalled reader does not
//! block the program. Lines that do not fit into the queue are dropped and counted.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// Capacity of the queue, bytes.
const QUEUE_BYTES_MAX: usize = 256 << 10;

/// Pause before retrying a write that would block.
const BLOCKED_PAUSE: Duration = Duration::from_millis(20);

static QUEUE: Queue = Queue {
    state: Mutex::new(QueueState {
        chunks: VecDeque::new(),
        bytes: 0,
        is_writing: false,
        has_writer: false,
        dropped: 0,
    }),
    changed: Condvar::new(),
};

/// Kind of output, which decides what happens if the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// A log line. Dropped and counted.
    Line,
    /// A drawing of progress. Dropped, since the next one replaces it.
    Drawing,
    /// An error message. Never dropped.
    Error,
}

struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

struct QueueState {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes queued or being written.
    bytes: usize,
    is_writing: bool,
    has_writer: bool,
    /// Dropped lines not reported yet.
    dropped: u64,
}

/// Queues bytes for stderr without waiting.
pub fn write(chunk: Chunk, bytes: &[u8]) {
    if !QUEUE.push(chunk, bytes) {
        let _ = io::stderr().lock().write_all(bytes);
    }
}

/// Waits until the queue is written, at most for `wait`.
pub fn flush(wait: Duration) {
    let is_busy = |state: &mut QueueState| state.is_writing || !state.chunks.is_empty();
    let _ = QUEUE.changed.wait_timeout_while(QUEUE.state(), wait, is_busy);
}

impl Queue {
    /// Queues or drops `bytes`. Returns false if the writer thread cannot be started.
    fn push(&'static self, chunk: Chunk, bytes: &[u8]) -> bool {
        let mut state = self.state();
        if !state.has_writer {
            let thread = std::thread::Builder::new().name("stderr".to_owned());
            state.has_writer = thread.spawn(|| self.run()).is_ok();
            if !state.has_writer {
                return false;
            }
        }
        let has_room = state.bytes.saturating_add(bytes.len()) <= QUEUE_BYTES_MAX;
        match chunk {
            Chunk::Line if !has_room => state.dropped = state.dropped.saturating_add(1),
            Chunk::Drawing if !has_room => {}
            _ => {
                state.bytes = state.bytes.saturating_add(bytes.len());
                state.chunks.push_back(bytes.to_vec());
                self.changed.notify_all();
            }
        }
        true
    }

    /// Writes queued output for the lifetime of the process.
    fn run(&self) {
        loop {
            let bytes = self.next();
            write_out(&bytes);
            let mut state = self.state();
            state.bytes = state.bytes.saturating_sub(bytes.len());
            // Report dropped lines as a log event, once it fits into the queue.
            let has_room = state.bytes <= QUEUE_BYTES_MAX / 2;
            let lines = if has_room { std::mem::take(&mut state.dropped) } else { 0 };
            drop(state);
            if lines > 0 {
                tracing::warn!(lines, "log lines dropped: stderr reader too slow");
            }
            self.state().is_writing = false;
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Vec<u8> {
        let is_empty = |state: &mut QueueState| state.chunks.is_empty();
        let waited = self.changed.wait_while(self.state(), is_empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        state.chunks.pop_front().unwrap_or_default()
    }

    /// Locks the state. Poisoning is ignored, since the queue is valid after any panic.
    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes all bytes, even if another process made the stream non-blocking. Other errors are
/// ignored: there is nowhere to report them.
fn write_out(mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match io::stderr().lock().write(bytes) {
            Ok(0) => return,
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Clock::pause_thread(BLOCKED_PAUSE);
            }
            Err(_) => return,
        }
    }
}
