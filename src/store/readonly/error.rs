//! Why a statement was refused or stopped.

use rusqlite::{ErrorCode, ffi};

use crate::store::error::StoreError;

/// Why a statement gave no rows; each variant has another remedy.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// It is not a single statement that reads.
    #[error("only one SELECT statement is allowed: {0}")]
    NotASelect(String),
    /// It reads a table that is not a public view.
    #[error("`{0}` cannot be queried: only the public views can")]
    Table(String),
    /// It calls a function that is not allowed.
    #[error("the function `{0}` is not available")]
    Function(String),
    /// It has more LIKE and GLOB operators than allowed.
    #[error("more than {0} LIKE and GLOB operators in one statement")]
    Patterns(u32),
    /// A parameter is missing, unknown, or not a value.
    #[error("{0}")]
    Parameter(String),
    /// SQLite cannot compile or run it.
    #[error("{0}")]
    Sql(String),
    /// A text, a row or the statement is longer than allowed.
    #[error("a value or the statement is too long")]
    TooBig,
    /// It needs more memory or temporary storage than allowed.
    #[error("the statement needs too much {0}")]
    Memory(&'static str),
    /// The caller stopped it.
    #[error("the statement was stopped")]
    Stopped,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl QueryError {
    /// Converts an error of SQLite.
    pub(super) fn of(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Self::Stopped,
            Some(ErrorCode::OutOfMemory) => Self::Memory("memory"),
            Some(ErrorCode::TooBig) => Self::TooBig,
            Some(ErrorCode::Unknown | ErrorCode::TypeMismatch) => Self::Sql(message(error)),
            // The connection writes nothing but temporary files.
            Some(ErrorCode::DiskFull) => Self::Memory("temporary storage"),
            Some(ErrorCode::SystemIoFailure) if is_failed_write(&error) => {
                Self::Memory("temporary storage")
            }
            // A connection that may only read reports a write like this.
            Some(ErrorCode::ReadOnly | ErrorCode::AuthorizationForStatementDenied) => {
                Self::NotASelect(message(error))
            }
            _ => match error {
                rusqlite::Error::MultipleStatement => {
                    Self::NotASelect("there is more than one".to_owned())
                }
                rusqlite::Error::SqliteFailure(..) => Self::Store(error.into()),
                error => Self::Sql(message(error)),
            },
        }
    }
}

fn is_failed_write(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == ffi::SQLITE_IOERR_WRITE)
}

/// SQLite's message, without the statement, which the caller knows.
fn message(error: rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        rusqlite::Error::SqliteFailure(_, Some(text)) => text,
        error => error.to_string(),
    }
}
