//! Compares the schema of a database with the one its migrations make: every object, and the
//! migration history. Reads only.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::store::error::StoreResult;
use crate::store::late_indexes;
use crate::store::open::{self, migrations};
use crate::store::query::Query;

/// The table of refinery's migration history.
const HISTORY_TABLE: &str = "refinery_schema_history";

/// Objects or faults listed in a message.
const LISTED_MAX: usize = 5;

/// Result of the comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SchemaReport {
    /// The version in the migration history; 0 without one.
    pub version: i64,
    /// Number of tables, views, indexes and triggers compared.
    pub compared: usize,
    /// What is missing or differs, a phrase each.
    pub faults: Vec<String>,
    /// Whether a table is among the faults, so that the mirror is unusable.
    pub is_table_at_fault: bool,
    /// Objects that no migration makes, as ``type `name` ``.
    pub foreign: Vec<String>,
    /// Whether a trigger that no migration makes is among the faults: it may change rows unnoticed.
    pub has_foreign_trigger: bool,
}

/// Compares the schema with that of the embedded migrations, up to the database's own version.
pub fn read(c: &Connection) -> StoreResult<SchemaReport> {
    let snapshot = c.unchecked_transaction()?;
    let version = open::schema_version(&snapshot)?;
    let (found, expected) = (objects(&snapshot)?, expected(version)?);
    let mut report = SchemaReport { version, compared: expected.len(), ..SchemaReport::default() };
    for ((kind, name), sql) in &expected {
        let fault = match found.get(&(kind.clone(), name.clone())) {
            Some(held) if held == sql => continue,
            Some(_) => format!("{kind} `{name}` differs from its migration"),
            None if late_indexes::includes(name) => continue,
            None => format!("{kind} `{name}` is missing"),
        };
        report.is_table_at_fault |= kind == "table";
        report.faults.push(fault);
    }
    let foreign = found.keys().filter(|object| !expected.contains_key(*object));
    report.foreign = foreign.map(|(kind, name)| format!("{kind} `{name}`")).collect();
    for (trigger, on) in triggers(&snapshot)? {
        let is_own = |(kind, name): &&(String, String)| {
            matches!(kind.as_str(), "table" | "view") && name.eq_ignore_ascii_case(&on)
        };
        let is_known = expected.contains_key(&("trigger".to_owned(), trigger.clone()));
        if let Some((kind, name)) = expected.keys().find(is_own).filter(|_| !is_known) {
            let fault = format!("trigger `{trigger}` on {kind} `{name}` belongs to no migration");
            report.faults.push(fault);
            report.has_foreign_trigger = true;
        }
    }
    match version {
        0 if !found.is_empty() => {
            report.faults.push(format!("table `{HISTORY_TABLE}` is missing or empty"))
        }
        0 => {}
        _ => report.faults.extend(migrations_at_fault(&snapshot, version)?),
    }
    report.is_table_at_fault |= version == 0 && !found.is_empty();
    Ok(report)
}

type Objects = BTreeMap<(String, String), String>;

/// Returns the objects of a schema by type and name, with whitespace in their SQL normalized. Objects
/// that SQLite makes by itself are left out.
fn objects(c: &Connection) -> StoreResult<Objects> {
    let sql = "SELECT type, name, coalesce(sql, '') FROM sqlite_schema
               WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    c.all(sql, [], |row| {
        let sql: String = row.get(2)?;
        let sql = sql.split_whitespace().collect::<Vec<_>>().join(" ");
        Ok(((row.get(0)?, row.get(1)?), sql))
    })
}

