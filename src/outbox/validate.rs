//! Validates a queued request: resolves names, checks the body, and derives path and serial keys. The command
//! line does it when it queues, the run for entries that were inserted by SQL.

use rusqlite::Connection;
use serde_json::{Map, Value, json};

use crate::api::Request;
use crate::model::Kind;
use crate::model::outbox::{Action, Checked, Draft, State};
use crate::outbox::body::{self, quoted};
use crate::outbox::post::{self, Platform, Post};
use crate::outbox::{profile, strict_json};
use crate::store::outbox::{self, find};
use crate::store::{StoreError, StoreResult};

/// The shortest prefix of an id, characters: in a small organization one letter can be unique, and a typing
/// error would delete something.
const PREFIX_CHARS_MIN: usize = 8;

/// Why a request cannot be queued.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is invalid, for this reason.
    #[error("{0}")]
    Refused(String),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<String> for CheckError {
    fn from(reason: String) -> Self {
        Self::Refused(reason)
    }
}

/// Checks a draft against the mirror and the outbox.
pub fn check(c: &Connection, draft: &Draft) -> Result<Checked, CheckError> {
    let body = parse(draft)?;
    match draft.action {
        Action::Track => creation(draft.kind, &body),
        Action::Set => {
            body::check(draft.kind, draft.action, &body)?;
            change(c, draft)
        }
        Action::Untrack => change(c, draft),
        Action::Link | Action::Unlink => link(c, draft),
    }
}

