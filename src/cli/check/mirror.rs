//! The database and the place it is in: its file, schema and health; its log, rights, file system,
//! room, and lock. Nothing is opened for writing.

use std::path::Path;

use crate::cli::{CliError, Context, Exit, session};
use crate::config::Setting;
use crate::report::check::Check;
use crate::report::text::bytes;
use crate::store::place::{self, FileSystem};
use crate::store::{Store, StoreError, open, status};

/// A longer write-ahead log is one that no checkpoint can cut.
const WAL_BYTES_USUAL_MAX: u64 = 64 * 1024 * 1024;

/// With less room than this a pass may not find an end.
const DISK_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// With less room than this somebody should make some.
const DISK_BYTES_COMFORTABLE: u64 = 512 * 1024 * 1024;

/// What is at the database's path, for the checks that come after.
#[derive(Debug)]
pub enum Mirror {
    /// A mirror that can be read.
    Open(Store),
    /// Nothing, or nothing of ours.
    Absent,
    /// Perhaps a mirror, but it cannot be read.
    Unreadable,
}

/// The database file: there, ours, of our schema, sound.
pub fn database(context: &Context) -> (Vec<Check>, Mirror) {
    let path = &context.config.database;
    let origin = context.config.origin(Setting::Database);
    let found = |size| Check::ok("database", format!("{}, {size}, from {origin}", path.display()));
    let size = bytes(status::sizes(path).database);
    let failure = |name, error: &StoreError| Check::failure(name, session::storage(context, error));
    let skipped = |name| Check::skipped(name, "the database cannot be read");
    match Store::open_to_read(path) {
        Ok(store) => {
            let version = Check::ok("schema", format!("version {}", open::known_version()));
            (vec![found(size), version, integrity(context, &store)], Mirror::Open(store))
        }
        Err(StoreError::Older { found: version, known }) => {
            let text = format!("version {version}; the next sync or run brings it to {known}");
            let schema = Check::warning("schema", text);
            (vec![found(size), schema, skipped("integrity")], Mirror::Unreadable)
        }
        Err(error @ StoreError::Newer { .. }) => {
            let schema = failure("schema", &error);
            (vec![found(size), schema, skipped("integrity")], Mirror::Unreadable)
        }
        Err(error) => {
            let mirror = match &error {
                StoreError::Missing(_) | StoreError::Foreign(_) => Mirror::Absent,
                _ => Mirror::Unreadable,
            };
            (vec![failure("database", &error), skipped("schema"), skipped("integrity")], mirror)
        }
    }
}

fn integrity(context: &Context, store: &Store) -> Check {
    match store.read(status::integrity) {
        Ok(damages) if damages.is_empty() => Check::ok("integrity", "quick_check found nothing"),
        Ok(damages) => {
            let message = format!("the database is damaged: {}", damages.join("; "));
            let error = CliError::new(Exit::Storage, message)
                .hint("put a backup in its place; without one, move it away and run `creatormirror sync --full`")
                .hint("keep the damaged file: its history cannot be had from the API again");
            Check::failure("integrity", error)
        }
        Err(error) => Check::failure("integrity", session::storage(context, &error)),
    }
}

/// The place of the database: its log, rights, file system, room, and lock.
pub fn place(context: &Context) -> Vec<Check> {
    let path = std::path::absolute(&context.config.database).unwrap_or_default();
    let path = place::resolve(&path).unwrap_or(path);
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
    let folder = place::nearest_folder(path).unwrap_or(Path::new("/"));
    let refused = [folder, path, &place::lock_path(path)]
        .into_iter()
        .find(|part| part.exists() && !place::may_write(part))
        .map(|part| part.display().to_string());
    if let Some(part) = refused {
        let error = CliError::new(Exit::Storage, format!("this user may not write {part}"))
            .hint("sync and run have to; check as the user that runs them");
        return Check::failure("permissions", error);
    }
    match place::mode_of_others(path) {
        Some(mode) if mode != 0 => {
            Check::warning("permissions", format!("everybody may get at {}", path.display()))
                .hint(format!("chmod o= {}", path.display()))
        }
        Some(_) => Check::ok("permissions", "this user may write; others may not read"),
        None => Check::ok("permissions", "this user may write"),
    }
}

fn file_system(context: &Context, path: &Path) -> Check {
    match place::file_system(path) {
        FileSystem::Local => Check::ok("file_system", "local"),
        FileSystem::Memory => {
            Check::warning("file_system", "tmpfs: the mirror and its history are lost at a reboot")
                .hint("put `database` on a disk")
        }
        FileSystem::Network(name) => {
            let error = StoreError::NetworkFileSystem { path: path.to_owned(), name };
            Check::failure("file_system", session::storage(context, &error))
        }
    }
}

fn disk_space(path: &Path) -> Check {
    let Some(free) = path.ancestors().find_map(place::free_bytes) else {
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
    match place::is_locked(path) {
        true => Check::ok("lock", "held: a creatormirror is working on it now"),
        false => Check::ok("lock", "free"),
    }
}
