//! `sync`: one pass, then exit.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::{CliError, Context, Exit};
use crate::model::Kind;

/// The kinds that `--only` may name.
const KINDS: [Kind; 5] =
    [Kind::Account, Kind::Creator, Kind::Video, Kind::AccountVideo, Kind::Overview];

/// Flags of `sync`.
#[derive(Debug, Clone, Args)]
pub struct SyncArgs {
    /// Walk everything anew: on exit 0 every row was confirmed after the command began
    #[arg(long)]
    pub full: bool,
    /// Only these kinds, separated by commas
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = kinds())]
    pub only: Vec<Kind>,
    /// Wait at most this long for a rate limit, else exit 75 with what was done kept
    #[arg(long, value_name = "DURATION", value_parser = super::duration)]
    pub max_wait: Option<Duration>,
    /// Print the requests it would make, and make none
    #[arg(long)]
    pub dry_run: bool,
    /// Mark rows as removed even where the walks would remove more than `max_removals` of a kind
    #[arg(long)]
    pub accept_removals: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(_args: &SyncArgs, _context: &Context) -> Result<Exit, CliError> {
    Err(super::not_built_yet())
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    let named = |name: String| KINDS.into_iter().find(|kind| kind.plural() == name);
    PossibleValuesParser::new(KINDS.map(Kind::plural))
        .try_map(move |name| named(name).ok_or("not a kind that can be synced"))
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
    fn kinds_are_listed_with_commas() {
        let args = parse(&["--only", "videos,account-videos", "--max-wait", "1h 30m"]).unwrap();
        assert_eq!(args.only, [Kind::Video, Kind::AccountVideo]);
        assert_eq!(args.max_wait, Some(Duration::from_secs(5_400)));
        assert_eq!(parse(&[]).unwrap().only, []);
    }

    #[test]
    fn what_is_no_kind_or_duration_is_wrong_usage() {
        for wrong in [["--only", "meta"], ["--only", "video"], ["--max-wait", "90"]] {
            assert_eq!(parse(&wrong).unwrap_err().exit_code(), 2);
        }
    }
}
