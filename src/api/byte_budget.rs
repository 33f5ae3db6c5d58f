//! The memory that answers may take together, from their first byte until their last row is written.
//!
//! Each may have a little without asking, which is enough for most pages. Beyond that they share
//! [`SHARED_BYTES`]. Where these are taken, answers grow to their full length one after the other; so
//! the one whose turn it is never waits for anything but itself. An answer to a guess waits for nobody,
//! because it may lie unread for as long as an answer that somebody needs is waited for.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What an answer may have without asking.
pub(super) const FREE_BYTES: usize = 256 << 10;
/// What all answers share beyond that.
const SHARED_BYTES: usize = 8 << 20;
/// What is taken of it at a time.
const STEP_BYTES: usize = 256 << 10;

/// The room that is left. Clones share it.
#[derive(Clone)]
pub(super) struct ByteBudget {
    shared: Arc<Semaphore>,
    growing: Arc<Semaphore>,
}

/// The room that one answer has.
#[derive(Default)]
pub(super) struct Reservation {
    shared: Option<OwnedSemaphorePermit>,
    growing: Option<OwnedSemaphorePermit>,
}

/// A body, and the room it takes until it is dropped.
struct HeldBody {
    body: Bytes,
    _reservation: Reservation,
}

impl AsRef<[u8]> for HeldBody {
    fn as_ref(&self) -> &[u8] {
        &self.body
    }
}

impl ByteBudget {
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Semaphore::new(SHARED_BYTES)),
            growing: Arc::new(Semaphore::new(1)),
        }
    }

    /// Makes the place large enough for so many bytes, if there is room without waiting.
    pub fn try_grow(&self, reservation: &mut Reservation, bytes: usize) -> bool {
        let wanted = bytes.saturating_sub(reservation.bytes());
        if wanted == 0 {
            return true;
        }
        let step = u32::try_from(wanted.max(STEP_BYTES)).unwrap_or(u32::MAX);
        let Ok(more) = Arc::clone(&self.shared).try_acquire_many_owned(step) else { return false };
        match &mut reservation.shared {
            Some(held) => held.merge(more),
            None => reservation.shared = Some(more),
        }
        true
    }

    /// The same, and waits for its turn where there is none.
    pub async fn grow(&self, reservation: &mut Reservation, bytes: usize) {
        if !self.try_grow(reservation, bytes) {
            // The semaphore is never closed.
            reservation.growing = Arc::clone(&self.growing).acquire_owned().await.ok();
        }
    }
}

impl Reservation {
    fn bytes(&self) -> usize {
        match (&self.growing, &self.shared) {
            (Some(_), _) => usize::MAX,
            (None, Some(shared)) => FREE_BYTES.saturating_add(shared.num_permits()),
            (None, None) => FREE_BYTES,
        }
    }

    /// The body, which keeps the place for as long as a part of it is there.
    pub fn cooldown(self, body: Bytes) -> Bytes {
        match self {
            Self { shared: None, growing: None } => body,
            reservation => Bytes::from_owner(HeldBody { body, _reservation: reservation }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: usize = 4 << 20;

    #[tokio::test]
    async fn an_answer_that_is_needed_never_waits_for_those_that_lie_unread() {
        let budget = ByteBudget::new();
        let mut guesses = Vec::new();
        loop {
            let mut guess = Reservation::default();
            if !budget.try_grow(&mut guess, FREE_BYTES + 100_000) {
                break;
            }
            guesses.push(guess.cooldown(Bytes::from_static(b"x")));
        }
        assert_eq!(guesses.len(), SHARED_BYTES / STEP_BYTES);
        // One after the other: each is written, and makes room.
        let mut last = Bytes::new();
        for _ in 0..3 {
            let mut needed = Reservation::default();
            let writing = std::mem::take(&mut last);
            let (reservation, ()) = tokio::join!(
                async {
                    budget.grow(&mut needed, LONG).await;
                    needed
                },
                async { drop(writing) }
            );
            last = reservation.cooldown(Bytes::from_static(b"y"));
        }
        drop(guesses);
        let mut reservation = Reservation::default();
        assert!(budget.try_grow(&mut reservation, SHARED_BYTES));
    }

    #[tokio::test]
    async fn parts_of_a_body_keep_its_room() {
        let budget = ByteBudget::new();
        let mut reservation = Reservation::default();
        assert!(budget.try_grow(&mut reservation, SHARED_BYTES));
        let body = reservation.cooldown(Bytes::from_static(b"body"));
        let part = body.slice(1..2);
        drop(body);
        assert!(!budget.try_grow(&mut Reservation::default(), LONG));
        drop(part);
        assert!(budget.try_grow(&mut Reservation::default(), LONG));
    }
}
