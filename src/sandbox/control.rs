//! A test's hand in the world: the truth, changes to it, and the log of what was asked.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;
use serde_json::Value;

use crate::model::Kind;
use crate::sandbox::figures::Totals;
use crate::sandbox::journal::{Counters, Entry};
use crate::sandbox::moment::Moment;
use crate::sandbox::server::App;
use crate::sandbox::state::State;
use crate::sandbox::world::{Row, World};

/// A hand in a running sandbox. Clones share it, and it may be used from any thread.
#[derive(Debug, Clone)]
pub struct Control {
    pub(super) app: App,
}

/// One scrape that really happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scrape {
    /// `last_scrape_time` as the API showed it.
    pub scraped_at: String,
    /// Followers, for accounts.
    pub follower_count: Option<i64>,
    /// Views.
    pub view_count: i64,
    /// Likes.
    pub like_count: i64,
    /// Comments.
    pub comment_count: i64,
    /// Shares.
    pub share_count: i64,
    /// Plays.
    pub play_count: i64,
    /// Saves; Instagram only.
    pub saved_count: Option<i64>,
}

impl Control {
    pub(super) fn new(app: App) -> Self {
        Self { app }
    }

    /// Does something with the state, once the world is up to date.
    pub(super) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.app.state();
        state.catch_up();
        f(&mut state)
    }

    /// The server's time.
    pub fn now(&self) -> Moment {
        self.with(|state| state.time.now())
    }

    /// Every row of a kind exactly as the API would show it now, in no particular order.
    pub fn rows(&self, kind: Kind) -> Vec<Value> {
        self.with(|state| {
            let world = &state.world;
            let listed = world.all(kind).filter(|row| world.is_listed(*row));
            listed.map(|row| serde_json::to_value(world.view(row)).unwrap_or_default()).collect()
        })
    }

    /// How many rows of a kind the API would list now.
    pub fn count(&self, kind: Kind) -> usize {
        self.with(|state| {
            let world = &state.world;
            world.all(kind).filter(|row| world.is_listed(*row)).count()
        })
    }

    /// The ids of all rows that the API would list now; `platform:id` for account videos.
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        self.with(|state| {
            let world = &state.world;
            let listed = world.all(kind).filter(|row| world.is_listed(*row));
            listed.map(|row| world.id_text(row)).collect()
        })
    }

    /// One row as the API would show it now.
    pub fn row(&self, kind: Kind, id: &str) -> Option<Value> {
        self.with(|state| {
            let row = state.world.find(kind, id).filter(|row| state.world.is_listed(*row))?;
            serde_json::to_value(state.world.view(row)).ok()
        })
    }

    /// Every scrape of a row that ever happened, oldest first, deleted rows included.
    pub fn scrapes(&self, kind: Kind, id: &str) -> Vec<Scrape> {
        self.with(|state| {
            let row = state.world.find(kind, id);
            row.map_or_else(Vec::new, |row| scrapes(&state.world, row))
        })
    }

    /// Every scrape of every row of a kind that ever happened, by id, deleted rows included.
    pub fn all_scrapes(&self, kind: Kind) -> BTreeMap<String, Vec<Scrape>> {
        self.with(|state| {
            let world = &state.world;
            world.all(kind).map(|row| (world.id_text(row), scrapes(world, row))).collect()
        })
    }

    /// What every row of a kind that the API would list now has gained on a day, by id.
    pub fn daily(&self, kind: Kind, day: NaiveDate) -> BTreeMap<String, Totals> {
        self.with(|state| {
            let world = &state.world;
            let listed = world.all(kind).filter(|row| world.is_listed(*row));
            listed.map(|row| (world.id_text(row), world.totals(row, day, day))).collect()
        })
    }

    /// The requests received so far, oldest first.
    pub fn log(&self) -> Vec<Entry> {
        self.app.state().journal.entries.iter().cloned().collect()
    }

    /// Totals of the requests received so far.
    pub fn counters(&self) -> Counters {
        self.app.state().journal.counters.clone()
    }

    /// Forgets the log and its totals.
    pub fn clear_log(&self) {
        self.app.state().journal = crate::sandbox::journal::Journal::default();
    }
}

fn scrapes(world: &World, row: Row) -> Vec<Scrape> {
    let (Some(schedule), Some(first)) = (world.schedule(row), world.first_scrape(row)) else {
        return Vec::new();
    };
    let account = world.accounts.get(row.place as usize).filter(|_| row.kind == Kind::Account);
    let scrape = |at: Moment| {
        let counts = world.counts_at(row, at);
        Scrape {
            scraped_at: at.to_string(),
            follower_count: account.map(|account| account.growth.followers(at)),
            view_count: counts.view,
            like_count: counts.like,
            comment_count: counts.comment,
            share_count: counts.share,
            play_count: counts.play,
            saved_count: counts.saved,
        }
    };
    schedule.all().filter(|at| *at >= first).map(scrape).collect()
}
