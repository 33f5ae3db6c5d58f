//! Requests pages of a listing ahead, by the cursors of the last listing.
//!
//! The next few pages are requested while the answer of the current page is awaited, which saves a round
//! trip per page. The answer of a guess is used only after the page before it has named its cursor.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use crate::fetch::fetcher::Fetcher;

/// A request for the page that a guessed cursor opens.
pub struct Guess<P, T> {
    /// The page.
    pub page: P,
    cursor: String,
    fetcher: Fetcher,
    state: GuessState<T>,
}

enum GuessState<T> {
    Pending(Pin<Box<dyn Future<Output = T> + Send>>),
    Done(T),
}

/// The guesses in flight, in the order of the listing.
pub struct Ahead<P, T> {
    guesses: VecDeque<Guess<P, T>>,
    max: usize,
}

impl<P, T> Ahead<P, T> {
    /// Allows at most `max` guesses at a time.
    pub const fn new(max: usize) -> Self {
        Self { guesses: VecDeque::new(), max }
    }

    /// Whether another guess may be made.
    pub fn has_room(&self) -> bool {
        self.guesses.len() < self.max
    }

    /// The page of the last guess.
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
        let state = GuessState::Pending(Box::pin(request));
        self.guesses.push_back(Guess { page, cursor, fetcher, state });
    }

    /// Takes the guess for this cursor. If the next guess is for another one, all were wrong and are dropped.
    pub async fn claim(&mut self, cursor: Option<&str>) -> Option<Guess<P, T>> {
        match self.guesses.front() {
            Some(guess) if Some(guess.cursor.as_str()) == cursor => self.guesses.pop_front(),
            _ => {
                self.give_up().await;
                None
            }
        }
    }

    /// Drops all guesses, after waiting for requests that were sent: they still count as in flight.
    pub async fn give_up(&mut self) {
        for guess in self.guesses.drain(..).filter(|guess| guess.fetcher.has_sent()) {
            let _ = guess.answer().await;
        }
    }

    /// Awaits `work` while polling the guesses.
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
    /// Returns its answer.
    pub async fn answer(self) -> T {
        match self.state {
            GuessState::Pending(request) => request.await,
            GuessState::Done(answer) => answer,
        }
    }

    fn poll(&mut self, context: &mut Context<'_>) {
        if let GuessState::Pending(request) = &mut self.state
            && let Poll::Ready(answer) = request.as_mut().poll(context)
        {
            self.state = GuessState::Done(answer);
        }
    }
}
