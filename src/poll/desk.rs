//! What a pass works with: the fetcher, the database, the pass's number, and what is known to be
//! refused.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::api::{Failure, Verdict};
use crate::model::Outcome;
use crate::model::due::DueRule;
use crate::model::outbox::Pushed;
use crate::model::{Event, Kind, instant};
use crate::plan;
use crate::poll::fetch::Fetcher;
use crate::poll::permits::Priority;
use crate::poll::query;
use crate::poll::write::Ledger;
use crate::store::passes::Turn;
use crate::store::refusals::{self, Refusal};
use crate::store::{Store, StoreResult, jobs, passes, walks};

/// How long something the server refused is left alone.
const REFUSAL_MICROS: i64 = 7 * 24 * 3_600 * 1_000_000;

/// The place where a pass works.
#[derive(Debug)]
pub struct Desk {
    /// Sends requests.
    pub fetcher: Fetcher,
    /// The mirror.
    pub store: Store,
    /// How long dues wait for each other, and how soon a late video is asked again.
    pub freshness: Duration,
    /// The pass in the log; 0 before it has begun.
    pub pass: i64,
    /// What the server refuses, by the names of [`query`].
    pub refused: BTreeSet<String>,
    /// Start of the present turn by the clock, microseconds.
    pub turn_began_at: i64,
    /// Kinds that failed, and how.
    pub failures: BTreeMap<Kind, Failure>,
    /// What this pass did about the outbox.
    pub pushed: Pushed,
    /// Pages and rows of the present turn, as shown last.
    shown: (u64, u64),
    /// The fetchers of the tasks that work side by side.
    lent: Vec<Fetcher>,
}

impl Desk {
    /// Sets up for a pass.
    pub fn new((fetcher, store): (Fetcher, Store), freshness: Duration) -> Self {
        Self {
            fetcher,
            store,
            freshness,
            pass: 0,
            refused: BTreeSet::new(),
            turn_began_at: 0,
            failures: BTreeMap::new(),
            pushed: Pushed::default(),
            shown: (0, 0),
            lent: Vec::new(),
        }
    }

    /// The same for one task among several that work side by side; see [`Desk::absorb`].
    pub fn lend(&mut self, priority: Priority) -> Self {
        let fetcher = self.fetcher.lend(priority);
        self.lent.push(fetcher.clone());
        Self {
            fetcher,
            store: self.store.clone(),
            freshness: self.freshness,
            pass: self.pass,
            refused: self.refused.clone(),
            turn_began_at: self.turn_began_at,
            failures: BTreeMap::new(),
            pushed: Pushed::default(),
            shown: (0, 0),
            lent: Vec::new(),
        }
    }

    /// Takes over what such a task has found out.
    pub fn absorb(&mut self, lent: Self) {
        self.refused.extend(lent.refused);
        self.failures.extend(lent.failures);
    }

    /// Begins a pass in the log; its first turn is that of `meta`, which carries what comes before
    /// all others.
    pub async fn begin(&mut self, trigger: &str) -> StoreResult<()> {
        let at = self.fetcher.stamp();
        let refused = self.store.read(move |c| refusals::in_force(c, at)).await?;
        self.refused = refused.into_iter().map(|refusal| refusal.thing).collect();
        self.failures.clear();
        self.pushed = Pushed::default();
        let (traffic, trigger) = (self.fetcher.traffic().clone(), trigger.to_owned());
        self.pass = self
            .store
            .write(move |tx| {
                let pass = passes::begin(tx, &trigger, at)?;
                passes::begin_kind(tx, pass, Kind::Meta, "start", at)?;
                // A gate taken over from another boot is kept in this boot's time from here on.
                traffic.keep(tx)?;
                Ok(pass)
            })
            .await?;
        self.turn_began_at = instant::micros(self.fetcher.clock().now());
        Ok(())
    }

    /// Begins a kind's turn.
    pub async fn begin_turn(&mut self, kind: Kind, trigger: &str) -> StoreResult<()> {
        self.turn_began_at = instant::micros(self.fetcher.clock().now());
        let (pass, at, trigger) = (self.pass, self.fetcher.stamp(), trigger.to_owned());
        self.store.write(move |tx| passes::begin_kind(tx, pass, kind, &trigger, at)).await
    }

