//! `demo`: simulates a week against the sandbox, without key or network.

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
use crate::demo::{self, DemoProgress};
use crate::logging;
use crate::model::{Kind, Watcher};
use crate::report::demo::DemoSummary;
use crate::report::progress::View;
use crate::report::{Answer, CliError, Exit, answer, demo as demo_report, week};
use crate::sandbox::{self, Sandbox};
use crate::store::open::IfMissing;
use crate::store::{StoreResult, analysis, listings, outbox};

/// Number of fastest growing videos to show.
const GROWERS: u32 = 8;

/// Default seed: a week in which some videos go viral.
const SEED: u64 = 7;

/// Default file name of the database.
const FILE: &str = "creatormirror.db";

/// Flags of `demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Seed of the simulation; the same seed gives the same week
    #[arg(long, value_name = "SEED", default_value_t = SEED)]
    pub seed: u64,
}

/// Runs the command. The database is new: at `database`, or in a temporary directory that is removed at the
/// end. Settings are not loaded, so that the demo works even if they are invalid.
pub fn run(
    args: &DemoArgs,
    database: Option<&Path>,
    clock: &Clock,
    view: View,
    width: Option<usize>,
) -> Result<Answer, CliError> {
    let target = DemoDatabase::choose(database)?;
    runtime::multi_thread()?.block_on(async {
        tokio::select! {
            // Install the signal handlers first.
            biased;
            () = runtime::stop_signal() => Err(target.interrupted()),
            result = simulate(args, &target, clock, view, width) => result,
        }
    })?;
    Ok(Answer::none())
}

async fn simulate(
    args: &DemoArgs,
    target: &DemoDatabase,
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
    logging::add_secret(&key);
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let sandbox = sandbox::start(organization, simulated.clone(), listen).await;
    let sandbox = sandbox.map_err(|error| {
        CliError::new(Exit::Unavailable, format!("cannot listen on `{listen}`")).because(&error)
    })?;
    let context = context(target, &sandbox, simulated, view, width)?;
    let mut session = session::open(&context, key, Watcher::silent(), IfMissing::Create)?;

    let mut week = week::start(view);
    let result =
        demo::simulate(&mut session.ctx, &session.settings, real, |done| week.update(done)).await;
    drop(week);
    let done = match result {
        Ok(done) => done,
        Err(report) => {
            outcome::verdict(&context, &report)?;
            return Err(CliError::new(Exit::Partial, "a run of the demo failed"));
        }
    };
    let kept = target.is_kept().then(|| session.ctx.store.path().to_owned());
    let summary = summary(&session, kept, &sandbox, start, done).await;
    let mut summary = summary.map_err(|error| context.store_error(&error))?;
    summary.took = real.boot().elapsed.saturating_sub(began);
    let report = demo_report::text(&summary, width);
    session.ctx.store.truncate_wal().await.map_err(|error| context.store_error(&error))?;
    sandbox.stop().await;
    answer::print(&report)
}

/// Returns default settings, except `freshness_target`.
fn context(
    target: &DemoDatabase,
    sandbox: &Sandbox,
    clock: Clock,
    view: View,
    width: Option<usize>,
) -> Result<Context, CliError> {
    let flags = Flags {
        database: Some(target.database.clone()),
        base_url: Some(sandbox.base_url()),
        ..Flags::default()
    };
    let mut config = Config::of_flags(&flags)?;
    config.freshness_target = demo::FRESHNESS;
    Ok(Context { config, clock, view, width })
}

async fn summary(
    session: &Session,
    kept: Option<PathBuf>,
    sandbox: &Sandbox,
    start: DateTime<Utc>,
    done: DemoProgress,
) -> StoreResult<DemoSummary> {
    let control = sandbox.control();
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
            kept,
            took: Duration::ZERO,
            start,
            done,
            growers: growers.collect::<StoreResult<_>>()?,
            ages: analysis::ages(c)?,
            coverage,
            spent: analysis::requests(c)?,
            single: demo::single_requests(listings::counts(c, Kind::Video)?.0),
            listing: demo::listing_requests(counts.iter().map(|(_, rows)| *rows)),
            counts,
        })
    };
    session.ctx.store.read(read).await
}

/// Path of the demo's database.
#[derive(Debug)]
struct DemoDatabase {
    database: PathBuf,
    /// The temporary directory of a database that is not kept.
    folder: Option<TempDir>,
}

impl DemoDatabase {
    /// Uses the named file if it is new, else a file in a new temporary directory. An existing
    /// mirror would be of another organization.
    fn choose(named: Option<&Path>) -> Result<Self, CliError> {
        let Some(named) = named else {
            let folder = tempfile::Builder::new().prefix("creatormirror-demo-").tempdir();
            let folder = folder.map_err(|error| {
                CliError::new(Exit::Storage, "cannot create a temporary directory")
                    .because(&error)
                    .hint("name a file with `--database`")
            })?;
            return Ok(Self { database: folder.path().join(FILE), folder: Some(folder) });
        };
        // An empty file is accepted: `mktemp` creates one.
        let is_taken = match std::fs::metadata(named) {
            Ok(found) => !found.is_file() || found.len() > 0,
            Err(_) => false,
        };
        if is_taken {
            let message = format!("`{}` already exists; it was not changed", named.display());
            return Err(CliError::new(Exit::Storage, message)
                .hint("name a file that does not exist, or omit `--database`"));
        }
        Ok(Self { database: named.to_owned(), folder: None })
    }

    fn interrupted(&self) -> CliError {
        let error = CliError::new(Exit::Partial, "demo interrupted");
        match self.folder {
            Some(_) => error,
            None => error.hint(format!(
                "`{}` contains part of the week; remove it before the next demo",
                self.database.display()
            )),
        }
    }

    fn is_kept(&self) -> bool {
        self.folder.is_none()
    }
}
