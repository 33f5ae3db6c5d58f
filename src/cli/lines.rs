//! The lines of `--from`: CSV with a header, or JSON Lines; which of them is told by the first
//! character.

use std::io::Read;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::{CliError, Exit};
use crate::model::Kind;
use crate::model::outbox::Action;
use crate::push::body;

/// The largest file that is read, bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// One line, as members of a body, or what is wrong with it.
#[derive(Debug)]
pub struct Line {
    /// Counted from 1.
    pub number: u64,
    /// What it says.
    pub members: Result<Map<String, Value>, String>,
}

/// Reads a file; `-` is stdin.
pub fn read(file: &Path, kind: Kind) -> Result<Vec<Line>, CliError> {
    let failed = |error: std::io::Error| {
        CliError::new(Exit::Usage, format!("cannot read {}", file.display())).because(&error)
    };
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        let open = std::fs::File::open(file).map_err(failed)?;
        open.take(FILE_BYTES_MAX).read_to_string(&mut text)
    };
    read.map_err(failed)?;
    parse(text.trim_start_matches('\u{feff}'), kind)
}

fn parse(text: &str, kind: Kind) -> Result<Vec<Line>, CliError> {
    match text.trim_start().starts_with('{') {
        true => Ok(json_lines(text)),
        false => csv_lines(text, kind),
    }
}

fn json_lines(text: &str) -> Vec<Line> {
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let read = |line: &str| {
        serde_json::from_str(line).map_err(|error| format!("is no JSON object: {error}"))
    };
    lines.map(|(number, line)| Line { number, members: read(line) }).collect()
}

fn csv_lines(text: &str, kind: Kind) -> Result<Vec<Line>, CliError> {
    let mut reader =
        csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let known = body::members(kind, Action::Track);
    let header = reader.headers().cloned().unwrap_or_default();
    if let Some(odd) = header.iter().find(|name| !known.contains(name)) {
        let known = known.join(", ");
        return Err(CliError::new(
            Exit::Usage,
            format!("line 1: `{odd}` is no column; a file of {} may have {known}", kind.plural()),
        )
        .hint("the first line of CSV names the columns"));
    }
    let mut lines = Vec::new();
    let mut record = csv::StringRecord::new();
    let mut counted = Counted { text, byte: 0, line: 1 };
    loop {
        let number = counted.line_at(reader.position().byte());
        let line = match reader.read_record(&mut record) {
            Ok(false) => return Ok(lines),
            Ok(true) => Line { number, members: row(&header, &record) },
            Err(error) => Line { number, members: Err(format!("is no CSV: {error}")) },
        };
        lines.push(line);
    }
}

/// Counts lines on the way through a text. The reader passes over empty ones without counting them
/// to the record that follows.
struct Counted<'a> {
    text: &'a str,
    byte: usize,
    line: u64,
}

impl Counted<'_> {
    /// The line of the first text at or after this byte.
    fn line_at(&mut self, byte: u64) -> u64 {
        let bytes = self.text.as_bytes();
        let byte = usize::try_from(byte).unwrap_or(bytes.len());
        while let Some(next) = bytes.get(self.byte)
            && (self.byte < byte || matches!(next, b'\n' | b'\r'))
        {
            self.line += u64::from(*next == b'\n');
            self.byte += 1;
        }
        self.line
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
    match name {
        "scrape_interval_hours" | "max_recent_posts_per_account" | "post_lookback_days" => {
            let number = text.parse::<i64>();
            number.map(|n| json!(n)).map_err(|_| format!("{name}: `{text}` is no whole number"))
        }
        "is_active" => match text.to_lowercase().as_str() {
            "true" | "1" | "yes" => Ok(json!(true)),
            "false" | "0" | "no" => Ok(json!(false)),
            _ => Err(format!("{name}: `{text}` is neither true nor false")),
        },
        "metadata" => {
            serde_json::from_str(text).map_err(|_| format!("{name}: `{text}` is no JSON object"))
        }
        _ => Ok(json!(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, kind: Kind) -> Vec<(u64, Result<String, String>)> {
        let lines = parse(text, kind).unwrap();
        let text = |members: Map<String, Value>| Value::Object(members).to_string();
        lines.into_iter().map(|line| (line.number, line.members.map(text))).collect()
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
        let error = parse("platform,url\n", Kind::Video).unwrap_err();
        assert!(error.message.starts_with("line 1: `url` is no column"), "{}", error.message);
    }

    #[test]
    fn json_lines_are_told_by_their_first_character() {
        let said = said("{\"name\":\"Ada\"}\n\nnope\n{\"name\":\"Grace\"}", Kind::Creator);
        assert_eq!(said.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(said[0].1.as_deref(), Ok(r#"{"name":"Ada"}"#));
        assert!(said[1].1.as_ref().unwrap_err().starts_with("is no JSON object"));
    }
}
