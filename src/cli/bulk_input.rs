//! Reads the lines of `--from`: CSV with a header, or JSON Lines; the first character tells which. The
//! input may be of any length, so only one line of it is in memory at a time. Until all lines are known to be
//! right, those that were checked are kept: in memory while they are few, in a temporary file else. So
//! nothing is locked while the input is read, which may be slow.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::SpooledTempFile;

use crate::cli::queueing::Asked;
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::outbox::body::{self, quoted};
use crate::report::{CliError, Exit};

/// The longest line, and the longest record of CSV that spans lines, bytes. The largest body that the
/// API takes is a tenth of it.
const LINE_BYTES_MAX: usize = 256 << 10;

/// What is kept in memory, bytes.
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// Marks UTF-8 at the start of files from spreadsheets.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line, as members of a body, or what is wrong with it.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// What it says.
    pub members: Result<Map<String, Value>, String>,
}

/// Reads a file; `-` is stdin. Each line is given to `take`. A line that is too long ends the reading,
/// since it may have no end.
pub fn read(
    file: &Path,
    kind: Kind,
    take: impl FnMut(Line) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let failed = |error: io::Error| {
        CliError::new(Exit::Usage, format!("cannot read {}", file.display())).because(&error)
    };
    if file == Path::new("-") {
        return parse(io::stdin().lock(), kind, take, failed);
    }
    let file = std::fs::File::open(file).map_err(failed)?;
    parse(BufReader::new(file), kind, take, failed)
}

fn parse(
    input: impl BufRead,
    kind: Kind,
    mut take: impl FnMut(Line) -> Result<(), CliError>,
    failed: impl Fn(io::Error) -> CliError,
) -> Result<(), CliError> {
    let mut lines = Lines { input, number: 0, text: Vec::new() };
    let mut header: Option<csv::StringRecord> = None;
    let mut is_json = None;
    loop {
        let number = match lines.next().map_err(&failed)? {
            Next::End => return Ok(()),
            Next::TooLong => return take(too_long(lines.number)),
            Next::Line => lines.number,
        };
        let is_json =
            *is_json.get_or_insert_with(|| lines.text.trim_ascii_start().starts_with(b"{"));
        if is_json {
            take(Line { number, members: json_line(&lines.text) })?;
            continue;
        }
        if let Next::TooLong = lines.complete_record().map_err(&failed)? {
            return take(too_long(number));
        }
        for record in records(&lines.text) {
            match (&header, record) {
                (Some(header), record) => {
                    let members = record.and_then(|record| row(header, &record));
                    take(Line { number, members })?;
                }
                (None, Ok(record)) => header = Some(checked_header(record, kind, number)?),
                (None, Err(why)) => {
                    return Err(CliError::new(Exit::Usage, format!("line {number}: {why}")));
                }
            }
        }
    }
}

fn too_long(number: u64) -> Line {
    let why = format!("is longer than {} KiB; nothing was read behind it", LINE_BYTES_MAX / 1_024);
    Line { number, members: Err(why) }
}

/// What became of reading a line.
enum Next {
    /// It is there.
    Line,
    /// It is longer than is allowed.
    TooLong,
    /// There is no other line.
    End,
}

/// Reads line by line, of bounded length; lines without text are passed over.
struct Lines<R> {
    input: R,
    /// The number of the last line that was read.
    number: u64,
    text: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> io::Result<Next> {
        loop {
            self.text.clear();
            match self.append()? {
                Next::Line if self.text.trim_ascii().is_empty() => {}
                next => return Ok(next),
            }
        }
    }

