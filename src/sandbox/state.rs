//! Everything behind the lock, and the way of one request through it.

use super::call::Call;
use super::figures;
use super::journal::{Entry, Journal};
use super::limits::{Budget, Gate, need_write};
use super::lists::ListQuery;
use super::moment::{Moment, ServerTime};
use super::replies::{Answer, Problem};
use super::routes::Target;
use super::settings::SandboxSettings;
use super::words;
use super::world::World;
use crate::clock::Clock;
use crate::model::Kind;
use serde_json::json;
use xxhash_rust::xxh3::xxh3_64;

/// What the API says about its own future.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// `deprecation` of `/meta`.
    pub deprecation: Option<String>,
    /// `sunset` of `/meta`.
    pub sunset: Option<String>,
}

/// The server's whole state.
#[derive(Debug)]
pub struct State {
    pub(super) settings: SandboxSettings,
    pub(super) world: World,
    pub(super) time: ServerTime,
    pub(super) gate: Gate,
    pub(super) journal: Journal,
    pub(super) lifecycle: Lifecycle,
    pub(super) cursor_epoch: u32,
    pub(super) base_url: String,
    received: u64,
}

/// What the server is to do with one request.
#[derive(Debug)]
pub struct Outcome {
    /// The answer, complete.
    pub answer: Answer,
}

impl State {
    /// A server with a fresh world.
    pub fn new(settings: SandboxSettings, clock: Clock, base_url: String) -> Self {
        let mut time = ServerTime::new(clock);
        let world = World::new(&settings, time.now());
        Self {
            gate: Gate::new(settings.keys.clone(), settings.rate_limit, settings.rate_window),
            world,
            time,
            journal: Journal::default(),
            lifecycle: Lifecycle::default(),
            cursor_epoch: 0,
            base_url,
            received: 0,
            settings,
        }
    }

    /// Brings the world up to the server's time.
    pub fn catch_up(&mut self) -> Moment {
        let now = self.time.now();
        self.world.bring_up(now);
        now
    }

    /// Answers a request.
    pub fn answer(&mut self, mut call: Call) -> Outcome {
        self.received += 1;
        call.number = self.received;
        let now = self.catch_up();
        let request_id = self.request_id(call.number);
        let mut entry = Journal::open(&call, now, request_id);
        let mut budget = None;
        let result =
            self.admit(&call, now, &mut budget).and_then(|target| self.perform(&target, &call));
        let answer = match result {
            Ok(answer) => answer,
            Err(problem) => problem.answer(&call.full_path, &entry.request_id),
        };
        let answer = self.finish(answer, &call, now, budget, &entry);
        entry.status = Some(answer.status);
        entry.bytes = answer.body.len();
        self.journal.close(entry);
        Outcome { answer }
    }

    fn request_id(&self, number: u64) -> String {
        let drawn = words::number(self.settings.seed, &number.to_le_bytes());
        format!("req_{drawn:016x}")
    }

    /// Checks key, budget and headers, before anything is done.
    fn admit(
        &mut self,
        call: &Call,
        now: Moment,
        budget: &mut Option<Budget>,
    ) -> Result<Target, Problem> {
        let target = Target::of(&call.path);
        if !target.as_ref().is_ok_and(Target::is_open) {
            let key = self.gate.key(call)?.clone();
            let (left, passed) = self.gate.pass(&key.key, now);
            *budget = Some(left);
            passed?;
            if let Ok(target) = &target
                && target.is_write(&call.method)
            {
                need_write(&key)?;
            }
        }
        let target = target?;
        target.check_method(&call.method)?;
        check_accept(call)?;
        Ok(target)
    }

