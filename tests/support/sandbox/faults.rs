//! Faults for chosen requests, scripted by tests.

use creatormirror::sandbox::Call;

use super::fault_kind::FaultKind;

/// A fault and the requests that it affects.
#[derive(Debug, Clone)]
pub struct Fault {
    method: Option<String>,
    path: String,
    query: Option<String>,
    skip: u64,
    times: u64,
    what: FaultKind,
}

impl Fault {
    /// A fault of the next request with this method and path. `*` is any method, and as the last
    /// character of a path any suffix. Paths are below the base: `/videos`.
    pub fn on(method: &str, path: &str, what: FaultKind) -> Self {
        let method = (method != "*").then(|| method.to_owned());
        Self { method, path: path.to_owned(), query: None, skip: 0, times: 1, what }
    }

    /// Only requests whose decoded query contains this text, such as `name=value`.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.to_owned());
        self
    }

    /// Skips this number of matching requests first.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Affects this number of requests instead of one.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Affects every matching request.
    #[must_use]
    pub fn forever(self) -> Self {
        self.times(u64::MAX)
    }

    fn matches(&self, call: &Call) -> bool {
        self.method.as_ref().is_none_or(|method| *method == call.method)
            && path_matches(&self.path, &call.path)
            && self.query.as_ref().is_none_or(|part| {
                let pairs = call.query.iter().map(|(name, value)| format!("{name}={value}"));
                pairs.collect::<Vec<_>>().join("&").contains(part)
            })
            && self.what.can_strike(call)
    }
}

/// Pending faults, in the order they were added.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    /// Adds a fault after the pending ones.
    pub fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    /// Removes all faults.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// The number of pending faults.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the fault of this request: that of the first pending fault that applies.
    pub fn strike(&mut self, call: &Call) -> Option<FaultKind> {
        let mut struck = None;
        for fault in self.waiting.iter_mut().filter(|fault| fault.matches(call)) {
            if fault.skip > 0 {
                fault.skip -= 1;
            } else if struck.is_none() && fault.times > 0 {
                fault.times = if fault.times == u64::MAX { u64::MAX } else { fault.times - 1 };
                struck = Some(fault.what.clone());
            }
        }
        self.waiting.retain(|fault| fault.times > 0);
        struck
    }
}

/// Whether a path matches a pattern: exact, or a prefix and `*`.
pub fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}
