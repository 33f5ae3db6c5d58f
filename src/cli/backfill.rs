//! `backfill`: daily metrics of days before now, also of those before the mirror existed.

use std::time::Duration;

use clap::Args;

use crate::cli::document::{self, Document};
use crate::cli::session::{self, Session};
use crate::cli::{CliError, Context, Exit, handover};
use crate::daemon::JobRequest;
use crate::pass::backfill::{self, Backfill, Backfilled};
use crate::plan::backfill::DAYS_MAX;
use crate::store::open::IfMissing;

/// Flags of `backfill`.
#[derive(Debug, Clone, Args)]
pub struct BackfillArgs {
    /// So many UTC days, the last of them yesterday
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    pub days: u32,
    /// Wait at most this long for a rate limit, else exit 75 with what was done kept
    #[arg(long, value_name = "DURATION", value_parser = crate::cli::duration)]
    pub max_wait: Option<Duration>,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command. With `--json` there is a document whatever happens.
pub fn run(args: &BackfillArgs, context: &Context) -> Result<Exit, CliError> {
    document::promised(args.json, |document| backfill(args, context, document))
}

fn backfill(
    args: &BackfillArgs,
    context: &Context,
    document: &mut Document,
) -> Result<Exit, CliError> {
    let runtime = crate::cli::runtime_of_one()?;
    let job = JobRequest { backfill_days: Some(args.days), ..JobRequest::default() };
    if let Some(exit) = handover::by_daemon(context, &runtime, &job, document)? {
        return Ok(exit);
    }
    let mut work = Backfill::of_days(args.days);
    let stop = session::with(
        context,
        &runtime,
        IfMissing::Refuse,
        async |session: &mut Session| {
            let settings = &session.settings;
            let ended = tokio::select! {
                stop = backfill::run(&mut session.desk, &mut work, settings, false, async |_| false) => Some(stop),
                () = crate::cli::stop_signal() => None,
            };
            // A signal drops the request that is under way; it is asked again by the next run.
            match ended {
                Some(stop) => stop,
                None => Some(backfill::interrupt(&mut session.desk, &mut work, settings).await),
            }
        },
    )?;
    let stop = stop.map(session::interrupted);
    let (answer, verdict) = document::of_backfill(context, &work.report(stop));
    document.give(context, &answer)?;
    verdict
}

/// How a backfill ends the program: the error to print, or the code of its success.
pub fn verdict(context: &Context, report: &Backfilled) -> Result<Exit, CliError> {
    if let Some(stop) = &report.stop {
        return Err(session::ended(context, stop, None));
    }
    if report.is_unfilled {
        return Err(CliError::new(Exit::Partial, "the mirror has no rows to ask for")
            .hint("run `creatormirror sync` first"));
    }
    let failures = report.kinds.iter().filter_map(|kind| kind.failure.as_ref());
    if let Some(error) = session::breakdown(failures) {
        return Err(error);
    }
    let mut parts: Vec<String> = report
        .kinds
        .iter()
        .filter_map(|kind| kind.ending.as_ref().map(|ending| (kind.kind, ending)))
        .map(|(kind, ending)| {
            format!("{kind}: {}", ending.detail.as_deref().unwrap_or(ending.outcome.name()))
        })
        .collect();
    if report.refused_ids > 0 {
        parts.push(format!("the API refuses {} ids", report.refused_ids));
    }
    match (parts.is_empty(), report.sum(|done| done.passed_over)) {
        (true, 0) => Ok(Exit::Done),
        (true, rows) => Err(CliError::new(
            Exit::Partial,
            format!("the API has passed over {rows} daily figures: neither given nor not found"),
        )
        .hint("the next `creatormirror backfill` asks for them again")),
        (false, _) => {
            let parts = parts.join("; ");
            Err(CliError::new(Exit::Partial, format!("not all days could be had; {parts}")))
        }
    }
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
