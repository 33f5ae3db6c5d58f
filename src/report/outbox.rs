//! Entries of the outbox, as text and as JSON.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::model::instant;
use crate::model::outbox::State;
use crate::model::shown::printable;
use crate::report::table::{self, Column};
use crate::report::text::{TimeFormat, moment, relative, short_relative, thousands};
use crate::store::outbox::{Entry, Summary};

/// Longest detail in a row of the list, characters.
const DETAIL_CHARS_MAX: usize = 80;
/// Longest text that is shown, characters.
const CHARS_MAX: usize = 2_000;

/// Length of a UUID as text.
const UUID_CHARS: usize = 36;
/// Shortest prefix of an id that commands accept.
const PREFIX_CHARS_MIN: usize = 8;

/// Columns of the list.
const COLUMNS: [Column; 7] = [
    Column::text("entry"),
    Column::text("queued").dropped(2),
    Column::text("what").truncated(24),
    Column::text("state"),
    Column::text("sends").dropped(3),
    Column::text("next try"),
    Column::text("detail").truncated(12).dropped(1),
];

/// Formats an entry in one line that starts with its number.
pub fn line(entry: &Entry) -> String {
    let request = request(entry, UUID_CHARS);
    let detail = entry.detail.as_ref().map(shown);
    match (entry.state, &entry.result_id) {
        (State::Succeeded, Some(id)) => {
            let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("{} succeeded: {request}, {}{detail}\n", entry.entry, shown(id))
        }
        (State::Failed, _) => {
            let detail = detail.map(|detail| format!(": {detail}")).unwrap_or_default();
            format!("{} failed: {request}{detail}\n", entry.entry)
        }
        (state, _) => format!("{} {state}: {request}\n", entry.entry),
    }
}

/// Describes what an entry requests, with ids cut to `id_chars`.
fn request(entry: &Entry, id_chars: usize) -> String {
    let mut text = format!("{} {}", entry.action, entry.kind);
    if let Some(target) = entry.target.clone().or_else(|| creator_name(entry)) {
        text.push_str(&format!(" {}", shown(short_id(&target, id_chars))));
    }
    if let Some(account) = &entry.account {
        text.push_str(&format!(" account {}", shown(short_id(account, id_chars))));
    }
    text
}

/// The name of a creator to be created, in backticks.
fn creator_name(entry: &Entry) -> Option<String> {
    let body: Value = serde_json::from_str(entry.body.as_deref()?).ok()?;
    Some(format!("`{}`", body.get("name")?.as_str()?))
}

/// Formats entries as a table. In a terminal too narrow for it, ids are shortened to prefixes that are unique in the list,
/// times to one unit, and columns dropped or truncated.
pub fn table(entries: &[Entry], now: DateTime<Utc>, width: Option<usize>) -> String {
    if entries.is_empty() {
        return "no entries\n".to_owned();
    }
    let rows = |id_chars: usize, queued_time: TimeFormat, next_time: TimeFormat| {
        let row = |entry: &Entry| {
            let result = entry.result_id.as_deref().map(|id| short_id(id, id_chars));
            let detail = entry.detail.as_deref().or(result).unwrap_or_default();
            vec![
                entry.entry.to_string(),
                queued_time(instant::from_micros(entry.created_at), now),
                request(entry, id_chars),
                entry.state.to_string(),
                entry.attempts.to_string(),
                next_try(entry, now, next_time),
                printable(detail, DETAIL_CHARS_MAX),
            ]
        };
        entries.iter().map(row).collect()
    };
    let full = table::format(&COLUMNS, rows(UUID_CHARS, moment, relative), None);
    if table::fits(&full, width) {
        return full + "\n";
    }
    let rows = rows(prefix_chars(entries), short_relative, short_relative);
    table::format(&COLUMNS, rows, width) + "\n"
}

/// Cuts a UUID to a prefix; other texts stay.
fn short_id(text: &str, chars: usize) -> &str {
    let is_uuid = text.len() == UUID_CHARS
        && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_uuid { text.get(..chars).unwrap_or(text) } else { text }
}

/// The shortest length at which the prefixes of all ids in these entries differ.
fn prefix_chars(entries: &[Entry]) -> usize {
    let ids = entries.iter().flat_map(|entry| [&entry.target, &entry.account, &entry.result_id]);
    let ids: BTreeSet<&str> = ids.filter_map(Option::as_deref).collect();
    let is_unique = |chars: &usize| {
        let prefixes: BTreeSet<&str> = ids.iter().map(|id| short_id(id, *chars)).collect();
        prefixes.len() == ids.len()
    };
    (PREFIX_CHARS_MIN..UUID_CHARS).find(is_unique).unwrap_or(UUID_CHARS)
}

