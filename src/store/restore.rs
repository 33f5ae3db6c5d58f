//! `restore`: checks a copy of a mirror and replaces the database with it.
//!
//! The copy may be made by `backup` or by another tool, with its own write-ahead log beside it. It is
//! only read, without SQLite's locks, so it may be on a read-only file system. As with `backup`, the
//! restored database is a new instance and sends nothing by itself.
//!
//! A crash is harmless at any point: the replaced file and its log get second names, the copy takes the
//! name by one rename, and the old log is removed last. In between the copy, in rollback mode, is beside
//! a foreign log, which [`crate::store::wal_check`] refuses.

use std::fs::File;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use url::Url;

use crate::store::backup::{self, BackupError, CopyProgress, IfExists, Partial};
use crate::store::error::{StoreError, StoreResult};
use crate::store::instance::{self, StoredRequestState};
use crate::store::instance_lock::{self, FileId, InstanceLock};
use crate::store::open::{self, Access};
use crate::store::{database_path, schema_check, wal_check};

/// Suffix of a replaced file.
const REPLACED: &str = ".replaced";
/// Maximum number of replaced files that are kept.
const REPLACED_MAX: u32 = 1_000;

/// A restored database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Its path, symbolic links resolved.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Number of entries held in its outbox.
    pub held: usize,
    /// Path of the replaced file, if there was one.
    pub replaced: Option<PathBuf>,
}

/// State of the replaced database that the restored one must respect.
#[derive(Default)]
struct Former {
    organization_id: Option<String>,
    /// Carried over, because a cooldown still applies.
    request_state: Option<StoredRequestState>,
}

/// Replaces `database` with `copy`. `report` is called with the progress and returns whether to continue.
pub fn restore(
    copy: &Path,
    database: &Path,
    now: i64,
    mut report: impl FnMut(CopyProgress) -> bool,
) -> Result<Restored, BackupError> {
    let path = database_path::prepare(database)?;
    let lock = InstanceLock::take_to_replace(&path)?;
    let source = open_copy(copy, &path)?;
    // A log that does not belong to the old file is not kept.
    let old = lock.database();
    let is_sound = old.is_some_and(|file| wal_check::check(&path, file, Some(lock.file())).is_ok());
    let former = if is_sound { former(&path) } else { Former::default() };

    let partial = Partial::begin(&path)?;
    let mut connection = backup::open_partial(&partial.path)?;
    let bytes = backup::copy_pages(&source, &mut connection, &mut report)?;
    drop(source);
    backup::check_pages(&mut connection, || report(CopyProgress { bytes, total: bytes }))?;
    open::migrate(&mut connection)?;
    check_organization(copy, &connection, &former)?;
    let held = backup::make_new_instance(&mut connection, now)?;
    if let Some(request_state) = &former.request_state {
        let tx = connection.transaction()?;
        instance::save_request_state(&tx, request_state)?;
        tx.commit()?;
    }
    connection.close().map_err(|(_, error)| error)?;

    let replaced = match old {
        None => None,
        Some(old) => {
            give_owner(&partial, old)?;
            Some(keep_aside(&path, is_sound)?)
        }
    };
    partial.finish(&path, IfExists::Replace)?;
    Ok(Restored { path, bytes, held, replaced })
}

/// Opens the copy for reading, and checks that it is a mirror with the schema of its version.
fn open_copy(copy: &Path, database: &Path) -> Result<Connection, BackupError> {
    let path = database_path::resolve(copy)?;
    let file = instance_lock::read_descriptor(&path)?;
    if FileId::of(&path) == FileId::of(database) {
        return Err(BackupError::Itself(copy.to_owned()));
    }
    if instance_lock::is_locked(&path) {
        return Err(StoreError::Locked(path).into());
    }
    wal_check::check(&path, file, instance_lock::existing_lock_file(&path).as_ref())?;
    let connection = open_unlocked(&path)?;
    open::check_schema(&connection, &path, Access::Writes)?;
    if open::schema_version(&connection)? == 0 {
        return Err(StoreError::Foreign(path).into());
    }
    let report = schema_check::read(&connection)?;
    match report.faults.is_empty() {
        true => Ok(connection),
        false => Err(BackupError::Schema { copy: copy.to_owned(), report }),
    }
}

/// Opens a database that no process writes: read-only, without locks, and without creating or deleting a
/// file beside it, so that it works on a read-only file system. A log is read into memory.
fn open_unlocked(path: &Path) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if !wal_check::has_frames(&database_path::wal_path(path)) {
        let mut address =
            Url::from_file_path(path).map_err(|()| StoreError::Missing(path.to_owned()))?;
        address.set_query(Some("immutable=1"));
        let flags = flags | OpenFlags::SQLITE_OPEN_URI;
        return Ok(Connection::open_with_flags(address.as_str(), flags)?);
    }
    let connection = Connection::open_with_flags_and_vfs(path, flags, c"unix-none")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    Ok(connection)
}

/// Reads the state of the replaced database as far as possible: it may be damaged.
fn former(path: &Path) -> Former {
    let read = || -> StoreResult<Former> {
        let connection = open_unlocked(path)?;
        open::check_schema(&connection, path, Access::Reads)?;
        let organization_id = instance::identity(&connection)?.organization_id;
        let request_state = Some(instance::request_state(&connection)?);
        Ok(Former { organization_id, request_state })
    };
    read().unwrap_or_else(|error| {
        tracing::debug!(%error, "the replaced database cannot be read");
        Former::default()
    })
}

fn check_organization(
    copy: &Path,
    connection: &Connection,
    former: &Former,
) -> Result<(), BackupError> {
    let theirs = instance::identity(connection)?.organization_id;
    match (theirs, former.organization_id.clone()) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            Err(BackupError::OtherOrganization { copy: copy.to_owned(), theirs, ours })
        }
        _ => Ok(()),
    }
}

/// Gives the copy the owner of the replaced file, for a restore by root.
fn give_owner(partial: &Partial, old: &File) -> StoreResult<()> {
    let io = |source| StoreError::Io { path: partial.path.to_path_buf(), source };
    let (old, new) = (old.metadata().map_err(io)?, partial.path.metadata().map_err(io)?);
    match (old.uid(), old.gid()) == (new.uid(), new.gid()) {
        true => Ok(()),
        false => chown(&partial.path, Some(old.uid()), Some(old.gid())).map_err(io),
    }
}

/// Gives the file at `path` a second name, and also its log if `has_own_log`.
fn keep_aside(path: &Path, has_own_log: bool) -> StoreResult<PathBuf> {
    let io = StoreError::io(path);
    let aside = free_name(path)?;
    let (log, log_aside) = (database_path::wal_path(path), database_path::wal_path(&aside));
    if has_own_log && wal_check::has_frames(&log) {
        std::fs::hard_link(&log, &log_aside).map_err(io)?;
    }
    std::fs::hard_link(path, &aside).map_err(io)?;
    Ok(aside)
}

fn free_name(path: &Path) -> StoreResult<PathBuf> {
    let names = (1..=REPLACED_MAX).map(|n| match n {
        1 => database_path::sibling(path, REPLACED),
        n => database_path::sibling(path, &format!("{REPLACED}-{n}")),
    });
    let is_free = |path: &PathBuf| {
        [path.clone(), database_path::wal_path(path)]
            .iter()
            .all(|path| path.symlink_metadata().is_err())
    };
    names.into_iter().find(is_free).ok_or_else(|| StoreError::Io {
        path: path.to_owned(),
        source: std::io::Error::other("too many replaced files beside it; delete some"),
    })
}
