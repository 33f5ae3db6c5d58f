//! What the server remembers of walks: which cursors came first.

use std::collections::BTreeMap;

use crate::sandbox::call::Call;
use crate::sandbox::spoil::UsedCursors;

/// Memory of cursors.
#[derive(Debug, Default)]
pub struct Walks {
    /// Raised to make every cursor handed out so far invalid.
    pub epoch: u32,
    firsts: BTreeMap<String, String>,
}

impl Walks {
    /// Notes the cursor that a page gives out.
    pub fn note(&mut self, call: &Call, next: Option<&str>) {
        let Some(next) = next else { return };
        if call.param("cursor").is_none() {
            self.firsts.insert(call.path.clone(), next.to_owned());
        }
    }

    /// The cursors that an accident might repeat.
    pub fn used(&self, call: &Call) -> UsedCursors {
        let own = call.param("cursor").map(str::to_owned);
        UsedCursors { own, first: self.firsts.get(&call.path).cloned() }
    }
}
