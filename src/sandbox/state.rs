//! Everything behind the lock, and the way of one request through it.

use std::time::Duration;

use serde_json::json;

use crate::clock::Clock;
use crate::model::Kind;
use crate::sandbox::accident::Accident;
use crate::sandbox::call::Call;
use crate::sandbox::faults::Faults;
use crate::sandbox::headers::{Progress, check_accept, finish};
use crate::sandbox::journal::Journal;
use crate::sandbox::limits::{Gate, need_write};
use crate::sandbox::lists::ListQuery;
use crate::sandbox::moment::{Moment, ServerTime};
use crate::sandbox::replicas::Replicas;
use crate::sandbox::replies::{Answer, Problem};
use crate::sandbox::routes::Target;
use crate::sandbox::settings::SandboxSettings;
use crate::sandbox::spoil::{instead, spoil};
use crate::sandbox::switches::{self, Switch};
use crate::sandbox::walks::Walks;
use crate::sandbox::world::{Row, World};
use crate::sandbox::{batch, figures, words, writes};

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
    pub(super) faults: Faults,
    pub(super) switches: Vec<Switch>,
    pub(super) replicas: Replicas,
    pub(super) walks: Walks,
    pub(super) lifecycle: Lifecycle,
    base_url: String,
    received: u64,
    /// The page that was served last.
    served: Option<(ListQuery, Vec<Row>)>,
}

/// What the server is to do with one request.
#[derive(Debug)]
pub struct Outcome {
    /// The answer, complete.
    pub answer: Answer,
    /// Real time to let pass before it is sent.
    pub delay: Duration,
    /// What happens to the connection.
    pub breakage: Breakage,
}

/// What happens to a connection while its answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakage {
    /// Nothing.
    None,
    /// It is reset, and nothing is sent.
    Reset,
    /// It is closed in the middle of the body.
    Cut,
}

