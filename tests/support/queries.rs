//! Queries on the database, as a reader would make them, and on the request log.

use std::collections::BTreeMap;

use creatormirror::model::Kind;
use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags};

use super::TestBed;
use crate::support::sandbox::LoggedRequest;

/// The tables of mirrored rows. A confirmation (304) changes none of them.
pub const CONTENT: [&str; 6] =
    ["account", "creator", "video", "account_video", "account_scrape", "post_scrape"];

impl TestBed {
    /// A read-only connection to the mirror.
    pub fn db(&self) -> Connection {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let address = format!("file:{}?mode=ro", self.database().display());
        Connection::open_with_flags(address, flags).unwrap()
    }

    /// A connection that may write to the mirror.
    pub fn db_to_write(&self) -> Connection {
        Connection::open(self.database()).unwrap()
    }

    /// The rows of a query.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Sql>> {
        rows(&self.db(), sql)
    }

    /// The one number of a query.
    #[track_caller]
    pub fn number(&self, sql: &str) -> i64 {
        self.db().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
    }

    /// The one text of a query; empty for NULL.
    #[track_caller]
    pub fn text(&self, sql: &str) -> String {
        let text: Option<String> =
            self.db().query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"));
        text.unwrap_or_default()
    }

    /// The row of the latest run for a kind in `sync_log`.
    #[track_caller]
    pub fn last_kind_run(&self, kind: Kind) -> BTreeMap<String, Sql> {
        let sql = format!(
            "SELECT * FROM sync_log WHERE kind = '{}' ORDER BY run_id DESC LIMIT 1",
            kind.name()
        );
        let db = self.db();
        let mut statement = db.prepare(&sql).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let read = |row: &rusqlite::Row<'_>| {
            names.iter().enumerate().map(|(n, name)| Ok((name.clone(), row.get(n)?))).collect()
        };
        statement.query_row([], read).unwrap()
    }

    /// A number of the latest run for a kind.
    #[track_caller]
    pub fn last_number(&self, kind: Kind, column: &str) -> i64 {
        match self.last_kind_run(kind).get(column) {
            Some(Sql::Integer(number)) => *number,
            other => panic!("{column} is {other:?}"),
        }
    }

    /// The outcome of the latest run for a kind.
    #[track_caller]
    pub fn last_outcome(&self, kind: Kind) -> String {
        match self.last_kind_run(kind).remove("outcome") {
            Some(Sql::Text(text)) => text,
            other => panic!("outcome is {other:?}"),
        }
    }

    /// Every row of the tables of mirrored rows.
    pub fn content(&self) -> BTreeMap<&'static str, Vec<Vec<Sql>>> {
        let db = self.db();
        CONTENT
            .into_iter()
            .map(|table| (table, rows(&db, &format!("SELECT * FROM {table}"))))
            .collect()
    }

    /// Every row of every table.
    pub fn everything(&self) -> BTreeMap<String, Vec<Vec<Sql>>> {
        everything(&self.db())
    }

    /// The requests received, oldest first.
    pub fn log(&self) -> Vec<LoggedRequest> {
        self.control.log()
    }

    /// The requests received at this path.
    pub fn log_of(&self, path: &str) -> Vec<LoggedRequest> {
        self.log().into_iter().filter(|entry| entry.path == path).collect()
    }

    /// The requests received, each as one line. Clears the log.
    pub fn take_requests(&self) -> Vec<String> {
        let lines = self.log().iter().map(line).collect();
        self.control.clear_log();
        lines
    }

    /// Pages of a complete listing of a kind.
    pub fn pages(&self, kind: Kind) -> usize {
        self.control.count(kind).div_ceil(200).max(1)
    }

    /// Rows of a kind that are marked removed.
    pub fn removed(&self, kind: Kind) -> i64 {
        self.number(&format!("SELECT count(*) FROM {} WHERE removed_at IS NOT NULL", kind.name()))
    }

    /// Rows of a kind that a listing or a 404 has reported absent.
    pub fn suspected(&self, kind: Kind) -> i64 {
        self.number(&format!(
            "SELECT count(*) FROM {} WHERE absent_listing IS NOT NULL OR not_found_at IS NOT NULL",
            kind.name()
        ))
    }

    /// Asserts the integrity of the database file.
    #[track_caller]
    pub fn check_integrity(&self) {
        assert_eq!(self.text("PRAGMA integrity_check"), "ok");
        assert_eq!(self.rows("PRAGMA foreign_key_check"), Vec::<Vec<Sql>>::new());
    }
}

/// Every row of every table of a database.
pub fn everything(db: &Connection) -> BTreeMap<String, Vec<Vec<Sql>>> {
    let tables = rows(db, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
    tables
        .into_iter()
        .map(|row| {
            let Sql::Text(name) = &row[0] else { panic!("{row:?}") };
            (name.clone(), rows(db, &format!("SELECT * FROM {name}")))
        })
        .collect()
}

/// A request as one line: method, path, query.
pub fn line(entry: &LoggedRequest) -> String {
    if entry.query.is_empty() {
        return format!("{} {}", entry.method, entry.path);
    }
    let query =
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&entry.query).finish();
    format!("{} {}?{query}", entry.method, entry.path)
}

fn rows(db: &Connection, sql: &str) -> Vec<Vec<Sql>> {
    let mut statement = db.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|n| row.get(n)).collect()).unwrap();
    rows.map(Result::unwrap).collect()
}
