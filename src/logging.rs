//! Everything that goes to stderr: logs, the final error, panics. One door, so that one place can
//! take the key out of every line, whatever crate wrote it and at whatever level.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::{PoisonError, RwLock};

use chrono::SecondsFormat;
use indicatif::MultiProgress;
use memchr::memmem;
use secrecy::zeroize::Zeroizing;
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

use crate::clock::Clock;
use crate::config::Environment;

/// What stands where a key was.
const REDACTED: &[u8] = b"[redacted]";

/// What must not leave by stderr, in every spelling it may be written in, the longest first.
static SECRETS: RwLock<Vec<Zeroizing<Vec<u8>>>> = RwLock::new(Vec::new());

/// The progress that is on the terminal. Lines are written above it.
static BARS: RwLock<Option<MultiProgress>> = RwLock::new(None);

/// Whether stderr is the journal, which gives each line a priority by its prefix.
static JOURNAL: RwLock<bool> = RwLock::new(false);

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
    *JOURNAL.write().unwrap_or_else(PoisonError::into_inner) = journal;
    let stamp = Stamp(clock.clone());
    let plain = layer().with_ansi(has_colour(environment)).with_writer(|| Stderr);
    let events = match (settings.format, journal) {
        (LogFormat::Text, false) => plain.with_timer(stamp).boxed(),
        (LogFormat::Text, true) => plain.event_format(Prefixed(format().without_time())).boxed(),
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
    let mut secrets = SECRETS.write().unwrap_or_else(PoisonError::into_inner);
    let mut spelling = key.expose_secret().to_owned();
    // As it is, as a string within text or JSON, and as such a string quoted once more.
    for _ in 0..3 {
        let bytes = Zeroizing::new(spelling.clone().into_bytes());
        if !bytes.is_empty() && !secrets.contains(&bytes) {
            secrets.push(bytes);
        }
        spelling = spelling.escape_debug().to_string();
    }
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
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
    write_above_progress(prefixed(text).as_bytes());
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
    let secrets = SECRETS.read().unwrap_or_else(PoisonError::into_inner);
    let mut clean = Cow::Borrowed(bytes);
    for secret in secrets.iter() {
        if memmem::find(&clean, secret).is_none() {
            continue;
        }
        let mut kept = Vec::with_capacity(clean.len());
        let mut rest = 0;
        for place in memmem::find_iter(&clean, secret.as_slice()) {
            kept.extend_from_slice(clean.get(rest..place).unwrap_or_default());
            kept.extend_from_slice(REDACTED);
            rest = place + secret.len();
        }
        kept.extend_from_slice(clean.get(rest..).unwrap_or_default());
        clean = Cow::Owned(kept);
    }
    clean
}

/// Writes to stderr without secrets. A stderr that is gone is no reason to fail.
fn write_clean(bytes: &[u8]) {
    let _ = io::stderr().lock().write_all(&redact(bytes));
}

fn write_above_progress(bytes: &[u8]) {
    let bars = BARS.read().unwrap_or_else(PoisonError::into_inner).clone();
    match bars {
        Some(bars) => bars.suspend(|| write_clean(bytes)),
        None => write_clean(bytes),
    }
}

/// Lines for stderr, marked as errors where that is the journal.
fn prefixed(text: &str) -> String {
    let journal = *JOURNAL.read().unwrap_or_else(PoisonError::into_inner);
    let prefix = if journal { "<3>" } else { "" };
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
    write_clean(prefixed(&text).as_bytes());
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
        write_above_progress(&one_line(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn one_line(event: &[u8]) -> Cow<'_, [u8]> {
    let body = event.strip_suffix(b"\n").unwrap_or(event);
    if !body.contains(&b'\n') {
        return Cow::Borrowed(event);
    }
    let parts: Vec<&[u8]> = body.split(|byte| *byte == b'\n').collect();
    let mut line = parts.join(&b"\\n"[..]);
    line.push(b'\n');
    Cow::Owned(line)
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
