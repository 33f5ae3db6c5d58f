//! The tools: names, descriptions, and schemas of arguments and answers.

use std::sync::Arc;

use rmcp::model::{Tool as ToolFact, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::mcp::session::{BYTES_MAX, ENTRIES_MAX, Settings};
use crate::model::named::named;
use crate::store::cookbook::{self, ParameterType, Recipe};

named! {
    /// A tool.
    pub enum Tool {
        /// Runs a statement.
        Query = "query",
        /// Describes views and columns.
        Describe = "describe",
        /// The state of the mirror.
        Status = "status",
        /// Runs a query of the cookbook.
        ReadyQuery = "ready_query",
        /// Queues a creation.
        Track = "track",
        /// Queues a change.
        Set = "set",
        /// Queues the linking of an account to a creator.
        Link = "link",
        /// Queues the end of a link.
        Unlink = "unlink",
        /// Shows the outcome of a queued write.
        Outbox = "outbox",
    }
}

impl Tool {
    /// Whether the server has this tool: those for writes only with `--allow-writes`.
    pub const fn is_offered(self, allow_writes: bool) -> bool {
        allow_writes
            || matches!(self, Self::Query | Self::Describe | Self::Status | Self::ReadyQuery)
    }

    fn annotations(self) -> ToolAnnotations {
        let annotations = ToolAnnotations::new().open_world(false);
        match self {
            Self::Track => annotations.read_only(false).destructive(false),
            Self::Set | Self::Link | Self::Unlink => annotations.read_only(false).destructive(true),
            _ => annotations.read_only(true).idempotent(true),
        }
    }
}

/// Lists the tools of a server.
pub fn list(settings: &Settings) -> Vec<ToolFact> {
    let offered = Tool::ALL.into_iter().filter(|tool| tool.is_offered(settings.allow_writes));
    let fact = |tool: Tool| {
        let fact = ToolFact::new(tool.name(), description(tool, settings), input(tool, settings));
        fact.with_raw_output_schema(output(tool)).with_annotations(tool.annotations())
    };
    offered.map(fact).collect()
}

fn description(tool: Tool, settings: &Settings) -> String {
    match tool {
        Tool::Query => format!(
            "Runs one statement of SQLite (SELECT, WITH or VALUES) on the mirror's public views and returns its rows: at most {} rows and \
             {} kB, within {} s. If `truncated` is not null, rows are missing and `next` says how to get them. Call \
             describe first. Use parameters for values, and ORDER BY with LIMIT for large results.",
            settings.max_rows,
            BYTES_MAX / 1_000,
            settings.timeout.as_secs_f64()
        ),
        Tool::Describe => "Without a name: every view with its description, column names and number of rows, and how \
                           complete the mirror is by kind. With a view's name: its columns with types, units and \
                           meanings. `rows` is null if counting takes too long."
            .to_owned(),
        Tool::Status => "The state of the mirror: how fresh and complete each kind is, the last and the next run, \
                         rate limit, queued writes, and the last error."
            .to_owned(),
        Tool::ReadyQuery => {
            let recipes = cookbook::recipes();
            let lines: Vec<String> = recipes.iter().map(recipe_line).collect();
            format!("Runs a ready-made query; prefer it to writing SQL. Queries:\n{}", lines.join("\n"))
        }
        Tool::Track => queueing("the creation of a video, an account or a creator"),
        Tool::Set => queueing("a change to a video, an account or a creator: only the given members change"),
        Tool::Link => queueing("the linking of an account to a creator"),
        Tool::Unlink => queueing("the end of the link between an account and a creator"),
        Tool::Outbox => "Shows the state and the outcome of a queued write.".to_owned(),
    }
}

fn queueing(what: &str) -> String {
    format!(
        "Queues {what}. Nothing is sent at once: the daemon or the next sync sends it, and outbox(entry) shows the \
         outcome. Call it only when the user asks for the change. At most {ENTRIES_MAX} writes per session."
    )
}

fn recipe_line(recipe: &Recipe) -> String {
    let parameters = recipe.parameters.iter().map(|one| {
        format!(" [{}: {}, default {}: {}]", one.name, one.value_type, one.default, one.meaning)
    });
    let parameters: String = parameters.collect();
    format!("- {}: {}. {}{parameters}", recipe.name, recipe.title, recipe.text)
}

/// An object with these members and no others.
fn object(required: &[&str], members: Value) -> Value {
    json!({ "type": "object", "properties": members, "required": required, "additionalProperties": false })
}

fn schema(value: Value) -> Arc<Map<String, Value>> {
    Arc::new(match value {
        Value::Object(members) => members,
        _ => Map::new(),
    })
}

fn text(description: &str) -> Value {
    json!({ "type": "string", "description": description })
}

fn input(tool: Tool, settings: &Settings) -> Arc<Map<String, Value>> {
    let named = "id, unique prefix of an id of at least 8 characters, platform:username of an account, or @N for the \
                 result of entry N";
    schema(match tool {
        Tool::Query => object(
            &["sql"],
            json!({
                "sql": text("One statement in SQLite's dialect that begins with SELECT, WITH or VALUES"),
                "params": {
                    "type": ["object", "array"],
                    "description": "Values of the parameters: an object for :name, an array for ?"
                },
                "limit": {
                    "type": "integer", "minimum": 1, "maximum": settings.max_rows,
                    "description": "Most rows to return"
                },
            }),
        ),
        Tool::Describe => object(&[], json!({ "name": text("Name of a view") })),
        Tool::Status => object(&[], json!({})),
        Tool::ReadyQuery => ready_input(),
        Tool::Track => changed(
            &["kind"],
            json!({
                "platform": { "type": "string", "enum": ["instagram", "tiktok"], "description": "Of a video or an account; a video's URL tells it" },
                "identifier": text("Of a video: URL, numeric id or Instagram shortcode"),
                "username": text("Of an account"),
            }),
        ),
        Tool::Set => changed(&["kind", "id"], json!({ "id": text(named) })),
        Tool::Link | Tool::Unlink => object(
            &["creator", "account"],
            json!({ "creator": text(named), "account": text(named) }),
        ),
        Tool::Outbox => {
            let entry = json!({ "type": "integer", "description": "Number of the entry" });
            object(&["entry"], json!({ "entry": entry }))
        }
    })
}

/// The schema of a creation or a change: `more` members beside those that every kind has.
fn changed(required: &[&str], more: Value) -> Value {
    let count =
        |description: &str| json!({ "type": "integer", "minimum": 1, "description": description });
    let mut members = json!({
        "kind": { "type": "string", "enum": ["video", "account", "creator"] },
        "name": text("Of a creator"),
        "category": { "type": ["string", "null"], "description": "Of an account; null removes it" },
        "metadata": {
            "type": "object", "additionalProperties": { "type": "string" },
            "description": "All metadata; a change replaces it"
        },
        "is_active": { "type": "boolean", "description": "false pauses collecting" },
        "scrape_interval_hours": count("Of a video or an account"),
        "max_recent_posts_per_account": count("Of an account: number of recent posts to collect"),
        "post_lookback_days": count("Of an account: greatest age of collected posts in days"),
    });
    if let (Value::Object(members), Value::Object(more)) = (&mut members, more) {
        members.extend(more);
    }
    object(required, members)
}

/// The parameters of all ready-made queries, typed.
fn ready_input() -> Value {
    let recipes = cookbook::recipes();
    let names: Vec<&str> = recipes.iter().map(|recipe| recipe.name).collect();
    let mut parameters: Map<String, Value> = Map::new();
    for recipe in &recipes {
        for one in &recipe.parameters {
            let (json_type, format) = match one.value_type {
                ParameterType::Integer => ("integer", None),
                ParameterType::Real => ("number", None),
                ParameterType::Text => ("string", None),
                ParameterType::Date => ("string", Some("date")),
            };
            let entry = parameters.entry(one.name).or_insert_with(|| {
                let mut entry = json!({ "type": json_type, "description": "" });
                if let Some(format) = format {
                    entry["format"] = json!(format);
                }
                entry
            });
            let known = entry["description"].as_str().unwrap_or_default();
            let separator = if known.is_empty() { "" } else { "; " };
            let text = format!(
                "{known}{separator}{}: {} (default {})",
                recipe.name, one.meaning, one.default
            );
            entry["description"] = json!(text);
        }
    }
    let mut args = object(&[], Value::Object(parameters));
    args["description"] =
        json!("Parameters of the query; those that are not given have their default");
    object(&["name"], json!({ "name": { "type": "string", "enum": names }, "args": args }))
}

fn output(tool: Tool) -> Arc<Map<String, Value>> {
    let anything = json!({ "type": "object" });
    schema(match tool {
        Tool::Query | Tool::ReadyQuery => json!({
            "type": "object",
            "properties": {
                "row_count": { "type": "integer" },
                "truncated": {
                    "type": ["object", "null"],
                    "properties": {
                        "reason": { "type": "string", "enum": ["rows", "bytes", "cell"] },
                        "rows_returned": { "type": "integer" },
                        "next": text("How to get the missing rows"),
                    },
                },
                "columns": { "type": "array", "items": { "type": "string" } },
                "rows": { "type": "array", "items": { "type": "array" } },
            },
            "required": ["row_count", "truncated", "columns", "rows"],
        }),
        Tool::Describe => json!({
            "type": "object",
            "properties": {
                "views": { "type": "array", "items": {
                    "type": "object",
                    "properties": {
                        "name": { "type": "string" },
                        "description": { "type": "string" },
                        "rows": { "type": ["integer", "null"] },
                        "column_names": { "type": "array", "items": { "type": "string" } },
                        "columns": { "type": "array", "items": anything },
                    },
                    "required": ["name", "description", "rows"],
                } },
                "coverage": { "type": "array", "items": anything },
            },
            "required": ["views", "coverage"],
        }),
        Tool::Status => json!({
            "type": "object",
            "properties": {
                "now": { "type": "string" }, "is_running": { "type": "boolean" },
                "kinds": { "type": "array", "items": anything },
            },
            "required": ["now", "is_running", "kinds"],
        }),
        _ => json!({
            "type": "object",
            "properties": {
                "entry": { "type": "integer" }, "state": { "type": "string" },
                "detail": { "type": ["string", "null"] }, "result_id": { "type": ["string", "null"] },
            },
            "required": ["entry", "state"],
        }),
    })
}
