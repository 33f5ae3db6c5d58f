//! Accidents that strike chosen requests, scripted by tests.

use creatormirror::sandbox::Call;

use super::accident::Accident;

/// An accident and the requests that it strikes.
#[derive(Debug, Clone)]
pub struct Fault {
    method: Option<String>,
    path: String,
    query: Option<String>,
    skip: u64,
    times: u64,
    what: Accident,
}

impl Fault {
    /// An accident of the next request with this method and path. `*` stands for any method, and
    /// at the end of a path for anything more. Paths are below the base: `/videos`.
    pub fn on(method: &str, path: &str, what: Accident) -> Self {
        let method = (method != "*").then(|| method.to_owned());
        Self { method, path: path.to_owned(), query: None, skip: 0, times: 1, what }
    }

    /// Only requests whose query, decoded, contains this `name=value`, or part of it.
    #[must_use]
    pub fn query(mut self, part: &str) -> Self {
        self.query = Some(part.to_owned());
        self
    }

    /// Lets this many matching requests pass first.
    #[must_use]
    pub fn after(mut self, requests: u64) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes this many times instead of once.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = times;
        self
    }

    /// Strikes every time.
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

/// The faults that are waiting, in the order they were scripted.
#[derive(Debug, Default)]
pub struct Faults {
    waiting: Vec<Fault>,
}

impl Faults {
    /// Adds a fault behind those that wait.
    pub fn add(&mut self, fault: Fault) {
        self.waiting.push(fault);
    }

    /// Forgets all scripted faults.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    /// How many scripted faults still wait for their requests.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The accident that strikes this request: the first one whose turn it is.
    pub fn strike(&mut self, call: &Call) -> Option<Accident> {
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

/// Whether a pattern, exact or with `*` at its end, covers a path.
pub fn path_matches(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => path.starts_with(start),
        None => path == pattern,
    }
}
