//! Checks, before SQLite opens either, that the write-ahead log beside a database belongs to it.
//!
//! SQLite replays any `-wal` file beside a database, and a log contains no identity. Two facts show
//! that it belongs to another database:
//!
//! - A copy made by `backup` is in rollback mode. SQLite writes the mark of WAL mode to the file, and
//!   syncs it, before the first frame: a file in rollback mode has never had a log.
//! - Every database has an id in its header (`user_version`), written in rollback mode and never
//!   changed, and every copy gets another one. The lock file records the id before the first frame
//!   is written, so if the file beside a log has another id, it was replaced since.
//!
//! The salts of the log prove neither: they change whenever the log restarts, in any process.

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
/// Offset of the read version in the header: 1 for a rollback journal, 2 for a WAL.
const READ_VERSION_AT: usize = 19;
/// Offset of `user_version` in the header, big-endian.
const USER_VERSION_AT: usize = 60;

/// Length of the record in the lock file: an id as eight hexadecimal digits, and a newline.
const RECORD_BYTES: usize = 9;

/// Length of a log's header and the header of its first frame, bytes.
const WAL_START_BYTES: usize = 32 + 24;
/// First bytes of a log, big-endian; the lowest bit varies.
const WAL_MAGIC: u32 = 0x377f_0682;
/// The salts in the header of a log, and in the header of its first frame.
const WAL_SALTS: std::ops::Range<usize> = 16..24;
const FRAME_SALTS: std::ops::Range<usize> = 40..48;

/// The header of a database.
struct Header {
    id: u32,
    /// Whether it is in WAL mode.
    has_wal_mode: bool,
}

/// Reads the header of a database; `None` for an empty file and for a file of another type.
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

/// Returns the id that distinguishes a database from its copies: 0 if another program created it, `None`
/// if the file is not a database.
pub fn id(path: &Path, database: &File) -> StoreResult<Option<u32>> {
    Ok(header(path, database)?.map(|header| header.id))
}

/// Refuses a log that does not belong to `database`. `lock` is the lock file, if it can be read.
///
/// # Errors
///
/// [`StoreError::ForeignWal`], before anything was changed.
pub fn check(path: &Path, database: &File, lock: Option<&File>) -> StoreResult<()> {
    // The log is read first: the header and the record are written before the first frame.
    if !has_frames(&wal_path(path)) {
        return Ok(());
    }
    let recorded = lock.and_then(recorded_id);
    // SQLite deletes the log of an empty file, and refuses a file that is not a database.
    let Some(header) = header(path, database)? else { return Ok(()) };
    match header.has_wal_mode && recorded.is_none_or(|id| id == header.id) {
        true => Ok(()),
        false => Err(StoreError::ForeignWal(path.to_owned())),
    }
}

/// Returns the id in the lock file: that of the database to which the log belongs.
fn recorded_id(lock: &File) -> Option<u32> {
    let mut bytes = [0; RECORD_BYTES];
    lock.read_exact_at(&mut bytes, 0).ok()?;
    let text = std::str::from_utf8(&bytes).ok()?.strip_suffix('\n')?;
    u32::from_str_radix(text, 16).ok()
}

/// Records the id of the database in the lock file, before anything is written to its log.
pub fn record(path: &Path, database: &File, lock: &File) -> StoreResult<()> {
    let id = id(path, database)?.unwrap_or(0);
    if recorded_id(lock) == Some(id) {
        return Ok(());
    }
    let record = format!("{id:08x}\n");
    let written = lock.write_all_at(record.as_bytes(), 0).and_then(|()| lock.sync_data());
    written.map_err(|source| StoreError::Io { path: lock_path(path), source })
}

/// Whether a log contains a frame that SQLite would replay.
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
    fn reads_its_record_and_ignores_a_torn_one() {
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
