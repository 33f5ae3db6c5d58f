//! All output to stderr: logs, errors, panics and progress. It passes one queue, so that API keys
//! are redacted from every line whichever crate logged it, and a stalled reader never blocks the
//! program.

mod fields;
mod screen;
mod stderr;

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use chrono::SecondsFormat;
use indicatif::MultiProgress;
use secrecy::{ExposeSecret, SecretString};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, JsonFields, Writer, format};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{FmtContext, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

pub use screen::draw_target;
pub use stderr::flush;

use crate::api::Scrubber;
use crate::clock::Clock;
use crate::config::Environment;
use crate::model::shown::escaped;

use fields::EscapedFields;
use stderr::Chunk;

/// Longest log line, bytes. A longer one is truncated.
const LINE_BYTES_MAX: usize = 32 * 1024;

/// How long the program waits for stderr when it exits.
pub const FLUSH_MAX: Duration = Duration::from_secs(1);

/// Secrets to redact.
static SECRETS: RwLock<Vec<Scrubber>> = RwLock::new(Vec::new());

/// Progress shown on the terminal. Log lines are written above it.
static BARS: RwLock<Option<MultiProgress>> = RwLock::new(None);

/// Whether stderr is the systemd journal, where a prefix sets a line's priority.
static JOURNAL: AtomicBool = AtomicBool::new(false);

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[expect(missing_docs, reason = "the names are the documentation, and would show in the help")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Log level and format.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// Level set by a flag. It takes precedence over `RUST_LOG`.
    pub level: Option<LevelFilter>,
    /// Level if neither a flag nor `RUST_LOG` sets one.
    pub default_level: LevelFilter,
    /// Format of log lines.
    pub format: LogFormat,
}

/// Initializes logging and the panic hook. Only the first call has an effect.
pub fn init(settings: LogSettings, environment: &Environment, clock: &Clock) {
    std::panic::set_hook(Box::new(report_panic));
    let journal = is_journal(environment);
    JOURNAL.store(journal, Ordering::Relaxed);
    let timer = Timestamp(clock.clone());
    let plain = layer().with_ansi(has_colour(environment)).with_writer(|| Stderr);
    let events = match (settings.format, journal) {
        (LogFormat::Text, false) => plain.fmt_fields(EscapedFields).with_timer(timer).boxed(),
        (LogFormat::Text, true) => plain
            .fmt_fields(EscapedFields)
            .event_format(WithPriority(format().without_time()))
            .boxed(),
        (LogFormat::Json, false) => plain.json().with_timer(timer).flatten_event(true).boxed(),
        (LogFormat::Json, true) => plain
            .fmt_fields(JsonFields::new())
            .event_format(WithPriority(format().json().without_time().flatten_event(true)))
            .boxed(),
    };
    let (filter, error) = filter(settings, environment.text("RUST_LOG"));
    if tracing_subscriber::registry().with(filter).with(events).try_init().is_err() {
        return;
    }
    if let Some(error) = error {
        tracing::warn!(%error, "RUST_LOG ignored: invalid filter");
    }
}

/// Registers a secret, which is redacted from everything written to stderr from now on.
pub fn add_secret(key: &SecretString) {
    let key = key.expose_secret();
    if matches!(redact(key.as_bytes()), Cow::Borrowed(_)) {
        SECRETS.write().unwrap_or_else(PoisonError::into_inner).push(Scrubber::new(key));
    }
}

/// Writes log lines above this progress until [`detach_progress`].
pub fn attach_progress(bars: MultiProgress) {
    *BARS.write().unwrap_or_else(PoisonError::into_inner) = Some(bars);
}

/// Writes log lines to stderr directly again.
pub fn detach_progress() {
    *BARS.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Whether stderr may be coloured: a terminal, and `NO_COLOR` is not set.
pub fn has_colour(environment: &Environment) -> bool {
    io::stderr().is_terminal()
        && environment.get("NO_COLOR").is_none()
        && environment.text("TERM") != Some("dumb")
}

/// Writes an error to stderr.
pub fn print_error(text: &str) {
    write_above_progress(Chunk::Error, &escape_lines(with_priority(text).as_bytes()));
}

/// Writes a command-line error, which may contain colours.
pub fn print_usage(text: &str) {
    stderr::write(Chunk::Error, text.as_bytes());
}

fn filter(settings: LogSettings, rust_log: Option<&str>) -> (EnvFilter, Option<String>) {
    // refinery logs at info even if no migration is pending.
    let level = |level: LevelFilter| {
        let filter = EnvFilter::default().add_directive(level.into());
        match "refinery_core=warn".parse() {
            Ok(directive) if level == LevelFilter::INFO => filter.add_directive(directive),
            _ => filter,
        }
    };
    match (settings.level, rust_log) {
        (Some(flag), _) => (level(flag), None),
        (None, Some(directives)) => match EnvFilter::try_new(directives) {
            Ok(filter) => (filter, None),
            Err(error) => (level(settings.default_level), Some(error.to_string())),
        },
        (None, None) => (level(settings.default_level), None),
    }
}

/// Replaces all secrets.
fn redact(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut redacted = Cow::Borrowed(bytes);
    for secret in SECRETS.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Cow::Owned(without) = secret.bytes(&redacted) {
            redacted = Cow::Owned(without);
        }
    }
    redacted
}

fn write_above_progress(chunk: Chunk, bytes: &[u8]) {
    let bars = BARS.read().unwrap_or_else(PoisonError::into_inner).clone();
    let write = || stderr::write(chunk, &redact(bytes));
    match bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Prefixes each line with the priority of an error if stderr is the journal.
fn with_priority(text: &str) -> String {
    let prefix = if JOURNAL.load(Ordering::Relaxed) { "<3>" } else { "" };
    text.lines().map(|line| format!("{prefix}{line}\n")).collect()
}

/// Reports a panic. Bypasses the progress, because the panicking thread may hold its lock.
fn report_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "creatormirror: panicked at {location}: {message}\n\
         hint: this is a bug in creatormirror; committed data is safe, and the next run continues"
    );
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        text.push_str(&format!("\n{trace}"));
    }
    stderr::write(Chunk::Error, &redact(&escape_lines(with_priority(&text).as_bytes())));
    flush(FLUSH_MAX);
}

