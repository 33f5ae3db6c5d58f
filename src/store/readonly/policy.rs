//! What a statement may refer to. SQLite itself decides: the statement is first compiled against an empty database that
//! has the public views as tables, and nothing else. An internal table does not exist there, whatever a statement calls
//! its own expressions; `WITH videos AS (SELECT * FROM outbox)` would pass for the view `videos` in the mirror, where
//! SQLite names the innermost view or common table expression as the reader of a table.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use crate::store::error::StoreResult;
use crate::store::public_tables::readable_views;
use crate::store::readonly::error::QueryError;
use crate::store::readonly::limits;

/// Most LIKE and GLOB operators of a statement: each takes time in the product of its arguments' lengths, and cannot
/// be interrupted.
const PATTERNS_MAX: u32 = 20;

/// Table-valued functions.
const TABLE_FUNCTIONS: [&str; 2] = ["json_each", "json_tree"];

/// Functions that read nothing but their arguments and the clock, and take time linear in their arguments.
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "->", "->>", "abs", "avg", "char", "coalesce", "concat", "concat_ws", "count", "cume_dist", "current_date",
    "current_time", "current_timestamp", "date", "datetime", "dense_rank", "first_value", "format", "glob",
    "group_concat", "hex", "if", "ifnull", "iif", "instr", "json", "json_array", "json_array_length",
    "json_each", "json_error_position", "json_extract", "json_group_array", "json_group_object", "json_insert",
    "json_object", "json_pretty", "json_quote", "json_remove", "json_replace", "json_set", "json_tree", "json_type",
    "json_valid", "julianday", "lag", "last_value", "lead", "length", "like", "likelihood", "likely", "lower",
    "ltrim", "max", "min", "nth_value", "ntile", "nullif", "octet_length", "percent_rank", "printf", "quote",
    "random", "rank", "replace", "round", "row_number", "rtrim", "sign", "strftime", "string_agg", "substr",
    "substring", "sum", "time", "timediff", "total", "trim", "typeof", "unicode", "unixepoch", "unlikely", "upper",
];

/// Functions that load code or use pointers.
const FORBIDDEN: [&str; 3] = ["load_extension", "fts3_tokenizer", "fts5"];

/// What the statement that is being compiled was refused for, and how many patterns it has.
#[derive(Debug, Default)]
struct Seen {
    refused: Option<QueryError>,
    patterns: u32,
}

/// Compiles statements against the public views alone.
#[derive(Debug)]
pub(super) struct Policy {
    views: Connection,
    seen: Arc<Mutex<Seen>>,
}

impl Policy {
    /// Creates the empty database.
    pub(super) fn new(is_stopped: impl Fn() -> bool + Send + 'static) -> StoreResult<Self> {
        let mut views = Connection::open_in_memory()?;
        let tables = readable_views().map(|view| {
            let columns: Vec<&str> = view.columns().map(|column| column.name).collect();
            format!("CREATE TABLE \"{}\" (\"{}\");", view.name, columns.join("\", \""))
        });
        // A page holds an empty table; the smallest is enough.
        views.execute_batch(&format!("PRAGMA page_size = 512; {}", tables.collect::<String>()))?;
        let modules = modules(&views)?;
        limits::apply(&mut views, is_stopped)?;
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shared = Arc::clone(&seen);
        views.authorizer(Some(move |context: AuthContext<'_>| {
            let mut seen = shared.lock().unwrap_or_else(PoisonError::into_inner);
            match seen.judge(context.action, &modules) {
                Ok(()) => Authorization::Allow,
                Err(error) => {
                    seen.refused.get_or_insert(error);
                    Authorization::Deny
                }
            }
        }))?;
        Ok(Self { views, seen })
    }

    /// Checks that a statement is a single query of public views with allowed functions.
    pub(super) fn check(&self, sql: &str) -> Result<(), QueryError> {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Seen::default();
        let prepared = self.views.prepare(sql);
        let refused = self.seen.lock().unwrap_or_else(PoisonError::into_inner).refused.take();
        match (prepared, refused) {
            (_, Some(error)) => Err(error),
            (Err(error), None) => Err(QueryError::of(error)),
            (Ok(statement), None) if statement.is_explain() != 0 => {
                Err(QueryError::NotASelect("EXPLAIN is not available".to_owned()))
            }
            (Ok(statement), None) if !statement.readonly() || statement.column_count() == 0 => {
                Err(QueryError::NotASelect("this is not one".to_owned()))
            }
            (Ok(_), None) => Ok(()),
        }
    }
}