/// Returns the triggers, and the table or view of each as its author spelled it.
fn triggers(c: &Connection) -> StoreResult<Vec<(String, String)>> {
    let sql = "SELECT name, tbl_name FROM sqlite_schema WHERE type = 'trigger'";
    c.all(sql, [], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Joins the first [`LISTED_MAX`] objects or faults and counts the rest.
pub fn listed(all: &[String]) -> String {
    let mut text = all.iter().take(LISTED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(LISTED_MAX);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Returns the objects that the embedded migrations make, up to `version`.
fn expected(version: i64) -> StoreResult<Objects> {
    let mut fresh = Connection::open_in_memory()?;
    if version == 0 {
        return Ok(Objects::new());
    }
    let target = refinery::Target::Version(version.try_into().unwrap_or_default());
    migrations::runner().set_target(target).run(&mut fresh).map_err(Box::new)?;
    objects(&fresh)
}

/// Returns how the migration history differs from the embedded migrations, up to `version`.
fn migrations_at_fault(c: &Connection, version: i64) -> StoreResult<Vec<String>> {
    let sql = format!("SELECT version, name, checksum FROM {HISTORY_TABLE}");
    let recorded: BTreeMap<i64, (String, String)> =
        c.all(&sql, [], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    let mut faults = Vec::new();
    let runner = migrations::runner();
    let known = runner.get_migrations().iter();
    for migration in known.filter(|migration| i64::from(migration.version()) <= version) {
        let (number, name) = (migration.version(), migration.name());
        match recorded.get(&i64::from(number)) {
            None => faults.push(format!("migration {number} (`{name}`) is not recorded")),
            Some((held, checksum))
                if held != name || *checksum != migration.checksum().to_string() =>
            {
                faults.push(format!("migration {number} (`{name}`) differs from the recorded one"));
            }
            Some(_) => {}
        }
    }
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::mirror;

    fn after(sql: &str) -> SchemaReport {
        let (_folder, store) = mirror();
        store.write(|tx| Ok(tx.execute_batch(sql)?)).unwrap();
        store.read(read).unwrap()
    }

    #[test]
    fn fresh_mirror_has_no_faults() {
        let report = after("");
        assert_eq!((report.version, report.faults.as_slice()), (open::known_version(), &[][..]));
        assert!(report.compared > 50 && report.foreign.is_empty(), "{report:?}");
        // SQLite's statistics are ignored, and a user's own view is not a fault.
        let report = after("ANALYZE; CREATE VIEW mine AS SELECT 1");
        assert_eq!((report.faults, report.foreign), (vec![], vec!["view `mine`".to_owned()]));
    }

    #[test]
    fn reports_every_dropped_object() {
        let (_folder, store) = mirror();
        let objects = store.read(objects).unwrap();
        for kind in ["trigger", "index", "view", "table"] {
            let names = objects.keys().filter(|object| object.0 == kind).map(|object| &object.1);
            let names: Vec<_> = names.filter(|name| *name != HISTORY_TABLE).collect();
            let report =
                after(&names.iter().map(|name| format!("DROP {kind} {name};")).collect::<String>());
            for name in &names {
                let fault = format!("{kind} `{name}` is missing");
                assert!(report.faults.contains(&fault), "{fault}: {report:?}");
            }
            assert_eq!(report.is_table_at_fault, kind == "table", "{report:?}");
        }
        let report = after(&format!("DROP TABLE {HISTORY_TABLE}"));
        assert!(report.is_table_at_fault && report.faults[0].contains(HISTORY_TABLE), "{report:?}");
    }

    #[test]
    fn reports_a_foreign_trigger_on_own_tables_and_views_only() {
        for (trigger, on) in [
            ("evil AFTER INSERT ON OutBox BEGIN DELETE FROM account; END", "table `outbox`"),
            (
                "evil INSTEAD OF INSERT ON outbox_requests BEGIN SELECT 1; END",
                "view `outbox_requests`",
            ),
        ] {
            let report = after(&format!("CREATE TRIGGER {trigger}"));
            assert_eq!(report.faults, [format!("trigger `evil` on {on} belongs to no migration")]);
            assert!(report.has_foreign_trigger && !report.is_table_at_fault);
        }
        let report = after(
            "CREATE TABLE mine (x); CREATE TRIGGER own AFTER INSERT ON mine BEGIN SELECT 1; END",
        );
        assert_eq!((report.faults, report.has_foreign_trigger), (vec![], false));
    }

    #[test]
    fn reports_changed_objects_and_history() {
        for (sql, part) in [
            ("ALTER TABLE video ADD COLUMN x TEXT", "table `video` differs from"),
            (
                "DROP VIEW videos; CREATE VIEW videos AS SELECT 1 AS id",
                "view `videos` differs from",
            ),
            (
                "UPDATE refinery_schema_history SET checksum = '1' WHERE version = 2",
                "migration 2 (",
            ),
            ("UPDATE refinery_schema_history SET name = 'x' WHERE version = 1", "migration 1 ("),
            ("DELETE FROM refinery_schema_history WHERE version = 1", "migration 1 ("),
            ("DELETE FROM refinery_schema_history", "refinery_schema_history"),
        ] {
            let report = after(sql);
            assert!(report.faults.iter().any(|fault| fault.contains(part)), "{sql}: {report:?}");
        }
    }

    #[test]
    fn older_mirror_is_compared_with_its_own_version() {
        let mut older = Connection::open_in_memory().unwrap();
        let target = refinery::Target::Version(1);
        migrations::runner().set_target(target).run(&mut older).unwrap();
        let report = read(&older).unwrap();
        assert_eq!((report.version, report.faults), (1, vec![]));
    }
}
