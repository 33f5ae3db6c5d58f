//! Opens the database: refuses foreign files, configures the connection, migrates the schema.

use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, FileControl, OpenFlags};

use crate::store::database::Database;
use crate::store::database_path;
use crate::store::error::{StoreError, StoreResult};
use crate::store::instance_lock::{self, InstanceLock, OpenFiles};
use crate::store::{busy, late_indexes, wal_check};

/// The files in `migrations/`.
mod embedded {
    #![allow(missing_docs)]
    refinery::embed_migrations!("migrations");
}
pub(super) use embedded::migrations;

/// `CrMr`: marks the files of this program.
const APPLICATION_ID: i64 = 1_131_564_402;

/// The WAL is checkpointed at this size and truncated to it afterwards, bytes. A checkpoint syncs twice and rewrites
/// each page, so a large WAL is faster.
const WAL_BYTES: i64 = 16 * 1024 * 1024;

/// Page cache of the writing connection, KiB.
const CACHE_KIB: i64 = 1_500;

/// Page cache of a reading connection of [`crate::store::Store`], KiB.
const READER_CACHE_KIB: i64 = 256;

/// Page size of a new database, bytes.
const PAGE_BYTES: i64 = 8 * 1024;

/// What to do if the database file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfMissing {
    /// Create it, and its folder.
    Create,
    /// Return [`StoreError::Missing`].
    Refuse,
}

impl Database {
    /// Opens the database for writing, takes the instance lock, and migrates the schema.
    pub fn open(path: &Path, if_missing: IfMissing) -> StoreResult<Self> {
        let is_new = !database_path::exists(path)?;
        if is_new && if_missing == IfMissing::Refuse {
            return Err(StoreError::Missing(path.to_owned()));
        }
        let path = database_path::prepare(path)?;
        let lock = InstanceLock::take(&path)?;
        let Some(file) = lock.database() else { return Err(StoreError::Missing(path)) };
        wal_check::check(&path, file, Some(lock.file()))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = connect(&path, flags)?;
        check_schema(&connection, &path, Access::Writes)?;
        begin(&connection)?;
        wal_check::record(&path, file, lock.file())?;
        prepare(&connection)?;
        migrate(&mut connection)?;
        if is_new {
            late_indexes::drop(&connection)?;
        }
        let files = OpenFiles::of(&path, file)?;
        Ok(Self::new(connection, path, Some(files), Some(lock)))
    }

    /// Opens the database for writing without the instance lock, to submit a job or queue a write.
    pub fn open_without_lock(path: &Path) -> StoreResult<Self> {
        let (path, file, lock) = existing(path)?;
        database_path::check_writable(&path)?;
        if instance_lock::is_locked_by_another_name(&path) {
            return Err(StoreError::OtherName(path));
        }
        wal_check::check(&path, file, lock.as_ref())?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = connect(&path, flags)?;
        check_schema(&connection, &path, Access::Queues)?;
        if let Some(lock) = &lock {
            wal_check::record(&path, file, lock)?;
        }
        prepare(&connection)?;
        let files = OpenFiles::of(&path, file)?;
        Ok(Self::new(connection, path, Some(files), None))
    }

    /// Opens the database read-only.
    pub fn open_to_read(path: &Path) -> StoreResult<Self> {
        Self::open_read_only(path, Access::Reads)
    }

    /// Opens the database read-only, also with an older schema.
    pub fn open_to_check(path: &Path) -> StoreResult<Self> {
        Self::open_read_only(path, Access::Checks)
    }

    fn open_read_only(path: &Path, access: Access) -> StoreResult<Self> {
        let (connection, path) = read_only(path, access)?;
        Ok(Self::new(connection, path, None, None))
    }
}

/// Opens an existing database read-only. Returns the connection and the resolved path.
pub(super) fn read_only(path: &Path, access: Access) -> StoreResult<(Connection, PathBuf)> {
    let (path, file, lock) = existing(path)?;
    wal_check::check(&path, file, lock.as_ref())?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(&path, flags)?;
    check_schema(&connection, &path, access)?;
    Ok((connection, path))
}

