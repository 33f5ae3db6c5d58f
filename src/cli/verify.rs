//! `verify`: compares a sample of rows and the totals with the API, within a request budget.

use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::{outcome, runtime, session, submit_job};
use crate::daemon::JobRequest;
use crate::report::{Answer, CliError};
use crate::store::open::IfMissing;
use crate::sync::verify_report::ROWS_MAX;
use crate::sync::{RunOptions, Sampling, VerifyReport};

/// Default number of rows to compare.
const SAMPLE: u32 = 50;

/// Flags of `verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// Number of rows to compare, approximately; each takes one request
    #[arg(long, value_name = "N", default_value_t = SAMPLE, value_parser = clap::value_parser!(u32).range(1..=i64::from(ROWS_MAX)))]
    pub sample: u32,
    /// Select the same rows as an earlier run with this seed; default: random
    #[arg(long, value_name = "SEED")]
    pub seed: Option<u64>,
    /// Maximum wait for the rate limit; if it is longer, exit 75 with results saved
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::globals::duration)]
    pub max_wait: Option<Duration>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &VerifyArgs, context: &Context) -> Result<Answer, CliError> {
    // Only `sync` and `run` create a database.
    session::require_database(context)?;
    // 32 bits, so that the seed is easy to retype.
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let sampling = Sampling { rows: args.sample, seed };
    let requests_max = sampling.requests_max();
    tracing::info!(rows = sampling.rows, seed, requests_max, "comparing a sample with the API");
    let runtime = runtime::current_thread()?;
    let max_wait_s = context.config.max_wait.as_secs();
    let job = JobRequest { verify: Some(sampling), max_wait_s, ..JobRequest::default() };
    if let Some(done) = submit_job::run_in_daemon(context, &runtime, &job)? {
        return Ok(outcome::answer(args.json, done));
    }
    let options = RunOptions { trigger: "verify", verify: Some(sampling), ..RunOptions::default() };
    let mut report = session::run_once(context, &runtime, IfMissing::Refuse, &options)?;
    // Stopped before the comparison: report an empty one.
    report.verified.get_or_insert_with(|| VerifyReport::none(sampling));
    Ok(outcome::answer(args.json, outcome::of_run(context, &report)))
}
