//! `outbox`: lists and shows queued writes, and retries or discards them.

use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::cli::context::Context;
use crate::cli::globals::one_of;
use crate::model::instant;
use crate::model::outbox::State;
use crate::report::{Answer, CliError, Exit, outbox as report};
use crate::store::outbox::manual::{self, ManualChange};
use crate::store::outbox::{self, Entry};
use crate::store::{Database, StoreError, StoreResult};

/// Arguments of `outbox`.
#[derive(Debug, Clone, Args)]
pub struct OutboxArgs {
    #[command(subcommand)]
    command: OutboxCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum OutboxCommand {
    /// List entries, oldest first
    List {
        /// List only entries in these states, separated by commas
        #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = one_of(&State::ALL, State::name))]
        state: Vec<State>,
        /// List only the last N
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Show all details of an entry
    Show {
        /// Entry number
        entry: i64,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Queue failed, discarded or held entries again
    Retry {
        #[command(flatten)]
        selected: EntryArgs,
        /// Retry all held entries, after this database has replaced the original
        #[arg(long)]
        held: bool,
        /// Retry all failed entries
        #[arg(long)]
        failed: bool,
    },
    /// Discard entries; requests already sent are not undone
    Discard {
        #[command(flatten)]
        selected: EntryArgs,
    },
}

#[derive(Debug, Clone, Args)]
struct EntryArgs {
    /// Entry numbers
    #[arg(value_name = "N")]
    entries: Vec<i64>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &OutboxArgs, context: &Context) -> Result<Answer, CliError> {
    match &args.command {
        OutboxCommand::List { state, limit, json } => list(context, state, *limit, *json),
        OutboxCommand::Show { entry, json } => show(context, *entry, *json),
        OutboxCommand::Retry { selected, held, failed } => {
            let mut states = Vec::new();
            states.extend(held.then_some(State::Held));
            states.extend(failed.then_some(State::Failed));
            change(context, selected, &states, manual::retry)
        }
        OutboxCommand::Discard { selected } => change(context, selected, &[], manual::discard),
    }
}

fn list(
    context: &Context,
    states: &[State],
    limit: Option<u32>,
    json: bool,
) -> Result<Answer, CliError> {
    let store = context.open_to_read()?;
    let limit = limit.map_or(i64::MAX, i64::from);
    let entries = store.read(|c| outbox::list(c, states, limit));
    let entries = entries.map_err(|error| context.store_error(&error))?;
    let text = || report::table(&entries, context.clock.now(), context.width);
    Ok(Answer::of(json, text, || document(&entries)))
}

fn document(entries: &[Entry]) -> Value {
    json!({ "entries": entries.iter().map(report::json).collect::<Vec<_>>() })
}

fn show(context: &Context, entry: i64, json: bool) -> Result<Answer, CliError> {
    let store = context.open_to_read()?;
    let found =
        store.read(|c| outbox::one(c, entry)).map_err(|error| context.store_error(&error))?;
    let found = found.ok_or_else(|| {
        CliError::new(Exit::Partial, format!("entry {entry} does not exist"))
            .hint("see `creatormirror outbox list`")
    })?;
    let text = || report::text(&found, context.clock.now());
    Ok(Answer::of(json, text, || report::json(&found)))
}

/// Applies `change_one` to the selected entries and to all entries in `states`.
fn change(
    context: &Context,
    selected: &EntryArgs,
    states: &[State],
    change_one: fn(&rusqlite::Transaction<'_>, i64, i64) -> StoreResult<ManualChange>,
) -> Result<Answer, CliError> {
    let failed = |error: StoreError| context.store_error(&error);
    if selected.entries.is_empty() && states.is_empty() {
        return Err(CliError::new(Exit::Usage, "no entries given")
            .hint("give entry numbers; `creatormirror outbox list` shows them"));
    }
    let store = Database::open_without_lock(&context.config.database).map_err(failed)?;
    let now = instant::micros(context.clock.now());
    let changes = store.write_durably(|tx| {
        let mut entries = selected.entries.clone();
        if !states.is_empty() {
            entries.extend(outbox::list(tx, states, i64::MAX)?.iter().map(|entry| entry.entry));
        }
        let mut named = BTreeSet::new();
        entries.retain(|entry| named.insert(*entry));
        entries
            .into_iter()
            .map(|entry| Ok((entry, change_one(tx, entry, now)?)))
            .collect::<StoreResult<Vec<_>>>()
    });
    let changes = changes.map_err(failed)?;
    let mut text = String::new();
    let mut problems = Vec::new();
    for (entry, change) in &changes {
        match change {
            ManualChange::Now(state) => text.push_str(&format!("{entry} {state}\n")),
            ManualChange::Missing => problems.push(format!("entry {entry} does not exist")),
            ManualChange::Cannot(state) => problems.push(format!("entry {entry} is {state}")),
        }
    }
    let found = store.read(|c| {
        let found = changes.iter().map(|(entry, _)| outbox::one(c, *entry));
        found.filter_map(Result::transpose).collect::<StoreResult<Vec<Entry>>>()
    });
    let found = found.map_err(failed)?;
    let answer = Answer::of(selected.json, || text, || document(&found));
    Ok(answer.with_result(match problems.is_empty() {
        true => Ok(()),
        false => {
            let message = format!("some entries were not changed: {}", problems.join("; "));
            Err(CliError::new(Exit::Partial, message))
        }
    }))
}
