//! `check`: checks every precondition, one line each, with a hint for each that fails.
//!
//! Checks are independent as far as possible. Nothing is created or written, with two exceptions: a
//! cooldown that the API asks for is saved to the database, and `--record` writes its files.

mod contract;
mod local;
mod mirror;
mod probe;
mod record;
mod remote;

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::context::Context;
use crate::cli::runtime;
use crate::config::Environment;
use crate::report::check::{self as report, Check};
use crate::report::progress::View;
use crate::report::{Answer, CliError, Exit};
use crate::store::status::Depth;

/// Flags of `check`.
#[derive(Debug, Clone, Args)]
pub struct CheckArgs {
    /// Also compare indexes with tables (`integrity_check`), which takes longer
    #[arg(long)]
    pub deep: bool,
    /// Write the shape of the API's answers to this folder: member names, JSON types and documented
    /// enum values, nothing else
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. If the settings failed to load, that is the only check.
pub fn run(
    args: &CheckArgs,
    context: Result<Context, CliError>,
    environment: &Environment,
    view: View,
) -> Result<Answer, CliError> {
    let checks = match context {
        Ok(context) => {
            let depth = if args.deep { Depth::Deep } else { Depth::Quick };
            checks(&context, environment, depth, args.record.as_deref())?
        }
        Err(error) => vec![Check::failure("config", error)],
    };
    let error = report::decisive(&checks);
    let exit = error.map_or(Exit::Done, |error| error.exit);
    let text = || match view {
        View::Silent => report::text(checks.iter().filter(|check| check.error().is_some())),
        _ => report::text(&checks),
    };
    let answer = Answer::of(args.json, text, || report::json(&checks, exit));
    Ok(answer.with_result(error.cloned().map_or(Ok(()), Err)))
}

fn checks(
    context: &Context,
    environment: &Environment,
    depth: Depth,
    record: Option<&Path>,
) -> Result<Vec<Check>, CliError> {
    let mut checks = vec![local::config(context)];
    let (database, mirror) = mirror::database(context, depth);
    checks.extend(database);
    checks.extend(mirror::storage(context));
    let (key_source, key) = local::key(context);
    checks.push(key_source);
    checks.push(local::proxy(context, environment));
    let remote = remote::checks(context, &mirror, key, record);
    checks.extend(runtime::current_thread()?.block_on(remote));
    checks.push(local::capabilities(context, &mirror));
    checks.push(local::listings(context, &mirror));
    Ok(checks)
}