/// The resolved path, the descriptor and the lock file of an existing database.
fn existing(path: &Path) -> StoreResult<(PathBuf, &'static File, Option<File>)> {
    if !database_path::exists(path)? {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let path = database_path::resolve(path)?;
    let (file, lock) =
        (instance_lock::read_descriptor(&path)?, instance_lock::existing_lock_file(&path));
    Ok((path, file, lock))
}

/// Migrates the schema to the newest version.
pub(super) fn migrate(connection: &mut Connection) -> StoreResult<()> {
    // Grouped: otherwise a migration and its entry in the history are two transactions, and a full
    // disk between them would leave the schema without its version.
    migrations::runner().set_grouped(true).run(connection).map_err(Box::new)?;
    Ok(())
}

/// The newest schema version this program knows.
pub fn known_version() -> i64 {
    migrations::runner()
        .get_migrations()
        .iter()
        .map(|migration| i64::from(migration.version()))
        .max()
        .unwrap_or(0)
}

fn connect(path: &Path, flags: OpenFlags) -> StoreResult<Connection> {
    let mut connection = Connection::open_with_flags(path, flags)?;
    busy::wait(&mut connection)?;
    Ok(connection)
}

/// Opens another connection, read-only, to a database that is open for writing.
pub(super) fn reader(path: &Path) -> StoreResult<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(connection)
}

/// Sets the page size and the id of a new database, before its first page is written. The id is only
/// written in rollback mode, so that it is in the file and not in a log.
fn begin(connection: &Connection) -> StoreResult<()> {
    // A page of 4 KiB holds two wide rows and is a quarter empty; one of 8 KiB holds five.
    // SQLite ignores this for a file that has a page.
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    let id: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match mode != "wal" && id == 0 {
        true => give_id(connection),
        false => Ok(()),
    }
}

/// Gives a database in rollback mode a random id; see [`wal_check`].
pub(super) fn give_id(connection: &Connection) -> StoreResult<()> {
    let sql = "SELECT abs(random() % 2147483647) + 1";
    let id: i64 = connection.query_row(sql, [], |row| row.get(0))?;
    connection.pragma_update(None, "user_version", id)?;
    Ok(())
}

/// Configures the writing connection.
fn prepare(connection: &Connection) -> StoreResult<()> {
    // In WAL mode readers do not wait; with `normal` a commit does not wait for the disk.
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES)?;
    connection.pragma_update(None, "wal_autocheckpoint", WAL_BYTES / PAGE_BYTES)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.set_prepared_statement_cache_capacity(64);
    // Without it a cached statement is planned again whenever it is bound to another value.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let mut persist = 1;
    connection.file_control(Some("main"), FileControl::PersistWal(&mut persist))?;
    // Creates the WAL of a database that was in rollback mode, as a copy by `backup` is.
    schema_version(connection)?;
    Ok(())
}

/// What a database is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// An older schema is refused. A newer one keeps the names of this one, and is accepted.
    Reads,
    /// An older schema is accepted, a newer one refused.
    Checks,
    /// Only the known schema is accepted.
    Queues,
    /// An older schema will be migrated, a newer one is refused.
    Writes,
}

/// Refuses a foreign file and an unsupported schema version, before anything is written.
pub(super) fn check_schema(
    connection: &Connection,
    path: &Path,
    access: Access,
) -> StoreResult<()> {
    let foreign = || StoreError::Foreign(path.to_owned());
    let not_a_database = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => foreign(),
        _ => StoreError::Sqlite(error),
    };
    let id: i64 = connection
        .query_row("PRAGMA application_id", [], |row| row.get(0))
        .map_err(not_a_database)?;
    let others: i64 = connection
        .query_row(
            "SELECT count(*) FROM sqlite_schema WHERE tbl_name NOT LIKE 'refinery_schema_history'",
            [],
            |row| row.get(0),
        )
        .map_err(not_a_database)?;
    // An empty database is accepted: a first run may have ended before it made the schema.
    if id != APPLICATION_ID && (id != 0 || others != 0) {
        return Err(foreign());
    }
    let (found, known) = (schema_version(connection)?, known_version());
    if found > known && access != Access::Reads {
        return Err(StoreError::Newer { found, known });
    }
    if found < known && matches!(access, Access::Reads | Access::Queues) {
        return Err(StoreError::Older { found, known });
    }
    Ok(())
}

