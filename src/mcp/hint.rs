//! What to do after an error of a query: the nearest names, and how to stay within the bounds.

use crate::mcp::answer::ToolError;
use crate::mcp::session::{Session, Stop};
use crate::model::shown::printable;
use crate::store::public_tables::readable_views;
use crate::store::readonly::QueryError;
use crate::store::schema_docs::{VIEWS, ViewFact};

/// Names in a hint.
const NAMES_MAX: usize = 5;

/// Longest message, characters: SQLite quotes the statement.
const MESSAGE_CHARS_MAX: usize = 500;

/// Suggests similar names, the most similar first; empty if none is.
pub fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let name = name.to_lowercase();
    let far = name.chars().count() / 2 + 1;
    let mut known: Vec<(usize, &str)> = known.map(|one| (distance(&name, one), one)).collect();
    known.sort_unstable();
    known.dedup();
    let near = known.into_iter().filter(|(distance, _)| *distance <= far).take(NAMES_MAX);
    let names: Vec<&str> = near.map(|(_, one)| one).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("similar names: {}; ", names.join(", ")),
    }
}

/// Edit distance of two names; a part of the other name is near.
fn distance(a: &str, b: &str) -> usize {
    if a.len().min(b.len()) > 2 && (a.contains(b) || b.contains(a)) {
        return 1;
    }
    let bounded = |name: &str| name.chars().take(MESSAGE_CHARS_MAX).collect::<String>();
    strsim::levenshtein(&bounded(a), &bounded(b))
}

/// Converts an error of a query.
pub fn query_error(session: &Session, sql: &str, error: QueryError, stop: &Stop) -> ToolError {
    let text = printable(&error.to_string(), MESSAGE_CHARS_MAX);
    let with = ToolError::new;
    match error {
        QueryError::Store(error) => error.into(),
        QueryError::NotASelect(_) => {
            with(text).hint("give one statement that begins with SELECT, WITH or VALUES, without a second one")
        }
        QueryError::Table(table) => table_error(&table, text),
        QueryError::Function(_) => with(text).hint(
            "available are SQLite's functions for text, numbers, dates, JSON, aggregates and windows; none that reads \
             files or settings",
        ),
        QueryError::Patterns(_) => with(text).hint("use several statements, or compare with = or IN"),
        QueryError::Parameter(_) => with(text)
            .hint("give `params` as an object for `:name`, or as an array for `?`, with a value for each parameter"),
        QueryError::TooBig => with(text).hint(
            "use substr() on long texts, read large lists from a parameter with json_each(:list), and shorten the \
             statement",
        ),
        QueryError::Memory(_) => with(text)
            .hint("sort, group or join fewer rows: filter first, or aggregate one period or account at a time"),
        QueryError::Stopped if stop.is_late() => {
            let timeout = session.settings.timeout.as_secs_f64();
            with(format!("the statement was stopped after {timeout} s (--timeout)")).hint(
                "filter by id, account or date, aggregate fewer rows, or use a view that is made for the question",
            )
        }
        QueryError::Stopped => with(text),
        QueryError::Sql(message) => sql_error(sql, &message, text),
    }
}

/// Explains an error message of SQLite.
fn sql_error(sql: &str, message: &str, text: String) -> ToolError {
    let error = ToolError::new(text);
    let after = |prefix: &str| message.strip_prefix(prefix).map(|name| name.trim().to_owned());
    if let Some(table) = after("no such table: ") {
        return table_error(&table, error.message);
    }
    if let Some(column) = after("no such column: ") {
        let column = column.split(" - ").next().unwrap_or_default();
        let column = column.rsplit('.').next().unwrap_or_default();
        let used: Vec<&ViewFact> =
            readable_views().filter(|view| mentions(sql, view.name)).collect();
        let columns = used.iter().flat_map(|view| view.columns()).map(|one| one.name);
        return match used.as_slice() {
            [] => error.hint("the statement reads no view"),
            [one] => {
                let nearest = nearest(column, columns);
                error.hint(format!("{nearest}describe(\"{}\") lists all columns", one.name))
            }
            _ => {
                error.hint(format!("{}describe(name) lists all columns", nearest(column, columns)))
            }
        };
    }
    if message.contains("pattern too complex") {
        return error.hint("search for a shorter part of the text, or use instr()");
    }
    if message.starts_with("ambiguous column name") {
        return error.hint("write the view's name or alias before the column");
    }
    error.hint(
        "the dialect is SQLite's; describe() lists the views, describe(name) the columns of one",
    )
}

fn table_error(table: &str, text: String) -> ToolError {
    let name = table.rsplit('.').next().unwrap_or_default();
    if VIEWS.iter().any(|view| view.name.eq_ignore_ascii_case(name)) {
        return ToolError::new(text)
            .hint("this view is for INSERTs only; outbox_log has the queue");
    }
    let nearest = nearest(name, readable_views().map(|view| view.name));
    ToolError::new(text)
        .hint(format!("{nearest}only the views that describe() lists can be queried"))
}

/// Whether a statement contains this name as a whole word.
fn mentions(sql: &str, name: &str) -> bool {
    let sql = sql.to_lowercase();
    sql.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_similar_names_first() {
        let names = ["accounts", "videos", "video_gains", "sync_log"];
        assert_eq!(nearest("video", names.into_iter()), "similar names: video_gains, videos; ");
        assert_eq!(nearest("Acounts", names.into_iter()), "similar names: accounts; ");
        assert_eq!(nearest("sqlite_schema", names.into_iter()), "");
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
    }
}
