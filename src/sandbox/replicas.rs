//! The simulated server processes, and the idempotency keys that each remembers for itself.

use std::collections::BTreeMap;

use crate::sandbox::call::Call;
use crate::sandbox::moment::{Moment, SECOND};
use crate::sandbox::replies::Answer;

/// How long a process remembers a key.
const REMEMBERED_MS: i64 = 600 * SECOND;

/// The processes behind the load balancer.
#[derive(Debug)]
pub struct Replicas {
    memories: Vec<BTreeMap<Memory, (Moment, Answer)>>,
    /// The one that answers everything, where a test wants no turns.
    pub pinned: Option<usize>,
}

/// API key, path and idempotency key.
type Memory = (String, String, String);

impl Replicas {
    /// That many processes, at least one.
    pub fn new(count: usize) -> Self {
        Self { memories: vec![BTreeMap::new(); count.max(1)], pinned: None }
    }

    /// The process that answers this request; they take turns.
    pub fn of(&self, call: &Call) -> usize {
        let turn = self.pinned.unwrap_or(call.number as usize);
        turn % self.memories.len()
    }

    /// What this process answered to the same key before.
    pub fn remembered(&mut self, replica: usize, call: &Call, now: Moment) -> Option<Answer> {
        let key = memory_key(call)?;
        let memory = self.memories.get_mut(replica)?;
        memory.retain(|_, (since, _)| now.0 - since.0 < REMEMBERED_MS);
        memory.get(&key).map(|(_, answer)| answer.clone())
    }

    /// Remembers a success.
    pub fn remember(&mut self, replica: usize, call: &Call, now: Moment, answer: &Answer) {
        if let (Some(key), Some(memory)) = (memory_key(call), self.memories.get_mut(replica)) {
            memory.insert(key, (now, answer.clone()));
        }
    }

    /// A deploy: every process starts anew.
    pub fn restart(&mut self) {
        self.memories.iter_mut().for_each(BTreeMap::clear);
    }
}

fn memory_key(call: &Call) -> Option<Memory> {
    let key = call.header("idempotency-key")?;
    let owner = call.header("authorization").unwrap_or_default();
    Some((owner.to_owned(), call.path.clone(), key.to_owned()))
}