    /// Adds the next line to the text that is there.
    fn append(&mut self) -> io::Result<Next> {
        let room = (LINE_BYTES_MAX + 1).saturating_sub(self.text.len());
        let limit = u64::try_from(room).unwrap_or(0);
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.text)?;
        if read == 0 {
            return Ok(Next::End);
        }
        self.number += 1;
        if self.number == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
            self.text.drain(..BYTE_ORDER_MARK.len());
        }
        match self.text.len() > LINE_BYTES_MAX {
            true => Ok(Next::TooLong),
            false => Ok(Next::Line),
        }
    }

    /// Adds the lines that belong to the record of CSV that has begun.
    fn complete_record(&mut self) -> io::Result<Next> {
        let mut quotes = Quotes::default();
        let mut from = 0;
        while quotes.go_on_after(self.text.get(from..).unwrap_or_default()) {
            from = self.text.len();
            match self.append()? {
                Next::Line => {}
                next => return Ok(next),
            }
        }
        Ok(Next::Line)
    }
}

fn json_line(text: &[u8]) -> Result<Map<String, Value>, String> {
    serde_json::from_slice(text)
        .map_err(|error| format!("is no JSON object: {}", quoted(&error.to_string())))
}

/// Follows the quotes of a record of CSV, line by line.
#[derive(Default)]
struct Quotes {
    is_open: bool,
}

impl Quotes {
    /// Whether the record goes on behind this line, because a quoted field has not ended.
    fn go_on_after(&mut self, line: &[u8]) -> bool {
        let mut is_start = !self.is_open;
        let mut bytes = line.iter().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' if self.is_open => {
                    // Two of them stand for one.
                    self.is_open = bytes.next_if(|next| **next == b'"').is_some();
                }
                b'"' if is_start => self.is_open = true,
                _ => {}
            }
            is_start = !self.is_open && matches!(byte, b',' | b'\n' | b'\r');
        }
        self.is_open
    }
}

/// The records of a text: one, unless lines end with a carriage return alone.
fn records(text: &[u8]) -> impl Iterator<Item = Result<csv::StringRecord, String>> + '_ {
    let mut reader = csv::ReaderBuilder::new();
    reader.has_headers(false).flexible(true).trim(csv::Trim::All).buffer_capacity(1_024);
    let records = reader.from_reader(text).into_records();
    records
        .map(|record| record.map_err(|error| format!("is no CSV: {}", quoted(&error.to_string()))))
}

/// The names of the columns.
fn checked_header(
    header: csv::StringRecord,
    kind: Kind,
    number: u64,
) -> Result<csv::StringRecord, CliError> {
    let known = body::members(kind, Action::Track);
    match header.iter().find(|name| !known.contains(name)) {
        None => Ok(header),
        Some(type_mismatches) => Err(CliError::new(
            Exit::Usage,
            format!(
                "line {number}: {} is no column; a file of {} may have {}",
                quoted(type_mismatches),
                kind.plural(),
                known.join(", ")
            ),
        )
        .hint("the first line of CSV names the columns")),
    }
}

fn row(
    header: &csv::StringRecord,
    record: &csv::StringRecord,
) -> Result<Map<String, Value>, String> {
    if record.len() > header.len() {
        return Err(format!("has {} fields, but the header has {}", record.len(), header.len()));
    }
    let mut members = Map::new();
    for (name, text) in header.iter().zip(record).filter(|(_, text)| !text.is_empty()) {
        members.insert(name.to_owned(), field(name, text)?);
    }
    Ok(members)
}

fn field(name: &str, text: &str) -> Result<Value, String> {
    let wrong = |why: &str| format!("{name}: {} {why}", quoted(text));
    match name {
        "scrape_interval_hours" | "max_recent_posts_per_account" | "post_lookback_days" => {
            let number = text.parse::<i64>();
            number.map(|n| json!(n)).map_err(|_| wrong("is no whole number"))
        }
        "is_active" => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(json!(true)),
            "false" | "0" | "no" => Ok(json!(false)),
            _ => Err(wrong("is neither true nor false")),
        },
        "metadata" => serde_json::from_str(text).map_err(|_| wrong("is no JSON object")),
        _ => Ok(json!(text)),
    }
}

