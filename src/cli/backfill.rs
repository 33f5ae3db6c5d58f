//! `backfill`: fetches daily metrics of past days, including days before the mirror existed.

use std::time::Duration;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::session::{self, Session};
use crate::cli::{outcome, runtime, submit_job};
use crate::daemon::JobRequest;
use crate::report::{Answer, CliError};
use crate::schedule::backfill::DAYS_MAX;
use crate::store::open::IfMissing;
use crate::sync::backfill::{self, Backfill};

/// Flags of `backfill`.
#[derive(Debug, Clone, Args)]
pub struct BackfillArgs {
    /// Number of UTC days, ending yesterday
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    pub days: u32,
    /// Maximum wait for the rate limit; if it is longer, exit 75 with progress saved
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::globals::duration)]
    pub max_wait: Option<Duration>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(args: &BackfillArgs, context: &Context) -> Result<Answer, CliError> {
    let runtime = runtime::current_thread()?;
    let job = JobRequest { backfill_days: Some(args.days), ..JobRequest::default() };
    if let Some(done) = submit_job::run_in_daemon(context, &runtime, &job)? {
        return Ok(outcome::answer(args.json, done));
    }
    let mut work = Backfill::of_days(args.days);
    let run = async |session: &mut Session| {
        let (ctx, settings) = (&mut session.ctx, &session.settings);
        // A signal cancels the request in flight; the next backfill repeats it.
        tokio::select! {
            error = backfill::run(ctx, &mut work, settings, false, async |_| false) => return error,
            () = runtime::stop_signal() => {}
        }
        Some(backfill::interrupt(ctx, &mut work, settings).await)
    };
    let error = session::with_session(context, &runtime, IfMissing::Refuse, run)?;
    let report = work.report(error.map(session::interrupted));
    Ok(outcome::answer(args.json, outcome::of_backfill(context, &report)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn days_are_1_to_3650() {
        let parse = |days: &str| {
            Cli::try_parse_from(["creatormirror", "backfill", "--days", days])
                .map_err(|e| e.exit_code())
        };
        assert!(parse("1").is_ok() && parse("3650").is_ok());
        for wrong in ["0", "3651", "-1", "many", "1.5", ""] {
            assert_eq!(parse(wrong).err(), Some(2), "{wrong}");
        }
        assert_eq!(
            Cli::try_parse_from(["creatormirror", "backfill"]).map_err(|e| e.exit_code()).err(),
            Some(2)
        );
    }
}
