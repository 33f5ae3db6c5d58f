//! Compares the API's own OpenAPI document with what is used of the API. Nothing here fails: a document that cannot
//! be read is not needed.

use crate::api::{Answer, Verdict};
use crate::cli::check::probe::{ProbeError, ProbeResult};
use crate::contract::compare::{Comparison, compare};
use crate::contract::document::Document;
use crate::report::check::Check;

/// Name of the checks.
const NAME: &str = "contract";
/// Most lines of a kind.
const LINES_MAX: usize = 20;

/// Returns the lines about the document.
pub fn checks(answer: &ProbeResult<Answer>, base_path: &str) -> Vec<Check> {
    let document = match answer {
        Ok(answer) => Document::read(&answer.body, base_path),
        Err(ProbeError::NotSent(reason)) => Err(reason.clone()),
        Err(ProbeError::Failed(failure)) => Err(match (failure.status, failure.verdict) {
            (Some(404 | 410), _) => "the API has none at /openapi.json".to_owned(),
            (_, Verdict::Foreign) => "the response is not from the API".to_owned(),
            _ => failure.to_string(),
        }),
    };
    let document = match document {
        Ok(document) => document,
        Err(reason) => {
            return vec![Check::info(NAME, format!("OpenAPI document not compared: {reason}"))];
        }
    };
    let comparison = compare(&document);
    if document.is_exhausted() {
        return vec![Check::info(NAME, "OpenAPI document not compared: it is too complex")];
    }
    lines(&document, comparison)
}

fn lines(document: &Document, comparison: Comparison) -> Vec<Check> {
    let Comparison { changed, new, confirmed, matches } = comparison;
    let version = document.version().map_or(String::new(), |version| format!(" ({version})"));
    let mut checks = Vec::new();
    if changed.is_empty() {
        let text =
            format!("the API's OpenAPI document{version} has all {matches} parts that are used");
        checks.push(Check::ok(NAME, text));
    }
    checks.extend(bounded(changed).into_iter().map(|line| Check::warning(NAME, line)));
    if let Some(last) = checks.last_mut().filter(|check| !check.is_ok()) {
        *last = last
            .clone()
            .hint("the API differs from what this version expects: look for a newer creatormirror");
    }
    checks.extend(bounded(new).into_iter().map(|line| Check::info(NAME, line)));
    if !confirmed.is_empty() {
        let parts = confirmed.into_iter().map(|(operation, names)| match names.is_empty() {
            true => operation,
            false => format!("{operation} ({})", names.join(", ")),
        });
        let parts = parts.collect::<Vec<_>>().join("; ");
        checks.push(Check::info(NAME, format!("inferred so far, and confirmed: {parts}")));
    }
    checks
}

/// The first lines, and how many more there are.
fn bounded(mut lines: Vec<String>) -> Vec<String> {
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}
