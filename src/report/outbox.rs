//! Entries of the outbox for people and for programs.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::model::instant;
use crate::model::outbox::State;
use crate::model::shown::printable;
use crate::report::text::{self, moment, relative, thousands};
use crate::store::outbox::{Entry, Summary};

/// Longest detail in a line of a list.
const DETAIL_CHARS_MAX: usize = 80;
/// Longest text that is shown.
const CHARS_MAX: usize = 2_000;

/// An entry in one line, its number first.
pub fn line(entry: &Entry) -> String {
    let what = what(entry);
    match (entry.state, &entry.result_id) {
        (State::Succeeded, Some(id)) => {
            let how = entry.detail.as_ref().map(|detail| format!(" ({})", shown(detail)));
            format!("{} succeeded: {what}, {}{}\n", entry.entry, shown(id), how.unwrap_or_default())
        }
        (State::Failed, _) => {
            let why = entry.detail.as_ref().map(|detail| format!(": {}", shown(detail)));
            format!("{} failed: {what}{}\n", entry.entry, why.unwrap_or_default())
        }
        (state, _) => format!("{} {state}: {what}\n", entry.entry),
    }
}

fn what(entry: &Entry) -> String {
    let mut text = format!("{} {}", entry.action, entry.kind);
    let name = entry.target.clone().or_else(|| named(entry));
    if let Some(name) = name {
        text.push_str(&format!(" {}", shown(name)));
    }
    if let Some(account) = &entry.account {
        text.push_str(&format!(" account {}", shown(account)));
    }
    text
}

/// The name of a creator that is to be made.
fn named(entry: &Entry) -> Option<String> {
    let body: Value = serde_json::from_str(entry.body.as_deref()?).ok()?;
    Some(format!("`{}`", body.get("name")?.as_str()?))
}

/// Entries as a table.
pub fn table(entries: &[Entry], now: DateTime<Utc>) -> String {
    if entries.is_empty() {
        return "no entries\n".to_owned();
    }
    let rows = entries.iter().map(|entry| {
        let detail = entry.detail.as_deref().or(entry.result_id.as_deref()).unwrap_or_default();
        vec![
            entry.entry.to_string(),
            moment(instant::from_micros(entry.created_at), now),
            what(entry),
            entry.state.to_string(),
            entry.attempts.to_string(),
            next_try(entry, now),
            printable(detail, DETAIL_CHARS_MAX),
        ]
    });
    let header = ["entry", "queued", "what", "state", "sends", "next try", "detail"];
    text::table(&header, &[], rows) + "\n"
}

/// When an entry is tried next; empty where it is not, by itself.
fn next_try(entry: &Entry, now: DateTime<Utc>) -> String {
    match (entry.state, entry.next_attempt_at) {
        (_, Some(at)) if at > instant::micros(now) => relative(instant::from_micros(at), now),
        (State::Queued | State::Unsure, _) => "next run".to_owned(),
        _ => String::new(),
    }
}

/// Everything about an entry.
pub fn text(entry: &Entry, now: DateTime<Utc>) -> String {
    let at = |micros: Option<i64>| micros.map(|micros| moment(instant::from_micros(micros), now));
    let fields: Vec<Value> = entry
        .fields
        .as_deref()
        .and_then(|fields| serde_json::from_str(fields).ok())
        .unwrap_or_default();
    let fields: Vec<String> = fields
        .iter()
        .map(|field| {
            format!(
                "{}: {}",
                field["field"].as_str().unwrap_or(""),
                field["message"].as_str().unwrap_or("")
            )
        })
        .collect();
    let path = entry.path.as_deref().unwrap_or("(not known yet)");
    let former = Some(entry.former_keys.clone()).filter(|keys| keys != "[]");
    let waits = entry.next_attempt_at.filter(|at| *at > instant::micros(now));
    let facts = [
        ("entry", Some(entry.entry.to_string())),
        ("what", Some(what(entry))),
        ("state", Some(entry.state.to_string())),
        ("queued", at(Some(entry.created_at))),
        ("request", Some(format!("{} {path}", entry.method))),
        ("body", entry.body.clone()),
        ("key", Some(entry.idempotency_key.clone())),
        ("former keys", former),
        ("sends", Some(entry.attempts.to_string())),
        ("first sent", at(entry.first_sent_at)),
        ("next try", at(waits)),
        ("status", entry.http_status.map(|status| status.to_string())),
        ("code", entry.code.clone()),
        ("detail", entry.detail.clone()),
        ("fields", (!fields.is_empty()).then(|| fields.join("; "))),
        ("request id", entry.request_id.clone()),
        ("result", entry.result_id.clone()),
        ("finished", at(entry.finished_at)),
        ("hint", entry.hint.clone()),
    ];
    let facts = facts.into_iter().filter_map(|(name, fact)| fact.map(|fact| (name, fact)));
    facts.map(|(name, fact)| format!("{name:<13}{}\n", shown(fact))).collect()
}

/// An entry as a JSON object.
pub fn json(entry: &Entry) -> Value {
    let parsed = |text: &Option<String>| {
        text.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok())
    };
    let at = |micros: Option<i64>| micros.map(|micros| instant::text(instant::from_micros(micros)));
    json!({
        "entry": entry.entry,
        "created_at": at(Some(entry.created_at)),
        "kind": entry.kind.name(),
        "action": entry.action.name(),
        "target": entry.target,
        "account": entry.account,
        "state": entry.state.name(),
        "attempts": entry.attempts,
        "method": entry.method,
        "path": entry.path,
        "body": parsed(&entry.body),
        "idempotency_key": entry.idempotency_key,
        "former_keys": parsed(&Some(entry.former_keys.clone())),
        "next_attempt_at": at(entry.next_attempt_at),
        "http_status": entry.http_status,
        "code": entry.code,
        "detail": entry.detail,
        "fields": parsed(&entry.fields),
        "hint": entry.hint,
        "request_id": entry.request_id,
        "result_id": entry.result_id,
        "finished_at": at(entry.finished_at),
    })
}

/// How the outbox is doing, in a phrase.
pub fn phrase(summary: &Summary) -> String {
    let open: Vec<String> = summary
        .counts
        .iter()
        .filter(|(state, _)| !matches!(state, State::Succeeded | State::Discarded))
        .map(|(state, count)| match state {
            State::Failed => format!("{} FAILED", thousands(*count)),
            state => format!("{} {state}", thousands(*count)),
        })
        .collect();
    match open.is_empty() {
        true => "empty".to_owned(),
        false => open.join(", "),
    }
}

/// The dead letters, a line each.
pub fn dead_letters(summary: &Summary) -> Vec<String> {
    let line = |entry: &Entry| {
        let detail = entry.detail.as_deref().unwrap_or("no reason is known");
        format!(
            "outbox: entry {} FAILED, {}: {}; `creatormirror outbox retry {0}` or `discard {0}`",
            entry.entry,
            what(entry),
            printable(detail, CHARS_MAX)
        )
    };
    summary.failed.iter().map(line).collect()
}

/// The counts as a JSON object.
pub fn counts(summary: &Summary) -> Value {
    let count = |state: State| {
        summary.counts.iter().find(|(found, _)| *found == state).map_or(0, |(_, count)| *count)
    };
    let counts = State::ALL.into_iter().map(|state| (state.name().to_owned(), json!(count(state))));
    let mut document = Value::Object(counts.collect());
    document["dead_letters"] = summary.failed.iter().map(json).collect();
    document
}

fn shown(text: impl AsRef<str>) -> String {
    printable(text.as_ref(), CHARS_MAX)
}
