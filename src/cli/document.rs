//! The one JSON document that `--json` promises, whatever happens.

use super::{CliError, Exit};
use crate::report::sync;

/// Whether a document is wanted, and whether it has been printed.
#[derive(Debug, Clone, Copy)]
pub struct Document {
    /// `--json` was given.
    pub is_wanted: bool,
    /// The command has printed its answer.
    pub is_out: bool,
}

/// Runs a command, and prints the document of its error where it ended before its own was out.
pub fn promised(
    is_wanted: bool,
    command: impl FnOnce(&mut Document) -> Result<Exit, CliError>,
) -> Result<Exit, CliError> {
    let mut document = Document { is_wanted, is_out: false };
    let result = command(&mut document);
    if let Err(error) = &result
        && document.is_wanted
        && !document.is_out
    {
        let error = sync::json_of_error(error.exit.code(), &error.message);
        super::answer(format!("{error}\n").as_bytes())?;
    }
    result
}
