//! CSV (RFC 4180) and JSON Lines.
//!
//! In CSV, NULL is an empty cell and empty text is `""`, which the `csv` crate cannot write differently; other values are
//! as SQLite shows them. In JSON Lines, booleans are true and false, and JSON columns are values rather than text.

use std::io::{self, Write};

use serde_json::value::RawValue;

use crate::model::Value;
use crate::store::public_tables::Column;
use crate::store::schema_docs::ValueType;

/// Writes the header of a CSV file.
pub fn csv_header(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    for (at, column) in columns.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        csv_text(out, column.name)?;
    }
    out.write_all(b"\r\n")
}

/// Writes a row as CSV.
pub fn csv_row(out: &mut impl Write, row: &[Value<'_>]) -> io::Result<()> {
    for (at, value) in row.iter().enumerate() {
        if at > 0 {
            out.write_all(b",")?;
        }
        match value {
            Value::Null => {}
            Value::Integer(number) => write!(out, "{number}")?,
            Value::Real(number) => write!(out, "{number:?}")?,
            Value::Text(text) => csv_text(out, text)?,
        }
    }
    out.write_all(b"\r\n")
}

fn csv_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    if !text.is_empty() && !text.contains(['"', ',', '\r', '\n']) {
        return out.write_all(text.as_bytes());
    }
    out.write_all(b"\"")?;
    out.write_all(text.replace('"', "\"\"").as_bytes())?;
    out.write_all(b"\"")
}

/// Writes a row as one line with a JSON object.
pub fn json_row(out: &mut impl Write, columns: &[Column], row: &[Value<'_>]) -> io::Result<()> {
    for (at, (column, value)) in columns.iter().zip(row).enumerate() {
        out.write_all(if at == 0 { b"{" } else { b"," })?;
        serde_json::to_writer(&mut *out, column.name)?;
        out.write_all(b":")?;
        match (value, column.value_type) {
            (Value::Null, _) => out.write_all(b"null")?,
            (Value::Integer(0), ValueType::Boolean) => out.write_all(b"false")?,
            (Value::Integer(1), ValueType::Boolean) => out.write_all(b"true")?,
            // One type for all rows, as in Parquet.
            (Value::Integer(number), ValueType::Any) => write!(out, "\"{number}\"")?,
            (Value::Real(number), ValueType::Any) => write!(out, "\"{number:?}\"")?,
            (Value::Integer(number), _) => write!(out, "{number}")?,
            (Value::Real(number), _) => serde_json::to_writer(&mut *out, number)?,
            (Value::Text(text), ValueType::Json) => json_value(out, text)?,
            (Value::Text(text), _) => serde_json::to_writer(&mut *out, text)?,
        }
    }
    out.write_all(b"}\n")
}

/// Writes JSON unchanged, except that line breaks, which only separate tokens, become spaces.
fn json_value(out: &mut impl Write, text: &str) -> io::Result<()> {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(value) if !value.get().contains(['\r', '\n']) => out.write_all(value.get().as_bytes()),
        Ok(value) => out.write_all(value.get().replace(['\r', '\n'], " ").as_bytes()),
        Err(_) => Ok(serde_json::to_writer(out, text)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn column(name: &'static str, value_type: ValueType) -> Column {
        Column { name, value_type }
    }

    fn csv(row: &[Value<'_>]) -> String {
        let mut out = Vec::new();
        csv_row(&mut out, row).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn json(value_type: ValueType, value: Value<'_>) -> String {
        let mut out = Vec::new();
        json_row(&mut out, &[column("c", value_type)], &[value]).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn csv_distinguishes_null_and_empty_text() {
        assert_eq!(csv(&[Value::Null, Value::Text("".into())]), ",\"\"\r\n");
    }

    #[test]
    fn json_values_are_kept_exactly() {
        for (value_type, value, expected) in [
            (ValueType::Boolean, Value::Integer(1), "true"),
            (ValueType::Boolean, Value::Integer(7), "7"),
            (ValueType::Integer, Value::Integer(i64::MAX), "9223372036854775807"),
            (ValueType::Real, Value::Real(0.1), "0.1"),
            (ValueType::Any, Value::Integer(0), "\"0\""),
            (ValueType::Any, Value::Real(0.5), "\"0.5\""),
            (ValueType::Any, Value::Text("a".into()), "\"a\""),
            (ValueType::Json, Value::Text(r#"{"n":1e400,"n":1}"#.into()), r#"{"n":1e400,"n":1}"#),
            (ValueType::Json, Value::Text("{\n\"a\": \"\\n\"\r\n}".into()), "{ \"a\": \"\\n\"  }"),
            (ValueType::Json, Value::Text("{oops".into()), "\"{oops\""),
            (ValueType::Text, Value::Text("{}".into()), "\"{}\""),
            (ValueType::Text, Value::Text("a\n\"b\"\u{2028}".into()), "\"a\\n\\\"b\\\"\u{2028}\""),
        ] {
            assert_eq!(json(value_type, value), format!("{{\"c\":{expected}}}\n"));
        }
    }

    proptest! {
        #[test]
        fn csv_round_trips_any_text(cells in prop::collection::vec(".{0,12}", 2..5)) {
            let cell = |cell| Value::Text(String::as_str(cell).into());
            let row: Vec<Value<'_>> = cells.iter().map(cell).collect();
            // Not the first line, where a byte order mark would be dropped.
            let text = csv(&[Value::Integer(1), Value::Integer(2)]) + &csv(&row);
            let mut reader = ::csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
            let read: Vec<::csv::StringRecord> = reader.records().map(Result::unwrap).collect();
            prop_assert_eq!(read.len(), 1);
            prop_assert_eq!(read[0].iter().collect::<Vec<_>>(), cells);
        }
    }
}
