//! Keeps the checked lines of `--from` until all of them are known to be right: in memory while they are
//! few, in a temporary file else. So nothing is locked while the input is read, which may be slow.

use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};

use tempfile::SpooledTempFile;

use crate::cli::queueing::Asked;
use crate::model::Kind;
use crate::report::{CliError, Exit};

/// What is kept in memory, bytes.
const MEMORY_BYTES_MAX: usize = 1 << 20;

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
        writeln!(self.lines, "{number} {body}").map_err(failed)
    }

    /// Gives the lines back.
    pub fn read(self) -> Result<impl Iterator<Item = Result<Asked, CliError>>, CliError> {
        let kind = self.kind;
        let mut file = self.lines.into_inner().map_err(|error| failed(error.into_error()))?;
        file.rewind().map_err(failed)?;
        Ok(BufReader::new(file).lines().map(move |line| {
            let line = line.map_err(failed)?;
            let (number, body) = line.split_once(' ').unwrap_or_default();
            Ok(Asked::creation(kind, body.to_owned(), number.parse().ok()))
        }))
    }
}

fn failed(error: io::Error) -> CliError {
    CliError::new(Exit::Storage, "cannot keep the input in a temporary file")
        .because(&error)
        .hint("TMPDIR names a folder with more room")
}
