//! Everything behind the lock: lets requests in, executes them and completes their answers.

use std::collections::BTreeMap;

use serde_json::json;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::clock::Clock;
use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::limits::{Budget, RateLimit, need_write};
use crate::sandbox::lists::ListQuery;
use crate::sandbox::moment::{Moment, SECOND, ServerTime};
use crate::sandbox::replies::{Answer, Ending, Problem, http_date};
use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::world::World;
use crate::sandbox::{batch, figures, writes};

/// How long an idempotency key is remembered.
const REMEMBERED_MS: i64 = 600 * SECOND;

/// For endpoints without authentication.
const OPEN_PATHS: [&str; 2] = ["/meta", "/openapi.json"];
/// The document that describes this API.
const OPENAPI: &str = include_str!("openapi.json");
/// The methods that some path takes.
const METHODS: [&str; 5] = ["GET", "POST", "PATCH", "PUT", "DELETE"];

/// Answers a request whose path has these parts.
type Handler = fn(&mut State, &[&str], &Call) -> Result<Answer, Problem>;

/// API key, path and idempotency key.
type Memory = (String, String, String);

/// The server's whole state.
#[derive(Debug)]
pub struct State {
    pub(super) world: World,
    pub(super) time: ServerTime,
    pub(super) rate_limit: RateLimit,
    seed: u64,
    base_url: String,
    received: u64,
    /// What was answered to idempotency keys, and when.
    remembered: BTreeMap<Memory, (Moment, Answer)>,
}

/// Result of the rate limit for a request.
#[derive(Debug)]
pub struct Admission {
    /// The server's time.
    pub now: Moment,
    /// Why it is not let in.
    pub refusal: Option<Problem>,
    /// What is left of its key's budget, once it was counted.
    budget: Option<Budget>,
}

impl State {
    /// A server with a fresh world.
    pub fn new(settings: &SandboxSettings, clock: Clock, base_url: String) -> Self {
        let mut time = ServerTime::new(clock);
        Self {
            world: World::new(settings, time.now()),
            time,
            rate_limit: RateLimit::new(
                settings.keys.clone(),
                settings.rate_limit,
                settings.rate_window,
            ),
            seed: settings.seed,
            base_url,
            received: 0,
            remembered: BTreeMap::new(),
        }
    }

    /// Brings the world up to the server's time.
    pub fn catch_up(&mut self) -> Moment {
        let now = self.time.now();
        self.world.bring_up(now);
        now
    }

    /// Numbers a request, and asks for its key and counts it, unless it is for an open endpoint.
    pub fn admit(&mut self, call: &mut Call) -> Admission {
        self.received += 1;
        call.number = self.received;
        let drawn = xxh3_64_with_seed(&call.number.to_le_bytes(), self.seed);
        call.request_id = format!("req_{drawn:016x}");
        let mut admission = Admission { now: self.catch_up(), refusal: None, budget: None };
        if OPEN_PATHS.contains(&call.path.as_str()) {
            return admission;
        }
        match self.rate_limit.key(call).map(|key| key.key.clone()) {
            Ok(key) => {
                let (budget, admitted) = self.rate_limit.admit(&key, admission.now);
                (admission.budget, admission.refusal) = (Some(budget), admitted.err());
            }
            Err(problem) => admission.refusal = Some(problem),
        }
        admission
    }

    /// Executes a request.
    pub fn execute(&mut self, call: &Call) -> Answer {
        self.try_execute(call).unwrap_or_else(|problem| problem.answer(call))
    }

    fn try_execute(&mut self, call: &Call) -> Result<Answer, Problem> {
        let path: Vec<&str> = call.path.split('/').skip(1).collect();
        let Some(handler) = handler(&call.method, &path) else {
            let allowed = METHODS.into_iter().filter(|method| handler(method, &path).is_some());
            let allowed = allowed.collect::<Vec<_>>().join(", ");
            return Err(match allowed.as_str() {
                "" => Problem::new(404, "No such endpoint"),
                _ => Problem::new(405, format!("Only {allowed} here")).with("allow", allowed),
            });
        };
        check_accept(call)?;
        if call.method != "GET" && path.last() != Some(&"metrics") {
            need_write(self.rate_limit.key(call)?)?;
        }
        handler(self, &path, call)
    }

    fn meta(&self) -> Answer {
        let url = |path| format!("{}/{path}", self.base_url);
        Answer::data(
            200,
            &json!({
                "type": "api_meta", "api_version": "v2", "status": "current",
                "docs_url": url("docs"), "openapi_url": url("openapi.json"),
                "whoami_url": url("whoami"), "deprecation": null, "sunset": null,
            }),
        )
    }

    fn whoami(&self, call: &Call) -> Result<Answer, Problem> {
        let key = self.rate_limit.key(call)?;
        let (organization, name) = (&key.organization_id, &key.name);
        let data =
            json!({ "type": "whoami", "organization_id": organization, "api_key_name": name });
        Ok(Answer::data(200, &data))
    }

