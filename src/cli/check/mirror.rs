//! Checks of the database: file, schema, integrity, write-ahead log, permissions, file system, disk
//! space and lock. Nothing is opened for writing.

use std::path::Path;

use crate::cli::context::Context;
use crate::cli::restore::FOREIGN_TRIGGER_HINT;
use crate::config::Setting;
use crate::model::Kind;
use crate::report::check::Check;
use crate::report::text::bytes;
use crate::report::{CliError, Exit};
use crate::store::database_path::{self, FileSystem};
use crate::store::instance_lock;
use crate::store::rows;
use crate::store::schema_check::{self, listed};
use crate::store::status::Depth;
use crate::store::{Database, StoreError, open, status};
use crate::sync::finish::unreadable_text;

/// A larger write-ahead log indicates that a reader blocks checkpoints.
const WAL_BYTES_WARNING: u64 = 64 * 1024 * 1024;

/// Free disk space below which a run may fail.
const DISK_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// Free disk space below which to warn.
const DISK_BYTES_WARNING: u64 = 512 * 1024 * 1024;

/// State of the database, for the checks that read it.
#[derive(Debug)]
pub enum Mirror {
    /// A readable mirror.
    Open(Database),
    /// No file yet.
    Absent,
    /// Not a mirror.
    Foreign,
    /// Possibly a mirror, but not readable.
    Unreadable,
}

impl Mirror {
    /// The database, or why there is none to read.
    pub fn store(&self) -> Result<&Database, &'static str> {
        match self {
            Self::Open(store) => Ok(store),
            Self::Absent => Err("the database does not exist yet"),
            Self::Foreign => Err("the database is not a mirror"),
            Self::Unreadable => Err("the database cannot be read"),
        }
    }
}

/// Checks that the database exists, is a mirror, and has the current schema and no damage.
pub fn database(context: &Context, depth: Depth) -> (Vec<Check>, Mirror) {
    let path = &context.config.database;
    let origin = context.config.origin(Setting::Database);
    let size = bytes(status::sizes(path).database);
    let found = Check::ok("database", format!("{}, {size} ({origin})", path.display()));
    let failure = |name, error: &StoreError| Check::failure(name, context.store_error(error));
    let skipped = |name| Check::skipped(name, "the database cannot be read");
    let store = match Database::open_to_check(path) {
        Ok(store) => store,
        Err(StoreError::Missing(path)) => {
            let text = format!("{} does not exist yet ({origin})", path.display());
            let check = Check::warning("database", text).hint(
                "run `creatormirror sync` to create it, or name another file with `--database`",
            );
            let skipped = |name| Check::skipped(name, "the database does not exist yet");
            return (vec![check, skipped("schema"), skipped("integrity")], Mirror::Absent);
        }
        Err(error @ StoreError::Newer { .. }) => {
            let schema = failure("schema", &error);
            return (vec![found, schema, skipped("integrity")], Mirror::Unreadable);
        }
        Err(error) => {
            let mirror = match &error {
                StoreError::Foreign(_) => Mirror::Foreign,
                _ => Mirror::Unreadable,
            };
            let database = failure("database", &error);
            return (vec![database, skipped("schema"), skipped("integrity")], mirror);
        }
    };
    let (schema, is_usable) = schema(context, &store);
    let integrity = integrity(context, &store, depth);
    let mut checks = vec![found, schema, integrity];
    if !is_usable {
        return (checks, Mirror::Unreadable);
    }
    checks.extend(scrape_times(context, &store));
    (checks, Mirror::Open(store))
}

/// Compares the schema with the migrations. Also returns whether the database can be read
/// nevertheless.
fn schema(context: &Context, store: &Database) -> (Check, bool) {
    let report = match store.read(schema_check::read) {
        Ok(report) => report,
        Err(error) => return (Check::failure("schema", context.store_error(&error)), false),
    };
    let (version, known) = (report.version, open::known_version());
    if !report.faults.is_empty() {
        let message = format!("the schema is damaged: {}", listed(&report.faults));
        let error = CliError::new(Exit::Storage, message)
            .optional_hint(report.has_foreign_trigger.then_some(FOREIGN_TRIGGER_HINT));
        let error = match &*report.faults {
            [_] if report.has_foreign_trigger => error,
            _ => with_restore_hints(error),
        };
        let is_usable = version == known && !report.is_table_at_fault;
        return (Check::failure("schema", error), is_usable);
    }
    if version < known {
        let text = format!("version {version}; the next sync or run migrates it to {known}");
        return (Check::warning("schema", text), false);
    }
    let mut text = format!("version {version}; {} objects match", report.compared);
    if !report.foreign.is_empty() {
        text.push_str(&format!("; additional objects: {}", listed(&report.foreign)));
    }
    (Check::ok("schema", text), true)
}

