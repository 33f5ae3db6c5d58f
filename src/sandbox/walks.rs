//! What the server remembers of walks: which cursors it gave out, when, and which came first.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::sandbox::call::Call;
use crate::sandbox::moment::{Moment, millis};
use crate::sandbox::replies::Problem;
use crate::sandbox::spoil::UsedCursors;

/// Memory of cursors.
#[derive(Debug, Default)]
pub struct Walks {
    /// Raised to make every cursor handed out so far invalid.
    pub epoch: u32,
    lifetime: Option<(Moment, i64)>,
    issued: HashMap<String, Moment>,
    firsts: BTreeMap<String, String>,
}

impl Walks {
    /// From now on a cursor lives this long after it was last given out.
    pub fn set_lifetime(&mut self, lifetime: Option<Duration>, now: Moment) {
        self.lifetime = lifetime.map(|lifetime| (now, millis(lifetime)));
        self.issued.clear();
    }

    /// Refuses a cursor that has outlived its time.
    pub fn check_age(&self, call: &Call, now: Moment) -> Result<(), Problem> {
        let (Some(cursor), Some((since, lifetime))) = (call.param("cursor"), self.lifetime) else {
            return Ok(());
        };
        let issued = self.issued.get(cursor).copied().unwrap_or(since);
        if now.0 - issued.0 <= lifetime {
            return Ok(());
        }
        Err(Problem::refused_cursor())
    }

    /// Notes the cursor that a page gives out.
    pub fn note(&mut self, call: &Call, next: Option<&str>, now: Moment) {
        let Some(next) = next else { return };
        if call.param("cursor").is_none() {
            self.firsts.insert(call.path.clone(), next.to_owned());
        }
        if self.lifetime.is_some() {
            self.issued.insert(next.to_owned(), now);
        }
    }

    /// The cursors that an accident might repeat.
    pub fn used(&self, call: &Call) -> UsedCursors {
        let own = call.param("cursor").map(str::to_owned);
        UsedCursors { own, first: self.firsts.get(&call.path).cloned() }
    }
}
