//! Queues writes for `track`, `set`, `untrack`, `link` and `unlink`. An entry is durable when its
//! number is printed; `--wait` waits for its outcome. Needs neither key, network nor lock.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::{runtime, session};
use crate::model::outbox::{Action, Draft};
use crate::model::shown::printable;
use crate::model::{Kind, instant};
use crate::outbox::validate::{CheckError, check};
use crate::report::answer;
use crate::report::progress::View;
use crate::report::{Answer, CliError, CliResult, Exit, outbox as report};
use crate::store::outbox::{self, enqueue};
use crate::store::{Database, StoreError, instance_lock};

/// How often `--wait` polls the entries.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Maximum number of invalid lines or failed entries in a message.
const LISTED_MAX: usize = 50;

/// Maximum length of the reason for one line, characters.
const REASON_CHARS_MAX: usize = 500;

/// Entries read and printed at a time.
const PRINT_BATCH: i64 = 500;

/// Flags of every command that queues.
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    /// Wait for the outcome, at most this long (default: `max_wait`)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = crate::cli::globals::duration)]
    pub wait: Option<Option<Duration>>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// A write to queue.
pub struct QueueRequest {
    /// Line number in the bulk input, counted from 1; `None` for the command line.
    pub line: Option<u64>,
    /// The write.
    pub draft: Draft,
}

impl QueueRequest {
    /// Creates a `track` request with this body.
    pub fn creation(kind: Kind, body: String, line: Option<u64>) -> Self {
        let (action, body) = (Action::Track, Some(body));
        Self { line, draft: Draft { kind, action, subject: None, account: None, body } }
    }
}

/// Queues one write.
pub fn queue_one(context: &Context, draft: Draft, args: &QueueArgs) -> Result<Answer, CliError> {
    queue_all(context, std::iter::once(Ok(QueueRequest { line: None, draft })), args)
}

/// Queues all of these writes, or none if any is invalid.
pub fn queue_all(
    context: &Context,
    requests: impl Iterator<Item = Result<QueueRequest, CliError>>,
    args: &QueueArgs,
) -> Result<Answer, CliError> {
    let store = session::open_to_queue(context)?;
    let entries = add(context, &store, requests)?;
    // No daemon would send entries of a file that has been replaced.
    store.check_in_place().map_err(|error| context.store_error(&error))?;
    let print = |form| {
        // After the same command again there would be two of each.
        let hint = "the entries are queued; see `creatormirror outbox list`";
        print(context, &store, &entries, form).map_err(|error| error.hint(hint))
    };
    if !args.json {
        print(OutputForm::Lines)?;
    }
    let outcome = match args.wait {
        None => Ok(()),
        Some(limit) => wait(context, &store, &entries, limit),
    };
    if args.json {
        print(OutputForm::Document)?;
    } else if args.wait.is_some() && context.view != View::Silent {
        print(OutputForm::Lines)?;
    }
    Ok(Answer::none().with_result(outcome))
}

/// Adds the entries in one transaction, so that their numbers are consecutive.
fn add(
    context: &Context,
    store: &Database,
    requests: impl Iterator<Item = Result<QueueRequest, CliError>>,
) -> Result<RangeInclusive<i64>, CliError> {
    let at = instant::micros(context.clock.now());
    let mut errors = LineErrors::default();
    let mut input_error = None;
    let added = store.write_durably(|tx| {
        let mut entries: Option<RangeInclusive<i64>> = None;
        for request in requests {
            let request = match request {
                Ok(request) => request,
                Err(error) => {
                    input_error = Some(error);
                    break;
                }
            };
            match check(tx, &request.draft) {
                Ok(checked) => {
                    let entry = enqueue::add(tx, &request.draft, &checked, at)?;
                    entries = Some(entries.map_or(entry, |found| *found.start())..=entry);
                }
                Err(CheckError::Refused(reason)) => errors.add(request.line, &reason),
                Err(CheckError::Store(error)) => return Err(error),
            }
        }
        match entries {
            Some(entries) if input_error.is_none() && errors.is_empty() => Ok(entries),
            // Any error rolls the transaction back.
            _ => Err(StoreError::Interrupted),
        }
    });
    if let Some(error) = input_error {
        return Err(error);
    }
    errors.into_result()?;
    added.map_err(|error| context.store_error(&error))
}

/// How to print entries.
enum OutputForm {
    /// One line each.
    Lines,
    /// One JSON document.
    Document,
}

