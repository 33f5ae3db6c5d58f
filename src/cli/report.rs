//! `report`: the organization at a dashboard, as one HTML page. Like `status` it needs neither key nor
//! network nor lock.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use uuid::Uuid;

use crate::cli::context::Context;
use crate::report::dashboard::{self as page, PageInput};
use crate::report::{Answer, CliError, Exit};
use crate::store::dashboard;

/// Mode of a new page: for its owner and group, like the mirror.
const MODE: u32 = 0o640;

/// Flags of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// Write the page to this file, or to stdout for `-`
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
}

/// Runs the command.
pub fn run(args: &ReportArgs, context: &Context) -> Result<Answer, CliError> {
    let store = context.open_to_read()?;
    let now = context.clock.now();
    let dashboard = store
        .read(|c| dashboard::read(c, now.timestamp()))
        .map_err(|error| context.storage(&error))?;
    let nonce = Uuid::new_v4().simple().to_string();
    let input = PageInput { dashboard: &dashboard, now, database: store.path(), nonce: &nonce };
    let page = page::page(&input).map_err(|error| CliError::from_error(Exit::Partial, &error))?;
    if args.out == Path::new("-") {
        return Ok(Answer::text(page));
    }
    write(&args.out, page.as_bytes()).map_err(|error| {
        CliError::new(Exit::Storage, format!("cannot write {}", args.out.display())).because(&error)
    })?;
    Ok(Answer::text(format!("{}\n", args.out.display())))
}

/// Puts the file in its place when it is whole, so that nobody sees half of it. Where one is already,
/// its mode is kept, and its group where that is allowed: a web server may have to read it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".report-")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    if let Ok(replaced) = std::fs::metadata(path) {
        // Giving a file to a group takes being in it; without that, the group stays ours.
        let _ = std::os::unix::fs::fchown(file.as_file(), None, Some(replaced.gid()));
        let mode = replaced.permissions().mode() & 0o777;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
