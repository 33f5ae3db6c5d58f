//! `outbox`: the queue, its outcomes, its dead letters, and what can be done about them by hand.

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
    what: What,
}

#[derive(Debug, Clone, Subcommand)]
enum What {
    /// List entries, the latest last
    List {
        /// Only entries in these states, separated by commas
        #[arg(long, value_name = "STATES", value_delimiter = ',', value_parser = one_of(&State::ALL, State::name))]
        state: Vec<State>,
        /// Only the last so many
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Show everything about an entry
    Show {
        /// Its number
        entry: i64,
        /// Print one JSON document on stdout
        #[arg(long)]
        json: bool,
    },
    /// Queue entries again that failed, were discarded or are held
    Retry {
        #[command(flatten)]
        named: Named,
        /// All that are held, in a copy that takes the original's place
        #[arg(long)]
        held: bool,
        /// All that failed
        #[arg(long)]
        failed: bool,
    },
    /// Take entries back; what was sent of them is not undone
    Discard {
        #[command(flatten)]
        named: Named,
    },
}

#[derive(Debug, Clone, Args)]
struct Named {
    /// Their numbers
    #[arg(value_name = "N")]
    entries: Vec<i64>,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &OutboxArgs, context: &Context) -> Result<Answer, CliError> {
    match &args.what {
        What::List { state, limit, json } => list(context, state, *limit, *json),
        What::Show { entry, json } => show(context, *entry, *json),
        What::Retry { named, held, failed } => {
            let mut states = Vec::new();
            states.extend(held.then_some(State::Held));
            states.extend(failed.then_some(State::Failed));
            touch(context, named, &states, manual::retry)
        }
        What::Discard { named } => touch(context, named, &[], manual::discard),
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
    let entries = entries.map_err(|error| context.storage(&error))?;
    let text = || report::table(&entries, context.clock.now(), context.width);
    Ok(Answer::of(json, text, || document(&entries)))
}

fn document(entries: &[Entry]) -> Value {
    json!({ "entries": entries.iter().map(report::json).collect::<Vec<_>>() })
}

fn show(context: &Context, entry: i64, json: bool) -> Result<Answer, CliError> {
    let store = context.open_to_read()?;
    let found = store.read(|c| outbox::one(c, entry)).map_err(|error| context.storage(&error))?;
    let found = found.ok_or_else(|| missing(entry))?;
    let text = || report::text(&found, context.clock.now());
    Ok(Answer::of(json, text, || report::json(&found)))
}

fn touch(
    context: &Context,
    named: &Named,
    states: &[State],
    deed: fn(&rusqlite::Transaction<'_>, i64, i64) -> StoreResult<ManualChange>,
) -> Result<Answer, CliError> {
    let failed = |error: StoreError| context.storage(&error);
    if named.entries.is_empty() && states.is_empty() {
        return Err(CliError::new(Exit::Usage, "which entries? Give their numbers"));
    }
    let store = Database::open_beside(&context.config.database).map_err(failed)?;
    let now = instant::micros(context.clock.now());
    let touched = store.write_durably(|tx| {
        let mut entries = named.entries.clone();
        if !states.is_empty() {
            entries.extend(outbox::list(tx, states, i64::MAX)?.iter().map(|entry| entry.entry));
        }
        entries
            .into_iter()
            .map(|entry| Ok((entry, deed(tx, entry, now)?)))
            .collect::<StoreResult<Vec<_>>>()
    });
    let touched = touched.map_err(failed)?;
    let mut text = String::new();
    let mut problems = Vec::new();
    for (entry, came) in &touched {
        match came {
            ManualChange::Now(state) => text.push_str(&format!("{entry} {state}\n")),
            ManualChange::Missing => {
                problems.push(format!("there is no entry {entry} in the outbox"))
            }
            ManualChange::Cannot(state) => problems.push(format!("entry {entry} is {state}")),
        }
    }
    let found = store.read(|c| {
        let found = touched.iter().map(|(entry, _)| outbox::one(c, *entry));
        found.filter_map(Result::transpose).collect::<StoreResult<Vec<Entry>>>()
    });
    let found = found.map_err(failed)?;
    let answer = Answer::of(named.json, || text, || document(&found));
    Ok(answer.with_result(match problems.is_empty() {
        true => Ok(()),
        false => Err(CliError::new(
            Exit::Partial,
            format!("nothing was changed about these: {}", problems.join("; ")),
        )),
    }))
}

fn missing(entry: i64) -> CliError {
    CliError::new(Exit::Partial, format!("there is no entry {entry} in the outbox"))
        .hint("`creatormirror outbox list` shows them")
}
