//! `verify`: the mirror proves itself against the API, within a budget of requests.

use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::{outcome, runtime, session, submit_job};
use crate::daemon::JobRequest;
use crate::report::{Answer, CliError};
use crate::store::open::IfMissing;
use crate::sync::verify_report::ROWS_MAX;
use crate::sync::{RunOptions, Sampling, VerifyReport};

/// Rows that are compared where nothing else is asked for.
const SAMPLE: u32 = 50;

/// Flags of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Compare about so many rows, a request each
    #[arg(long, value_name = "N", default_value_t = SAMPLE, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    pub sample: u32,
    /// Pick the rows that this seed picks; by chance if none is given
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
    /// Wait at most this long for a rate limit, else exit 75 with what was found kept
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::globals::duration)]
    pub max_wait: Option<Duration>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. With `--json` there is a document whatever happens.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<Answer, CliError> {
    outcome::promised(args.json, verify(args, context))
}

fn verify(args: &VerifyArgs, context: &Context) -> Result<Answer, CliError> {
    // What is not there proves nothing, and only `sync` and `run` make it.
    session::must_exist(context)?;
    // Short, so that it is typed again without a mistake.
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let sampling = Sampling { rows: args.sample, seed };
    let requests_max = sampling.requests_max();
    tracing::info!(rows = sampling.rows, seed, requests_max, "comparing a sample with the API");
    let runtime = runtime::runtime_of_one()?;
    let max_wait_s = context.config.max_wait.as_secs();
    let job = JobRequest { verify: Some(sampling), max_wait_s, ..JobRequest::default() };
    if let Some(done) = submit_job::by_daemon(context, &runtime, &job)? {
        return Ok(outcome::answer(args.json, done));
    }
    let options = RunOptions { trigger: "verify", verify: Some(sampling), ..RunOptions::default() };
    let mut report = session::run_id(context, &runtime, IfMissing::Refuse, &options)?;
    // Stopped before it began, it has found nothing.
    report.verified.get_or_insert_with(|| VerifyReport::none(sampling));
    Ok(outcome::answer(args.json, outcome::of_run(context, &report)))
}
