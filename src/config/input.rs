//! Reading small files that may be pipes: a key or a configuration from a process substitution.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::clock::Clock;

/// How often a pipe without data is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// How many looks a pipe gets to be opened by a writer: 5 seconds.
const LOOKS_FOR_WRITER: u32 = 250;

/// How many looks a writer gets to write all of it: 2 minutes, as a password may have to be typed.
const LOOKS_FOR_DATA: u32 = 6_000;

/// `statfs` type of the pipes that have no name.
const PIPEFS_MAGIC: rustix::fs::FsWord = 0x5049_5045;

/// Appends the file to `bytes`, and at most one byte more than `limit`. A pipe is read to its end,
/// but not waited for without bound.
///
/// # Errors
/// `TimedOut` for a pipe that nobody writes to, or whose writer does not finish.
pub(super) fn read(path: &Path, limit: usize, bytes: &mut Vec<u8>) -> io::Result<Metadata> {
    // Without it, opening a pipe waits for a writer.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let may_get_a_writer = metadata.file_type().is_fifo() && has_a_name(&file);
    for look in 0..LOOKS_FOR_DATA {
        let room = limit.saturating_add(1).saturating_sub(bytes.len());
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        match (&file).take(room).read_to_end(bytes) {
            Ok(_) if may_get_a_writer && bytes.is_empty() => {
                if look >= LOOKS_FOR_WRITER {
                    return Err(timed_out("it is a pipe that nobody writes to"));
                }
            }
            Ok(_) => return Ok(metadata),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Clock::pause_thread(LOOK);
    }
    Err(timed_out("it is a pipe or terminal, and its end did not come within 2 minutes"))
}

/// Whether a pipe is in a folder. One without a name that has no writer never gets one.
fn has_a_name(pipe: &File) -> bool {
    rustix::fs::fstatfs(pipe).map_or(true, |system| system.f_type != PIPEFS_MAGIC)
}

fn timed_out(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;

    use super::*;

    fn text(path: &Path) -> io::Result<String> {
        let mut bytes = Vec::new();
        read(path, 1_000, &mut bytes)?;
        Ok(String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_pipe_is_read_to_its_end_also_when_its_writer_comes_late_and_in_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let named = path.clone();
        let writer = std::thread::spawn(move || {
            let mut file = OpenOptions::new().write(true).open(named).unwrap();
            file.write_all(b"one ").unwrap();
            Clock::pause_thread(LOOK * 3);
            file.write_all(b"two").unwrap();
        });
        assert_eq!(text(&path).unwrap(), "one two");
        writer.join().unwrap();
    }

    #[test]
    fn a_process_substitution_is_read_and_an_empty_one_is_not_waited_for() {
        for written in ["key", ""] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(written.as_bytes()).unwrap();
            drop(writer);
            let path = format!("/dev/fd/{}", reader.as_raw_fd());
            assert_eq!(text(Path::new(&path)).unwrap(), written);
        }
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let mut bytes = Vec::new();
        read(Path::new("/dev/zero"), 10, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 11);
    }
}
