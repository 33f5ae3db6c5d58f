//! Issued cursors: those that a test lets expire, and the first of each list.

use std::collections::{BTreeMap, BTreeSet};

use creatormirror::sandbox::{Answer, Call};

use super::damage::UsedCursors;

/// Issued cursors.
#[derive(Debug, Default)]
pub struct Cursors {
    valid: BTreeSet<String>,
    expired: BTreeSet<String>,
    firsts: BTreeMap<String, String>,
}

impl Cursors {
    /// Records the cursor that a page issues, from its `Link` header.
    pub fn note(&mut self, call: &Call, answer: &Answer) {
        let link = answer.headers.iter().find(|(name, _)| name == "link");
        let Some((_, after)) = link.and_then(|(_, link)| link.rsplit_once("cursor=")) else {
            return;
        };
        let next: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
        if call.param("cursor").is_none() {
            self.firsts.insert(call.path.clone(), next.clone());
        }
        self.expired.remove(&next);
        self.valid.insert(next);
    }

    /// Makes every issued cursor invalid until it is issued again.
    pub fn expire(&mut self) {
        self.expired.append(&mut self.valid);
    }

    /// Whether the request's cursor has expired.
    pub fn has_expired(&self, call: &Call) -> bool {
        call.param("cursor").is_some_and(|cursor| self.expired.contains(cursor))
    }

    /// The cursors that a fault might repeat.
    pub fn used(&self, call: &Call) -> UsedCursors {
        let own = call.param("cursor").map(str::to_owned);
        UsedCursors { own, first: self.firsts.get(&call.path).cloned() }
    }
}