/// The schema version of the database; 0 when it has none.
pub fn schema_version(connection: &Connection) -> StoreResult<i64> {
    if !connection.table_exists(None, "refinery_schema_history")? {
        return Ok(0);
    }
    let sql = "SELECT coalesce(max(version), 0) FROM refinery_schema_history";
    Ok(connection.query_row(sql, [], |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn temp() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mirror.db");
        (folder, path)
    }

    fn schema(connection: &Connection) -> Vec<(String, String, Option<String>)> {
        let mut statement = connection
            .prepare("SELECT type, name, sql FROM sqlite_schema ORDER BY type, name")
            .unwrap();
        let rows =
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn embedded_migrations_equal_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let on_disk: BTreeMap<String, String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(path).unwrap())
            })
            .collect();
        let embedded: BTreeMap<String, String> = migrations::runner()
            .get_migrations()
            .iter()
            .map(|m| (format!("V{}__{}", m.version(), m.name()), m.sql().unwrap_or("").to_owned()))
            .collect();
        assert_eq!(on_disk, embedded);
    }

    #[test]
    fn upgraded_schema_equals_fresh_schema() {
        let mut fresh = Connection::open_in_memory().unwrap();
        migrations::runner().run(&mut fresh).unwrap();
        let mut upgraded = Connection::open_in_memory().unwrap();
        for version in 1..=known_version() {
            let target = refinery::Target::Version(version.try_into().unwrap());
            migrations::runner().set_target(target).run(&mut upgraded).unwrap();
        }
        assert_eq!(schema(&fresh), schema(&upgraded));
    }

    #[test]
    fn every_view_can_be_read() {
        let (_folder, path) = temp();
        let store = Database::open(&path, IfMissing::Create).unwrap();
        let views = store
            .read(|c| {
                Ok(schema(c).into_iter().filter(|(ty, _, _)| ty == "view").collect::<Vec<_>>())
            })
            .unwrap();
        assert!(views.len() >= 10);
        for (_, name, _) in views {
            store
                .read(|c| {
                    let mut statement = c.prepare(&format!("SELECT * FROM {name}"))?;
                    let mut rows = statement.query([])?;
                    while rows.next()?.is_some() {}
                    Ok(())
                })
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    #[test]
    fn refuses_newer_schema_without_changing_the_file() {
        let (_folder, path) = temp();
        drop(Database::open(&path, IfMissing::Create).unwrap());
        let raw = Connection::open(&path).unwrap();
        raw.execute(
            "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
             VALUES (999, 'later', '2030-01-01T00:00:00Z', '0')",
            [],
        )
        .unwrap();
        drop(raw);
        let before = std::fs::read(&path).unwrap();
        for refused in
            [Database::open(&path, IfMissing::Create), Database::open_without_lock(&path)]
        {
            let error = refused.unwrap_err();
            assert!(matches!(error, StoreError::Newer { found: 999, .. }), "{error}");
        }
        let read = Database::open_to_read(&path).unwrap();
        assert!(read.read(|c| Ok(c.table_exists(None, "instance")?)).unwrap());
        drop(read);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn refuses_foreign_files_without_changing_them() {
        let (folder, path) = temp();
        std::fs::write(&path, "a shopping list, longer than a hundred bytes: ".repeat(40)).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert!(matches!(Database::open(&path, IfMissing::Create), Err(StoreError::Foreign(_))));
        assert_eq!(std::fs::read(&path).unwrap(), before);

        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
        let before = std::fs::read(&other).unwrap();
        assert!(matches!(Database::open(&other, IfMissing::Create), Err(StoreError::Foreign(_))));
        assert_eq!(std::fs::read(&other).unwrap(), before);
    }

    #[test]
    fn cached_statement_is_planned_once() {
        let (_folder, path) = temp();
        let store = Database::open(&path, IfMissing::Create).unwrap();
        let planned_again = store.read(|c| {
            let sql = "SELECT count(*) FROM video_due AS d JOIN video AS v ON v.row_id = d.video
                       LEFT JOIN page AS p ON p.page = v.page WHERE d.video = ?1";
            for row_id in 0..5 {
                c.prepare_cached(sql)?.query_row([row_id], |row| row.get::<_, i64>(0))?;
            }
            Ok(c.prepare_cached(sql)?.get_status(rusqlite::StatementStatus::RePrepare))
        });
        assert_eq!(planned_again.unwrap(), 0);
    }

    #[test]
    fn wal_and_shm_stay_after_closing() {
        let (folder, path) = temp();
        drop(Database::open(&path, IfMissing::Create).unwrap());
        for name in ["mirror.db", "mirror.db-wal", "mirror.db-shm"] {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o640, "{name}");
        }
        Database::open_to_read(&path).unwrap();
    }

    #[test]
    fn missing_file_is_created_only_with_create() {
        let (_folder, path) = temp();
        assert!(matches!(Database::open(&path, IfMissing::Refuse), Err(StoreError::Missing(_))));
        assert!(matches!(Database::open_to_read(&path), Err(StoreError::Missing(_))));
        assert!(!path.exists());
    }
}
