//! Reads small files that may be pipes, such as an API key from a process substitution.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::clock::Clock;

/// Interval between reads of a pipe without data.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Polls until a writer must have opened the pipe: 5 seconds.
const WRITER_POLLS_MAX: u32 = 250;

/// Polls until the writer must have closed the pipe: 2 minutes, since a user may have to type a
/// password.
const DATA_POLLS_MAX: u32 = 6_000;

/// `statfs` type of anonymous pipes.
const PIPEFS_MAGIC: rustix::fs::FsWord = 0x5049_5045;

/// Appends at most `limit + 1` bytes of the file to `bytes`. Waits for the writer of a pipe, within
/// bounds.
///
/// # Errors
/// `TimedOut` if no writer opens the pipe, or it does not close it in time.
pub(super) fn read(path: &Path, limit: usize, bytes: &mut Vec<u8>) -> io::Result<Metadata> {
    // Otherwise opening a pipe blocks until it has a writer.
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let may_get_a_writer = metadata.file_type().is_fifo() && is_named_pipe(&file);
    for poll in 0..DATA_POLLS_MAX {
        let room = limit.saturating_add(1).saturating_sub(bytes.len());
        let room = u64::try_from(room).unwrap_or(u64::MAX);
        match (&file).take(room).read_to_end(bytes) {
            Ok(_) if may_get_a_writer && bytes.is_empty() => {
                if poll >= WRITER_POLLS_MAX {
                    return Err(timed_out("it is a pipe without a writer"));
                }
            }
            Ok(_) => return Ok(metadata),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Clock::pause_thread(POLL_INTERVAL);
    }
    Err(timed_out("it is a pipe or terminal that was not closed within 2 minutes"))
}

/// Whether a pipe is named. An anonymous pipe without a writer never gets one.
fn is_named_pipe(pipe: &File) -> bool {
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
    fn reads_a_named_pipe_with_a_slow_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let named = path.clone();
        let writer = std::thread::spawn(move || {
            let mut file = OpenOptions::new().write(true).open(named).unwrap();
            file.write_all(b"one ").unwrap();
            Clock::pause_thread(POLL_INTERVAL * 3);
            file.write_all(b"two").unwrap();
        });
        assert_eq!(text(&path).unwrap(), "one two");
        writer.join().unwrap();
    }

    #[test]
    fn reads_a_process_substitution_without_waiting_for_an_empty_one() {
        for written in ["key", ""] {
            let (reader, mut writer) = io::pipe().unwrap();
            writer.write_all(written.as_bytes()).unwrap();
            drop(writer);
            let path = format!("/dev/fd/{}", reader.as_raw_fd());
            assert_eq!(text(Path::new(&path)).unwrap(), written);
        }
    }

    #[test]
    fn reads_at_most_one_byte_beyond_the_limit() {
        let mut bytes = Vec::new();
        read(Path::new("/dev/zero"), 10, &mut bytes).unwrap();
        assert_eq!(bytes.len(), 11);
    }
}
