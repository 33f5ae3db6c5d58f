//! What every command that queues a write has in common: the entry is on the disk when its number is
//! printed, and `--wait` follows it to its end. Neither key nor network nor lock is needed.

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

/// How often an entry is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// Bad lines of a file, and entries that are not done, that are listed.
const LISTED_MAX: usize = 50;

/// The most that is said about one bad line, characters.
const REASON_CHARS_MAX: usize = 500;

/// Entries that are in memory at once while they are printed.
const PRINTED_AT_ONCE: i64 = 500;

/// Flags of every command that queues.
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    /// Wait for the outcome, for this long at most (as long as `max_wait` if no time is given)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = crate::cli::globals::duration)]
    pub wait: Option<Option<Duration>>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// A request, and the line of the file it stands on.
pub struct Asked {
    /// The line, counted from 1; `None` for what was asked on the command line.
    pub line: Option<u64>,
    /// The request.
    pub draft: Draft,
}

impl Asked {
    /// The creation with this body.
    pub fn creation(kind: Kind, body: String, line: Option<u64>) -> Self {
        let (action, body) = (Action::Track, Some(body));
        Self { line, draft: Draft { kind, action, subject: None, account: None, body } }
    }
}

/// Queues one request.
pub fn one(context: &Context, draft: Draft, args: &QueueArgs) -> Result<Answer, CliError> {
    all(context, std::iter::once(Ok(Asked { line: None, draft })), args)
}

/// Queues requests: all of them, or none if any is wrong.
pub fn all(
    context: &Context,
    asked: impl Iterator<Item = Result<Asked, CliError>>,
    args: &QueueArgs,
) -> Result<Answer, CliError> {
    let store = session::open_to_queue(context)?;
    let entries = add(context, &store, asked)?;
    // Nobody would send what was queued in a file that has been replaced.
    store.check_in_place().map_err(|error| context.storage(&error))?;
    if !args.json {
        print(context, &store, &entries, Form::Lines)?;
    }
    let end = match args.wait {
        None => Ok(()),
        Some(limit) => wait(context, &store, &entries, limit),
    };
    if args.json {
        print(context, &store, &entries, Form::Document)?;
    } else if args.wait.is_some() && context.view != View::Silent {
        print(context, &store, &entries, Form::Lines)?;
    }
    Ok(Answer::none().with_result(end))
}

/// Adds the entries in one transaction, so that their numbers follow each other.
fn add(
    context: &Context,
    store: &Database,
    asked: impl Iterator<Item = Result<Asked, CliError>>,
) -> Result<RangeInclusive<i64>, CliError> {
    let at = instant::micros(context.clock.now());
    let mut wrong = Wrong::default();
    let mut stopped = None;
    let added = store.write_durably(|tx| {
        let mut entries: Option<RangeInclusive<i64>> = None;
        for one in asked {
            let one = match one {
                Ok(one) => one,
                Err(error) => {
                    stopped = Some(error);
                    break;
                }
            };
            match check(tx, &one.draft) {
                Ok(checked) => {
                    let entry = enqueue::add(tx, &one.draft, &checked, at)?;
                    entries = Some(entries.map_or(entry, |found| *found.start())..=entry);
                }
                Err(CheckError::Refused(reason)) => wrong.add(one.line, &reason),
                Err(CheckError::Store(error)) => return Err(error),
            }
        }
        match entries {
            Some(entries) if stopped.is_none() && wrong.is_none() => Ok(entries),
            // What was added is rolled back.
            _ => Err(StoreError::Interrupted),
        }
    });
    match stopped {
        Some(error) => Err(error),
        None if !wrong.is_none() => Err(wrong.refusal()),
        None => added.map_err(|error| context.storage(&error)),
    }
}

/// How entries are printed.
enum Form {
    /// A line each.
    Lines,
    /// One JSON document.
    Document,
}