fn integrity(context: &Context, store: &Database, depth: Depth) -> Check {
    match store.read(|c| status::integrity(c, depth)) {
        Ok(damages) if damages.is_empty() => {
            let rest = match depth {
                Depth::Quick => "; `check --deep` does more",
                Depth::Deep => "",
            };
            Check::ok("integrity", format!("{} found no damage{rest}", depth.pragma()))
        }
        Ok(damages) => {
            let message = format!("the database is damaged: {}", damages.join("; "));
            Check::failure("integrity", with_restore_hints(CliError::new(Exit::Storage, message)))
        }
        Err(error) => Check::failure("integrity", with_restore_hints(context.store_error(&error))),
    }
}

/// Adds hints about a damaged database.
fn with_restore_hints(error: CliError) -> CliError {
    error
        .hint("restore a backup with `creatormirror restore FILE`; without a backup, move the file away and run `creatormirror sync --full`")
        .hint("keep the damaged file: the API cannot provide its history again")
}

/// Reports scrape times that cannot be parsed, because history would stop without another sign.
fn scrape_times(context: &Context, store: &Database) -> Option<Check> {
    const NAME: &str = "scrape_times";
    let mut found = Vec::new();
    for kind in Kind::LISTS {
        match store.read(|c| rows::unreadable_scrapes(c, kind)) {
            Ok(unreadable) => found.extend(unreadable.map(|one| unreadable_text(kind, &one))),
            Err(error) => return Some(Check::failure(NAME, context.store_error(&error))),
        }
    }
    (!found.is_empty()).then(|| {
        let error = CliError::new(Exit::Partial, found.join("; ")).hint(
            "the API uses a format unknown to this version; column `extra` contains the original values",
        );
        Check::failure(NAME, error)
    })
}

/// Checks the write-ahead log, permissions, file system, disk space and lock.
pub fn storage(context: &Context) -> Vec<Check> {
    let path = std::path::absolute(&context.config.database).unwrap_or_default();
    let path = database_path::resolve(&path).unwrap_or(path);
    vec![
        wal(&path),
        permissions(&path),
        file_system(context, &path),
        disk_space(&path),
        lock(&path),
    ]
}

fn wal(path: &Path) -> Check {
    let size = status::sizes(path).wal;
    match size > WAL_BYTES_WARNING {
        false => Check::ok("wal", bytes(size)),
        true => Check::warning("wal", format!("{} is unusually large", bytes(size))).hint(
            "look for a reader with a long transaction; the next sync without one truncates it",
        ),
    }
}

fn permissions(path: &Path) -> Check {
    let folder = database_path::nearest_folder(path).unwrap_or(Path::new("/"));
    let refused = [folder, path, &database_path::lock_path(path)]
        .into_iter()
        .find(|part| part.exists() && !database_path::may_write(part))
        .map(|part| part.display().to_string());
    if let Some(part) = refused {
        let error = CliError::new(Exit::Storage, format!("this user cannot write `{part}`"))
            .hint("run `check` as the user that runs `sync` or `run`");
        return Check::failure("permissions", error);
    }
    match database_path::mode_of_others(path) {
        Some(mode) if mode != 0 => {
            let text =
                format!("any user can access `{}` (mode {mode:o} for others)", path.display());
            Check::warning("permissions", text).hint(format!("run `chmod o= {}`", path.display()))
        }
        Some(_) => Check::ok("permissions", "this user can write; others have no access"),
        None => Check::ok("permissions", "this user can write"),
    }
}

fn file_system(context: &Context, path: &Path) -> Check {
    match database_path::file_system(path) {
        FileSystem::Local => Check::ok("file_system", "local"),
        FileSystem::Memory => {
            Check::warning("file_system", "tmpfs: the database is lost on reboot")
                .hint("move `database` to a disk")
        }
        FileSystem::Network(name) => {
            let error = StoreError::NetworkFileSystem { path: path.to_owned(), name };
            Check::failure("file_system", context.store_error(&error))
        }
    }
}

fn disk_space(path: &Path) -> Check {
    let Some(free) = path.ancestors().find_map(database_path::free_bytes) else {
        return Check::skipped("disk_space", "the file system does not report it");
    };
    let text = format!("{} free", bytes(free));
    match free {
        _ if free < DISK_BYTES_MIN => {
            let error =
                CliError::new(Exit::Storage, format!("only {text}")).hint("free some space");
            Check::failure("disk_space", error)
        }
        _ if free < DISK_BYTES_WARNING => {
            Check::warning("disk_space", format!("only {text}")).hint("free some space")
        }
        _ => Check::ok("disk_space", text),
    }
}

fn lock(path: &Path) -> Check {
    match instance_lock::is_locked(path) {
        true => Check::ok("lock", "held by a running creatormirror"),
        false => Check::ok("lock", "free"),
    }
}