fn is_journal(environment: &Environment) -> bool {
    let Some(stream) = environment.text("JOURNAL_STREAM") else { return false };
    // A child process inherits the variable even if its stderr is redirected.
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|found| stream == format!("{}:{}", found.st_dev, found.st_ino))
}

/// Writes each event as one line, even if it contains line breaks from a server.
#[derive(Debug, Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        write_above_progress(Chunk::Line, &one_line(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns an event as one line, truncated if too long.
fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let body = event.strip_suffix(b"\n").unwrap_or(event);
    if body.len() <= LINE_BYTES_MAX && !body.contains(&b'\n') {
        return escape_lines(event);
    }
    let (head, end) = match body.get(..LINE_BYTES_MAX) {
        Some(head) if body.len() > LINE_BYTES_MAX => (head, "…\n"),
        _ => (body, "\n"),
    };
    let parts: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let mut line = escape_lines(&parts.join(&b"\\n"[..])).into_owned();
    line.extend_from_slice(end.as_bytes());
    Cow::Owned(line)
}

/// Escapes control characters, except in colour sequences.
fn escape_lines(lines: &[u8]) -> Cow<'_, [u8]> {
    let text = String::from_utf8_lossy(lines);
    if let (Cow::Borrowed(_), Cow::Borrowed(_)) = (&text, escaped(&text)) {
        return Cow::Borrowed(lines);
    }
    let mut output = String::with_capacity(text.len());
    for part in text.split_inclusive('m') {
        // A colour sequence ends with `m`, so it can only be the last thing in a part.
        let at = part.rfind('\x1b').filter(|at| part.get(*at..).is_some_and(is_colour));
        let (before, colour) = part.split_at(at.unwrap_or(part.len()));
        output.push_str(&escaped(before));
        output.push_str(colour);
    }
    Cow::Owned(output.into_bytes())
}

/// Whether this is a colour sequence. `EscapedFields` has escaped those in field values, so it is
/// our own.
fn is_colour(text: &str) -> bool {
    let parameters = text.strip_prefix("\x1b[").and_then(|text| text.strip_suffix('m'));
    parameters.is_some_and(|text| text.chars().all(|c| c.is_ascii_digit() || c == ';'))
}

/// Formats an event with the journal's priority prefix.
struct WithPriority<F>(F);

impl<S, N, F> FormatEvent<S, N> for WithPriority<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let priority = match *event.metadata().level() {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        write!(writer, "<{priority}>")?;
        self.0.format_event(context, writer, event)
    }
}

/// Timestamps events by the program's clock.
struct Timestamp(Clock);

