//! The text formats: a header and a line per row.

use std::io::{self, Write};

use crate::export::manifest::Format;
use crate::export::{excel, text};
use crate::model::Value;
use crate::store::public_tables::Column;

/// Writes what precedes the first row.
pub fn header(format: Format, out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    match format {
        Format::Csv => text::csv_header(out, columns),
        Format::Excel => excel::header(out, columns),
        Format::Jsonl | Format::Parquet => Ok(()),
    }
}

/// Writes a row.
pub fn row(
    format: Format,
    out: &mut impl Write,
    columns: &[Column],
    row: &[Value<'_>],
) -> io::Result<()> {
    match format {
        Format::Csv => text::csv_row(out, row),
        Format::Excel => excel::row(out, columns, row),
        Format::Jsonl | Format::Parquet => text::json_row(out, columns, row),
    }
}