/// Lines that were checked, in their order.
pub struct Spool {
    kind: Kind,
    lines: BufWriter<SpooledTempFile>,
    /// How many there are.
    pub count: u64,
}

impl Spool {
    /// One without lines.
    pub fn new(kind: Kind) -> Self {
        let file = SpooledTempFile::new(MEMORY_BYTES_MAX);
        Self { kind, lines: BufWriter::new(file), count: 0 }
    }

    /// Adds a line: its number in the input, and its body, which is on one line.
    pub fn add(&mut self, number: u64, body: &str) -> Result<(), CliError> {
        self.count += 1;
        writeln!(self.lines, "{number} {body}").map_err(unkept)
    }

    /// Gives the lines back.
    pub fn read(self) -> Result<impl Iterator<Item = Result<Asked, CliError>>, CliError> {
        let kind = self.kind;
        let mut file = self.lines.into_inner().map_err(|error| unkept(error.into_error()))?;
        file.rewind().map_err(unkept)?;
        Ok(BufReader::new(file).lines().map(move |line| {
            let line = line.map_err(unkept)?;
            let (number, body) = line.split_once(' ').unwrap_or_default();
            Ok(Asked::creation(kind, body.to_owned(), number.parse().ok()))
        }))
    }
}

fn unkept(error: io::Error) -> CliError {
    CliError::new(Exit::Storage, "cannot keep the input in a temporary file")
        .because(&error)
        .hint("TMPDIR names a folder with more room")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8], kind: Kind) -> Result<Vec<Line>, CliError> {
        let mut lines = Vec::new();
        let take = |line| {
            lines.push(line);
            Ok(())
        };
        parse(text, kind, take, unkept).map(|()| lines)
    }

    fn said(text: &str, kind: Kind) -> Vec<(u64, Result<String, String>)> {
        let text_of = |members: Map<String, Value>| Value::Object(members).to_string();
        let lines = lines(text.as_bytes(), kind).unwrap();
        lines.into_iter().map(|line| (line.number, line.members.map(text_of))).collect()
    }

    #[test]
    fn csv_is_read_by_its_header() {
        let text = "platform,identifier,scrape_interval_hours,is_active\n\
                    tiktok, 7300000000000000001 ,6,\n\
                    \n\
                    ,\"https://www.tiktok.com/@a/video/1?x=1,2\",,no\n\
                    tiktok,1,soon,\n\
                    tiktok,1,1,1,1,1\n";
        let said = said(text, Kind::Video);
        assert_eq!(said[0].0, 2);
        assert_eq!(
            said[0].1.as_deref().unwrap(),
            r#"{"identifier":"7300000000000000001","platform":"tiktok","scrape_interval_hours":6}"#
        );
        assert_eq!(
            (said[1].0, said[1].1.as_deref().unwrap()),
            (4, r#"{"identifier":"https://www.tiktok.com/@a/video/1?x=1,2","is_active":false}"#)
        );
        assert_eq!(
            said[2],
            (5, Err("scrape_interval_hours: `soon` is no whole number".to_owned()))
        );
        assert_eq!(said[3], (6, Err("has 6 fields, but the header has 4".to_owned())));
        let error = lines(b"platform,url\n", Kind::Video).unwrap_err();
        assert!(error.message.starts_with("line 1: `url` is no column"), "{}", error.message);
    }

    #[test]
    fn json_lines_are_told_by_their_first_character() {
        let said = said("{\"name\":\"Ada\"}\n\nnope\n{\"name\":\"Grace\"}", Kind::Creator);
        assert_eq!(said.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(said[0].1.as_deref(), Ok(r#"{"name":"Ada"}"#));
        assert!(said[1].1.as_ref().unwrap_err().starts_with("is no JSON object"));
    }

    #[test]
    fn a_record_may_span_lines_and_lines_may_end_in_any_way() {
        let text = "\u{feff}name,metadata\r\n\"Ada\nLovelace\",\"{\"\"a\"\":\"\"1,\n2\"\"}\"\r\nGrace \"H\",\r\n";
        let found = said(text, Kind::Creator);
        assert_eq!(found[0], (2, Err("metadata: `{\"a\":\"1, 2\"}` is no JSON object".to_owned())));
        assert_eq!(found[1], (5, Ok(r#"{"name":"Grace \"H\""}"#.to_owned())));
        let found = said("name\rAda\rGrace\r", Kind::Creator);
        assert_eq!(found.len(), 2);
        // One that never ends is found wrong, whatever follows it.
        let found = said("name\nAda\n\"Grace\nLinus\n", Kind::Creator);
        assert_eq!((found.len(), found[1].0), (2, 3));
    }

    #[test]
    fn a_line_that_is_too_long_ends_the_reading() {
        let long = "x".repeat(5_000_000);
        for text in [
            format!("name\nAda\n{long}\nGrace\n"),
            format!("name\nAda\n\"{}\"\nGrace\n", "x\n".repeat(2_500_000)),
            format!("{{\"name\":\"Ada\"}}\n\n{{\"name\":\"{long}\"}}\n{{\"name\":\"Grace\"}}\n"),
        ] {
            let found = said(&text, Kind::Creator);
            assert_eq!(found.len(), 2);
            assert!(found[1].0 == 3, "{}", found[1].0);
            let why = found[1].1.as_ref().unwrap_err();
            assert_eq!(why, "is longer than 256 KiB; nothing was read behind it");
        }
        let mut number = 0;
        let endless = BufReader::new(io::repeat(0));
        let take = |line: Line| {
            number = line.number;
            Ok(())
        };
        let read = parse(endless, Kind::Creator, take, unkept);
        assert!(read.is_ok());
        assert_eq!(number, 1);
    }

    #[test]
    fn a_line_that_is_no_utf_8_is_wrong_alone() {
        for text in [
            &b"name\nAda\nGra\xffce\nLinus\n"[..],
            b"{\"name\":\"Ada\"}\n{\"name\":\"\xff\"}\n{}\n",
        ] {
            let found = lines(text, Kind::Creator).unwrap();
            let wrong: Vec<bool> = found.iter().map(|line| line.members.is_err()).collect();
            assert_eq!(wrong, [false, true, false]);
        }
    }

    proptest! {
        /// Reading in pieces finds what the CSV library finds in the whole.
        #[test]
        fn csv_in_pieces_is_csv_as_a_whole(text in "[ab,\"\n\r ]{0,60}") {
            let whole = format!("name\n{text}");
            let mut reader = csv::ReaderBuilder::new();
            reader.has_headers(false).flexible(true).trim(csv::Trim::All);
            let records = reader.from_reader(whole.as_bytes()).into_records();
            let expected: Vec<csv::StringRecord> = records.map(Result::unwrap).collect();
            let mut found = Vec::new();
            let mut lines = Lines { input: whole.as_bytes(), number: 0, text: Vec::new() };
            while let Next::Line = lines.next().unwrap() {
                lines.complete_record().unwrap();
                found.extend(records_of(&lines.text));
            }
            let is_blank = |record: &csv::StringRecord| record.len() == 1 && record[0].is_empty();
            let kept = |records: Vec<csv::StringRecord>| -> Vec<csv::StringRecord> {
                records.into_iter().filter(|record| !is_blank(record)).collect()
            };
            prop_assert_eq!(kept(found), kept(expected));
        }

        #[test]
        fn no_input_panics_and_no_reason_is_long(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(lines) = lines(&text, Kind::Account) {
                for line in lines {
                    let length = line.members.err().map_or(0, |why| why.len());
                    prop_assert!(length < 1_000, "{}", length);
                }
            }
        }
    }

    fn records_of(text: &[u8]) -> Vec<csv::StringRecord> {
        records(text).map(Result::unwrap).collect()
    }
}
