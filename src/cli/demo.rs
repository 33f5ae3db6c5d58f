//! `demo`: a simulated week against the embedded API, with no key, network or questions.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use clap::Args;
use rusqlite::Connection;
use secrecy::SecretString;
use tempfile::TempDir;

use crate::cli::context::Context;
use crate::cli::session::{self, Session};
use crate::cli::{outcome, runtime};
use crate::clock::Clock;
use crate::config::{Config, Flags};
use crate::demo::{self, Progress};
use crate::logging;
use crate::model::{Kind, Watcher};
use crate::report::demo::DemoSummary;
use crate::report::progress::View;
use crate::report::{Answer, CliError, Exit, answer, demo as demo_report, week};
use crate::sandbox::{self, Sandbox};
use crate::store::open::IfMissing;
use crate::store::{StoreResult, analysis, listings, outbox};

/// How many of the fastest growing videos are shown.
const GROWERS: u32 = 8;

/// A week in which some videos go viral.
const SEED: u64 = 7;

/// The mirror's file, where none was named.
const FILE: &str = "creatormirror.db";

/// Flags of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// The same seed makes the same week
    #[arg(long, value_name = "SEED", default_value_t = SEED)]
    pub seed: u64,
}

/// Runs the command. The mirror goes to `database` if one was named. No settings are read, so that
/// the demo works whatever they are.
pub fn run(
    args: &DemoArgs,
    database: Option<&Path>,
    clock: &Clock,
    view: View,
    width: Option<usize>,
) -> Result<Answer, CliError> {
    let place = Place::find(database)?;
    runtime::runtime()?.block_on(async {
        tokio::select! {
            // Signals are heard before anything is begun.
            biased;
            () = runtime::stop_signal() => Err(place.interrupted()),
            done = simulate(args, &place, clock, view, width) => done,
        }
    })?;
    place.keep();
    Ok(Answer::none())
}

async fn simulate(
    args: &DemoArgs,
    place: &Place,
    real: &Clock,
    view: View,
    width: Option<usize>,
) -> Result<(), CliError> {
    let began = real.boot().elapsed;
    let simulated = Clock::simulated(real.now() - TimeDelta::days(demo::DAYS));
    let start = simulated.now();
    let organization = demo::organization(args.seed);
    let key = organization.keys.first().map(|key| key.key.clone()).unwrap_or_default();
    let key = SecretString::from(key);
    logging::hide(&key);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = sandbox::start(organization, simulated.clone(), listen).await;
    let sandbox = sandbox.map_err(|error| {
        CliError::new(Exit::Unavailable, format!("cannot listen on {listen}")).because(&error)
    })?;
    let context = context(place, &sandbox, simulated, view, width)?;
    let mut session = session::open(&context, key, Watcher::silent(), IfMissing::Create)?;

    let mut week = week::start(view);
    let lived =
        demo::live(&mut session.ctx, &session.settings, real, |done| week.update(done)).await;
    drop(week);
    let done = match lived {
        Ok(done) => done,
        Err(report) => {
            outcome::verdict(&context, &report)?;
            return Err(CliError::new(Exit::Partial, "a run of the demo came to a bad end"));
        }
    };
    let summary = summary(&session, &sandbox, start, done).await;
    let mut summary = summary.map_err(|error| context.storage(&error))?;
    summary.took = real.boot().elapsed.saturating_sub(began);
    let report = demo_report::text(&summary, width);
    session.ctx.store.tidy().await.map_err(|error| context.storage(&error))?;
    sandbox.stop().await;
    answer::print(&report)
}

/// The settings of `sync` where nothing is set, but for how long due videos wait.
fn context(
    place: &Place,
    sandbox: &Sandbox,
    clock: Clock,
    view: View,
    width: Option<usize>,
) -> Result<Context, CliError> {
    let flags = Flags {
        database: Some(place.database.clone()),
        base_url: Some(sandbox.base_url()),
        ..Flags::default()
    };
    let mut config = Config::of_flags(&flags)?;
    config.freshness_target = demo::FRESHNESS;
    Ok(Context { config, clock, view, width })
}

async fn summary(
    session: &Session,
    sandbox: &Sandbox,
    start: DateTime<Utc>,
    done: Progress,
) -> StoreResult<DemoSummary> {
    let (control, database) = (sandbox.control(), session.ctx.store.path().to_owned());
    let read = move |c: &Connection| {
        let coverage = demo::coverage(c, &control, start)?;
        let counted = Kind::LISTS.into_iter().map(|kind| Ok((kind, listings::counts(c, kind)?.0)));
        let counts: Vec<_> = counted.collect::<StoreResult<_>>()?;
        let growers = analysis::growers(c, GROWERS)?.into_iter().map(|grower| {
            let views = analysis::views(c, &grower.video_id)?;
            Ok((grower, views))
        });
        let entry = done.tracked.map(|entry| outbox::one(c, entry)).transpose()?.flatten();
        let tracked = match entry {
            None => None,
            Some(entry) => {
                let id = entry.result_id.as_deref().unwrap_or_default();
                let views = analysis::views(c, id)?;
                Some((entry, views))
            }
        };
        Ok(DemoSummary {
            tracked,
            database,
            took: Duration::ZERO,
            start,
            done,
            growers: growers.collect::<StoreResult<_>>()?,
            ages: analysis::ages(c)?,
            coverage,
            spent: analysis::spent(c)?,
            naive: demo::naive_requests(listings::counts(c, Kind::Video)?.0),
            listing: demo::listing_requests(counts.iter().map(|(_, rows)| *rows)),
            counts,
        })
    };
    session.ctx.store.read(read).await
}

/// Where the mirror goes.
#[derive(Debug)]
struct Place {
    database: PathBuf,
    /// Taken away with what is in it, unless the demo comes to its end.
    folder: Option<TempDir>,
}

impl Place {
    /// The named file if it is new, else one in a new folder among the temporary files. A mirror
    /// that is there already is of another organization, or of another week.
    fn find(named: Option<&Path>) -> Result<Self, CliError> {
        let Some(named) = named else {
            let folder = tempfile::Builder::new().prefix("creatormirror-demo-").tempdir();
            let folder = folder.map_err(|error| {
                CliError::new(Exit::Storage, "cannot make a temporary folder")
                    .because(&error)
                    .hint("--database FILE puts the demo elsewhere")
            })?;
            return Ok(Self { database: folder.path().join(FILE), folder: Some(folder) });
        };
        // An empty file, as mktemp makes it, holds nothing to mix with.
        let is_taken = match std::fs::metadata(named) {
            Ok(found) => !found.is_file() || found.len() > 0,
            Err(_) => false,
        };
        if is_taken {
            let message = format!("{} exists already; it is left as it is", named.display());
            return Err(CliError::new(Exit::Storage, message)
                .hint("the demo fills a new database: name a file that is not there, or none"));
        }
        Ok(Self { database: named.to_owned(), folder: None })
    }

    fn interrupted(&self) -> CliError {
        let error = CliError::new(Exit::Partial, "interrupted; the demo is not finished");
        match self.folder {
            Some(_) => error,
            None => error.hint(format!(
                "{} holds a part of the week; remove it before the next demo",
                self.database.display()
            )),
        }
    }

    fn keep(self) {
        if let Some(folder) = self.folder {
            // From here on the folder is a path like any other.
            drop(folder.keep());
        }
    }
}
