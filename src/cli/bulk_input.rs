//! Reads the bulk input of `--from`: CSV with a header and `,`, `;` or tabs between fields; JSON Lines
//! if the first character is `{`; or one URL per line if the first line is one. The input may be of any
//! length, so only one line is in memory at a time. Valid lines are spooled, to a temporary file if there
//! are many, until the whole input is validated; so the database is not locked while a slow input is read.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use serde_json::{Map, Value, json};
use tempfile::SpooledTempFile;

use crate::cli::queueing::QueueRequest;
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::outbox::body::{self, quoted};
use crate::outbox::{post, strict_json};
use crate::report::{CliError, Exit};

/// Longest line, and longest CSV record that spans lines, bytes. Ten times the largest body that
/// the API accepts.
const LINE_BYTES_MAX: usize = 256 << 10;

/// Size up to which the spool is in memory, bytes.
const MEMORY_BYTES_MAX: usize = 1 << 20;

/// UTF-8 byte order mark, which spreadsheets write.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One line of the input.
#[derive(Debug)]
pub struct InputLine {
    /// Line number, counted from 1.
    pub number: u64,
    /// Members of the request body, or why the line is invalid.
    pub members: Result<Map<String, Value>, String>,
}

/// Reads a file, or stdin for `-`, and passes each line to `take`. Stops after a line that is too
/// long, which may be endless.
pub fn read(
    file: &Path,
    kind: Kind,
    take: impl FnMut(InputLine) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let failed = |error: io::Error| {
        CliError::new(Exit::Usage, format!("cannot read `{}`", file.display())).because(&error)
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
    mut take: impl FnMut(InputLine) -> Result<(), CliError>,
    failed: impl Fn(io::Error) -> CliError,
) -> Result<(), CliError> {
    let mut lines = LineReader { input, number: 0, text: Vec::new() };
    let mut header: Option<csv::StringRecord> = None;
    let mut format = None;
    loop {
        let number = match lines.next().map_err(&failed)? {
            ReadResult::End => return Ok(()),
            ReadResult::TooLong => return take(too_long(lines.number)),
            ReadResult::Line => lines.number,
        };
        let format = match format {
            Some(format) => format,
            None => *format.insert(Format::of(&lines.text, kind)?),
        };
        let delimiter = match format {
            Format::Json => {
                take(InputLine { number, members: strict_json::object(&lines.text) })?;
                continue;
            }
            Format::Urls(column) => {
                let urls = lines.text.split(|byte| *byte == b'\r').map(<[u8]>::trim_ascii);
                for url in urls.filter(|url| !url.is_empty()) {
                    let url = String::from_utf8_lossy(url);
                    let members = Map::from_iter([(column.to_owned(), json!(url))]);
                    take(InputLine { number, members: Ok(members) })?;
                }
                continue;
            }
            Format::Csv(delimiter) => delimiter,
        };
        match lines.complete_record(delimiter).map_err(&failed)? {
            ReadResult::Line => {}
            ReadResult::TooLong => return take(too_long(number)),
            ReadResult::End => return take(unclosed(number)),
        }
        for record in csv_records(&lines.text, delimiter) {
            match (&header, record) {
                (Some(header), record) => {
                    let members = record.and_then(|record| csv_members(header, &record));
                    take(InputLine { number, members })?;
                }
                (None, Ok(record)) => header = Some(check_header(&record, kind, number)?),
                (None, Err(why)) => {
                    return Err(CliError::new(Exit::Usage, format!("line {number}: {why}")));
                }
            }
        }
    }
}

/// Format of the input, which its first line shows.
#[derive(Debug, Clone, Copy)]
enum Format {
    /// JSON Lines.
    Json,
    /// CSV with this byte between fields.
    Csv(u8),
    /// Each line is the URL of a post or a profile, for this column.
    Urls(&'static str),
}

impl Format {
    fn of(line: &[u8], kind: Kind) -> Result<Self, CliError> {
        if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") {
            return Err(CliError::new(Exit::Usage, "the input is UTF-16").hint("save it as UTF-8"));
        }
        if line.trim_ascii_start().starts_with(b"[") {
            return Err(CliError::new(Exit::Usage, "the input is a JSON array")
                .hint("give one object per line, as `jq -c '.[]'` prints them"));
        }
        if line.trim_ascii_start().starts_with(b"{") {
            return Ok(Self::Json);
        }
        let is_url =
            std::str::from_utf8(line).is_ok_and(|line| post::as_url(line.trim()).is_some());
        if let Some(column) = url_column(kind).filter(|_| is_url) {
            return Ok(Self::Urls(column));
        }
        let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
        // Of equal ones the last, which is the comma.
        Ok(Self::Csv([b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')))
    }
}

/// The column that may contain a URL, and may be called `url`.
fn url_column(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Video => Some("identifier"),
        Kind::Account => Some("username"),
        _ => None,
    }
}

fn too_long(number: u64) -> InputLine {
    let why = format!("longer than {} KiB; the rest was not read", LINE_BYTES_MAX / 1_024);
    InputLine { number, members: Err(why) }
}

/// The quoted field may contain all lines that follow, so none of them is used.
fn unclosed(number: u64) -> InputLine {
    InputLine { number, members: Err("a quote that opens here is not closed".to_owned()) }
}

/// Result of reading a line.
enum ReadResult {
    Line,
    TooLong,
    End,
}

/// Reads lines of bounded length, skipping blank ones.
struct LineReader<R> {
    input: R,
    /// Number of the last line read.
    number: u64,
    text: Vec<u8>,
}

impl<R: BufRead> LineReader<R> {
    fn next(&mut self) -> io::Result<ReadResult> {
        loop {
            self.text.clear();
            match self.append()? {
                ReadResult::Line if self.text.trim_ascii().is_empty() => {}
                next => return Ok(next),
            }
        }
    }

    /// Appends the next line to `text`.
    fn append(&mut self) -> io::Result<ReadResult> {
        let room = (LINE_BYTES_MAX + 1).saturating_sub(self.text.len());
        let limit = u64::try_from(room).unwrap_or(0);
        let read = self.input.by_ref().take(limit).read_until(b'\n', &mut self.text)?;
        if read == 0 {
            return Ok(ReadResult::End);
        }
        self.number += 1;
        if self.number == 1 && self.text.starts_with(BYTE_ORDER_MARK) {
            self.text.drain(..BYTE_ORDER_MARK.len());
        }
        match self.text.len() > LINE_BYTES_MAX {
            true => Ok(ReadResult::TooLong),
            false => Ok(ReadResult::Line),
        }
    }

    /// Appends the remaining lines of a CSV record that spans several. Returns `End` if the input
    /// ends in a quoted field.
    fn complete_record(&mut self, delimiter: u8) -> io::Result<ReadResult> {
        let mut quotes = QuoteState { is_open: false, delimiter };
        let mut from = 0;
        while quotes.is_open_after(self.text.get(from..).unwrap_or_default()) {
            from = self.text.len();
            match self.append()? {
                ReadResult::Line => {}
                next => return Ok(next),
            }
        }
        Ok(ReadResult::Line)
    }
}

/// Tracks quoted CSV fields across lines.
struct QuoteState {
    is_open: bool,
    delimiter: u8,
}

impl QuoteState {
    /// Whether a quoted field is open after this line, so that the record continues on the next.
    fn is_open_after(&mut self, line: &[u8]) -> bool {
        let mut is_start = !self.is_open;
        let mut bytes = line.iter().peekable();
        while let Some(byte) = bytes.next() {
            match byte {
                b'"' if self.is_open => {
                    // Two quotes are an escaped quote.
                    self.is_open = bytes.next_if(|next| **next == b'"').is_some();
                }
                b'"' if is_start => self.is_open = true,
                _ => {}
            }
            is_start = !self.is_open && (matches!(byte, b'\n' | b'\r') || *byte == self.delimiter);
        }
        self.is_open
    }
}

/// Parses the records of a text: one, or several if lines end with a carriage return alone.
fn csv_records(
    text: &[u8],
    delimiter: u8,
) -> impl Iterator<Item = Result<csv::StringRecord, String>> + '_ {
    let mut reader = csv::ReaderBuilder::new();
    reader.delimiter(delimiter);
    reader.has_headers(false).flexible(true).trim(csv::Trim::All).buffer_capacity(1_024);
    let records = reader.from_reader(text).into_records();
    records.map(|record| {
        record.map_err(|error| format!("invalid CSV: {}", quoted(&error.to_string())))
    })
}

/// Validates the column names, and returns those of the API.
fn check_header(
    header: &csv::StringRecord,
    kind: Kind,
    number: u64,
) -> Result<csv::StringRecord, CliError> {
    let known = body::members(kind, Action::Track);
    let column = |name: &str| match (name.to_lowercase().as_str(), url_column(kind)) {
        ("url", Some(column)) => Some(column),
        (name, _) => known.iter().copied().find(|known| *known == name),
    };
    if let Some(unknown) = header.iter().find(|name| column(name).is_none()) {
        let message = format!("line {number}: unknown column {}", quoted(unknown));
        let example = match kind {
            Kind::Video => "`url`, or gives one URL per line",
            Kind::Account => "`platform,username`, or gives one profile URL per line",
            _ => "`name`",
        };
        return Err(CliError::new(Exit::Usage, message)
            .hint(format!("columns of {}: {}", kind.plural(), known.join(", ")))
            .hint(format!("the first line contains column names, such as {example}")));
    }
    let columns: csv::StringRecord = header.iter().filter_map(column).collect();
    for (index, (name, typed)) in columns.iter().zip(header).enumerate() {
        if columns.iter().take(index).any(|before| before == name) {
            let message = format!("line {number}: column `{name}` comes twice");
            let alias = format!("{} is another name of `{name}`", quoted(typed));
            return Err(CliError::new(Exit::Usage, message)
                .optional_hint((!typed.eq_ignore_ascii_case(name)).then_some(alias)));
        }
    }
    Ok(columns)
}

fn csv_members(
    header: &csv::StringRecord,
    record: &csv::StringRecord,
) -> Result<Map<String, Value>, String> {
    if record.len() > header.len() {
        return Err(format!("{} fields, but the header has {}", record.len(), header.len()));
    }
    let mut members = Map::new();
    for (name, text) in header.iter().zip(record).filter(|(_, text)| !text.is_empty()) {
        members.insert(name.to_owned(), parse_field(name, text)?);
    }
    Ok(members)
}

fn parse_field(name: &str, text: &str) -> Result<Value, String> {
    let invalid = |why: &str| format!("{name}: {} {why}", quoted(text));
    match name {
        "scrape_interval_hours" | "max_recent_posts_per_account" | "post_lookback_days" => {
            let number = text.parse::<i64>();
            number.map(|n| json!(n)).map_err(|_| invalid("is not a whole number"))
        }
        "is_active" => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(json!(true)),
            "false" | "0" | "no" => Ok(json!(false)),
            _ => Err(invalid("is neither true nor false")),
        },
        "metadata" => {
            let metadata = strict_json::object(text.as_bytes());
            metadata.map(Value::Object).map_err(|why| format!("{name}: {why}"))
        }
        _ => Ok(json!(text)),
    }
}

/// Validated lines, in order.
pub struct Spool {
    kind: Kind,
    lines: BufWriter<SpooledTempFile>,
    /// Number of lines.
    pub count: u64,
}

impl Spool {
    /// Creates an empty spool.
    pub fn new(kind: Kind) -> Self {
        let file = SpooledTempFile::new(MEMORY_BYTES_MAX);
        Self { kind, lines: BufWriter::new(file), count: 0 }
    }

    /// Appends a line: its number in the input and its request body, which must not contain line
    /// breaks.
    pub fn add(&mut self, number: u64, body: &str) -> Result<(), CliError> {
        self.count += 1;
        writeln!(self.lines, "{number} {body}").map_err(spool_error)
    }

    /// Returns the lines as requests.
    pub fn read(self) -> Result<impl Iterator<Item = Result<QueueRequest, CliError>>, CliError> {
        let kind = self.kind;
        let mut file = self.lines.into_inner().map_err(|error| spool_error(error.into_error()))?;
        file.rewind().map_err(spool_error)?;
        Ok(BufReader::new(file).lines().map(move |line| {
            let line = line.map_err(spool_error)?;
            let (number, body) = line.split_once(' ').unwrap_or_default();
            Ok(QueueRequest::creation(kind, body.to_owned(), number.parse().ok()))
        }))
    }
}

fn spool_error(error: io::Error) -> CliError {
    CliError::new(Exit::Storage, "cannot keep the input in a temporary file")
        .because(&error)
        .hint("set TMPDIR to a directory with more free space")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &[u8], kind: Kind) -> Result<Vec<InputLine>, CliError> {
        let mut lines = Vec::new();
        let take = |line| {
            lines.push(line);
            Ok(())
        };
        parse(text, kind, take, spool_error).map(|()| lines)
    }

    fn members(text: &str, kind: Kind) -> Vec<(u64, Result<String, String>)> {
        let text_of = |members: Map<String, Value>| Value::Object(members).to_string();
        let lines = lines(text.as_bytes(), kind).unwrap();
        lines.into_iter().map(|line| (line.number, line.members.map(text_of))).collect()
    }

    #[test]
    fn parses_csv_by_its_header() {
        let text = "platform,identifier,scrape_interval_hours,is_active\n\
                    tiktok, 7300000000000000001 ,6,\n\
                    \n\
                    ,\"https://www.tiktok.com/@a/video/1?x=1,2\",,no\n\
                    tiktok,1,soon,\n\
                    tiktok,1,1,1,1,1\n";
        let found = members(text, Kind::Video);
        assert_eq!(found[0].0, 2);
        assert_eq!(
            found[0].1.as_deref().unwrap(),
            r#"{"identifier":"7300000000000000001","platform":"tiktok","scrape_interval_hours":6}"#
        );
        assert_eq!(
            (found[1].0, found[1].1.as_deref().unwrap()),
            (4, r#"{"identifier":"https://www.tiktok.com/@a/video/1?x=1,2","is_active":false}"#)
        );
        assert_eq!(
            found[2],
            (5, Err("scrape_interval_hours: `soon` is not a whole number".to_owned()))
        );
        assert_eq!(found[3], (6, Err("6 fields, but the header has 4".to_owned())));
        let error = lines(b"platform,link\n", Kind::Video).unwrap_err();
        assert!(error.message.starts_with("line 1: unknown column `link`"), "{}", error.message);
        assert!(error.hints[1].contains("such as `url`, or gives one URL per line"), "{error:?}");
    }

    #[test]
    fn a_spreadsheets_separator_and_the_column_url_are_understood() {
        let url = "https://www.tiktok.com/@a/video/1?x=1,2;3";
        let expected = format!(r#"{{"identifier":"{url}","scrape_interval_hours":6}}"#);
        for text in [
            format!("URL;scrape_interval_hours\r\n\"{url}\";6\r\n"),
            format!("url\tscrape_interval_hours\n{url}\t6\n"),
            format!("scrape_interval_hours,identifier\n6,\"{url}\"\n"),
        ] {
            assert_eq!(members(&text, Kind::Video), [(2, Ok(expected.clone()))], "{text}");
        }
        let spans = "name;metadata\n\"Ada\nLovelace\";\n";
        assert_eq!(
            members(spans, Kind::Creator),
            [(2, Ok(r#"{"name":"Ada\nLovelace"}"#.to_owned()))]
        );
    }

    #[test]
    fn a_plain_list_has_a_url_per_line() {
        let text = "https://www.tiktok.com/@a/video/1?x=1,2\r\n\nnope\n";
        let found = members(text, Kind::Video);
        assert_eq!(
            found,
            [
                (1, Ok(r#"{"identifier":"https://www.tiktok.com/@a/video/1?x=1,2"}"#.to_owned())),
                (3, Ok(r#"{"identifier":"nope"}"#.to_owned())),
            ]
        );
        let found = members("www.instagram.com/nasa\n", Kind::Account);
        assert_eq!(found, [(1, Ok(r#"{"username":"www.instagram.com/nasa"}"#.to_owned()))]);
        assert!(lines(b"https://www.instagram.com/nasa\n", Kind::Creator).is_err());
    }

    #[test]
    fn detects_json_lines_by_the_first_character() {
        let found = members("{\"name\":\"Ada\"}\n\nnope\n{\"name\":\"Grace\"}", Kind::Creator);
        assert_eq!(found.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(found[0].1.as_deref(), Ok(r#"{"name":"Ada"}"#));
        assert!(found[1].1.as_ref().unwrap_err().starts_with("not a JSON object"));
    }

    #[test]
    fn utf_16_and_a_json_array_are_named_as_what_they_are() {
        for (text, message) in [
            (&b"\xff\xfen\0a\0m\0e\0\n\0"[..], "the input is UTF-16"),
            (b"\xfe\xff\0n\0a\0m\0e\0\n", "the input is UTF-16"),
            (b"\xef\xbb\xbf [{\"name\":\"Ada\"}]", "the input is a JSON array"),
        ] {
            let error = lines(text, Kind::Creator).unwrap_err();
            assert_eq!((error.message.as_str(), error.hints.len()), (message, 1));
        }
    }

    #[test]
    fn record_may_span_lines_with_any_line_ending() {
        let text = "\u{feff}name,metadata\r\n\"Ada\nLovelace\",\"{\"\"a\"\":\"\"1,\n2\"\"}\"\r\nGrace \"H\",\r\n";
        let found = members(text, Kind::Creator);
        let why = found[0].1.as_ref().unwrap_err();
        assert!(found[0].0 == 2 && why.starts_with("metadata: not a JSON object"), "{why}");
        assert_eq!(found[1], (5, Ok(r#"{"name":"Grace \"H\""}"#.to_owned())));
        let found = members("name\rAda\rGrace\r", Kind::Creator);
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn a_quote_that_is_not_closed_does_not_swallow_the_rest() {
        for text in ["name\nAda\n\"Bob\nEve\nMia\n", "name\nAda\n\"Bob\"\"\n", "name\nAda\n\"Bob"] {
            let found = members(text, Kind::Creator);
            let why = "a quote that opens here is not closed".to_owned();
            assert_eq!(found[1..], [(3, Err(why))], "{text}");
        }
        let found = members("\"name\nAda\n", Kind::Creator);
        assert!(found.len() == 1 && found[0].1.is_err(), "{found:?}");
    }

    #[test]
    fn a_column_or_member_that_comes_twice_is_refused() {
        for (header, name) in [
            ("platform,username,platform", "platform"),
            ("username,URL", "username"),
            ("url,url", "username"),
        ] {
            let error = lines(header.as_bytes(), Kind::Account).unwrap_err();
            assert_eq!(error.message, format!("line 1: column `{name}` comes twice"));
        }
        for (text, kind) in [
            ("{\"name\":\"Ada\",\"name\":\"Bob\"}", Kind::Creator),
            ("name;metadata\nAda;{\"k\":\"1\",\"k\":\"2\"}", Kind::Creator),
        ] {
            let found = members(text, kind);
            let why = found[0].1.as_ref().unwrap_err();
            assert!(why.contains("comes twice"), "{text}: {why}");
        }
    }

    #[test]
    fn stops_after_a_line_that_is_too_long() {
        let long = "x".repeat(5_000_000);
        for text in [
            format!("name\nAda\n{long}\nGrace\n"),
            format!("name\nAda\n\"{}\"\nGrace\n", "x\n".repeat(2_500_000)),
            format!("{{\"name\":\"Ada\"}}\n\n{{\"name\":\"{long}\"}}\n{{\"name\":\"Grace\"}}\n"),
        ] {
            let found = members(&text, Kind::Creator);
            assert_eq!(found.len(), 2);
            assert!(found[1].0 == 3, "{}", found[1].0);
            let why = found[1].1.as_ref().unwrap_err();
            assert_eq!(why, "longer than 256 KiB; the rest was not read");
        }
        let mut number = 0;
        let endless = BufReader::new(io::repeat(0));
        let take = |line: InputLine| {
            number = line.number;
            Ok(())
        };
        let read = parse(endless, Kind::Creator, take, spool_error);
        assert!(read.is_ok());
        assert_eq!(number, 1);
    }

    #[test]
    fn invalid_utf_8_affects_one_line_only() {
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
        /// The CSV crate parses the same text at once.
        #[test]
        fn reading_line_by_line_matches_the_csv_crate(text in "[ab,\"\n\r ]{0,60}") {
            let whole = format!("name\n{text}");
            let mut reader = csv::ReaderBuilder::new();
            reader.has_headers(false).flexible(true).trim(csv::Trim::All);
            let records = reader.from_reader(whole.as_bytes()).into_records();
            let expected: Vec<csv::StringRecord> = records.map(Result::unwrap).collect();
            let (mut found, mut is_unclosed) = (Vec::new(), false);
            let mut lines = LineReader { input: whole.as_bytes(), number: 0, text: Vec::new() };
            while let ReadResult::Line = lines.next().unwrap() {
                is_unclosed = matches!(lines.complete_record(b',').unwrap(), ReadResult::End);
                found.extend(records_of(&lines.text));
            }
            // The crate accepts a quote that is not closed; then what is appended is in the same field.
            let appended = records_of(format!("{whole},b\nq").as_bytes());
            let is_apart = appended.last().is_some_and(|last| last.iter().eq(["q"]));
            prop_assert_eq!(is_unclosed, !is_apart);
            let is_blank = |record: &csv::StringRecord| record.len() == 1 && record[0].is_empty();
            let without_blank = |records: Vec<csv::StringRecord>| -> Vec<csv::StringRecord> {
                records.into_iter().filter(|record| !is_blank(record)).collect()
            };
            prop_assert_eq!(without_blank(found), without_blank(expected));
        }

        #[test]
        fn any_input_gives_short_errors_without_panic(text in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(lines) = lines(&text, Kind::Account) {
                for line in lines {
                    let length = line.members.err().map_or(0, |why| why.len());
                    prop_assert!(length < 1_000, "{}", length);
                }
            }
        }
    }

    fn records_of(text: &[u8]) -> Vec<csv::StringRecord> {
        csv_records(text, b',').map(Result::unwrap).collect()
    }
}
