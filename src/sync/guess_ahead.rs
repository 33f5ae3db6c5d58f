//! Pages of a listing that are asked for before the page in front of them has named them.
//!
//! The cursors of the last listing are known, so the next few pages can be requested by them while the
//! page in front is still on its way. That saves the time of a round trip per page; it proves nothing:
//! a page is taken only once the page before it has named its cursor.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::fetch::fetcher::Fetcher;

/// A request for the page that a cursor opens, sent on a guess.
pub struct Guess<P, T> {
    /// The page.
    pub page: P,
    cursor: String,
    fetcher: Fetcher,
    state: State<T>,
}

enum State<T> {
    Pending(Pin<Box<dyn Future<Output = T> + Send>>),
    Done(T),
}

/// The guesses in flight, in the order of the listing.
pub struct Ahead<P, T> {
    guesses: VecDeque<Guess<P, T>>,
    max: usize,
}

impl<P, T> Ahead<P, T> {
    /// None yet, and never more than `max`.
    pub const fn new(max: usize) -> Self {
        Self { guesses: VecDeque::new(), max }
    }

    /// Whether another may be made.
    pub fn has_room(&self) -> bool {
        self.guesses.len() < self.max
    }

    /// The page after which the next guess would be.
    pub fn last(&self) -> Option<&P> {
        self.guesses.back().map(|guess| &guess.page)
    }

    /// Adds a request that sends with `fetcher`.
    pub fn push(
        &mut self,
        (cursor, page): (String, P),
        fetcher: Fetcher,
        request: impl Future<Output = T> + Send + 'static,
    ) {
        let state = State::Pending(Box::pin(request));
        self.guesses.push_back(Guess { page, cursor, fetcher, state });
    }

    /// The guess at this cursor. If the next guess is at another one, all were wrong and are given up.
    pub async fn claim(&mut self, cursor: Option<&str>) -> Option<Guess<P, T>> {
        match self.guesses.front() {
            Some(guess) if Some(guess.cursor.as_str()) == cursor => self.guesses.pop_front(),
            _ => {
                self.give_up().await;
                None
            }
        }
    }

    /// Forgets all guesses. Requests that were sent are waited for: the server is still at work on them,
    /// and they count as in flight.
    pub async fn give_up(&mut self) {
        for guess in self.guesses.drain(..).filter(|guess| guess.fetcher.has_sent()) {
            let _ = guess.answer().await;
        }
    }

    /// Does something else while the guesses are on their way.
    pub async fn during<R>(&mut self, work: impl Future<Output = R>) -> R {
        let mut work = pin!(work);
        poll_fn(|context| {
            for guess in &mut self.guesses {
                guess.poll(context);
            }
            work.as_mut().poll(context)
        })
        .await
    }
}

impl<P, T> Guess<P, T> {
    /// Its answer.
    pub async fn answer(self) -> T {
        match self.state {
            State::Pending(request) => request.await,
            State::Done(answer) => answer,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if let State::Pending(request) = &mut self.state
            && let Poll::Ready(answer) = request.as_mut().poll(context)
        {
            self.state = State::Done(answer);
        }
    }
}