/// When an entry is tried next; empty if it is not tried automatically.
fn next_try(entry: &Entry, now: DateTime<Utc>, time: TimeFormat) -> String {
    match (entry.state, entry.next_attempt_at) {
        (_, Some(at)) if at > instant::micros(now) => time(instant::from_micros(at), now),
        (State::Queued | State::Unsure, _) => "next run".to_owned(),
        _ => String::new(),
    }
}

/// Formats all facts about an entry.
pub fn text(entry: &Entry, now: DateTime<Utc>) -> String {
    let at = |micros: Option<i64>| micros.map(|micros| moment(instant::from_micros(micros), now));
    let fields: Vec<Value> = entry
        .fields
        .as_deref()
        .and_then(|fields| serde_json::from_str(fields).ok())
        .unwrap_or_default();
    let text = |field: &Value, name: &str| field[name].as_str().unwrap_or_default().to_owned();
    let fields: Vec<String> = fields
        .iter()
        .map(|field| format!("{}: {}", text(field, "field"), text(field, "message")))
        .collect();
    let path = entry.path.as_deref().unwrap_or("(unknown until another entry succeeds)");
    let former_keys = Some(entry.former_keys.clone()).filter(|keys| keys != "[]");
    let next_attempt_at = entry.next_attempt_at.filter(|at| *at > instant::micros(now));
    let facts = [
        ("entry", Some(entry.entry.to_string())),
        ("what", Some(request(entry, UUID_CHARS))),
        ("state", Some(entry.state.to_string())),
        ("queued", at(Some(entry.created_at))),
        ("request", Some(format!("{} {path}", entry.method))),
        ("body", entry.body.clone()),
        ("key", Some(entry.idempotency_key.clone())),
        ("former keys", former_keys),
        ("sends", Some(entry.attempts.to_string())),
        ("first sent", at(entry.first_sent_at)),
        ("next try", at(next_attempt_at)),
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

/// Returns an entry as a JSON object.
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

/// Counts the unfinished and failed entries in a phrase.
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

/// Describes each dead letter in a line.
pub fn dead_letters(summary: &Summary) -> Vec<String> {
    let line = |entry: &Entry| {
        let detail = entry.detail.as_deref().unwrap_or("reason unknown");
        format!(
            "outbox: entry {} FAILED, {}: {}; `creatormirror outbox retry {0}` or `discard {0}`",
            entry.entry,
            request(entry, UUID_CHARS),
            printable(detail, CHARS_MAX)
        )
    };
    summary.failed.iter().map(line).collect()
}

/// Returns the counts as a JSON object.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::model::outbox::Action;

    fn entry(number: i64, target: &str) -> Entry {
        Entry {
            entry: number,
            created_at: 1_799_950_000_000_000,
            kind: Kind::Account,
            action: Action::Untrack,
            target: Some(target.to_owned()),
            subject: None,
            account: None,
            method: String::new(),
            path: None,
            body: None,
            idempotency_key: String::new(),
            former_keys: String::new(),
            key_used_at: None,
            key_errors: 0,
            state: State::Succeeded,
            attempts: 3,
            fails: 0,
            looks: 0,
            is_doubtful: false,
            next_at: 0,
            next_attempt_at: Some(1_800_000_100_000_000),
            first_sent_at: None,
            known_creator: None,
            http_status: None,
            code: None,
            detail: Some("the API answers 500 INTERNAL_ERROR: Internal error".repeat(2)),
            fields: None,
            hint: None,
            request_id: None,
            result_id: None,
            finished_at: None,
        }
    }

    const ID: &str = "0197a1b2-7c3d-7e4f-8a5b-000000000001";
    const SIMILAR_ID: &str = "0197a1b2-7c4d-7e4f-8a5b-000000000001";

    #[test]
    fn table_fits_80_columns() {
        let now = instant::from_micros(1_800_000_000_000_000);
        let entries = [entry(1, ID), entry(2, SIMILAR_ID)];
        for width in [60, 80, 100, 120, 160] {
            let text = table(&entries, now, Some(width));
            assert_eq!(text.lines().count(), 3, "{text}");
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
            assert!(text.contains("untrack account 0197a1b2-7c3"), "{width}: {text}");
        }
        let full = table(&entries, now, None);
        assert!(full.contains(ID) && full.contains("2027-01-14T18:06:40Z"), "{full}");
    }

    #[test]
    fn ids_are_cut_to_unique_prefixes() {
        assert_eq!(prefix_chars(&[entry(1, ID), entry(2, ID)]), 8);
        assert_eq!(prefix_chars(&[entry(1, ID), entry(2, SIMILAR_ID)]), 12);
        assert_eq!(short_id(ID, 12), "0197a1b2-7c3");
        assert_eq!(short_id("tiktok:some_long_name", 8), "tiktok:some_long_name");
    }
}
