//! Reconciles a change whose answer was lost, or was a 2xx with an unreadable body, such as a proxy's page or
//! half an answer. After a 2xx the entry is never sent again automatically.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::fetch::error::FetchResult;
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::outbox::body;
use crate::outbox::reread::{FetchedItem, read};
use crate::outbox::run::OutboxRun;
use crate::outbox::verdict;
use crate::store::outbox::Entry;
use crate::store::outbox::queue::{self, AttemptResult};

/// Reads after a 2xx that do not show the change, after which the user has to decide.
const LOOKS_MAX: i64 = 5;

impl OutboxRun<'_> {
    /// Reads the resource of an entry, and finishes the entry if it shows the change. Otherwise the entry is
    /// sent again, unless `status`, that of its answer, was a 2xx.
    pub(super) async fn confirm(&mut self, entry: &Entry, status: Option<u16>) -> FetchResult<()> {
        let (kind, id) = match entry.action {
            Action::Link | Action::Unlink => (Kind::Account, entry.account.as_deref()),
            _ => (entry.kind, entry.subject.as_deref()),
        };
        let fetched = match read(self.ctx, kind, id.unwrap_or_default()).await {
            Ok(fetched) => fetched,
            Err(error) => return self.reconcile_later(entry, error).await,
        };
        let detail = match (is_shown(entry, &fetched), status) {
            (Some(false), Some(status)) => return self.not_shown_yet(entry, status).await,
            (Some(true), None) => "the answer was lost; the API shows the change",
            (_, None) => return self.send(entry).await,
            (_, Some(_)) => "the answer could not be read; the API shows the change",
        };
        let attempt_result =
            AttemptResult { detail: Some(detail.to_owned()), ..last_attempt_result(entry) };
        let fetched = (entry.action == Action::Set).then_some(fetched);
        self.finish(entry, entry.subject.clone(), fetched, attempt_result).await
    }

    /// The API answered 2xx and does not show the change. Reads it again later, and fails it in the end.
    pub(super) async fn not_shown_yet(&mut self, entry: &Entry, status: u16) -> FetchResult<()> {
        let looks = entry.looks.saturating_add(1);
        if looks < LOOKS_MAX {
            let chance = self.ctx.fetcher.chance();
            let pause = verdict::pause_unsure(looks, self.settings.reconcile_after, chance);
            return self.look_again(entry, pause).await;
        }
        let detail = format!("the API answered {status}, but does not show the change");
        let hint =
            "check whether it was done; if not, `creatormirror outbox retry N` sends it again";
        let (detail, hint) = (Some(detail), Some(hint.to_owned()));
        self.fail(entry, AttemptResult { detail, hint, ..last_attempt_result(entry) }).await
    }

    /// Reconciles an entry again after `pause`.
    pub(super) async fn look_again(&mut self, entry: &Entry, pause: Duration) -> FetchResult<()> {
        let (entry, next_at) = (entry.clone(), self.after(pause));
        Ok(self.ctx.store.write(move |tx| queue::reconcile_later(tx, &entry, next_at)).await?)
    }
}

/// The result of the last attempt.
pub(super) fn last_attempt_result(entry: &Entry) -> AttemptResult {
    AttemptResult {
        http_status: entry.http_status.and_then(|status| u16::try_from(status).ok()),
        code: entry.code.clone(),
        request_id: entry.request_id.clone(),
        ..AttemptResult::default()
    }
}

/// Whether a resource shows the change of an entry; `None` if that cannot be told.
pub(super) fn is_shown(entry: &Entry, fetched: &FetchedItem) -> Option<bool> {
    let Some(item) = &fetched.item else { return Some(entry.action == Action::Untrack) };
    let row: Map<String, Value> = serde_json::from_slice(&item.json).unwrap_or_default();
    let creator = row.get("creator_id").map(|id| id.as_str() == entry.subject.as_deref());
    match entry.action {
        Action::Link => creator,
        Action::Unlink => creator.map(|is_linked| !is_linked),
        Action::Set => {
            let body = entry.body.as_deref().unwrap_or_default();
            let wanted: Map<String, Value> = serde_json::from_str(body).unwrap_or_default();
            let members = wanted.iter().map(|(name, wanted)| is_as_wanted(wanted, row.get(name)));
            // A member that differs decides; otherwise one that cannot be told does.
            members.min_by_key(|shown| shown.map_or(1, |shown| if shown { 2 } else { 0 })).flatten()
        }
        Action::Track | Action::Untrack => Some(false),
    }
}

/// Null stands for the organization's default, which is not known; the API may normalize texts.
fn is_as_wanted(wanted: &Value, found: Option<&Value>) -> Option<bool> {
    match (wanted, found) {
        (Value::Null, _) | (_, None) => None,
        (Value::String(wanted), Some(Value::String(found))) => {
            Some(body::is_same_text(wanted, found))
        }
        (Value::Object(wanted), Some(Value::Object(found))) => {
            let is_shown = |(name, wanted)| is_as_wanted(wanted, found.get(name)) == Some(true);
            Some(wanted.len() == found.len() && wanted.iter().all(is_shown))
        }
        (wanted, Some(found)) => Some(wanted == found),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn member_shows_the_change_or_not_or_cannot_tell() {
        for (wanted, found, is_shown) in [
            (json!(9), Some(json!(9)), Some(true)),
            (json!(9), Some(json!(24)), Some(false)),
            (json!(9), None, None),
            (json!(null), Some(json!(30)), None),
            (json!(" Ada "), Some(json!("Ada")), Some(true)),
            (json!("Ada"), Some(json!("Grace")), Some(false)),
            (json!(false), Some(json!(true)), Some(false)),
            (json!({"team": "a"}), Some(json!({"team": "a"})), Some(true)),
            (json!({"team": "a"}), Some(json!({})), Some(false)),
            (json!({"team": "Jose\u{301} "}), Some(json!({"team": "Jos\u{e9}"})), Some(true)),
            (json!({}), Some(json!({"team": "a"})), Some(false)),
            (json!("food"), Some(json!(null)), Some(false)),
        ] {
            assert_eq!(is_as_wanted(&wanted, found.as_ref()), is_shown, "{wanted} {found:?}");
        }
    }
}