fn print(
    context: &Context,
    store: &Database,
    entries: &RangeInclusive<i64>,
    form: OutputForm,
) -> CliResult {
    let mut next = *entries.start();
    let mut separator = "{\"entries\":[";
    loop {
        let last = next.saturating_add(PRINT_BATCH - 1).min(*entries.end());
        let found = store.read(|c| outbox::range(c, next..=last));
        let found = found.map_err(|error| context.store_error(&error))?;
        let mut text = String::new();
        for entry in &found {
            match form {
                OutputForm::Lines => text.push_str(&report::line(entry)),
                OutputForm::Document => {
                    text.push_str(separator);
                    text.push_str(&report::json(entry).to_string());
                    separator = ",";
                }
            }
        }
        if last == *entries.end() {
            if let OutputForm::Document = form {
                text.push_str("]}\n");
            }
            return answer::print(&text);
        }
        answer::print(&text)?;
        next = last + 1;
    }
}

/// Errors of requests, with line numbers if they came from a file.
#[derive(Debug, Default)]
pub struct LineErrors {
    count: usize,
    listed: Vec<(Option<u64>, String)>,
}

impl LineErrors {
    /// Adds the error of one line.
    pub fn add(&mut self, line: Option<u64>, reason: &str) {
        self.count += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push((line, printable(reason, REASON_CHARS_MAX)));
        }
    }

    /// Whether no error was added.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns a usage error that lists the errors, if there are any.
    pub fn into_result(self) -> CliResult {
        match self.listed.as_slice() {
            [] => return Ok(()),
            [(None, reason)] => return Err(CliError::new(Exit::Usage, reason)),
            _ => {}
        }
        let lines = self.listed.iter().map(|(line, reason)| match line {
            Some(line) => format!("  line {line}: {reason}"),
            None => format!("  {reason}"),
        });
        let mut lines: Vec<String> = lines.collect();
        if self.count > self.listed.len() {
            lines.push(format!("  and {} more", self.count - self.listed.len()));
        }
        let invalid = match self.count {
            1 => "1 line is invalid".to_owned(),
            count => format!("{count} lines are invalid"),
        };
        let lines = lines.join("\n");
        Err(CliError::new(Exit::Usage, format!("nothing was queued: {invalid}:\n{lines}")))
    }
}

/// Waits until all entries are finished, at most for `limit`.
fn wait(
    context: &Context,
    store: &Database,
    entries: &RangeInclusive<i64>,
    limit: Option<Duration>,
) -> CliResult {
    let failed = |error: StoreError| context.store_error(&error);
    let has_sender = instance_lock::is_locked(store.path());
    let mut left = limit.unwrap_or(context.config.max_wait);
    runtime::current_thread()?.block_on(async {
        loop {
            let undone = store.read(|c| outbox::undone(c, entries, LISTED_MAX)).map_err(failed)?;
            match (undone.open, undone.entries.as_slice()) {
                (0, []) => return Ok(()),
                (0, [entry]) => return Err(entry_error(store, *entry)),
                (0, listed) => return Err(entries_error(undone.count, listed)),
                (_, _) if !has_sender => {
                    let message = "nothing is running that would send it";
                    return Err(CliError::new(Exit::TryAgain, message).hint(
                        "it stays queued; `creatormirror sync` sends it, and so does `run`",
                    ));
                }
                (open, _) if left.is_zero() => {
                    let message = match entries.end() - entries.start() + 1 {
                        1 => format!("entry {} is still open", entries.start()),
                        count => format!("{open} of {count} entries are still open"),
                    };
                    return Err(CliError::new(Exit::TryAgain, message)
                        .hint("they stay queued; see `creatormirror outbox list`"));
                }
                _ => {}
            }
            let pause = POLL_INTERVAL.min(left);
            left -= pause;
            context.clock.sleep(pause).await;
        }
    })
}

/// Lists entries that failed or were discarded.
fn entries_error(count: i64, listed: &[i64]) -> CliError {
    let mut text: Vec<String> = listed.iter().map(ToString::to_string).collect();
    let more = count.saturating_sub(i64::try_from(listed.len()).unwrap_or(i64::MAX));
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    let text = text.join(", ");
    CliError::new(Exit::Partial, format!("{count} entries did not succeed: {text}"))
        .hint("`creatormirror outbox show N` shows the reason")
}

/// Explains why one entry did not succeed.
fn entry_error(store: &Database, entry: i64) -> CliError {
    let found = store.read(|c| outbox::one(c, entry)).ok().flatten();
    let Some(found) = found else {
        return CliError::new(Exit::Partial, format!("entry {entry} did not succeed"));
    };
    let detail = found.detail.unwrap_or_else(|| "unknown reason".to_owned());
    CliError::new(Exit::Partial, format!("entry {entry} {}: {detail}", found.state))
        .optional_hint(found.hint)
}