    /// Ends the pass in the log, and deletes from the log what is older than `log_retention`. Returns what was
    /// done, kind by kind.
    pub async fn end(
        &mut self,
        outcome: &str,
        detail: Option<&str>,
        log_retention: Duration,
    ) -> StoreResult<Vec<Turn>> {
        let at = self.fetcher.stamp();
        let retention = i64::try_from(log_retention.as_micros()).unwrap_or(i64::MAX);
        // Requests of a turn that broke off belong to `meta`, the turn that is always there.
        let mut ledger = self.ledger(Kind::Meta);
        for lent in self.lent.drain(..) {
            ledger.sent.add(&lent.take_sent());
        }
        let (pass, outcome, detail) = (self.pass, outcome.to_owned(), detail.map(str::to_owned));
        self.store
            .write(move |tx| {
                ledger.close(tx, &passes::Tally::default())?;
                let turns = passes::end(tx, pass, &outcome, detail.as_deref(), at)?;
                jobs::prune(tx, at.saturating_sub(retention))?;
                passes::prune(tx, at.saturating_sub(retention))?;
                walks::prune(tx, at.saturating_sub(retention))?;
                Ok(turns)
            })
            .await
    }

    /// What the next write carries along.
    pub fn ledger(&self, kind: Kind) -> Ledger {
        Ledger {
            pass: self.pass,
            kind,
            sent: self.fetcher.take_sent(),
            traffic: self.fetcher.traffic().clone(),
            at: self.fetcher.stamp(),
            due: DueRule {
                next: plan::due::next,
                now: self.fetcher.clock().now().timestamp(),
                freshness_s: i64::try_from(self.freshness.as_secs()).unwrap_or(i64::MAX),
            },
        }
    }

    /// Tells the watcher.
    pub fn tell(&mut self, event: &Event) {
        match event {
            Event::Started { .. } => self.shown = (0, 0),
            Event::Page { pages, rows, .. } => self.shown = (*pages, *rows),
            Event::Answered { .. }
            | Event::Pushed { .. }
            | Event::Days { .. }
            | Event::Waiting { .. }
            | Event::Finished { .. } => {}
        }
        self.fetcher.watcher().tell(event);
    }

    /// Tells the watcher that a turn is over, with what was shown of it last.
    pub fn tell_finished(&mut self, kind: Kind, outcome: Outcome) {
        let (pages, rows) = self.shown;
        self.tell(&Event::Finished { kind, outcome, pages, rows });
    }

    /// Remembers that the server refuses something, and says so, once.
    pub async fn remember_refusal(&mut self, thing: &str, failure: &Failure) -> StoreResult<()> {
        tracing::warn!(thing, error = %failure, "the server does not support this; trying again in a week");
        self.remember(Refusal {
            thing: thing.to_owned(),
            // An answer that is too long is a success to the server.
            status: failure.status.filter(|status| *status >= 300).map(i64::from),
            code: failure.code.clone(),
            detail: Some(failure.to_string()),
            request_id: failure.request_id.clone(),
            refused_at: 0,
            retry_at: 0,
        })
        .await
    }

    /// Remembers that the server answers as if it had not been asked for something.
    pub async fn note_ignored(&mut self, kind: Kind, parameters: &[String]) -> StoreResult<()> {
        for parameter in parameters {
            let thing = query::thing(kind, parameter);
            if self.refused.contains(&thing) {
                continue;
            }
            tracing::warn!(thing, "the server ignores this; trying again in a week");
            let detail = Some("not echoed in filters as asked".to_owned());
            self.remember(Refusal {
                thing,
                status: None,
                code: None,
                detail,
                request_id: None,
                refused_at: 0,
                retry_at: 0,
            })
            .await?;
        }
        Ok(())
    }

    async fn remember(&mut self, refusal: Refusal) -> StoreResult<()> {
        let now = self.fetcher.stamp();
        let refusal =
            Refusal { refused_at: now, retry_at: now.saturating_add(REFUSAL_MICROS), ..refusal };
        self.refused.insert(refusal.thing.clone());
        self.store.write(move |tx| refusals::remember(tx, &refusal)).await?;
        Ok(())
    }

    /// Notes the failure that ended a kind's turn, for the report.
    pub fn note_failure(&mut self, kind: Kind, failure: &Failure) {
        if failure.verdict != Verdict::KeyRefused {
            self.failures.insert(kind, failure.clone());
        }
    }
}
