//! Rows as CSV that Excel and other spreadsheets open as they are meant (`--excel`).
//!
//! A spreadsheet guesses what each cell is: it calculates text that looks like a formula, even that of
//! a stranger's post, keeps 15 digits of a number, and takes ids for numbers and names for dates. It
//! splits cells at semicolons where the comma is the decimal sign.

use std::io::{self, Write};

use chrono::NaiveDate;

use crate::export::text::{csv_header, csv_row};
use crate::model::{Instant, Value};
use crate::store::public_tables::Column;
use crate::store::schema_docs::ValueType;

/// Without it Excel reads the file in the code page of the country.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// Smaller numbers are exact in a spreadsheet.
const INTEGER_INEXACT_MIN: u64 = 1_000_000_000_000_000;

/// The longest text within a formula of Excel.
const FORMULA_TEXT_MAX: usize = 255;

/// What makes a cell a formula, full-width forms included.
const FORMULA_SIGNS: [char; 8] = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];

/// Where a program that was told of another separator begins another cell.
const SEPARATORS: [char; 4] = [';', '\t', '\r', '\n'];

/// Writes the beginning of a file, and its header.
pub fn header(out: &mut impl Write, columns: &[Column]) -> io::Result<()> {
    out.write_all(BYTE_ORDER_MARK.as_bytes())?;
    csv_header(out, columns)
}

/// Writes a row as a line of CSV.
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
        Value::Integer(number) => return Value::Text(kept_as_text(&number.to_string()).into()),
        Value::Text(text) => text,
    };
    let time = match value_type {
        ValueType::Date => text.parse::<NaiveDate>().ok().map(|day| day.to_string()),
        ValueType::Instant => instant(text),
        _ => None,
    };
    let safe = match time {
        Some(time) => time,
        None if is_taken_for_number(text) => kept_as_text(text),
        None => defused(text),
    };
    Value::Text(safe.into())
}

/// An instant as spreadsheets of every country read it: in UTC, to the second.
fn instant(text: &str) -> Option<String> {
    Some(Instant::parse(text)?.to_utc()?.format("%Y-%m-%d %H:%M:%S").to_string())
}

/// Whether text would become a number or a date: `7300000000000000001`, `0012`, `1e5`, `3-4`.
fn is_taken_for_number(text: &str) -> bool {
    let text = text.trim_matches(' ');
    let is_part = |byte: u8| byte.is_ascii_digit() || b" .,:/+-%eE".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && text.bytes().all(is_part)
}

/// Digits as a formula whose value is that text: a spreadsheet has no other way to be told.
fn kept_as_text(digits: &str) -> String {
    match digits.len() <= FORMULA_TEXT_MAX {
        true => format!("=\"{digits}\""),
        false => format!("'{digits}"),
    }
}

/// The text with an apostrophe before whatever would begin a formula.
fn defused(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut is_beginning = true;
    for letter in text.chars() {
        if is_beginning && FORMULA_SIGNS.contains(&letter) {
            safe.push('\'');
        }
        is_beginning = SEPARATORS.contains(&letter)
            || is_beginning && (letter.is_whitespace() || letter == '"');
        safe.push(letter);
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
    fn what_a_spreadsheet_would_guess_wrong_is_kept() {
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
        /// Neither where cells end at commas, nor where a program takes semicolons and tabs for it.
        #[test]
        fn no_text_becomes_a_formula(text in r#"[=+@a1"'; ,\t\r\n－-]{0,12}"#) {
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
                let is_ours = cell.starts_with("=\"") && is_taken_for_number(cell[2..].trim_end_matches('"'));
                prop_assert!(is_ours || !begins.starts_with(FORMULA_SIGNS), "{cell:?} of {line:?}");
            }
        }
    }
}
