//! What Datasette is told about a mirror: what its views and columns mean, and the cookbook as canned
//! queries. The tables under the views are hidden.

use serde_json::{Map, Value, json};

use crate::store::cookbook::Recipe;
use crate::store::schema_docs::{ColumnFact, ViewFact};

/// Tables that are there besides ours.
const OTHER_TABLES: [&str; 2] = ["refinery_schema_history", "sqlite_sequence"];

/// Datasette's metadata for the database that it knows by this name.
pub fn metadata(name: &str, views: &[ViewFact], tables: &[&str], recipes: &[Recipe]) -> Value {
    let mut told: Map<String, Value> =
        views.iter().map(|view| (view.name.to_owned(), described(view))).collect();
    for table in tables.iter().copied().chain(OTHER_TABLES) {
        told.insert(table.to_owned(), json!({ "hidden": true }));
    }
    let queries: Map<String, Value> =
        recipes.iter().map(|recipe| (recipe.name.to_owned(), canned(recipe))).collect();
    let database = json!({
        "description": "A CreatorAudit organization, mirrored by creatormirror with its history",
        "tables": told,
        "queries": queries,
    });
    json!({
        "title": "creatormirror",
        "databases": Map::from_iter([(name.to_owned(), database)]),
    })
}

fn described(view: &ViewFact) -> Value {
    let columns: Map<String, Value> =
        view.columns().map(|column| (column.name.to_owned(), meaning(column).into())).collect();
    json!({ "description": view.text, "columns": columns })
}

fn meaning(column: &ColumnFact) -> String {
    let null = if column.is_nullable { " or NULL" } else { "" };
    format!("{} ({}{null}; {})", column.meaning, column.unit.name, column.source)
}

fn canned(recipe: &Recipe) -> Value {
    json!({ "title": recipe.title, "description": recipe.text, "sql": recipe.sql })
}
