//! `sync`: executes one run.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde_json::json;

use crate::cli::context::Context;
use crate::cli::{outcome, runtime, session, submit_job};
use crate::daemon::JobRequest;
use crate::model::Kind;
use crate::report::{Answer, CliError};
use crate::schedule::decision::RunScope;
use crate::store::open::IfMissing;
use crate::store::{Database, StoreError};
use crate::sync::{RunOptions, dry_run};

/// Kinds that `--only` accepts.
const KINDS: [Kind; 5] =
    [Kind::Account, Kind::Creator, Kind::Video, Kind::AccountVideo, Kind::Overview];

/// Parses a kind: `account-videos`, or `account_videos` as its view is called.
fn kind() -> impl TypedValueParser<Value = Kind> {
    let flag = |kind: Kind| kind.path().trim_start_matches('/');
    let is = move |kind: &Kind, text: &str| flag(*kind) == text || kind.plural() == text;
    PossibleValuesParser::new(KINDS.map(|kind| PossibleValue::new(flag(kind)).alias(kind.plural())))
        .try_map(move |text| KINDS.into_iter().find(|kind| is(kind, &text)).ok_or("unknown value"))
}

/// Flags of `sync`.
#[derive(Debug, Clone, Args)]
pub struct SyncArgs {
    /// List everything again: on exit 0 every row was confirmed after the command began
    #[arg(long)]
    pub full: bool,
    /// Sync only these kinds, separated by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kind())]
    pub only: Vec<Kind>,
    /// Maximum wait for the rate limit; if it is longer, exit 75 with progress saved
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::globals::duration)]
    pub max_wait: Option<Duration>,
    /// Print the requests that would be sent, without sending them
    #[arg(long)]
    pub dry_run: bool,
    /// Accept removals of more than `max_removals` of a kind
    #[arg(long)]
    pub accept_removals: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &SyncArgs, context: &Context) -> Result<Answer, CliError> {
    let options = args.options();
    if args.dry_run {
        return dry_run(args, context, &options);
    }
    let runtime = runtime::current_thread()?;
    if let Some(done) = submit_job::run_in_daemon(context, &runtime, &args.job(context))? {
        return Ok(outcome::answer(args.json, done));
    }
    let report = session::run_once(context, &runtime, IfMissing::Create, &options)?;
    Ok(outcome::answer(args.json, outcome::of_run(context, &report)))
}

fn dry_run(args: &SyncArgs, context: &Context, options: &RunOptions) -> Result<Answer, CliError> {
    let failed = |error| context.store_error(&error);
    let store = match Database::open_to_read(&context.config.database) {
        Ok(store) => Some(store),
        Err(StoreError::Missing(_)) => None,
        Err(error) => return Err(failed(error)),
    };
    let seed = store.as_ref().map(session::schedule_seed).transpose().map_err(failed)?.unwrap_or(0);
    let settings = session::sync_settings(context, seed);
    let now = context.clock.now();
    let requests = match &store {
        Some(database) => database.read(|c| dry_run::preview(Some(c), options, &settings, now)),
        None => dry_run::preview(None, options, &settings, now),
    };
    let requests = requests.map_err(failed)?;
    let text = || requests.join("\n") + "\n";
    Ok(Answer::of(args.json, text, || json!({ "requests": requests })))
}

impl SyncArgs {
    fn job(&self, context: &Context) -> JobRequest {
        JobRequest {
            max_wait_s: context.config.max_wait.as_secs(),
            full: self.full,
            accept_removals: self.accept_removals,
            only: self.only.iter().map(|kind| kind.name().to_owned()).collect(),
            ..JobRequest::default()
        }
    }

    fn options(&self) -> RunOptions {
        let scope = RunScope { full: self.full, accept_removals: self.accept_removals };
        RunOptions {
            trigger: "sync",
            scope,
            only: self.only.clone(),
            waits_for_outcome: true,
            ..RunOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parse(arguments: &[&str]) -> Result<SyncArgs, clap::Error> {
        let arguments = ["creatormirror", "sync"].iter().chain(arguments);
        match Cli::try_parse_from(arguments)?.command {
            Command::Sync(args) => Ok(args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_takes_kinds_separated_by_commas() {
        let args = parse(&["--only", "videos,account-videos", "--max-wait", "1h 30m"]).unwrap();
        assert_eq!(args.only, [Kind::Video, Kind::AccountVideo]);
        assert_eq!(parse(&["--only", "account_videos"]).unwrap().only, [Kind::AccountVideo]);
        assert_eq!(args.max_wait, Some(Duration::from_secs(5_400)));
        assert_eq!(parse(&[]).unwrap().only, []);
    }

    #[test]
    fn rejects_unknown_kinds_and_bare_numbers() {
        for wrong in [["--only", "meta"], ["--only", "video"], ["--max-wait", "90"]] {
            assert_eq!(parse(&wrong).unwrap_err().exit_code(), 2);
        }
    }
}
