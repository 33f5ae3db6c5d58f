//! Permits to send: limits concurrency and orders waiting requests by priority.
//!
//! Plain data without a clock; [`crate::fetch::fetcher::Fetcher`] does the waiting.

use std::collections::BTreeSet;

/// Concurrency recovers by one after this many successes in a row per request that may be in flight.
const SUCCESSES_PER_STEP: u32 = 8;

/// Priority of a request; the smaller one goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// The first requests of a run, and queued writes: a user waits for them.
    First,
    /// A poll of due rows.
    DuePoll,
    /// The next page of a listing. The listing with the smaller number goes first.
    Listing(u8),
    /// A page of a listing requested by a guessed cursor.
    Ahead(u8),
}

impl Priority {
    /// Priority of a request that guesses ahead of one with this priority.
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

/// The queue of waiting requests and the number in flight.
#[derive(Debug)]
pub struct Permits {
    waiting: BTreeSet<Ticket>,
    tickets: u64,
    in_flight: u32,
    /// `max_concurrent_requests`.
    max: u32,
    /// The present limit, 1 to `max`: lowered when the server asks to slow down.
    limit: u32,
    /// Successes since `limit` changed.
    successes: u32,
}

impl Permits {
    /// Creates a queue with at most `max` requests in flight, at least one.
    pub fn new(max: u32) -> Self {
        let max = max.max(1);
        Self { waiting: BTreeSet::new(), tickets: 0, in_flight: 0, max, limit: max, successes: 0 }
    }

    /// Changes the limit of requests in flight.
    pub fn set_max(&mut self, max: u32) {
        let max = max.max(1);
        self.limit = if self.limit == self.max { max } else { self.limit.min(max) };
        self.max = max;
    }

    /// The limit of requests in flight by the settings.
    pub const fn max(&self) -> u32 {
        self.max
    }

    /// Enters the queue.
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

    /// Whether this request is next, with at most `bound` requests in flight.
    pub fn is_next(&self, ticket: Ticket, bound: u32) -> bool {
        self.waiting.first() == Some(&ticket) && self.in_flight < self.limit.min(bound)
    }

    /// Counts a request as in flight and removes it from the queue.
    pub fn start(&mut self, ticket: Ticket) {
        self.waiting.remove(&ticket);
        self.in_flight = self.in_flight.saturating_add(1);
    }

    /// Counts a request as ended.
    pub fn finish(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Counts a success; enough of them raise the limit by one.
    pub fn succeeded(&mut self) {
        self.successes = self.successes.saturating_add(1);
        if self.limit < self.max && self.successes >= self.limit.saturating_mul(SUCCESSES_PER_STEP)
        {
            self.limit = self.limit.saturating_add(1);
            self.successes = 0;
        }
    }

    /// Lowers the limit to 1 after an unexpected request to slow down.
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