impl State {
    /// A server with a fresh world.
    pub fn new(settings: SandboxSettings, clock: Clock, base_url: String) -> Self {
        let mut time = ServerTime::new(clock);
        let mut faults = Faults::default();
        faults.chaos = settings.chaos;
        Self {
            world: World::new(&settings, time.now()),
            time,
            gate: Gate::new(settings.keys.clone(), settings.rate_limit, settings.rate_window),
            journal: Journal::default(),
            faults,
            switches: Vec::new(),
            replicas: Replicas::new(settings.replicas),
            walks: Walks::default(),
            lifecycle: Lifecycle::default(),
            base_url,
            received: 0,
            served: None,
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
        let drawn = words::number(self.settings.seed, &call.number.to_le_bytes());
        let mut entry = Journal::open(&call, now, format!("req_{drawn:016x}"));
        let replica = self.replicas.of(&call);
        let mut progress = Progress { now, replica, budget: None, accident: None };
        let result = self.act(&mut call, &mut progress, &entry.request_id);
        let accident = progress.accident.clone();
        let mut answer = match result {
            Ok(answer) => answer,
            Err(problem) => problem.answer(&call.full_path, &entry.request_id),
        };
        if let Some(accident) = &accident {
            answer.body = spoil(answer.body, accident, &self.walks.used(&call));
        }
        if let Some(Accident::TruncatedJson) = accident {
            answer.body.truncate(answer.body.len() / 2);
        }
        let answer = finish(answer, &call, &progress, &entry.request_id);
        if let (Some(Accident::Mutate(mutation)), Some((query, rows))) =
            (&accident, self.served.take())
        {
            self.world.mutate(*mutation, &query, &rows);
        }
        let breakage = match accident {
            Some(Accident::ResetBefore | Accident::ResetAfter) => Breakage::Reset,
            Some(Accident::Truncated) => Breakage::Cut,
            _ => Breakage::None,
        };
        let delay = match accident {
            Some(Accident::Slow(delay)) => delay,
            _ => Duration::ZERO,
        };
        entry.replica = replica;
        entry.fault = accident.as_ref().map(Accident::name);
        entry.status = (breakage != Breakage::Reset).then_some(answer.status);
        entry.bytes = answer.body.len();
        self.journal.close(entry);
        Outcome { answer, delay, breakage }
    }

    /// Admits a request, lets an accident take its place if one strikes, else executes it.
    fn act(
        &mut self,
        call: &mut Call,
        progress: &mut Progress,
        request_id: &str,
    ) -> Result<Answer, Problem> {
        let target = Target::of(&call.path);
        let is_open = target.as_ref().is_ok_and(Target::is_open);
        let key = if is_open { None } else { Some(self.gate.key(call)?.clone()) };
        if let Some(key) = &key {
            let (budget, passed) = self.gate.pass(&key.key, progress.now);
            progress.budget = Some(budget);
            passed?;
        }
        progress.accident = self.faults.strike(call, self.settings.seed);
        if let Some(accident) = &progress.accident
            && let Some(instead) = instead(accident, call, progress.now, request_id)
        {
            return instead;
        }
        let target = target?;
        target.check_method(&call.method)?;
        check_accept(call)?;
        switches::apply(&self.switches, call)?;
        if let Some(key) = &key
            && target.is_write(&call.method)
        {
            need_write(key)?;
        }
        self.execute(&target, call, progress)
    }

    fn execute(
        &mut self,
        target: &Target,
        call: &Call,
        progress: &Progress,
    ) -> Result<Answer, Problem> {
        let (world, url) = (&mut self.world, format!("{}{}", self.base_url, call.path));
        match (target, call.method.as_str()) {
            (Target::Meta, _) => Ok(self.meta()),
            (Target::Whoami, _) => self.whoami(call),
            (Target::Overview, _) => figures::overview(world, call),
            (Target::Metrics(kind), _) => batch::metrics(world, *kind, call),
            (Target::List(kind), "GET") => self.list(*kind, call),
            (Target::List(kind), _) => self.create(*kind, call, progress),
            (Target::Item(kind, id), "GET") => {
                let row = writes::need(world, *kind, id)?;
                Ok(Answer::data(200, &world.view(row)))
            }
            (Target::Item(kind, id), "PATCH") => writes::update(world, *kind, id, call),
            (Target::Item(kind, id), _) => writes::delete(world, *kind, id),
            (Target::Link(creator, account), "PUT") => writes::link(world, creator, account, &url),
            (Target::Link(creator, account), _) => writes::unlink(world, creator, account),
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
        let (organization, name) = (&key.organization_id, &key.name);
        let data =
            json!({ "type": "whoami", "organization_id": organization, "api_key_name": name });
        Ok(Answer::data(200, &data))
    }

    fn create(&mut self, kind: Kind, call: &Call, progress: &Progress) -> Result<Answer, Problem> {
        if let Some(answer) = self.replicas.remembered(progress.replica, call, progress.now) {
            return Ok(answer);
        }
        let answer = writes::create(&mut self.world, kind, call)?;
        self.replicas.remember(progress.replica, call, progress.now, &answer);
        Ok(answer)
    }

    fn list(&mut self, kind: Kind, call: &Call) -> Result<Answer, Problem> {
        let query = ListQuery::read(kind, call, self.settings.seed, self.walks.epoch)?;
        let page = query.page(&self.world);
        let mut link = format!("<{}>; rel=\"first\"", self.link(call, None));
        if let Some(cursor) = page.next_cursor() {
            link += &format!(", <{}>; rel=\"next\"", self.link(call, Some(cursor)));
        }
        let mut body = Vec::with_capacity(page.rows.len() * 1_600 + 256);
        serde_json::to_writer(&mut body, &page)
            .map_err(|error| Problem::new(500, error.to_string()))?;
        self.walks.note(call, page.next_cursor());
        let rows = page.rows;
        self.served = Some((query, rows));
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
}
