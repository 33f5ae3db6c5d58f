//! `check`: every precondition, a line each, with what to do where one fails.
//!
//! A check that fails keeps no other from being made, as far as that makes sense. Nothing is
//! created and nothing is written, but for one thing: should the API ask to wait, the database
//! remembers it.

mod line;
mod local;
mod mirror;
mod remote;

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
    /// Also compare indexes with their tables (`integrity_check`); takes longer
    #[arg(long)]
    pub deep: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. Settings that could not be loaded are a finding like any other, but leave
/// nothing else to be checked.
pub fn run(
    args: &CheckArgs,
    context: Result<Context, CliError>,
    environment: &Environment,
    view: View,
) -> Result<Answer, CliError> {
    let checks = match context {
        Ok(context) => {
            let depth = if args.deep { Depth::Deep } else { Depth::Quick };
            checks(&context, environment, depth)?
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
) -> Result<Vec<Check>, CliError> {
    let mut checks = vec![local::config(context)];
    let (database, mirror) = mirror::database(context, depth);
    checks.extend(database);
    checks.extend(mirror::place(context));
    let (key_source, key) = local::key(context);
    checks.push(key_source);
    checks.push(local::proxy(context, environment));
    checks.extend(runtime::runtime()?.block_on(remote::checks(context, &mirror, key)));
    checks.push(local::capabilities(context, &mirror));
    checks.push(local::listings(context, &mirror));
    Ok(checks)
}
