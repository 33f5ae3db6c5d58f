//! Whether the write-ahead log beside a database is its own, read before SQLite opens either.
//!
//! SQLite replays whatever `-wal` it finds beside a file, and a log carries no identity. Two facts
//! show that it belongs to another database:
//!
//! - A copy made by `backup` is in rollback mode. SQLite writes the mark of WAL mode to the file, and
//!   syncs it, before the first frame: a file in rollback mode has never had a log.
//! - Every database has an id in its header (`user_version`), written in rollback mode and never
//!   changed, and every copy gets another one. The lock file records the id before the first frame
//!   is written, so where the file beside a log has another id, it was put there since.
//!
//! The salts of the log prove neither: they change whenever the log starts over, in any process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::database_path::{lock_path, wal_path};
use crate::store::error::{StoreError, StoreResult};

/// The first bytes of every SQLite database.
const MAGIC: &[u8] = b"SQLite format 3\0";
/// Length of the header, bytes.
const HEADER_BYTES: usize = 100;
/// Where the header says which version is needed to read it: 1 for a rollback journal, 2 for a WAL.
const READ_VERSION_AT: usize = 19;
/// Where the header has `user_version`, big-endian.
const USER_VERSION_AT: usize = 60;

/// Length of the record in the lock file: an id as hexadecimal digits, and the end of the line.
const RECORD_BYTES: usize = 9;

/// Length of the header of a log and of the header of its first frame, bytes.
const WAL_START_BYTES: usize = 32 + 24;
/// A log begins with this, or with the next number, big-endian.
const WAL_MAGIC: u32 = 0x377f_0682;
/// Where the header of a log and that of its first frame have the salts.
const WAL_SALTS: std::ops::Range<usize> = 16..24;
const FRAME_SALTS: std::ops::Range<usize> = 40..48;

/// What a database says of itself on its first page.
struct Header {
    id: u32,
    /// Whether it has been opened in WAL mode.
    has_wal_mode: bool,
}

/// Reads the header of a database; `None` for a file that is none yet, or something else.
fn header(path: &Path, database: &File) -> StoreResult<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    match database.read_exact_at(&mut bytes, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read.map_err(StoreError::io(path))?,
    }
    Ok(bytes.starts_with(MAGIC).then(|| Header {
        id: number(&bytes[USER_VERSION_AT..]),
        has_wal_mode: bytes[READ_VERSION_AT] == 2,
    }))
}

/// Tells a database from its copies; 0 where it was not made by this program, `None` for a file that is
/// none.
pub fn id(path: &Path, database: &File) -> StoreResult<Option<u32>> {
    Ok(header(path, database)?.map(|header| header.id))
}

/// Refuses a log that is not that of `database`. `lock` is its lock file, where it can be read.
///
/// # Errors
///
/// [`StoreError::ForeignWal`], before anything was changed.
pub fn check(path: &Path, database: &File, lock: Option<&File>) -> StoreResult<()> {
    // The log is read first: whoever wrote a frame had written the rest before.
    if !has_frames(&wal_path(path)) {
        return Ok(());
    }
    let recorded = lock.and_then(recorded_id);
    // SQLite deletes the log of an empty file, and refuses what is no database.
    let Some(header) = header(path, database)? else { return Ok(()) };
    match header.has_wal_mode && recorded.is_none_or(|id| id == header.id) {
        true => Ok(()),
        false => Err(StoreError::ForeignWal(path.to_owned())),
    }
}

/// The id of the database that the log beside it belongs to, as the lock file has it.
fn recorded_id(lock: &File) -> Option<u32> {
    let mut bytes = [0; RECORD_BYTES];
    lock.read_exact_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?.strip_suffix('\n')?;
    u32::from_str_radix(text, 16).ok()
}

/// Records the id of the database before anything is written to its log, if it is not recorded yet.
pub fn record(path: &Path, database: &File, lock: &File) -> StoreResult<()> {
    let id = id(path, database)?.unwrap_or(0);
    if recorded_id(lock) == Some(id) {
        return Ok(());
    }
    let record = format!("{id:08x}\n");
    let written = lock.write_all_at(record.as_bytes(), 0).and_then(|()| lock.sync_data());
    written.map_err(|source| StoreError::Io { path: lock_path(path), source })
}

/// Whether a log holds anything that SQLite would replay.
pub fn has_frames(wal: &Path) -> bool {
    let mut bytes = [0; WAL_START_BYTES];
    // Closing it is safe: SQLite holds its locks on the database and on `-shm`.
    let read = File::open(wal).and_then(|file| file.read_exact_at(&mut bytes, 0));
    read.is_ok() && number(&bytes) & !1 == WAL_MAGIC && bytes[WAL_SALTS] == bytes[FRAME_SALTS]
}

fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::store::instance_lock::existing_lock_file;
    use crate::store::open::IfMissing;

    #[test]
    fn the_record_is_read_back_and_a_torn_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        drop(Database::open(&path, IfMissing::Create).unwrap());
        let (lock, file) = (existing_lock_file(&path).unwrap(), File::open(&path).unwrap());
        let id = id(&path, &file).unwrap().unwrap();
        assert!(id > 0);
        assert_eq!(recorded_id(&lock), Some(id));
        for torn in ["", "0000", "no hex!!\n", "00000001x"] {
            lock.set_len(0).unwrap();
            lock.write_all_at(torn.as_bytes(), 0).unwrap();
            assert_eq!(recorded_id(&lock), None, "{torn:?}");
            record(&path, &file, &lock).unwrap();
            assert_eq!(recorded_id(&lock), Some(id), "{torn:?}");
        }
    }
}
