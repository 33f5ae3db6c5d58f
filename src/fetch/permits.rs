//! Who may send next: at most so many requests at a time, the most urgent first.
//!
//! A plain value without a clock or a wait; [`crate::fetch::fetcher::Fetcher`] does the waiting.

use std::collections::BTreeSet;

/// Requests that must succeed in a row before one more may be in flight again, for each that already may.
const SUCCESSES_PER_STEP: u32 = 8;

/// How urgent a request is. The smaller one goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// What comes before everything else of a run, and queued writes: a user waits for them.
    First,
    /// A resource or page that is due.
    DuePoll,
    /// The next page of a listing. Of several listings, the one with the smaller number goes first.
    Listing(u8),
    /// A page of a listing whose cursor is a guess.
    Ahead(u8),
}

impl Priority {
    /// The priority of a guess at what follows a request of this priority.
    #[must_use]
    pub const fn ahead(self) -> Self {
        match self {
            Self::Listing(order) => Self::Ahead(order),
            other => other,
        }
    }
}

/// A place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(Priority, u64);

/// The queue of those who want to send, and how many requests are in flight.
#[derive(Debug)]
pub struct Permits {
    waiting: BTreeSet<Ticket>,
    tickets: u64,
    in_flight: u32,
    /// The most that the settings allow in flight.
    max: u32,
    /// The most that the server has shown to bear, 1 to `max`.
    limit: u32,
    /// Successes since `limit` has changed.
    successes: u32,
}

impl Permits {
    /// With at most `max` requests in flight; at least one always may be.
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        Self { waiting: BTreeSet::new(), tickets: 0, in_flight: 0, max, limit: max, successes: 0 }
    }

    /// Changes the most that may be in flight from now on.
    pub fn set_max(&mut self, max: u32) {
        let max = max.max(1);
        self.limit = if self.limit == self.max { max } else { self.limit.min(max) };
        self.max = max;
    }

    /// The most that may be in flight by the settings.
    pub const fn max(&self) -> u32 {
        self.max
    }

    /// Takes a place in the queue.
    pub fn enqueue(&mut self, priority: Priority) -> Ticket {
        let ticket = Ticket(priority, self.tickets);
        self.tickets = self.tickets.wrapping_add(1);
        self.waiting.insert(ticket);
        ticket
    }

    /// Leaves the queue.
    pub fn leave(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
    }

    /// Whether it is this one's turn, with at most `bound` requests in flight.
    pub fn is_next(&self, ticket: Ticket, bound: u32) -> bool {
        self.waiting.first() == Some(&ticket) && self.in_flight < self.limit.min(bound)
    }

    /// A request is about to be sent: its sender leaves the queue.
    pub fn start(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// A request is over, or was given up.
    pub fn finish(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// The server answered as it should. After enough of them, one more may be in flight.
    pub fn succeeded(&mut self) {
        self.successes = self.successes.saturating_add(1);
        if self.limit < self.max && self.successes >= self.limit.saturating_mul(SUCCESSES_PER_STEP)
        {
            self.limit = self.limit.saturating_add(1);
            self.successes = 0;
        }
    }

    /// The server asked to slow down, and pacing had not foreseen it.
    pub fn back_off(&mut self) {
        (self.limit, self.successes) = (1, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_most_urgent_goes_first_and_equals_in_their_order() {
        let mut permits = Permits::new(1);
        let wanted = [
            Priority::Ahead(1),
            Priority::Ahead(0),
            Priority::Listing(1),
            Priority::Listing(0),
            Priority::Listing(0),
            Priority::DuePoll,
            Priority::First,
        ];
        let tickets = wanted.map(|priority| permits.enqueue(priority));
        for at in [6, 5, 3, 4, 2, 1, 0] {
            assert!(tickets.iter().enumerate().all(|(n, t)| permits.is_next(*t, 9) == (n == at)));
            permits.start(tickets[at]);
            assert!(!tickets.iter().any(|ticket| permits.is_next(*ticket, 9)), "one at a time");
            permits.finish();
        }
    }

    #[test]
    fn after_an_unexpected_429_concurrency_falls_to_one_and_recovers_slowly() {
        let mut permits = Permits::new(4);
        let in_flight = |permits: &mut Permits| {
            let mut count = 0;
            loop {
                let ticket = permits.enqueue(Priority::First);
                if !permits.is_next(ticket, u32::MAX) {
                    permits.leave(ticket);
                    break;
                }
                permits.start(ticket);
                count += 1;
            }
            (0..count).for_each(|_| permits.finish());
            count
        };
        assert_eq!(in_flight(&mut permits), 4);
        permits.back_off();
        let mut seen = Vec::new();
        for _ in 0..=SUCCESSES_PER_STEP * 6 {
            seen.push(in_flight(&mut permits));
            permits.succeeded();
        }
        assert!(seen.is_sorted(), "{seen:?}");
        assert_eq!((seen[0], seen[7], seen[8], seen[23], seen[24]), (1, 1, 2, 2, 3), "{seen:?}");
        assert_eq!(seen.last(), Some(&4));
        permits.set_max(2);
        assert_eq!(in_flight(&mut permits), 2);
        permits.set_max(16);
        assert_eq!(in_flight(&mut permits), 16);
    }

    proptest! {
        #[test]
        fn there_are_never_more_in_flight_than_allowed(
            max in 0u32..20, moves in proptest::collection::vec((0u8..6, 0u32..20), 1..200),
        ) {
            let mut permits = Permits::new(max);
            let (mut queued, mut flying) = (Vec::new(), 0_u32);
            for (what, number) in moves {
                match what {
                    0 | 1 => queued.push(permits.enqueue(Priority::Listing(what))),
                    2 => {
                        let next = queued.iter().position(|ticket| permits.is_next(*ticket, number));
                        if let Some(at) = next {
                            permits.start(queued.swap_remove(at));
                            flying += 1;
                            prop_assert!(flying <= number.min(max.max(1)));
                        }
                    }
                    3 if flying > 0 => { permits.finish(); flying -= 1; }
                    4 => permits.succeeded(),
                    5 => permits.back_off(),
                    _ => {}
                }
            }
        }
    }
}
