//! Everything that goes to stderr: logs, the final error, panics, progress. One door, so that one place
//! can take the key out of every line, whatever crate wrote it and at whatever level, and so that nobody
//! waits for whoever reads it.

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

/// A longer line is cut.
const LINE_BYTES_MAX: usize = 32 * 1024;

/// On the way out, stderr is waited for no longer than this.
pub const FLUSH_MAX: Duration = Duration::from_secs(1);

/// What must not leave by stderr.
static SECRETS: RwLock<Vec<Scrubber>> = RwLock::new(Vec::new());

/// The progress that is on the terminal. Lines are written above it.
static BARS: RwLock<Option<MultiProgress>> = RwLock::new(None);

/// Whether stderr is the journal, which gives each line a priority by its prefix.
static JOURNAL: AtomicBool = AtomicBool::new(false);

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[expect(missing_docs, reason = "the names are the documentation, and would show in the help")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What is logged, and how.
#[derive(Debug, Clone, Copy)]
pub struct LogSettings {
    /// The level a flag asked for. It beats `RUST_LOG`.
    pub level: Option<LevelFilter>,
    /// The level where neither flag nor `RUST_LOG` says anything.
    pub default_level: LevelFilter,
    /// How logs look.
    pub format: LogFormat,
}

/// Starts logging, and the panic hook. A second call changes nothing.
pub fn init(settings: LogSettings, environment: &Environment, clock: &Clock) {
    std::panic::set_hook(Box::new(report_panic));
    let journal = is_journal(environment);
    JOURNAL.store(journal, Ordering::Relaxed);
    let stamp = Stamp(clock.clone());
    let plain = layer().with_ansi(has_colour(environment)).with_writer(|| Stderr);
    let events = match (settings.format, journal) {
        (LogFormat::Text, false) => plain.fmt_fields(EscapedFields).with_timer(stamp).boxed(),
        (LogFormat::Text, true) => {
            plain.fmt_fields(EscapedFields).event_format(Prefixed(format().without_time())).boxed()
        }
        (LogFormat::Json, false) => plain.json().with_timer(stamp).flatten_event(true).boxed(),
        (LogFormat::Json, true) => plain
            .fmt_fields(JsonFields::new())
            .event_format(Prefixed(format().json().without_time().flatten_event(true)))
            .boxed(),
    };
    let (filter, wrong) = filter(settings, environment.text("RUST_LOG"));
    if tracing_subscriber::registry().with(filter).with(events).try_init().is_err() {
        return;
    }
    if let Some(wrong) = wrong {
        tracing::warn!("RUST_LOG is not understood and ignored: {wrong}");
    }
}

/// From now on the key is taken out of whatever is written to stderr.
pub fn hide(key: &SecretString) {
    let key = key.expose_secret();
    if matches!(redact(key.as_bytes()), Cow::Borrowed(_)) {
        SECRETS.write().unwrap_or_else(PoisonError::into_inner).push(Scrubber::new(key));
    }
}

/// Lets log lines appear above this progress, until [`detach_progress`].
pub fn attach_progress(bars: MultiProgress) {
    *BARS.write().unwrap_or_else(PoisonError::into_inner) = Some(bars);
}

/// Log lines go straight to stderr again.
pub fn detach_progress() {
    *BARS.write().unwrap_or_else(PoisonError::into_inner) = None;
}

/// Whether colour is welcome on stderr.
pub fn has_colour(environment: &Environment) -> bool {
    io::stderr().is_terminal()
        && environment.get("NO_COLOR").is_none()
        && environment.text("TERM") != Some("dumb")
}

/// Writes the lines of an error to stderr.
pub fn print_error(text: &str) {
    write_above_progress(Chunk::Error, &shown(prefixed(text).as_bytes()));
}

/// Writes what is wrong with the command line. It may be coloured.
pub fn print_usage(text: &str) {
    stderr::write(Chunk::Error, text.as_bytes());
}

fn filter(settings: LogSettings, rust_log: Option<&str>) -> (EnvFilter, Option<String>) {
    // Schema migrations log every step at info, also when there is none to take.
    let level = |level: LevelFilter| {
        let filter = EnvFilter::default().add_directive(level.into());
        match "refinery_core=warn".parse() {
            Ok(quiet) if level == LevelFilter::INFO => filter.add_directive(quiet),
            _ => filter,
        }
    };
    match (settings.level, rust_log) {
        (Some(asked), _) => (level(asked), None),
        (None, Some(directives)) => match EnvFilter::try_new(directives) {
            Ok(filter) => (filter, None),
            Err(error) => (level(settings.default_level), Some(error.to_string())),
        },
        (None, None) => (level(settings.default_level), None),
    }
}

/// The bytes without any secret.
fn redact(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut clean = Cow::Borrowed(bytes);
    for secret in SECRETS.read().unwrap_or_else(PoisonError::into_inner).iter() {
        if let Cow::Owned(without) = secret.bytes(&clean) {
            clean = Cow::Owned(without);
        }
    }
    clean
}

fn write_above_progress(chunk: Chunk, bytes: &[u8]) {
    let bars = BARS.read().unwrap_or_else(PoisonError::into_inner).clone();
    let write = || stderr::write(chunk, &redact(bytes));
    match bars {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Lines for stderr, marked as errors where that is the journal.
fn prefixed(text: &str) -> String {
    let prefix = if JOURNAL.load(Ordering::Relaxed) { "<3>" } else { "" };
    text.lines().map(|line| format!("{prefix}{line}\n")).collect()
}

/// Progress is not consulted here: the thread that panics may hold its lock.
fn report_panic(info: &PanicHookInfo<'_>) {
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let mut text = format!(
        "creatormirror: panicked at {place}: {message}\n\
         hint: this is a fault in creatormirror; what was committed is safe, and the next run goes on"
    );
    let trace = std::backtrace::Backtrace::capture();
    if trace.status() == std::backtrace::BacktraceStatus::Captured {
        text.push_str(&format!("\n{trace}"));
    }
    stderr::write(Chunk::Error, &redact(&shown(prefixed(&text).as_bytes())));
    flush(FLUSH_MAX);
}

fn is_journal(environment: &Environment) -> bool {
    let Some(stream) = environment.text("JOURNAL_STREAM") else { return false };
    // The variable is inherited also by children whose stderr goes elsewhere.
    rustix::fs::fstat(io::stderr())
        .is_ok_and(|found| stream == format!("{}:{}", found.st_dev, found.st_ino))
}

/// Writes whole events. What a server sent may hold line ends; an event stays one line.
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

/// An event as one line, cut where it is too long.
fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let body = event.strip_suffix(b"\n").unwrap_or(event);
    if body.len() <= LINE_BYTES_MAX && !body.contains(&b'\n') {
        return shown(event);
    }
    let (head, end) = match body.get(..LINE_BYTES_MAX) {
        Some(head) if body.len() > LINE_BYTES_MAX => (head, "…\n"),
        _ => (body, "\n"),
    };
    let parts: Vec<&[u8]> = head.split(|byte| *byte == b'\n').collect();
    let mut line = shown(&parts.join(&b"\\n"[..])).into_owned();
    line.extend_from_slice(end.as_bytes());
    Cow::Owned(line)
}

/// Lines in which what would steer the terminal is escaped. Colours stay.
fn shown(lines: &[u8]) -> Cow<'_, [u8]> {
    let text = String::from_utf8_lossy(lines);
    if let (Cow::Borrowed(_), Cow::Borrowed(_)) = (&text, escaped(&text)) {
        return Cow::Borrowed(lines);
    }
    let mut clean = String::with_capacity(text.len());
    for part in text.split_inclusive('m') {
        // A colour ends with its `m`, so it is the end of a part.
        let at = part.rfind('\x1b').filter(|at| part.get(*at..).is_some_and(is_colour));
        let (before, colour) = part.split_at(at.unwrap_or(part.len()));
        clean.push_str(&escaped(before));
        clean.push_str(colour);
    }
    Cow::Owned(clean.into_bytes())
}

/// Whether this is a colour sequence. Ours are the only ones: those in texts of others are escaped before
/// they are part of an event.
fn is_colour(text: &str) -> bool {
    let parameters = text.strip_prefix("\x1b[").and_then(|text| text.strip_suffix('m'));
    parameters.is_some_and(|text| text.chars().all(|c| c.is_ascii_digit() || c == ';'))
}

/// Puts the journal's priority before each event.
struct Prefixed<F>(F);

impl<S, N, F> FormatEvent<S, N> for Prefixed<F>
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

/// The time of an event, from the program's clock.
struct Stamp(Clock);

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&self.0.now().to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn the_key_is_taken_out_in_every_spelling() {
        hide(&SecretString::from("ca_te\"st\\1"));
        let json = serde_json::to_string("ca_te\"st\\1").unwrap();
        let twice = serde_json::to_string(&json).unwrap();
        for text in ["Bearer ca_te\"st\\1, ca_te\"st\\1", &json, &twice] {
            let clean = String::from_utf8(redact(text.as_bytes()).into_owned()).unwrap();
            assert!(clean.contains("[redacted]") && !clean.contains("ca_te"), "{clean}");
        }
        assert_eq!(&*redact(b"nothing to hide"), b"nothing to hide");
    }

    #[test]
    fn an_event_stays_one_line() {
        assert_eq!(&*one_line(b"a\n"), b"a\n");
        assert_eq!(&*one_line(b"a\nb\n\n"), b"a\\nb\\n\n");
    }

    #[test]
    fn what_would_steer_the_terminal_is_escaped_and_colours_stay() {
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
    fn colours_in_texts_of_others_are_escaped_before_they_are_part_of_an_event() {
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
    fn an_endless_line_is_cut() {
        let line = one_line(format!("{}\n", "x".repeat(5_000_000)).as_bytes()).into_owned();
        assert_eq!(line.len(), LINE_BYTES_MAX + "…\n".len());
        assert!(line.ends_with("x…\n".as_bytes()));
    }

    #[test]
    fn the_flag_beats_the_variable_and_nonsense_is_reported() {
        let settings = |level| LogSettings {
            level,
            default_level: LevelFilter::INFO,
            format: LogFormat::Text,
        };
        let chosen = |level, variable| {
            let (filter, wrong) = filter(settings(level), variable);
            (filter.to_string(), wrong.is_some())
        };
        assert_eq!(chosen(Some(LevelFilter::ERROR), Some("debug")), ("error".to_owned(), false));
        assert_eq!(chosen(None, Some("hyper=trace")), ("hyper=trace".to_owned(), false));
        let usual = "refinery_core=warn,info".to_owned();
        assert_eq!(chosen(None, Some("a=b=c")), (usual.clone(), true));
        assert_eq!(chosen(None, None), (usual, false));
    }

    #[test]
    fn journal_lines_carry_their_priority_and_no_time() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let events = layer()
            .with_ansi(false)
            .event_format(Prefixed(format().without_time().with_target(false)))
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
    fn another_stream_is_not_the_journal() {
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