    fn perform(&mut self, target: &Target, call: &Call) -> Result<Answer, Problem> {
        match (target, call.method.as_str()) {
            (Target::Health, _) => Ok(Answer::json(200, &json!({ "status": "ok" }))),
            (Target::Meta, _) => Ok(self.meta()),
            (Target::Whoami, _) => self.whoami(call),
            (Target::Overview, _) => figures::overview(&self.world, call),
            (Target::Search, _) => figures::search(&self.world, call),
            (Target::Top, _) => figures::top(&self.world, call),
            (Target::Analytics(id), _) => figures::analytics(&self.world, id, call),
            (Target::List(kind), "GET") => self.list(*kind, call),
            (Target::Item(kind, id), "GET") => self.item(*kind, id),
            _ => Err(Problem::new(404, "No such endpoint")),
        }
    }

    fn meta(&self) -> Answer {
        let status = if self.lifecycle.deprecation.is_some() { "deprecated" } else { "current" };
        let url = |path| format!("{}/{path}", self.base_url);
        Answer::data(
            200,
            &json!({
                "type": "api_meta", "api_version": "v2", "status": status,
                "docs_url": url("docs"), "openapi_url": url("openapi.json"),
                "whoami_url": url("whoami"), "deprecation": self.lifecycle.deprecation,
                "sunset": self.lifecycle.sunset,
            }),
        )
    }

    fn whoami(&self, call: &Call) -> Result<Answer, Problem> {
        let key = self.gate.key(call)?;
        Ok(Answer::data(
            200,
            &json!({
                "type": "whoami", "organization_id": key.organization_id, "api_key_name": key.name,
            }),
        ))
    }

    fn list(&mut self, kind: Kind, call: &Call) -> Result<Answer, Problem> {
        let query = ListQuery::read(kind, call, self.settings.seed, self.cursor_epoch)?;
        let page = query.page(&self.world);
        let mut link = format!("<{}>; rel=\"first\"", self.link(call, None));
        if let Some(cursor) = page.next_cursor() {
            link += &format!(", <{}>; rel=\"next\"", self.link(call, Some(cursor)));
        }
        let mut body = Vec::with_capacity(page.rows.len() * 1_600 + 256);
        serde_json::to_writer(&mut body, &page)
            .map_err(|error| Problem::new(500, error.to_string()))?;
        Ok(Answer::bytes(200, body).with("link", link))
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

    fn item(&self, kind: Kind, id: &str) -> Result<Answer, Problem> {
        let row = self.world.find(kind, id).filter(|row| self.world.is_listed(*row));
        let row = row.ok_or_else(|| Problem::not_found(kind.name()))?;
        Ok(Answer::data(200, &self.world.view(row)))
    }

    /// Adds what every answer carries, and answers 304 where the client has it already.
    fn finish(
        &self,
        mut answer: Answer,
        call: &Call,
        now: Moment,
        budget: Option<Budget>,
        entry: &Entry,
    ) -> Answer {
        if call.method == "GET" && answer.status == 200 {
            let etag = format!("\"{:016x}\"", xxh3_64(&answer.body));
            if call.header("if-none-match").is_some_and(|held| holds(held, &etag)) {
                answer = Answer { headers: answer.headers, ..Answer::empty(304) };
            }
            answer = answer.with("etag", etag);
        }
        if let Some(budget) = budget {
            answer = answer
                .with("x-ratelimit-limit", budget.limit.to_string())
                .with("x-ratelimit-remaining", budget.remaining.to_string())
                .with("x-ratelimit-reset", budget.reset.to_string());
        }
        let date = httpdate::fmt_http_date(now.to_utc().into());
        answer.with("date", date).with("x-request-id", entry.request_id.clone())
    }
}

fn holds(if_none_match: &str, etag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match.split(',').any(|tag| strong(tag) == etag || tag.trim() == "*")
}

fn check_accept(call: &Call) -> Result<(), Problem> {
    let Some(accept) = call.header("accept") else { return Ok(()) };
    let fits = accept.split(',').any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_lowercase();
        matches!(range.as_str(), "*/*" | "application/*" | "application/json" | "")
    });
    if fits { Ok(()) } else { Err(Problem::new(406, "Only application/json can be had here")) }
}
