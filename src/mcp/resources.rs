//! The resources: the schema, each view, and the status.

use rmcp::model::{Resource, ResourceContents, ResourceTemplate};

use crate::mcp::answer::ToolError;
use crate::mcp::describe;
use crate::mcp::session::Session;
use crate::report::schema;
use crate::store::public_tables::readable_views;
use crate::store::schema_docs::ViewFact;

/// The schema as Markdown.
const SCHEMA: &str = "creatormirror://schema";
/// The status as JSON.
const STATUS: &str = "creatormirror://status";
/// Before the name of a view.
const VIEW: &str = "creatormirror://views/";

const MARKDOWN: &str = "text/markdown";
const JSON: &str = "application/json";

/// Lists the resources.
pub fn list() -> Vec<Resource> {
    let schema = Resource::new(SCHEMA, "schema").with_mime_type(MARKDOWN);
    let status = Resource::new(STATUS, "status").with_mime_type(JSON);
    let view = |view: &'static ViewFact| {
        let resource = Resource::new(format!("{VIEW}{}", view.name), view.name);
        resource.with_description(view.text).with_mime_type(MARKDOWN)
    };
    [
        schema.with_description("Every view and column, with units and meanings"),
        status.with_description("Freshness, coverage, rate limit, outbox and last error"),
    ]
    .into_iter()
    .chain(readable_views().map(view))
    .collect()
}

/// Lists the templates.
pub fn templates() -> Vec<ResourceTemplate> {
    let template = ResourceTemplate::new(format!("{VIEW}{{name}}"), "view");
    vec![template.with_description("The columns of a view").with_mime_type(MARKDOWN)]
}

/// Reads a resource; `None` if there is none at this address.
pub fn read(session: &Session, uri: &str) -> Option<Result<ResourceContents, ToolError>> {
    let markdown = |views: &[ViewFact]| {
        let text = schema::markdown(views);
        Ok(ResourceContents::text(text, uri).with_mime_type(MARKDOWN))
    };
    match uri {
        SCHEMA => Some(markdown(&readable_views().copied().collect::<Vec<_>>())),
        STATUS => Some(
            session
                .status()
                .map(|status| ResourceContents::text(status.to_string(), uri).with_mime_type(JSON)),
        ),
        _ => {
            let view = describe::find(uri.strip_prefix(VIEW)?).ok()?;
            Some(markdown(std::slice::from_ref(view)))
        }
    }
}
