//! The tool `describe`: views and columns, number of rows, and how complete the mirror is.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mcp::answer::{ToolError, ToolResult};
use crate::mcp::hint;
use crate::mcp::session::{Session, Stop};
use crate::report::schema;
use crate::store::open;
use crate::store::public_tables::readable_views;
use crate::store::readonly::{QueryError, Reader, Rows};
use crate::store::schema_docs::ViewFact;

/// Longest time to count the rows of all views, and of one in a description of it.
const COUNT_MAX: Duration = Duration::from_secs(2);

/// Arguments of `describe`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DescribeArgs {
    #[serde(default)]
    name: Option<String>,
}

/// Describes a view, or lists all.
pub fn run(session: &Session, args: &DescribeArgs, stop: &Stop) -> ToolResult {
    let counting = stop.within(COUNT_MAX);
    let (reader, counter) = (session.reader(stop)?, session.reader(&counting)?);
    let coverage = reader.coverage().map_err(|error| ToolError::new(error.to_string()))?;
    let described = match &args.name {
        None => readable_views().map(|view| summary(view, count(&counter, view))).collect(),
        Some(name) => {
            let view = find(name)?;
            vec![full(view, count(&counter, view))]
        }
    };
    Ok(json!({ "views": Value::Array(described), "coverage": objects(coverage) }))
}

/// Finds a view by name.
pub fn find(name: &str) -> Result<&'static ViewFact, ToolError> {
    readable_views().find(|view| view.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
        let names = readable_views().map(|view| view.name);
        let nearest = hint::nearest(name, names);
        let error = ToolError::new(format!("there is no view `{name}`"));
        error.hint(format!("{nearest}describe() lists all"))
    })
}

/// The number of rows, if it can be counted in time.
fn count(reader: &Reader, view: &ViewFact) -> Option<i64> {
    match reader.count(view) {
        Ok(count) => Some(count),
        Err(QueryError::Stopped | QueryError::Memory(_)) => None,
        Err(error) => {
            tracing::warn!(%error, view = view.name, "cannot count the rows of a view");
            None
        }
    }
}

fn summary(view: &ViewFact, rows: Option<i64>) -> Value {
    let columns: Vec<&str> = view.columns().map(|column| column.name).collect();
    json!({ "name": view.name, "description": view.text, "rows": rows, "column_names": columns })
}

fn full(view: &ViewFact, rows: Option<i64>) -> Value {
    let mut document = schema::json(std::slice::from_ref(view), open::known_version());
    let mut described = document.pointer_mut("/views/0").map(Value::take).unwrap_or_default();
    described["rows"] = json!(rows);
    described
}

/// Converts rows to objects.
fn objects(found: Rows) -> Value {
    let object = |row: Vec<Value>| found.columns.iter().cloned().zip(row).collect::<Map<_, _>>();
    found.rows.into_iter().map(object).map(Value::Object).collect()
}
