//! The database and the place it is in: its file, schema and health; its log, rights, file system,
//! room, and lock. Nothing is opened for writing.

use std::path::Path;

use crate::cli::context::Context;
use crate::config::Setting;
use crate::model::Kind;
use crate::report::check::Check;
use crate::report::text::bytes;
use crate::report::{CliError, Exit};
use crate::store::database_path::{self, FileSystem};
use crate::store::instance_lock;
use crate::store::rows;
use crate::store::status::Depth;
use crate::store::{Database, StoreError, open, schema_check, status};
use crate::sync::finish::unreadable_text;

/// A longer write-ahead log is one that no checkpoint can cut.
const WAL_BYTES_USUAL_MAX: u64 = 64 * 1024 * 1024;

/// With less room than this a run may not find an end.
const DISK_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// With less room than this somebody should make some.
const DISK_BYTES_COMFORTABLE: u64 = 512 * 1024 * 1024;

/// Objects of a schema that are named.
const NAMED_MAX: usize = 5;

/// What is at the database's path, for the checks that come after.
#[derive(Debug)]
pub enum Mirror {
    /// A mirror that can be read.
    Open(Database),
    /// Nothing, or nothing of ours.
    Absent,
    /// Perhaps a mirror, but it cannot be read.
    Unreadable,
}

