//! Issued cursors: those that a test lets expire, and the first of each list.

use std::collections::BTreeMap;

use creatormirror::sandbox::{Answer, Call};

use super::damage::UsedCursors;

/// Separates a cursor of the sandbox, which is hexadecimal, from the generation it was issued in.
const GENERATION: char = 'g';

/// Issued cursors. After an expiry cursors are issued with another text, so that an expired one stays invalid.
#[derive(Debug, Default)]
pub struct Cursors {
    generation: u32,
    firsts: BTreeMap<String, String>,
}

impl Cursors {
    /// Marks the cursor that a page issues with the generation, in `next_cursor` and in the `Link` header.
    pub fn issue(&mut self, call: &Call, answer: &mut Answer) {
        let links = answer.headers.iter_mut().find(|(name, _)| name == "link");
        let Some((_, link)) = links else { return };
        let Some((_, after)) = link.rsplit_once("cursor=") else { return };
        let next: String = after.chars().take_while(char::is_ascii_alphanumeric).collect();
        let issued = self.issued(&next);
        if issued != next {
            *link = link.replace(&next, &issued);
            let body = String::from_utf8_lossy(&answer.body).replace(&next, &issued);
            answer.body = body.into_bytes().into();
        }
        if call.param("cursor").is_none() {
            self.firsts.insert(call.path.clone(), issued);
        }
    }

    /// Makes every issued cursor invalid.
    pub fn expire(&mut self) {
        self.generation += 1;
    }

    /// Turns the request's cursor into the sandbox's own. Returns whether it has expired.
    pub fn receive(&self, call: &mut Call) -> bool {
        let Some((_, cursor)) = call.query.iter_mut().find(|(name, _)| name == "cursor") else {
            return false;
        };
        let (own, generation) = cursor.split_once(GENERATION).unwrap_or((cursor, "0"));
        let is_expired = generation != self.generation.to_string();
        if !is_expired {
            *cursor = own.to_owned();
        }
        is_expired
    }

    /// The cursors that a fault might repeat.
    pub fn used(&self, call: &Call) -> UsedCursors {
        let own = call.param("cursor").map(|cursor| self.issued(cursor));
        UsedCursors { own, first: self.firsts.get(&call.path).cloned() }
    }

    fn issued(&self, cursor: &str) -> String {
        match self.generation {
            0 => cursor.to_owned(),
            generation => format!("{cursor}{GENERATION}{generation}"),
        }
    }
}