    /// Creates a row, or repeats what was answered to the same idempotency key.
    fn create(&mut self, kind: Kind, call: &Call) -> Result<Answer, Problem> {
        let Some(key) = call.header("idempotency-key") else {
            return writes::create(&mut self.world, kind, call);
        };
        let owner = call.header("authorization").unwrap_or_default();
        let memory = (owner.to_owned(), call.path.clone(), key.to_owned());
        let now = self.world.now;
        self.remembered.retain(|_, (since, _)| now.0 - since.0 < REMEMBERED_MS);
        if let Some((_, answer)) = self.remembered.get(&memory) {
            return Ok(answer.clone());
        }
        let answer = writes::create(&mut self.world, kind, call)?;
        self.remembered.insert(memory, (now, answer.clone()));
        Ok(answer)
    }

    fn list(&self, kind: Kind, call: &Call) -> Result<Answer, Problem> {
        let page = ListQuery::read(kind, call, self.seed)?.page(&self.world);
        let mut link = format!("<{}>; rel=\"first\"", self.link(call, None));
        if let Some(cursor) = page.next_cursor() {
            link += &format!(", <{}>; rel=\"next\"", self.link(call, Some(cursor)));
        }
        Ok(Answer::json(200, &page).with("link", link))
    }

    /// The absolute URL of this list, or of a page of it.
    fn link(&self, call: &Call, cursor: Option<&str>) -> String {
        let kept = call.query.iter().filter(|(name, _)| name != "cursor");
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(kept);
        if let Some(cursor) = cursor {
            query.append_pair("cursor", cursor);
        }
        let query = query.finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{}{mark}{query}", self.base_url, call.path)
    }
}

impl Admission {
    /// Adds what every answer carries, and answers 304 where the client has it already.
    pub fn finish(&self, call: &Call, answer: &mut Answer) {
        answer.add("date", http_date(self.now));
        if answer.is_foreign {
            return;
        }
        if call.method == "GET" && answer.status == 200 {
            let etag = format!("\"{:016x}\"", xxh3_64(&answer.body));
            let is_held = call.header("if-none-match").is_some_and(|held| holds(held, &etag));
            if is_held && answer.ending == Ending::Whole {
                let headers = std::mem::take(&mut answer.headers);
                *answer = Answer { headers, delay: answer.delay, ..Answer::empty(304) };
            }
            answer.add("etag", etag);
        }
        if let Some(budget) = self.budget {
            answer.add("x-ratelimit-limit", budget.limit.to_string());
            answer.add("x-ratelimit-remaining", budget.remaining.to_string());
            answer.add("x-ratelimit-reset", budget.reset.to_string());
        }
        if !answer.headers.iter().any(|(name, _)| name == "x-request-id") {
            answer.add("x-request-id", call.request_id.clone());
        }
    }
}

/// What answers requests with this method and path.
fn handler(method: &str, path: &[&str]) -> Option<Handler> {
    let handler: Handler = match (method, path) {
        ("GET", ["openapi.json"]) => |_, _, _| {
            let (content_type, body) = (Some("application/json"), OPENAPI.into());
            Ok(Answer { content_type, body, ..Answer::empty(200) })
        },
        ("GET", ["meta"]) => |state, _, _| Ok(state.meta()),
        ("GET", ["whoami"]) => |state, _, call| state.whoami(call),
        ("GET", ["overview"]) => |state, _, call| figures::overview(&state.world, call),
        ("GET", ["accounts" | "videos" | "account-videos" | "creators"]) => {
            |state, path, call| state.list(kind(path), call)
        }
        ("POST", ["accounts" | "videos" | "creators"]) => {
            |state, path, call| state.create(kind(path), call)
        }
        ("POST", ["accounts" | "videos" | "account-videos", "metrics"]) => {
            |state, path, call| batch::metrics(&state.world, kind(path), call)
        }
        (_, [_, "metrics"]) => return None,
        ("GET", ["accounts" | "videos" | "creators", _]) => |state, path, _| {
            let row = writes::need(&state.world, kind(path), path[1])?;
            Ok(Answer::data(200, &state.world.view(row)))
        },
        ("PATCH", ["accounts" | "videos" | "creators", _]) => {
            |state, path, call| writes::update(&mut state.world, kind(path), path[1], call)
        }
        ("DELETE", ["accounts" | "videos" | "creators", _]) => {
            |state, path, _| writes::delete(&mut state.world, kind(path), path[1])
        }
        ("PUT", ["creators", _, "accounts", _]) => |state, path, call| {
            let url = format!("{}{}", state.base_url, call.path);
            writes::link(&mut state.world, path[1], path[3], &url)
        },
        ("DELETE", ["creators", _, "accounts", _]) => {
            |state, path, _| writes::unlink(&mut state.world, path[1], path[3])
        }
        _ => return None,
    };
    Some(handler)
}

/// What a path is about.
fn kind(path: &[&str]) -> Kind {
    let of = |kind: &Kind| kind.path().trim_start_matches('/') == path[0];
    Kind::LISTS.into_iter().find(of).unwrap_or(Kind::Video)
}

fn holds(if_none_match: &str, etag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match.split(',').any(|tag| strong(tag) == etag || tag.trim() == "*")
}

/// Refuses clients that do not want JSON.
fn check_accept(call: &Call) -> Result<(), Problem> {
    let Some(accept) = call.header("accept") else { return Ok(()) };
    let fits = accept.split(',').any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_lowercase();
        matches!(range.as_str(), "*/*" | "application/*" | "application/json" | "")
    });
    if fits { Ok(()) } else { Err(Problem::new(406, "Only application/json can be had here")) }
}
