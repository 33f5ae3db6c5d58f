//! Metadata for Datasette: descriptions of views and columns, and the cookbook as canned queries. The tables under the
//! views are hidden.

use serde_json::{Map, Value, json};

use crate::store::cookbook::Recipe;
use crate::store::schema_docs::{ColumnFact, ViewFact};

/// Tables of refinery and SQLite, hidden too.
const OTHER_TABLES: [&str; 2] = ["refinery_schema_history", "sqlite_sequence"];

/// Returns the metadata for a database of this name in Datasette.
pub fn metadata(name: &str, views: &[ViewFact], tables: &[&str], recipes: &[Recipe]) -> Value {
    let mut table_docs: Map<String, Value> =
        views.iter().map(|view| (view.name.to_owned(), view_doc(view))).collect();
    for table in tables.iter().copied().chain(OTHER_TABLES) {
        table_docs.insert(table.to_owned(), json!({ "hidden": true }));
    }
    let queries: Map<String, Value> =
        recipes.iter().map(|recipe| (recipe.name.to_owned(), canned_query(recipe))).collect();
    let database = json!({
        "description": "A CreatorAudit organization, mirrored by creatormirror with its history",
        "tables": table_docs,
        "queries": queries,
    });
    json!({
        "title": "creatormirror",
        "databases": Map::from_iter([(name.to_owned(), database)]),
    })
}

fn view_doc(view: &ViewFact) -> Value {
    let columns: Map<String, Value> =
        view.columns().map(|column| (column.name.to_owned(), column_doc(column).into())).collect();
    json!({ "description": view.text, "columns": columns })
}

fn column_doc(column: &ColumnFact) -> String {
    let null = if column.is_nullable { " or NULL" } else { "" };
    format!("{} ({}{null}; {})", column.meaning, column.unit.name, column.source)
}

fn canned_query(recipe: &Recipe) -> Value {
    // Datasette has no defaults for parameters.
    let sql = recipe.sql_with_defaults();
    json!({ "title": recipe.title, "description": recipe.text, "sql": sql })
}