impl Seen {
    fn judge(&mut self, action: AuthAction<'_>, modules: &[String]) -> Result<(), QueryError> {
        match action {
            AuthAction::Select | AuthAction::Recursive => Ok(()),
            AuthAction::Read { table_name, column_name } => {
                let is_expression = column_name.is_empty() && !is_built_in(table_name, modules);
                match is_public(table_name) || is_expression {
                    true => Ok(()),
                    false => Err(QueryError::Table(table_name.to_owned())),
                }
            }
            AuthAction::Function { function_name } => self.judge_function(function_name),
            action => Err(QueryError::NotASelect(format!("{} is not allowed", name(&action)))),
        }
    }

    fn judge_function(&mut self, function: &str) -> Result<(), QueryError> {
        let function = function.to_ascii_lowercase();
        if !FUNCTIONS.contains(&function.as_str()) {
            return Err(QueryError::Function(function));
        }
        self.patterns += u32::from(matches!(function.as_str(), "like" | "glob"));
        match self.patterns > PATTERNS_MAX {
            true => Err(QueryError::Patterns(PATTERNS_MAX)),
            false => Ok(()),
        }
    }
}

/// The names of SQLite's virtual tables, some of which can be read without being created.
fn modules(connection: &Connection) -> StoreResult<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_module_list")?;
    let names = statement.query_map([], |row| row.get(0))?;
    Ok(names.collect::<Result<_, _>>()?)
}

/// Whether a statement may read this table.
fn is_public(table: &str) -> bool {
    let mut names = readable_views().map(|view| view.name).chain(TABLE_FUNCTIONS);
    names.any(|name| name.eq_ignore_ascii_case(table))
}

/// Whether SQLite itself has this table. Otherwise, if no column of it is used, it may be a common table expression;
/// that one's columns are not reported.
fn is_built_in(table: &str, modules: &[String]) -> bool {
    let table = table.to_ascii_lowercase();
    let is_reserved = ["sqlite_", "pragma_"].iter().any(|prefix| table.starts_with(prefix));
    is_reserved || modules.contains(&table)
}

/// Limits a connection to the mirror to reading: public views, and tables from inside a view. Inside a view's common
/// table expression, that is the accessor; so its name proves nothing, and [`Policy::check`] has decided before. The
/// same holds for functions: the defaults of the tables behind the views call some that statements may not.
pub(super) fn restrict(connection: &mut Connection) -> StoreResult<()> {
    connection.authorizer(Some(|context: AuthContext<'_>| {
        let is_allowed = match context.action {
            AuthAction::Select | AuthAction::Recursive => true,
            AuthAction::Function { function_name } => !FORBIDDEN.contains(&function_name),
            AuthAction::Read { table_name, column_name } => {
                let is_expression = column_name.is_empty() && !is_built_in(table_name, &[]);
                context.accessor.is_some() || is_public(table_name) || is_expression
            }
            _ => false,
        };
        if is_allowed { Authorization::Allow } else { Authorization::Deny }
    }))?;
    Ok(())
}

/// The name of an action: `ATTACH`, `DROP TABLE`.
fn name(action: &AuthAction<'_>) -> String {
    let text = format!("{action:?}");
    let mut name = String::new();
    for c in text.chars().take_while(char::is_ascii_alphabetic) {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push(' ');
        }
        name.push(c.to_ascii_uppercase());
    }
    name
}