impl FormatTime for Timestamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&self.0.now().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn redacts_the_key_in_every_escaping() {
        add_secret(&SecretString::from("ca_te\"st\\1"));
        let json = serde_json::to_string("ca_te\"st\\1").unwrap();
        let twice = serde_json::to_string(&json).unwrap();
        for text in ["Bearer ca_te\"st\\1, ca_te\"st\\1", &json, &twice] {
            let clean = String::from_utf8(redact(text.as_bytes()).into_owned()).unwrap();
            assert!(clean.contains("[redacted]") && !clean.contains("ca_te"), "{clean}");
        }
        assert_eq!(&*redact(b"nothing to hide"), b"nothing to hide");
    }

    #[test]
    fn event_is_one_line() {
        assert_eq!(&*one_line(b"a\n"), b"a\n");
        assert_eq!(&*one_line(b"a\nb\n\n"), b"a\\nb\\n\n");
    }

    #[test]
    fn escapes_control_characters_but_not_colours() {
        for (line, clean) in [
            ("\u{1b}[32m INFO\u{1b}[0m a\tb", "\u{1b}[32m INFO\u{1b}[0m a\tb"),
            ("a\rb\u{1b}]0;title\u{7}", "a\\u000db\\u001b]0;title\\u0007"),
            ("\u{1b}[2J\u{1b}[1;31mx\u{1b}[", "\\u001b[2J\u{1b}[1;31mx\\u001b["),
            ("\u{9b}2J \u{202e}x\u{7f}", "\\u009b2J \\u202ex\\u007f"),
        ] {
            assert_eq!(String::from_utf8_lossy(&one_line(line.as_bytes())), clean);
        }
        assert_eq!(String::from_utf8_lossy(&one_line(b"a\xffb")), "a\u{fffd}b");
    }

    #[test]
    fn escapes_colours_in_field_values() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let events = layer()
            .fmt_fields(EscapedFields)
            .with_ansi(true)
            .without_time()
            .with_writer(move || Sink(Arc::clone(&sink)));
        let name = "\u{1b}[31mred";
        let error = std::io::Error::other(name);
        tracing::subscriber::with_default(tracing_subscriber::registry().with(events), || {
            tracing::info!(%name, ?name, name, error = %error, cause = &error as &dyn std::error::Error, "{name}");
        });
        let found = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert!(!found.contains(name) && found.contains("[31mred"), "{found:?}");
    }

    #[test]
    fn truncates_long_lines() {
        let line = one_line(format!("{}\n", "x".repeat(5_000_000)).as_bytes()).into_owned();
        assert_eq!(line.len(), LINE_BYTES_MAX + "…\n".len());
        assert!(line.ends_with("x…\n".as_bytes()));
    }

    #[test]
    fn flag_beats_rust_log_and_an_invalid_filter_is_reported() {
        let settings = |level| LogSettings {
            level,
            default_level: LevelFilter::INFO,
            format: LogFormat::Text,
        };
        let chosen = |level, variable| {
            let (filter, error) = filter(settings(level), variable);
            (filter.to_string(), error.is_some())
        };
        assert_eq!(chosen(Some(LevelFilter::ERROR), Some("debug")), ("error".to_owned(), false));
        assert_eq!(chosen(None, Some("hyper=trace")), ("hyper=trace".to_owned(), false));
        let usual = "refinery_core=warn,info".to_owned();
        assert_eq!(chosen(None, Some("a=b=c")), (usual.clone(), true));
        assert_eq!(chosen(None, None), (usual, false));
    }

    #[test]
    fn journal_lines_have_a_priority_and_no_timestamp() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let events = layer()
            .with_ansi(false)
            .event_format(WithPriority(format().without_time().with_target(false)))
            .with_writer(move || Sink(Arc::clone(&sink)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(events), || {
            tracing::error!("one");
            tracing::warn!("two");
            tracing::info!(rows = 3, "three");
            tracing::debug!("four");
        });
        let found = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        assert_eq!(found, "<3>ERROR one\n<4> WARN two\n<6> INFO three rows=3\n<7>DEBUG four\n");
    }

    #[test]
    fn detects_the_journal_by_device_and_inode() {
        assert!(!is_journal(&Environment::new([("JOURNAL_STREAM", "0:0")])));
        let found = rustix::fs::fstat(io::stderr()).unwrap();
        let stream = format!("{}:{}", found.st_dev, found.st_ino);
        assert!(is_journal(&Environment::new([("JOURNAL_STREAM", stream)])));
    }

    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
