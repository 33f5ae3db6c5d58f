//! What came of a pass.

use crate::api::Failure;
use crate::model::instant;
use crate::model::outbox::Pushed;
use crate::pass::backfill::Backfilled;
use crate::pass::findings::Findings;
use crate::pass::stop::Stop;
use crate::poll::Desk;
use crate::retry::Trouble;
use crate::store::instance;
use crate::store::passes::Turn;
use crate::store::pauses::{self, Backoff};

/// What a pass did for a kind.
#[derive(Debug, Clone)]
pub struct KindReport {
    /// Its turn, as in the log.
    pub turn: Turn,
    /// The failure that ended it, where one did.
    pub failure: Option<Failure>,
}

impl KindReport {
    /// Whether all went as the user would expect.
    pub fn is_good(&self) -> bool {
        self.turn.outcome.is_good()
    }
}

/// What came of a pass.
#[derive(Debug)]
pub struct Report {
    /// Its number in the log.
    pub pass: i64,
    /// What it did, kind by kind.
    pub kinds: Vec<KindReport>,
    /// What it did about the outbox.
    pub pushed: Pushed,
    /// What is left alone for now because it failed, here or in an earlier pass.
    pub paused: Vec<Backoff>,
    /// What stopped it, if anything did.
    pub stop: Option<Stop>,
    /// The key's name, as the API gave it last.
    pub key_name: Option<String>,
    /// What came of the days that are asked for as they end, if any were.
    pub daily: Option<Backfilled>,
    /// What came of comparing the mirror with the API, where that was wanted.
    pub verified: Option<Findings>,
}

impl Report {
    pub(super) async fn new(desk: &Desk, turns: Vec<Turn>, stop: Option<Stop>) -> Self {
        let kinds = turns
            .into_iter()
            .map(|turn| KindReport { failure: desk.failures.get(&turn.kind).cloned(), turn });
        let now = instant::micros(desk.fetcher.clock().now());
        let known = desk
            .store
            .read(move |c| Ok((instance::identity(c)?.api_key_name, pauses::in_force(c, now)?)));
        let (key_name, paused) = known.await.unwrap_or_default();
        Self {
            pass: desk.pass,
            kinds: kinds.collect(),
            pushed: desk.pushed,
            paused,
            stop,
            key_name,
            daily: None,
            verified: None,
        }
    }

    /// Of a run that did not take place.
    pub async fn of_none(desk: &Desk, stop: Stop) -> Self {
        let report = Self::new(desk, Vec::new(), Some(stop)).await;
        Self { pass: 0, pushed: Pushed::default(), paused: Vec::new(), ..report }
    }

    /// Whether nothing that was asked for came to an answer.
    pub fn is_all_failures(&self) -> bool {
        let is_failure = |kind: &KindReport| {
            let trouble = kind.failure.as_ref().map(|failure| failure.trouble());
            matches!(trouble, Some(Trouble::NoAnswer | Trouble::Failing))
        };
        let mut asked = self.kinds.iter().filter(|kind| kind.turn.tally.requests > 0).peekable();
        let has_asked = asked.peek().is_some();
        has_asked && asked.all(is_failure) && self.pushed.succeeded == 0 && self.stop.is_none()
    }

    /// Requests sent in all.
    pub fn requests(&self) -> i64 {
        let daily = self.daily.as_ref().map_or(0, |daily| daily.requests);
        self.kinds.iter().map(|kind| kind.turn.tally.requests).sum::<i64>() + daily
    }
}
