//! Errors of a tool: a message and a hint, which the agent reads.

use std::fmt::Display;

use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

use crate::store::StoreError;

/// Why a tool gave no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolError {
    /// What failed, and why.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Answer of a tool: a JSON object.
pub type ToolResult = Result<Value, ToolError>;

impl ToolError {
    /// Returns an error without a hint.
    pub fn new(message: impl Display) -> Self {
        Self { message: message.to_string(), hint: None }
    }

    /// Adds a hint.
    pub fn hint(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }
}

impl From<StoreError> for ToolError {
    fn from(error: StoreError) -> Self {
        Self::new(error)
            .hint("`creatormirror check` on the machine of the mirror shows what is wrong")
    }
}

/// Converts a tool's answer: the JSON document as structured content and as text.
pub fn result(answer: ToolResult) -> CallToolResult {
    match answer {
        Ok(document) => CallToolResult::structured(document),
        Err(error) => {
            let hint = error.hint.map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
            CallToolResult::error(vec![ContentBlock::text(error.message + &hint)])
        }
    }
}
