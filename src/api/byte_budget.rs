//! Byte budget shared by all answers in flight, from their first byte until their last row is written.
//!
//! Each answer may use [`FREE_BYTES`], which is enough for most pages; beyond that all share [`SHARED_BYTES`]. When these
//! are used up, answers grow to their full length one at a time, so that the growing one never waits for
//! another. The answer to a guessed request never waits: it may stay unread while another answer waits for
//! memory.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes per answer outside of the shared budget.
pub(super) const FREE_BYTES: usize = 256 << 10;
/// Bytes shared by all answers beyond that.
const SHARED_BYTES: usize = 8 << 20;
/// The shared budget is taken in steps of this size.
const STEP_BYTES: usize = 256 << 10;

/// The shared budget. Clones share it.
#[derive(Clone)]
pub(super) struct ByteBudget {
    shared: Arc<Semaphore>,
    growing: Arc<Semaphore>,
}

/// The bytes reserved for one answer.
#[derive(Default)]
pub(super) struct Reservation {
    shared: Option<OwnedSemaphorePermit>,
    growing: Option<OwnedSemaphorePermit>,
}

/// A body and its reservation, which is released on drop.
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

    /// Grows a reservation to so many bytes if that is possible without waiting.
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

    /// Grows a reservation, waiting for memory if necessary.
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

    /// Attaches the reservation to the body, until every part of it is dropped.
    pub fn attach_to(self, body: Bytes) -> Bytes {
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
            guesses.push(guess.attach_to(Bytes::from_static(b"x")));
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
            last = reservation.attach_to(Bytes::from_static(b"y"));
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
        let body = reservation.attach_to(Bytes::from_static(b"body"));
        let part = body.slice(1..2);
        drop(body);
        assert!(!budget.try_grow(&mut Reservation::default(), LONG));
        drop(part);
        assert!(budget.try_grow(&mut Reservation::default(), LONG));
    }
}