fn print(
    context: &Context,
    store: &Database,
    entries: &RangeInclusive<i64>,
    form: Form,
) -> CliResult {
    let mut next = *entries.start();
    let mut begins_with = "{\"entries\":[";
    loop {
        let last = next.saturating_add(PRINTED_AT_ONCE - 1).min(*entries.end());
        let found = store.read(|c| outbox::range(c, next..=last));
        let found = found.map_err(|error| context.storage(&error))?;
        let mut text = String::new();
        for entry in &found {
            match form {
                Form::Lines => text.push_str(&report::line(entry)),
                Form::Document => {
                    text.push_str(begins_with);
                    text.push_str(&report::json(entry).to_string());
                    begins_with = ",";
                }
            }
        }
        if last == *entries.end() {
            if let Form::Document = form {
                text.push_str("]}\n");
            }
            return answer::print(&text);
        }
        answer::print(&text)?;
        next = last + 1;
    }
}

/// What is wrong with what was asked for, line by line where it came from a file.
#[derive(Debug, Default)]
pub struct Wrong {
    count: usize,
    listed: Vec<(Option<u64>, String)>,
}

impl Wrong {
    /// Adds what is wrong with one line.
    pub fn add(&mut self, line: Option<u64>, reason: &str) {
        self.count += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push((line, printable(reason, REASON_CHARS_MAX)));
        }
    }

    /// Whether nothing is wrong.
    pub const fn is_none(&self) -> bool {
        self.count == 0
    }

    /// What the user is told.
    pub fn refusal(&self) -> CliError {
        if let [(None, reason)] = self.listed.as_slice() {
            return CliError::new(Exit::Usage, reason);
        }
        let lines = self.listed.iter().map(|(line, reason)| match line {
            Some(line) => format!("  line {line}: {reason}"),
            None => format!("  {reason}"),
        });
        let mut lines: Vec<String> = lines.collect();
        if self.count > self.listed.len() {
            lines.push(format!("  and {} more", self.count - self.listed.len()));
        }
        let what = match self.count {
            1 => "1 line is wrong".to_owned(),
            count => format!("{count} lines are wrong"),
        };
        let lines = lines.join("\n");
        CliError::new(Exit::Usage, format!("{what}, and nothing was queued:\n{lines}"))
    }
}

/// Follows entries to their ends.
fn wait(
    context: &Context,
    store: &Database,
    entries: &RangeInclusive<i64>,
    limit: Option<Duration>,
) -> CliResult {
    let failed = |error: StoreError| context.storage(&error);
    if !instance_lock::is_locked(store.path()) {
        tracing::warn!(
            "nothing is running that would send it; start `creatormirror run` or `sync`"
        );
    }
    let mut left = limit.unwrap_or(context.config.max_wait);
    runtime::runtime()?.block_on(async {
        while store.read(|c| outbox::undone(c, entries, 0)).map_err(failed)?.open > 0 {
            if left.is_zero() {
                let open = store.read(|c| outbox::undone(c, entries, 0)).map_err(failed)?.open;
                return Err(CliError::new(
                    Exit::TryAgain,
                    format!("{open} of {} entries are still open", count(entries)),
                )
                .hint("they stay queued; `creatormirror outbox list` shows them"));
            }
            let length = LOOK.min(left);
            left -= length;
            context.clock.sleep(length).await;
        }
        let undone = store.read(|c| outbox::undone(c, entries, LISTED_MAX)).map_err(failed)?;
        match undone.entries.as_slice() {
            [] => Ok(()),
            [entry] => Err(why(store, *entry)),
            listed => Err(not_done(undone.count, listed)),
        }
    })
}

fn count(entries: &RangeInclusive<i64>) -> i64 {
    entries.end() - entries.start() + 1
}

fn not_done(count: i64, listed: &[i64]) -> CliError {
    let mut text: Vec<String> = listed.iter().map(ToString::to_string).collect();
    let more = count.saturating_sub(i64::try_from(listed.len()).unwrap_or(i64::MAX));
    if more > 0 {
        text.push(format!("and {more} more"));
    }
    let text = text.join(", ");
    CliError::new(Exit::Partial, format!("{count} entries are not done: {text}"))
        .hint("`creatormirror outbox show N` tells why")
}

/// Why one entry is not done.
fn why(store: &Database, entry: i64) -> CliError {
    let found = store.read(|c| outbox::one(c, entry)).ok().flatten();
    let Some(found) = found else {
        return CliError::new(Exit::Partial, format!("entry {entry} is not done"));
    };
    let detail = found.detail.unwrap_or_else(|| "no reason is known".to_owned());
    let error = CliError::new(Exit::Partial, format!("entry {entry} {}: {detail}", found.state));
    match found.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
