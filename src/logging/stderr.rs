//! The only writer to stderr: a thread behind a bounded queue, so that a reader that stalls holds up
//! nobody. What finds no room is dropped and counted.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;

/// What may wait to be written, bytes.
const QUEUE_BYTES_MAX: usize = 256 << 10;

/// Before a stream that would block is tried again.
const BLOCKED_PAUSE: Duration = Duration::from_millis(20);

static QUEUE: Queue = Queue {
    state: Mutex::new(State {
        chunks: VecDeque::new(),
        bytes: 0,
        is_writing: false,
        has_writer: false,
        dropped: 0,
    }),
    changed: Condvar::new(),
};

/// What is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// A log line. One that is dropped is counted.
    Line,
    /// A drawing on the terminal. The next one replaces it.
    Drawing,
    /// The reason why a command failed. It is never dropped.
    Error,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    chunks: VecDeque<Vec<u8>>,
    /// Bytes in the queue and in the hands of the writer.
    bytes: usize,
    is_writing: bool,
    has_writer: bool,
    /// Lines that found no room and were not told yet.
    dropped: u64,
}

/// Queues bytes for stderr. Never waits for the reader.
pub fn write(chunk: Chunk, bytes: &[u8]) {
    if QUEUE.push(chunk, bytes) {
        return;
    }
    // Without a thread there is no other way.
    let _ = io::stderr().lock().write_all(bytes);
}

/// Waits until all is written, but no longer than this. For the way out.
pub fn flush(wait: Duration) {
    let is_busy = |state: &mut State| state.is_writing || !state.chunks.is_empty();
    // Whether it was in time makes no difference.
    drop(QUEUE.changed.wait_timeout_while(QUEUE.state(), wait, is_busy));
}

impl Queue {
    /// Whether somebody takes care of it, be it by dropping it.
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

    /// Writes what comes, for as long as the process lives.
    fn run(&self) {
        loop {
            let bytes = self.next();
            write_out(&bytes);
            let mut state = self.state();
            state.bytes = state.bytes.saturating_sub(bytes.len());
            // Told when there is room for it, in the form of every other line.
            let has_room = state.bytes <= QUEUE_BYTES_MAX / 2;
            let lines = if has_room { std::mem::take(&mut state.dropped) } else { 0 };
            drop(state);
            if lines > 0 {
                tracing::warn!(lines, "log lines dropped: stderr was not read");
            }
            self.state().is_writing = false;
            self.changed.notify_all();
        }
    }

    fn next(&self) -> Vec<u8> {
        let is_empty = |state: &mut State| state.chunks.is_empty();
        let waited = self.changed.wait_while(self.state(), is_empty);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner);
        state.is_writing = true;
        state.chunks.pop_front().unwrap_or_default()
    }

    /// A poisoned lock still holds valid lines, so poisoning is of no interest here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to the end, also where another process made the stream one that does not block. A stderr that
/// is gone is no reason to fail.
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
