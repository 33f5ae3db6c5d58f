//! The hook that applies faults, switches and the request log to the sandbox's requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use creatormirror::model::Kind;
use creatormirror::sandbox::{self as product, Answer, Call, Chaos, Hook, Moment, Problem};

use serde_json::Value;

use super::SandboxSettings;
use super::cursors::Cursors;
use super::damage::{bytes, strike, substitute};
use super::fault_kind::FaultKind;
use super::faults::Faults;
use super::members::Members;
use super::mutation::mutate;
use super::quirks::Quirks;
use super::request_log::{LoggedRequest, RequestLog};
use super::switches::{self, Switch};

/// Applies what tests have set up to requests and answers.
#[derive(Debug)]
pub struct FaultHook {
    state: Mutex<State>,
    chaos: Chaos,
    /// Access to the sandbox, once it runs.
    pub sandbox: OnceLock<product::Control>,
}

/// RequestFault tests have set up, and the request log.
#[derive(Debug, Default)]
pub struct State {
    pub faults: Faults,
    pub is_chaos_over: bool,
    pub switches: Vec<Switch>,
    pub cursors: Cursors,
    pub members: Members,
    pub signed_urls: bool,
    pub quirks: Quirks,
    pub request_log: RequestLog,
    /// Changes of the OpenAPI document: a JSON pointer, and the new value; `None` removes it.
    pub openapi_edits: Vec<(String, Option<Value>)>,
    /// Requests that are being answered, by their number.
    open: BTreeMap<u64, Open>,
}

/// A request that is being answered.
#[derive(Debug)]
struct Open {
    entry: LoggedRequest,
    what: Option<RequestFault>,
    is_beyond_cap: bool,
}

/// The fault of a request.
#[derive(Debug, Clone)]
enum RequestFault {
    Scripted(FaultKind),
    Chaos,
}

impl FaultHook {
    /// A hook without faults.
    pub fn new(settings: &SandboxSettings) -> Self {
        Self { state: Mutex::default(), chaos: Chaos::new(settings), sandbox: OnceLock::new() }
    }

    /// Locks the state. A panic elsewhere does not poison it. Don't call the sandbox while holding the
    /// lock.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sandbox(&self) -> &product::Control {
        self.sandbox.get().unwrap()
    }

    /// Whether no more accounts may be tracked.
    fn is_full(&self) -> bool {
        let cap = self.state().quirks.account_cap;
        cap.is_some_and(|cap| {
            self.sandbox().world(|world| {
                world.all(Kind::Account).filter(|row| world.is_listed(*row)).count() >= cap
            })
        })
    }

    fn refuse_account(&self, answer: &mut Answer, call: &Call) {
        let created: Value = serde_json::from_slice(&answer.body).unwrap();
        let id = created["data"]["id"].as_str().unwrap();
        self.sandbox().world(|world| {
            let row = world.find(Kind::Account, id).unwrap();
            world.delete(row);
        });
        let detail = "The cap of tracked accounts is reached";
        *answer = Problem::coded(403, "QUOTA_EXCEEDED", detail).answer(call);
    }
}

impl Hook for FaultHook {
    fn before(&self, call: &mut Call, now: Moment) -> Option<Answer> {
        let is_beyond_cap =
            (call.method.as_str(), call.path.as_str()) == ("POST", "/accounts") && self.is_full();
        let mut state = self.state();
        let mut entry = RequestLog::open(call, now);
        entry.replica = state.quirks.replica(call);
        // A request over the cap must not be stored under its idempotency key.
        let replica = (!is_beyond_cap).then_some(entry.replica);
        state.quirks.own_key(call, replica);
        let mut what = state.faults.strike(call).map(RequestFault::Scripted);
        if what.is_none() && !state.is_chaos_over && self.chaos.strikes(call) {
            what = Some(RequestFault::Chaos);
        }
        let answer = match &what {
            Some(RequestFault::Scripted(fault_kind)) => substitute(fault_kind, call, now),
            Some(RequestFault::Chaos) => self.chaos.before(call, now),
            None => None,
        };
        entry.fault = what.as_ref().map(RequestFault::name);
        state.open.insert(call.number, Open { entry, what, is_beyond_cap });
        answer.or_else(|| state.refusal(call).map(|problem| problem.answer(call)))
    }

    fn after(&self, call: &Call, answer: &mut Answer) {
        let day = self.sandbox().world(|world| world.now().date().to_string());
        let (what, is_beyond_cap) = {
            let mut state = self.state();
            state.members.signed_on = state.signed_urls.then_some(day);
            state.members.patch_answer(call, answer);
            state.quirks.end_of_life(call, answer);
            state.cursors.issue(call, answer);
            state.edit_openapi(call, answer);
            let open = &state.open[&call.number];
            (open.what.clone(), open.is_beyond_cap)
        };
        if is_beyond_cap && answer.status == 201 {
            self.refuse_account(answer, call);
        }
        match what {
            Some(RequestFault::Scripted(FaultKind::Mutate(mutation))) => {
                mutate(self.sandbox(), call, answer, mutation);
            }
            Some(RequestFault::Scripted(fault_kind)) => {
                let used = self.state().cursors.used(call);
                strike(answer, &fault_kind, &used);
            }
            Some(RequestFault::Chaos) => self.chaos.after(call, answer),
            None => {}
        }
    }

    fn finish(&self, call: &Call, answer: &mut Answer) {
        let now = self.sandbox().world(|world| world.now());
        let mut state = self.state();
        let open = state.open.remove(&call.number);
        let entry = open.map_or_else(|| RequestLog::open(call, now), |open| open.entry);
        state.request_log.close(entry, answer);
        state.quirks.compress(call, answer);
        answer.delay += state.quirks.latency;
    }
}

impl State {
    /// Applies the changes of the OpenAPI document.
    fn edit_openapi(&self, call: &Call, answer: &mut Answer) {
        if call.path != "/openapi.json" || self.openapi_edits.is_empty() {
            return;
        }
        let mut document: Value = serde_json::from_slice(&answer.body).unwrap();
        for (pointer, value) in &self.openapi_edits {
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let name = name.replace("~1", "/");
            let parent = document.pointer_mut(parent).unwrap_or_else(|| panic!("no {pointer}"));
            match (parent, value) {
                (Value::Array(list), None) => drop(list.remove(name.parse().unwrap())),
                (Value::Array(list), Some(value)) => {
                    list[name.parse::<usize>().unwrap()] = value.clone();
                }
                (parent, None) => {
                    let removed = parent.as_object_mut().unwrap().remove(&name);
                    assert!(removed.is_some(), "no {pointer}");
                }
                (parent, Some(value)) => parent[name.as_str()] = value.clone(),
            }
        }
        answer.body = bytes(&document);
    }

    /// The error that refuses this request, if any. Removes parameters that are switched off, and the mark of a cursor.
    fn refusal(&self, call: &mut Call) -> Option<Problem> {
        let refused = switches::apply(&self.switches, call).err();
        let refused = refused.or_else(|| self.quirks.check_batch(call).err());
        refused.or_else(|| self.cursors.receive(call).then(Problem::refused_cursor))
    }
}

impl RequestFault {
    fn name(&self) -> &'static str {
        match self {
            Self::Scripted(fault_kind) => fault_kind.name(),
            Self::Chaos => "chaos",
        }
    }
}
