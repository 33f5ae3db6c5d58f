//! The tools that queue a write, as `track`, `set`, `link` and `unlink` do, and the one that shows its outcome. Nothing
//! is sent from here.

use std::sync::atomic::Ordering;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mcp::answer::{ToolError, ToolResult};
use crate::mcp::session::{ENTRIES_MAX, Session, hide_request};
use crate::mcp::tools::Tool;
use crate::model::outbox::{Action, Draft};
use crate::model::{Kind, instant};
use crate::outbox::validate::{self, CheckError};
use crate::report::outbox as report;
use crate::store::outbox::{self, enqueue};
use crate::store::{Database, StoreError, instance_lock};

/// Arguments of `link` and `unlink`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkArgs {
    creator: String,
    account: String,
}

/// Arguments of `outbox`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutboxArgs {
    entry: i64,
}

/// Queues a creation. The arguments are the kind, and the members of the body.
pub fn track(session: &Session, mut arguments: Map<String, Value>) -> ToolResult {
    let kind = take_kind(&mut arguments)?;
    let body = validate::normalize(kind, arguments).map_err(ToolError::new)?;
    let body = Some(Value::Object(body).to_string());
    let draft = Draft { kind, action: Action::Track, subject: None, account: None, body };
    queue(session, draft)
}

/// Queues a change. The arguments are the kind, the id, and the members to change.
pub fn set(session: &Session, mut arguments: Map<String, Value>) -> ToolResult {
    let kind = take_kind(&mut arguments)?;
    let Some(Value::String(id)) = arguments.remove("id") else {
        return Err(ToolError::new("`id` must be a string: an id, platform:username, or @N"));
    };
    let body = Some(Value::Object(arguments).to_string());
    queue(session, Draft { kind, action: Action::Set, subject: Some(id), account: None, body })
}

/// Queues a link, or its end.
pub fn link(session: &Session, tool: Tool, args: &LinkArgs) -> ToolResult {
    let action = if tool == Tool::Unlink { Action::Unlink } else { Action::Link };
    let (subject, account) = (Some(args.creator.clone()), Some(args.account.clone()));
    queue(session, Draft { kind: Kind::Creator, action, subject, account, body: None })
}

fn take_kind(arguments: &mut Map<String, Value>) -> Result<Kind, ToolError> {
    let kind = arguments.remove("kind");
    match kind.as_ref().and_then(Value::as_str).and_then(Kind::from_name) {
        Some(kind @ (Kind::Video | Kind::Account | Kind::Creator)) => Ok(kind),
        _ => Err(ToolError::new("`kind` must be video, account or creator")),
    }
}

fn queue(session: &Session, draft: Draft) -> ToolResult {
    if session.queued.load(Ordering::Relaxed) >= ENTRIES_MAX {
        let message =
            format!("this session has queued {ENTRIES_MAX} writes, and may queue no more");
        return Err(ToolError::new(message).hint("a person queues more with `creatormirror track`"));
    }
    let store = Database::open_without_lock(session.database())?;
    let at = instant::micros(session.settings.clock.now());
    let mut refused = None;
    let added = store.write_durably(|tx| match validate::check(tx, &draft) {
        Ok(checked) => enqueue::add(tx, &draft, &checked, at),
        Err(CheckError::Store(error)) => Err(error),
        Err(CheckError::Refused(reason)) => {
            refused = Some(reason);
            // Any error rolls the transaction back.
            Err(StoreError::Interrupted)
        }
    });
    if let Some(reason) = refused {
        return Err(ToolError::new(format!("nothing was queued: {reason}")));
    }
    let entry = added?;
    store.check_in_place()?;
    session.queued.fetch_add(1, Ordering::Relaxed);
    let mut document = show(&store, entry)?;
    let is_running = instance_lock::is_locked(store.path());
    document["next"] = json!(match is_running {
        true => "queued; the daemon sends it soon. Ask outbox(entry) for the outcome.",
        false =>
            "queued; nothing is running that would send it. The next `creatormirror sync` sends it.",
    });
    Ok(document)
}

/// Shows the outcome of an entry.
pub fn outcome(session: &Session, args: &OutboxArgs) -> ToolResult {
    show(&Database::open_to_read(session.database())?, args.entry)
}

fn show(store: &Database, number: i64) -> ToolResult {
    let found = store.read(|c| outbox::one(c, number))?;
    let Some(entry) = found else {
        let error = ToolError::new(format!("entry {number} does not exist"));
        return Err(error.hint("the view outbox_log has all entries"));
    };
    let mut document = report::json(&entry);
    hide_request(&mut document);
    Ok(document)
}
