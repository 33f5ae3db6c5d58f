//! Calls a tool by its name.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::mcp::answer::{ToolError, ToolResult};
use crate::mcp::session::{Session, Stop};
use crate::mcp::tools::Tool;
use crate::mcp::{describe, query, writes};

/// Calls a tool.
pub fn call(
    session: &Session,
    tool: Tool,
    arguments: Map<String, Value>,
    stop: &Stop,
) -> ToolResult {
    match tool {
        Tool::Query => query::run(session, parse(arguments)?, stop),
        Tool::Describe => describe::run(session, &parse(arguments)?, stop),
        Tool::Status => {
            let Nothing {} = parse(arguments)?;
            session.status()
        }
        Tool::ReadyQuery => query::run_ready(session, parse(arguments)?, stop),
        Tool::Track => writes::track(session, arguments),
        Tool::Set => writes::set(session, arguments),
        Tool::Link | Tool::Unlink => writes::link(session, tool, &parse(arguments)?),
        Tool::Outbox => writes::outcome(session, &parse(arguments)?),
    }
}

/// Arguments of a tool that has none.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Parses the arguments of a tool.
fn parse<T: DeserializeOwned>(arguments: Map<String, Value>) -> Result<T, ToolError> {
    serde_json::from_value(Value::Object(arguments)).map_err(|error| {
        ToolError::new(format!("invalid arguments: {error}")).hint("see the tool's input schema")
    })
}