/// The database file: there, ours, of our schema, sound.
pub fn database(context: &Context, depth: Depth) -> (Vec<Check>, Mirror) {
    let path = &context.config.database;
    let origin = context.config.origin(Setting::Database);
    let size = bytes(status::sizes(path).database);
    let found = Check::ok("database", format!("{}, {size}, from {origin}", path.display()));
    let failure = |name, error: &StoreError| Check::failure(name, context.storage(error));
    let skipped = |name| Check::skipped(name, "the database cannot be read");
    let store = match Database::open_to_check(path) {
        Ok(store) => store,
        Err(StoreError::Missing(path)) => {
            let text = format!("there is none at {} yet, from {origin}", path.display());
            let check = Check::warning("database", text)
                .hint("`creatormirror sync` makes it; --database FILE names another");
            let skipped = |name| Check::skipped(name, "there is no database yet");
            return (vec![check, skipped("schema"), skipped("integrity")], Mirror::Absent);
        }
        Err(error @ StoreError::Newer { .. }) => {
            let schema = failure("schema", &error);
            return (vec![found, schema, skipped("integrity")], Mirror::Unreadable);
        }
        Err(error) => {
            let mirror = match &error {
                StoreError::Foreign(_) => Mirror::Absent,
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

/// Whether the schema is the one that the migrations make, and whether the mirror can be worked with.
fn schema(context: &Context, store: &Database) -> (Check, bool) {
    let report = match store.read(schema_check::read) {
        Ok(report) => report,
        Err(error) => return (Check::failure("schema", context.storage(&error)), false),
    };
    let (version, known) = (report.version, open::known_version());
    if !report.faults.is_empty() {
        let message = format!("the schema is damaged: {}", listed(&report.faults));
        let error = in_its_place(CliError::new(Exit::Storage, message));
        let is_usable = version == known && !report.is_table_at_fault;
        return (Check::failure("schema", error), is_usable);
    }
    if version < known {
        let text = format!("version {version}; the next sync or run brings it to {known}");
        return (Check::warning("schema", text), false);
    }
    let count = report.compared;
    let mut text =
        format!("version {version}; its migrations and {count} objects are as they should be");
    if !report.foreign.is_empty() {
        text.push_str(&format!("; not ours: {}", listed(&report.foreign)));
    }
    (Check::ok("schema", text), true)
}

fn integrity(context: &Context, store: &Database, depth: Depth) -> Check {
    match store.read(|c| status::integrity(c, depth)) {
        Ok(damages) if damages.is_empty() => {
            let rest = match depth {
                Depth::Quick => "; `check --deep` also compares indexes with their tables",
                Depth::Deep => ", indexes included",
            };
            Check::ok("integrity", format!("{} found nothing{rest}", depth.pragma()))
        }
        Ok(damages) => {
            let message = format!("the database is damaged: {}", damages.join("; "));
            Check::failure("integrity", in_its_place(CliError::new(Exit::Storage, message)))
        }
        Err(error) => Check::failure("integrity", in_its_place(context.storage(&error))),
    }
}

/// What to do about a database that is not what it was.
fn in_its_place(error: CliError) -> CliError {
    error
        .hint("put a backup in its place by `creatormirror restore FILE`; without one, move it away and run `creatormirror sync --full`")
        .hint("keep the damaged file: its history cannot be had from the API again")
}

/// The first of them, and how many more there are.
fn listed(all: &[String]) -> String {
    let mut text = all.iter().take(NAMED_MAX).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = all.len().saturating_sub(NAMED_MAX);
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// Scrape times that cannot be read, if there are any: history stops, which nobody would notice.
fn scrape_times(context: &Context, store: &Database) -> Option<Check> {
    const NAME: &str = "last_scrape_time";
    let mut found = Vec::new();
    for kind in Kind::LISTS {
        match store.read(|c| rows::unreadable_scrapes(c, kind)) {
            Ok(unreadable) => found.extend(unreadable.map(|one| unreadable_text(kind, &one))),
            Err(error) => return Some(Check::failure(NAME, context.storage(&error))),
        }
    }
    (!found.is_empty()).then(|| {
        let error = CliError::new(Exit::Partial, found.join("; ")).hint(
            "the API writes them in a way that this version does not know; the rows have it in `extra`",
        );
        Check::failure(NAME, error)
    })
}

/// The place of the database: its log, rights, file system, room, and lock.
pub fn place(context: &Context) -> Vec<Check> {
    let path = std::path::absolute(&context.config.database).unwrap_or_default();
    let path = database_path::resolve(&path).unwrap_or(path);
    vec![wal(&path), rights(&path), file_system(context, &path), disk_space(&path), lock(&path)]
}

fn wal(path: &Path) -> Check {
    let size = status::sizes(path).wal;
    match size > WAL_BYTES_USUAL_MAX {
        false => Check::ok("wal", bytes(size)),
        true => Check::warning("wal", format!("{}, which is long", bytes(size)))
            .hint("a reader that keeps a transaction open lets it grow; the next sync without one cuts it"),
    }
}

fn rights(path: &Path) -> Check {
    let folder = database_path::nearest_folder(path).unwrap_or(Path::new("/"));
    let refused = [folder, path, &database_path::lock_path(path)]
        .into_iter()
        .find(|part| part.exists() && !database_path::may_write(part))
        .map(|part| part.display().to_string());
    if let Some(part) = refused {
        let error = CliError::new(Exit::Storage, format!("this user may not write {part}"))
            .hint("sync and run have to; check as the user that runs them");
        return Check::failure("permissions", error);
    }
    match database_path::mode_of_others(path) {
        Some(mode) if mode != 0 => {
            Check::warning("permissions", format!("everybody may get at {}", path.display()))
                .hint(format!("chmod o= {}", path.display()))
        }
        Some(_) => Check::ok("permissions", "this user may write; others may not read"),
        None => Check::ok("permissions", "this user may write"),
    }
}

fn file_system(context: &Context, path: &Path) -> Check {
    match database_path::file_system(path) {
        FileSystem::Local => Check::ok("file_system", "local"),
        FileSystem::Memory => {
            Check::warning("file_system", "tmpfs: the mirror and its history are lost at a reboot")
                .hint("put `database` on a disk")
        }
        FileSystem::Network(name) => {
            let error = StoreError::NetworkFileSystem { path: path.to_owned(), name };
            Check::failure("file_system", context.storage(&error))
        }
    }
}

fn disk_space(path: &Path) -> Check {
    let Some(free) = path.ancestors().find_map(database_path::free_bytes) else {
        return Check::skipped("disk_space", "the file system does not tell");
    };
    let text = format!("{} free", bytes(free));
    match free {
        _ if free < DISK_BYTES_MIN => {
            let error = CliError::new(Exit::Storage, format!("only {text}")).hint("make room");
            Check::failure("disk_space", error)
        }
        _ if free < DISK_BYTES_COMFORTABLE => {
            Check::warning("disk_space", format!("only {text}")).hint("make room")
        }
        _ => Check::ok("disk_space", text),
    }
}

fn lock(path: &Path) -> Check {
    match instance_lock::is_locked(path) {
        true => Check::ok("lock", "held: a creatormirror is working on it now"),
        false => Check::ok("lock", "free"),
    }
}
