//! A mirror without a server: rows are written as if the API had just returned them, and views are queried.

// Each test binary uses a part of this module.
#![allow(dead_code)]

use creatormirror::api::decode;
use creatormirror::model::Kind;
use creatormirror::store::open::IfMissing;
use creatormirror::store::rows::{RowWriter, Source};
use creatormirror::store::{Database, runs};
use rusqlite::Transaction;
use serde_json::{Value, json};

pub struct Mirror {
    _folder: tempfile::TempDir,
    pub store: Database,
    /// Start of the last request, microseconds.
    pub stamp: i64,
}

impl Mirror {
    pub fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// Opens `mirror.db` in this folder.
    pub fn in_folder(folder: tempfile::TempDir) -> Self {
        let store = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        Self { _folder: folder, store, stamp: 0 }
    }

    /// Writes a row as if the API had just returned it.
    pub fn put(&mut self, kind: Kind, row: &Value) {
        self.put_all(kind, std::slice::from_ref(row));
    }

    /// Writes rows one after the other, in one transaction.
    pub fn put_all(&mut self, kind: Kind, rows: &[Value]) {
        let mut stamp = self.stamp;
        let written = self.store.write(|tx| {
            let mut writer = RowWriter::new(tx, kind)?;
            for row in rows {
                stamp += 1;
                let row = decode::row(kind, row.to_string()).unwrap();
                writer.write(&row, Source { page: None, as_of: stamp })?;
            }
            Ok(())
        });
        written.unwrap();
        self.stamp = stamp;
    }

    /// Ends a run: the first one that leaves posts creates the last indexes.
    pub fn end_run(&self) {
        let run = |tx: &Transaction<'_>| {
            let run = runs::begin(tx, "command", 1)?;
            runs::end(tx, run, "finished", None, 2)
        };
        self.store.write(run).unwrap();
    }

    /// The rows of a query, each as JSON.
    pub fn rows(&self, sql: &str) -> Vec<Vec<Value>> {
        self.store.read(|c| Ok(read(c, sql)?)).unwrap()
    }

    pub fn run(&self, sql: &str) {
        self.store.write(|tx| Ok(tx.execute_batch(sql)?)).unwrap();
    }

    /// The lines of a query's plan.
    pub fn plan(&self, sql: &str) -> String {
        let lines = self.rows(&format!("EXPLAIN QUERY PLAN {sql}"));
        lines.iter().map(|line| format!("{}\n", line[3].as_str().unwrap())).collect()
    }

    pub fn columns(&self, view: &str) -> String {
        let names = self.rows(&format!("SELECT name FROM pragma_table_info('{view}')"));
        names.iter().map(|name| name[0].as_str().unwrap()).collect::<Vec<_>>().join(", ")
    }
}

pub fn read(c: &rusqlite::Connection, sql: &str) -> rusqlite::Result<Vec<Vec<Value>>> {
    use rusqlite::types::ValueRef;
    let mut statement = c.prepare(sql)?;
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| {
        (0..columns)
            .map(|column| {
                Ok(match row.get_ref(column)? {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(number) => json!(number),
                    ValueRef::Real(number) => json!(number),
                    ValueRef::Text(text) => json!(String::from_utf8_lossy(text)),
                    ValueRef::Blob(_) => panic!("no view returns a BLOB"),
                })
            })
            .collect()
    })?;
    rows.collect()
}
