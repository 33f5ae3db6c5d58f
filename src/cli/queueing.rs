//! What every command that queues a write has in common: the entry is on the disk when its number is
//! printed, and `--wait` follows it to its end. Neither key nor network nor lock is needed.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{CliError, Context, Exit, session};
use crate::model::instant;
use crate::model::outbox::{Checked, Draft, State};
use crate::push::check::{CheckError, check};
use crate::report::outbox as report;
use crate::report::progress::View;
use crate::store::outbox::{self, Entry, enqueue};
use crate::store::{Store, StoreError, StoreResult, place};

/// How often an entry is looked at while it is waited for.
const LOOK: Duration = Duration::from_millis(100);

/// Bad lines of a file that are listed.
const BAD_LINES_SHOWN: usize = 50;

/// Flags of every command that queues.
#[derive(Debug, Clone, Args)]
pub struct QueueArgs {
    /// Wait for the outcome, for this long at most (as long as `max_wait` if no time is given)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, value_parser = super::duration)]
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

/// Queues one request.
pub fn one(context: &Context, draft: Draft, args: &QueueArgs) -> Result<Exit, CliError> {
    all(context, &[Asked { line: None, draft }], args)
}

/// Queues requests: all of them, or none if any is wrong.
pub fn all(context: &Context, asked: &[Asked], args: &QueueArgs) -> Result<Exit, CliError> {
    let failed = |error: StoreError| session::storage(context, &error);
    let store = session::open_to_queue(context)?;
    let at = instant::micros(context.clock.now());
    let entries = store.write_durably(|tx| {
        let mut checked: Vec<Checked> = Vec::with_capacity(asked.len());
        let mut wrong = Vec::new();
        for one in asked {
            match check(tx, &one.draft) {
                Ok(done) => checked.push(done),
                Err(CheckError::Refused(reason)) => wrong.push((one.line, reason)),
                Err(CheckError::Store(error)) => return Err(error),
            }
        }
        if !wrong.is_empty() {
            return Ok(Err(refused(&wrong)));
        }
        let added: StoreResult<Vec<i64>> = asked
            .iter()
            .zip(&checked)
            .map(|(one, checked)| enqueue::add(tx, &one.draft, checked, at))
            .collect();
        Ok(Ok(added?))
    });
    let entries = entries.map_err(failed)??;
    let shown = read(&store, &entries).map_err(failed)?;
    if !args.json {
        let text: String = shown.iter().map(report::line).collect();
        super::answer(text.as_bytes())?;
    }
    let end = match args.wait {
        None => Ok(Exit::Done),
        Some(limit) => wait(context, &store, &entries, limit),
    };
    let shown = read(&store, &entries).map_err(failed)?;
    if args.json {
        let document = json!({ "entries": shown.iter().map(report::json).collect::<Vec<_>>() });
        super::answer(format!("{document}\n").as_bytes())?;
    } else if args.wait.is_some() && context.output.progress != View::Silent {
        let text: String = shown.iter().map(report::line).collect();
        super::answer(text.as_bytes())?;
    }
    end
}

fn read(store: &Store, entries: &[i64]) -> StoreResult<Vec<Entry>> {
    store.read(|c| {
        let found = entries.iter().map(|entry| outbox::one(c, *entry));
        Ok(found.collect::<StoreResult<Vec<_>>>()?.into_iter().flatten().collect())
    })
}

/// What is wrong, line by line where it came from a file.
pub fn refused(wrong: &[(Option<u64>, String)]) -> CliError {
    if let [(None, reason)] = wrong {
        return CliError::new(Exit::Usage, reason);
    }
    let mut lines: Vec<String> = wrong
        .iter()
        .take(BAD_LINES_SHOWN)
        .map(|(line, reason)| match line {
            Some(line) => format!("  line {line}: {reason}"),
            None => format!("  {reason}"),
        })
        .collect();
    if wrong.len() > BAD_LINES_SHOWN {
        lines.push(format!("  and {} more", wrong.len() - BAD_LINES_SHOWN));
    }
    let many = if wrong.len() == 1 { "1 line is wrong" } else { "lines are wrong" };
    let count = if wrong.len() == 1 { String::new() } else { format!("{} ", wrong.len()) };
    CliError::new(
        Exit::Usage,
        format!("{count}{many}, and nothing was queued:\n{}", lines.join("\n")),
    )
}

/// Follows entries to their ends.
fn wait(
    context: &Context,
    store: &Store,
    entries: &[i64],
    limit: Option<Duration>,
) -> Result<Exit, CliError> {
    let failed = |error: StoreError| session::storage(context, &error);
    if !place::is_locked(store.path()) {
        tracing::warn!(
            "nothing is running that would send it; start `creatormirror run` or `sync`"
        );
    }
    let mut left = limit.unwrap_or(context.config.max_wait);
    super::runtime()?.block_on(async {
        loop {
            let states = store.read(|c| outbox::states(c, entries)).map_err(failed)?;
            let open = states.iter().filter(|(_, state)| !state.is_final()).count();
            if open == 0 {
                let undone = states.iter().filter(|(_, state)| *state != State::Succeeded);
                let undone: Vec<String> = undone.map(|(entry, _)| entry.to_string()).collect();
                return match undone.as_slice() {
                    [] => Ok(Exit::Done),
                    [entry] => Err(why(store, entry)),
                    _ => Err(CliError::new(
                        Exit::Partial,
                        format!("{} entries are not done: {}", undone.len(), undone.join(", ")),
                    )
                    .hint("`creatormirror outbox show N` tells why")),
                };
            }
            if left.is_zero() {
                return Err(CliError::new(
                    Exit::TryAgain,
                    format!("{open} of {} entries are still open", entries.len()),
                )
                .hint("they stay queued; `creatormirror outbox list` shows them"));
            }
            let length = LOOK.min(left);
            left -= length;
            context.clock.sleep(length).await;
        }
    })
}

/// Why one entry is not done.
fn why(store: &Store, entry: &str) -> CliError {
    let found = entry.parse().ok().and_then(|n| store.read(|c| outbox::one(c, n)).ok().flatten());
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
