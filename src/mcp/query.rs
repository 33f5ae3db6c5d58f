//! The tools `query` and `ready_query`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::mcp::answer::{ToolError, ToolResult};
use crate::mcp::hint;
use crate::mcp::session::{BYTES_MAX, Session, Stop};
use crate::store::cookbook::{self, Parameter, ParameterType, Recipe};
use crate::store::readonly::{Bounds, End, Parameters, Rows};

/// Arguments of `query`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryArgs {
    sql: String,
    #[serde(default)]
    params: Option<Value>,
    #[serde(default)]
    limit: Option<usize>,
}

/// Arguments of `ready_query`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadyArgs {
    name: String,
    #[serde(default)]
    args: Option<Map<String, Value>>,
}

/// Runs a statement.
pub fn run(session: &Session, args: QueryArgs, stop: &Stop) -> ToolResult {
    let parameters = match args.params {
        None | Some(Value::Null) => Parameters::Named(Map::new()),
        Some(Value::Object(values)) => Parameters::Named(values),
        Some(Value::Array(values)) => Parameters::Positional(values),
        Some(_) => {
            return Err(ToolError::new(
                "`params` must be an object (for `:name`) or an array (for `?`)",
            ));
        }
    };
    let rows_max = session.settings.max_rows;
    let rows = args.limit.map_or(rows_max, |limit| limit.min(rows_max));
    answer(session, &args.sql, &parameters, rows, stop)
}

/// Runs a query of the cookbook.
pub fn run_ready(session: &Session, args: ReadyArgs, stop: &Stop) -> ToolResult {
    let recipes = cookbook::recipes();
    let recipe = recipes.iter().find(|recipe| recipe.name == args.name).ok_or_else(|| {
        let names = recipes.iter().map(|recipe| recipe.name);
        let error = ToolError::new(format!("there is no ready-made query `{}`", args.name));
        error.hint(format!("{}the tool's description lists all", hint::nearest(&args.name, names)))
    })?;
    let values = ready_values(recipe, args.args.unwrap_or_default())?;
    answer(session, recipe.sql, &Parameters::Named(values), session.settings.max_rows, stop)
}

/// Checks the values of a query's parameters. One that is not given is NULL; the statement has its default.
fn ready_values(
    recipe: &Recipe,
    mut given: Map<String, Value>,
) -> Result<Map<String, Value>, ToolError> {
    let mut values = Map::new();
    for parameter in &recipe.parameters {
        let value = given.remove(parameter.name).unwrap_or(Value::Null);
        if !value.is_null() && !has_type(parameter, &value) {
            let expected = parameter.value_type;
            return Err(ToolError::new(format!("`{}` must be: {expected}", parameter.name)));
        }
        values.insert(parameter.name.to_owned(), value);
    }
    match given.keys().next() {
        None => Ok(values),
        Some(name) => {
            let known: Vec<&str> = recipe.parameters.iter().map(|one| one.name).collect();
            let error = ToolError::new(format!("`{}` has no parameter `{name}`", recipe.name));
            Err(error.hint(match known.is_empty() {
                true => "it has none".to_owned(),
                false => format!("it has: {}", known.join(", ")),
            }))
        }
    }
}

fn has_type(parameter: &Parameter, value: &Value) -> bool {
    match parameter.value_type {
        ParameterType::Integer => value.is_i64(),
        ParameterType::Real => value.is_number(),
        ParameterType::Text => value.is_string(),
        ParameterType::Date => {
            value.as_str().is_some_and(|text| text.parse::<chrono::NaiveDate>().is_ok())
        }
    }
}

fn answer(
    session: &Session,
    sql: &str,
    parameters: &Parameters,
    rows: usize,
    stop: &Stop,
) -> ToolResult {
    let reader = session.reader(stop)?;
    let found = reader.query(sql, parameters, Bounds { rows, bytes: BYTES_MAX });
    let found = found.map_err(|error| hint::query_error(session, sql, error, stop))?;
    let truncated = truncated(&found);
    Ok(json!({
        "row_count": found.rows.len(),
        "truncated": truncated,
        "columns": found.columns,
        "rows": found.rows,
    }))
}

/// Says why rows are missing, and how to get them.
fn truncated(found: &Rows) -> Value {
    let count = found.rows.len();
    let paging = format!(
        "these are the first {count} rows; the next are `{}`, with an ORDER BY that makes the order unique",
        found.next_page("<the same statement>")
    );
    let (reason, next) = match &found.end {
        End::Complete => return Value::Null,
        End::Rows => ("rows", paging),
        End::Bytes => ("bytes", format!("{paging}; fewer or shorter columns give more rows")),
        End::Cell { column, bytes } => (
            "cell",
            format!(
                "the first row does not fit: `{column}` has {bytes} bytes of {BYTES_MAX}; read it in parts with \
                 `substr({column}, 1, 50000)`, or leave it out"
            ),
        ),
    };
    json!({ "reason": reason, "rows_returned": count, "next": next })
}
