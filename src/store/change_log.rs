//! The change log: every edit of what is not a count, written in the transaction that saw it.

use rusqlite::{CachedStatement, Transaction};
use serde_json::Value as Json;

use crate::model::{Column, ColumnType, Kind, Row, Value, columns, instant};
use crate::store::error::StoreResult;
use crate::store::posts;
use crate::store::query::{Query, value};

/// The field of a removal and of a return.
const REMOVED_AT: &str = "removed_at";

/// The field of a change of a post's key, which the views of posts use.
const POST_KEY: &str = "post_key";

const INSERT: &str = "INSERT INTO change (changed_at, kind, id, field, old_value, new_value) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

/// Logs the edits of rows of one kind within one transaction.
pub struct ChangeWriter<'t> {
    kind: Kind,
    read: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    /// The logged columns in the order in which `read` returns them, each with its place in a row.
    columns: Vec<(usize, &'static Column)>,
}

impl<'t> ChangeWriter<'t> {
    /// Prepares the statements of a kind.
    pub fn new(tx: &'t Transaction<'_>, kind: Kind) -> StoreResult<Self> {
        let columns: Vec<_> = columns::logged_columns(kind).collect();
        let names: Vec<&str> = columns.iter().map(|(_, column)| column.name).collect();
        let sql = format!("SELECT {} FROM {} WHERE row_id = ?1", names.join(", "), kind.name());
        Ok(Self {
            kind,
            read: tx.prepare_cached(&sql)?,
            insert: tx.prepare_cached(INSERT)?,
            columns,
        })
    }

    /// Logs how a newer answer differs from the stored row, which it is about to replace. Returns whether it
    /// does.
    pub fn edits(&mut self, row_id: i64, row: &Row, as_of: i64) -> StoreResult<bool> {
        let mut rows = self.read.query([row_id])?;
        let Some(stored) = rows.next()? else { return Ok(false) };
        let mut has_edits = false;
        let mut keys = [None, None];
        for (at, (place, column)) in self.columns.iter().enumerate() {
            let (old, new) = (value(stored.get_ref(at)?), row.value_at(*place));
            if is_same(column.ty, &old, &new) {
                continue;
            }
            has_edits = true;
            let id = shown_id(self.kind, row);
            self.insert.execute((as_of, self.kind.name(), id, column.name, &old, &new))?;
            if matches!(column.name, "platform" | "external_id") {
                let stored_value = |name: &str| {
                    let at = self.columns.iter().position(|(_, column)| column.name == name);
                    at.map_or(Ok(Value::Null), |at| stored.get_ref(at).map(value))
                };
                let (platform, external_id) =
                    (stored_value("platform")?, stored_value("external_id")?);
                keys = [
                    posts::key_of(self.kind, row, &platform, &external_id),
                    posts::key(self.kind, row),
                ];
            }
        }
        if let [Some(old), Some(new)] = keys
            && old != new
        {
            let id = shown_id(self.kind, row);
            self.insert.execute((as_of, self.kind.name(), id, POST_KEY, old, new))?;
        }
        Ok(has_edits)
    }

    /// Logs that a row which was removed at `removed_at` is back.
    pub fn returned(&mut self, row: &Row, removed_at: i64, as_of: i64) -> StoreResult<()> {
        let (id, old) = (shown_id(self.kind, row), shown_instant(removed_at));
        self.insert.execute((as_of, self.kind.name(), id, REMOVED_AT, old, None::<String>))?;
        Ok(())
    }
}

/// Logs the removal of the rows of a kind that meet a condition.
pub fn removed(tx: &Transaction<'_>, kind: Kind, condition: &str, at: i64) -> StoreResult<()> {
    let table = kind.name();
    let id = match kind {
        Kind::AccountVideo => "platform || ':' || id",
        _ => "id",
    };
    let sql = format!(
        "INSERT INTO change (changed_at, kind, id, field, new_value)
         SELECT ?1, ?2, {id}, ?3, ?4 FROM {table} WHERE {condition}"
    );
    tx.execute(&sql, (at, table, REMOVED_AT, shown_instant(at)))?;
    Ok(())
}

/// Deletes changes from before `before`. Numbers ascend almost as times do, so the scan stops at the first
/// change that is kept.
pub fn prune(tx: &Transaction<'_>, before: i64) -> StoreResult<()> {
    let sql = "SELECT change FROM change WHERE changed_at >= ?1 ORDER BY change LIMIT 1";
    let kept = tx.optional(sql, [before], |row| row.get(0))?.unwrap_or(i64::MAX);
    tx.exec("DELETE FROM change WHERE change < ?1", [kept])
}

/// Lowers times that are later than `now` to `now`, those of removals as well.
pub fn cap_times(tx: &Transaction<'_>, now: i64) -> StoreResult<()> {
    let sql = "UPDATE change
               SET changed_at = min(changed_at, ?1),
                   old_value = CASE WHEN field = ?2 THEN min(old_value, ?3) ELSE old_value END,
                   new_value = CASE WHEN field = ?2 THEN min(new_value, ?3) ELSE new_value END
               WHERE changed_at > ?1";
    tx.exec(sql, (now, REMOVED_AT, shown_instant(now)))
}

/// Whether two values of a column are equal content. Objects are, whatever the order of their members.
fn is_same(ty: ColumnType, old: &Value<'_>, new: &Value<'_>) -> bool {
    if old == new {
        return true;
    }
    let json = |value: &Value<'_>| serde_json::from_str::<Json>(value.as_text()?).ok();
    ty == ColumnType::Object && json(old).is_some_and(|old| json(new) == Some(old))
}

/// The id of a row as the view shows it.
fn shown_id(kind: Kind, row: &Row) -> String {
    match kind {
        Kind::AccountVideo => {
            format!("{}:{}", row.value_at(0).as_text().unwrap_or_default(), row.id())
        }
        _ => row.id().into_owned(),
    }
}

fn shown_instant(at: i64) -> String {
    instant::text(instant::from_micros(at))
}
