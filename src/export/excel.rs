//! CSV that Excel and other spreadsheets open without changing values (`--excel`).
//!
//! A spreadsheet guesses the type of each cell: it evaluates text that looks like a formula (formula injection), keeps
//! 15 digits of a number, and converts ids to numbers and names to dates. Where the comma is the decimal separator, it
//! splits cells at semicolons.

use std::io::{self, Write};

use chrono::NaiveDate;

use crate::export::text::{csv_header, csv_row};
use crate::model::{Instant, Value};
use crate::store::public_tables::Column;
use crate::store::schema_docs::ValueType;

/// Without it Excel does not read the file as UTF-8.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Integers from this magnitude on lose digits in a spreadsheet.
const INTEGER_INEXACT_MIN: u64 = 1_000_000_000_000_000;

/// Longest text literal in an Excel formula.
const FORMULA_TEXT_MAX: usize = 255;

/// First characters that make a cell a formula, including full-width forms.
const FORMULA_SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Cell separators other than the comma that a program may be set to.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// Writes the byte order mark and the header.
pub fn header(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    out.write_all(BYTE_ORDER_MARK.as_bytes())?;
    csv_header(out, columns)
}

/// Writes a row.
pub fn row(out: &mut impl Write, columns: &[Column], row: &[Value<'_>]) -> io::Result<()> {
    let cells = columns.iter().zip(row).map(|(column, value)| cell(column.value_type, value));
    csv_row(out, &cells.collect::<Vec<Value<'_>>>())
}

fn cell(value_type: ValueType, value: &Value<'_>) -> Value<'static> {
    let text = match value {
        Value::Null => return Value::Null,
        Value::Real(number) => return Value::Real(*number),
        Value::Integer(number) if number.unsigned_abs() < INTEGER_INEXACT_MIN => {
            return Value::Integer(*number);
        }
        Value::Integer(number) => return Value::Text(text_formula(&number.to_string()).into()),
        Value::Text(text) => text,
    };
    let time = match value_type {
        ValueType::Date => text.parse::<NaiveDate>().ok().map(|day| day.to_string()),
        ValueType::Instant => instant(text),
        _ => None,
    };
    let safe = match time {
        Some(time) => time,
        None if looks_like_number(text) => text_formula(text),
        None => without_formulas(text),
    };
    Value::Text(safe.into())
}

/// Formats an instant the way spreadsheets recognize it in every locale: UTC, to the second.
fn instant(text: &str) -> Option<String> {
    Some(Instant::parse(text)?.to_utc()?.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Whether a spreadsheet would convert the text to a number or a date: `7300000000000000001`, `0012`, `1e5`, `3-4`.
fn looks_like_number(text: &str) -> bool {
    let text = text.trim_matches(' ');
    let is_part = |byte: u8| byte.is_ascii_digit() || b" .,:/+-%eE".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && text.bytes().all(is_part)
}

/// Returns a formula whose value is the digits as text, the only way to keep them.
fn text_formula(digits: &str) -> String {
    match digits.len() <= FORMULA_TEXT_MAX {
        true => format!("=\"{digits}\""),
        false => format!("'{digits}"),
    }
}

/// Inserts an apostrophe before every character that would start a formula.
fn without_formulas(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut is_cell_start = true;
    for c in text.chars() {
        if is_cell_start && FORMULA_SIGNS.contains(&c) {
            safe.push('\'');
        }
        is_cell_start = SEPARATORS.contains(&c) || is_cell_start && (c.is_whitespace() || c == '"');
        safe.push(c);
    }
    safe
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(value_type: ValueType, value: Value<'_>) -> String {
        match cell(value_type, &value) {
            Value::Null => String::new(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => number.to_string(),
            Value::Text(text) => text.into_owned(),
        }
    }

    #[test]
    fn values_survive_the_type_guesses_of_a_spreadsheet() {
        use ValueType::{Date, Instant, Integer, Text};
        for (value_type, text, expected) in [
            (Text, "7300000000000000001", "=\"7300000000000000001\""),
            (Text, "0012", "=\"0012\""),
            (Text, "1e5", "=\"1e5\""),
            (Text, "3-4", "=\"3-4\""),
            (Text, "luna", "luna"),
            (Text, "=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            (Text, "@luna", "'@luna"),
            (Text, "-1+cmd|' /C calc'!A0", "'-1+cmd|' /C calc'!A0"),
            (Text, "\t=1", "\t'=1"),
            (Text, "a\n=1;\" =2", "a\n'=1;\" '=2"),
            (Text, "", ""),
            (Instant, "2026-11-20T08:00:00.123456789Z", "2026-11-20 08:00:00"),
            (Instant, "=1", "'=1"),
            (Date, "2026-11-20", "2026-11-20"),
            (Date, "=1", "'=1"),
        ] {
            assert_eq!(shown(value_type, Value::Text(text.into())), expected, "{text}");
        }
        for (number, expected) in [
            (-7, "-7"),
            (999_999_999_999_999, "999999999999999"),
            (9_007_199_254_740_993, "=\"9007199254740993\""),
            (i64::MIN, "=\"-9223372036854775808\""),
        ] {
            assert_eq!(shown(Integer, Value::Integer(number)), expected);
        }
        assert_eq!(
            shown(Text, Value::Text("1".repeat(256).into())),
            format!("'{}", "1".repeat(256))
        );
    }

    proptest! {
        /// For every separator that a program may use.
        #[test]
        fn text_never_becomes_a_formula(text in r#"[=+@a1"'; ,\t\r\n－-]{0,12}"#) {
            let columns = [Column { name: "c", value_type: ValueType::Text }; 2];
            let values = [Value::Text("x".into()), Value::Text(text.as_str().into())];
            let mut line = Vec::new();
            row(&mut line, &columns, &values).unwrap();
            let line = String::from_utf8(line).unwrap();
            let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let record = reader.records().next().unwrap().unwrap();
            let of_commas = record.iter().map(str::to_owned);
            let of_others = line.split([';', '\t', '\r', '\n']).map(str::to_owned);
            for cell in of_commas.chain(of_others) {
                let begins = cell.trim_start_matches(|c: char| c == '"' || c.is_whitespace());
                let is_ours = cell.starts_with("=\"") && looks_like_number(cell[2..].trim_end_matches('"'));
                prop_assert!(is_ours || !begins.starts_with(FORMULA_SIGNS), "{cell:?} of {line:?}");
            }
        }
    }
}
