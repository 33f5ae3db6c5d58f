//! `backfill`: daily metrics of days before now, also of those before the mirror existed.

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
    /// So many UTC days, the last of them yesterday
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    pub days: u32,
    /// Wait at most this long for a rate limit, else exit 75 with what was done kept
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::globals::duration)]
    pub max_wait: Option<Duration>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. With `--json` there is a document whatever happens.
pub fn run(args: &BackfillArgs, context: &Context) -> Result<Answer, CliError> {
    outcome::promised(args.json, backfill(args, context))
}

fn backfill(args: &BackfillArgs, context: &Context) -> Result<Answer, CliError> {
    let runtime = runtime::runtime_of_one()?;
    let job = JobRequest { backfill_days: Some(args.days), ..JobRequest::default() };
    if let Some(done) = submit_job::by_daemon(context, &runtime, &job)? {
        return Ok(outcome::answer(args.json, done));
    }
    let mut work = Backfill::of_days(args.days);
    let stop = session::with(
        context,
        &runtime,
        IfMissing::Refuse,
        async |session: &mut Session| {
            let settings = &session.settings;
            let ended = tokio::select! {
                stop = backfill::run(&mut session.ctx, &mut work, settings, false, async |_| false) => Some(stop),
                () = runtime::stop_signal() => None,
            };
            // A signal drops the request that is under way; it is asked again by the next run.
            match ended {
                Some(stop) => stop,
                None => Some(backfill::interrupt(&mut session.ctx, &mut work, settings).await),
            }
        },
    )?;
    let report = work.report(stop.map(session::interrupted));
    Ok(outcome::answer(args.json, outcome::of_backfill(context, &report)))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use crate::cli::Cli;

    #[test]
    fn days_are_a_number_within_bounds() {
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