fn parse(draft: &Draft) -> Result<Map<String, Value>, CheckError> {
    match draft.body.as_deref() {
        None => Ok(Map::new()),
        Some(text) => {
            strict_json::object(text.as_bytes()).map_err(|why| format!("the body: {why}").into())
        }
    }
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> &'a str {
    body.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// Checks the body of a creation, without the mirror or the outbox.
pub fn creation(kind: Kind, body: &Map<String, Value>) -> Result<Checked, CheckError> {
    body::check(kind, Action::Track, body)?;
    let path = Some(kind.path().to_owned());
    let target = match kind {
        Kind::Creator => return Ok(Checked { path, ..Checked::default() }),
        Kind::Video => {
            let post = post(body)?;
            format!("{}:{}", post.platform.name(), post.name())
        }
        _ => {
            let platform = Platform::from_name(text(body, "platform"))?;
            format!("{}:{}", platform.name(), body::username(text(body, "username"))?)
        }
    };
    let serial_key = Some(format!("{}:{target}", kind.name()));
    Ok(Checked { target: Some(target), path, serial_key, ..Checked::default() })
}

/// Brings the body of a creation into the form that the API expects, and takes the platform from the post's URL.
pub fn normalize(kind: Kind, mut body: Map<String, Value>) -> Result<Map<String, Value>, String> {
    if let Some(Value::String(platform)) = body.get("platform") {
        let platform = Platform::from_name(platform)?.name();
        body.insert("platform".to_owned(), json!(platform));
    }
    if let Some(Value::String(name)) = body.get_mut("name") {
        *name = name.trim().to_owned();
    }
    if kind == Kind::Video
        && let Some(Value::String(pasted)) = body.get("identifier")
    {
        let platform = match body.get("platform").and_then(Value::as_str) {
            Some(platform) => Some(Platform::from_name(platform)?),
            None => None,
        };
        let found = post::resolve(platform, pasted)?;
        let pasted = post::as_url(pasted.trim()).unwrap_or_else(|| pasted.trim().to_owned());
        body.insert("identifier".to_owned(), json!(pasted));
        body.insert("platform".to_owned(), json!(found.platform.name()));
    }
    if kind == Kind::Account
        && let Some(Value::String(username)) = body.get("username")
    {
        let (platform, username) = match profile::resolve(username) {
            Some(found) => {
                let (platform, username) = found?;
                (Some(platform.name()), username)
            }
            None => (None, username.trim().trim_start_matches('@').to_owned()),
        };
        let given = body.get("platform").and_then(Value::as_str);
        if let (Some(given), Some(found)) = (given, platform)
            && given != found
        {
            return Err(format!("`{username}` is a profile on {found}, not on {given}"));
        }
        body.insert("username".to_owned(), json!(username));
        if let Some(platform) = platform {
            body.insert("platform".to_owned(), json!(platform));
        }
    }
    Ok(body)
}

/// The post that a body of `track video` names.
pub fn post(body: &Map<String, Value>) -> Result<Post, String> {
    let platform = Platform::from_name(text(body, "platform"))?;
    post::resolve(Some(platform), text(body, "identifier"))
}

fn change(c: &Connection, draft: &Draft) -> Result<Checked, CheckError> {
    let named = draft.subject.as_deref().unwrap_or_default();
    let subject = resolve(c, draft.kind, named)?;
    if is_waiting(&subject) {
        return Ok(waiting(subject, None));
    }
    let identity = find::identity(c, draft.kind, &subject)?;
    let other_serial_key =
        identity.map(|(platform, name)| format!("{}:{platform}:{name}", draft.kind.name()));
    Ok(Checked {
        target: Some(subject.clone()),
        path: Some(Request::get(draft.kind.path()).segment(&subject).path),
        serial_key: Some(serial_key(draft.kind, &subject)),
        subject: Some(subject),
        account: None,
        other_serial_key,
    })
}

fn link(c: &Connection, draft: &Draft) -> Result<Checked, CheckError> {
    let subject = resolve(c, Kind::Creator, draft.subject.as_deref().unwrap_or_default())?;
    let account = resolve(c, Kind::Account, draft.account.as_deref().unwrap_or_default())?;
    if is_waiting(&subject) || is_waiting(&account) {
        return Ok(waiting(subject, Some(account)));
    }
    let path = Request::get(Kind::Creator.path()).segment(&subject);
    let path = Request::get(format!("{}/accounts", path.path)).segment(&account).path;
    Ok(Checked {
        target: Some(subject.clone()),
        path: Some(path),
        serial_key: Some(serial_key(Kind::Creator, &subject)),
        other_serial_key: Some(serial_key(Kind::Account, &account)),
        subject: Some(subject),
        account: Some(account),
    })
}

fn serial_key(kind: Kind, id: &str) -> String {
    format!("{}:{id}", kind.name())
}

fn is_waiting(id: &str) -> bool {
    id.starts_with('@')
}

fn waiting(subject: String, account: Option<String>) -> Checked {
    Checked { target: Some(subject.clone()), subject: Some(subject), account, ..Checked::default() }
}

/// Resolves a name to an id; to `@N` while entry N has no result yet.
fn resolve(c: &Connection, kind: Kind, named: &str) -> Result<String, CheckError> {
    let named = named.trim();
    if let Some(number) = named.strip_prefix('@')
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
    {
        return match number.parse() {
            Ok(entry) => of_entry(c, kind, entry),
            Err(_) => {
                Err(format!("{}: there is no such entry in the outbox", quoted(named)).into())
            }
        };
    }
    if let Some((platform, username)) = named.split_once(':') {
        if kind != Kind::Account {
            return Err(format!(
                "{}: only accounts are named by platform:username; a {kind} is named by its id",
                quoted(named)
            )
            .into());
        }
        return by_username(c, platform, username);
    }
    if named.is_empty()
        || named.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/')
        || named.starts_with('.')
    {
        return Err(format!("invalid id {}", quoted(named)).into());
    }
    let found = find::by_prefix(c, kind, named)?;
    match found.as_slice() {
        [first, ..] if first == named => Ok(first.clone()),
        _ if named.chars().count() < PREFIX_CHARS_MIN => Err(format!(
            "no {kind} in the mirror has the id {}; a prefix of an id needs at least \
             {PREFIX_CHARS_MIN} characters",
            quoted(named)
        )
        .into()),
        [id] => Ok(id.clone()),
        // The API may have a resource that is not mirrored yet.
        [] if uuid::Uuid::try_parse(named).is_ok() => Ok(named.to_owned()),
        [] => {
            Err(format!("no {kind} in the mirror has an id that begins with {}", quoted(named))
                .into())
        }
        _ => Err(format!(
            "the id of more than one {kind} begins with {}; give more of it",
            quoted(named)
        )
        .into()),
    }
}

fn of_entry(c: &Connection, kind: Kind, entry: i64) -> Result<String, CheckError> {
    let Some(source) = outbox::one(c, entry)? else {
        return Err(format!("@{entry}: there is no entry {entry} in the outbox").into());
    };
    if source.kind != kind {
        return Err(
            format!("@{entry}: the kind of entry {entry} is {}, not {kind}", source.kind).into()
        );
    }
    match (source.state, source.result_id) {
        (State::Succeeded, Some(id)) => Ok(id),
        (State::Succeeded, None) => Err(format!("@{entry}: entry {entry} has no result id").into()),
        (State::Failed | State::Discarded, _) => Err(format!(
            "@{entry}: entry {entry} {}; `creatormirror outbox retry {entry}` queues it again",
            if source.state == State::Failed { "failed" } else { "was discarded" }
        )
        .into()),
        _ => Ok(format!("@{entry}")),
    }
}

fn by_username(c: &Connection, platform: &str, username: &str) -> Result<String, CheckError> {
    let platform = Platform::from_name(platform)?.name();
    let username = body::username(username)?;
    let found: StoreResult<Vec<String>> = find::by_username(c, platform, &username);
    match found?.as_slice() {
        [id] => Ok(id.clone()),
        [] => match find::creation(c, &format!("account:{platform}:{username}"))? {
            Some(entry) => Ok(format!("@{entry}")),
            None => Err(format!(
                "no account {} in the mirror, and none is queued",
                quoted(&format!("{platform}:{username}"))
            )
            .into()),
        },
        _ => Err(format!(
            "more than one account is named {}; give the id",
            quoted(&format!("{platform}:{username}"))
        )
        .into()),
    }
}
