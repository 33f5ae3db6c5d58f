//! `report`: writes the dashboard, one HTML page. Needs neither key, network nor lock.

use std::fs::Permissions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use clap::Args;
use uuid::Uuid;

use crate::cli::context::Context;
use crate::cli::errors;
use crate::report::dashboard as page;
use crate::report::{Answer, CliError, Exit};
use crate::store::{dashboard, database_path};

/// Mode of a new page, like that of the database.
const MODE: u32 = 0o640;

/// Flags of `report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// File to write, or `-` for stdout
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
}

/// Runs the command.
pub fn run(args: &ReportArgs, context: &Context) -> Result<Answer, CliError> {
    let store = context.open_to_read()?;
    let now = context.clock.now();
    let dashboard = store
        .read(|c| dashboard::read(c, now.timestamp()))
        .map_err(|error| context.store_error(&error))?;
    let nonce = Uuid::new_v4().simple().to_string();
    let page = page::page(&dashboard, now, store.path(), &nonce);
    let page = page.map_err(|error| CliError::from_error(Exit::Partial, &error))?;
    if args.out == Path::new("-") {
        return Ok(Answer::text(page));
    }
    write(&args.out, page.as_bytes()).map_err(|error| errors::write_error(&args.out, &error))?;
    Ok(Answer::text(format!("{}\n", args.out.display())))
}

/// Writes the file atomically. A file that exists is replaced with its mode kept, and its group if
/// allowed, so that a web server can still read it. A device or a pipe, such as `/dev/stdout`, is written to.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let existing = std::fs::metadata(path).ok();
    if existing.as_ref().is_some_and(|existing| !existing.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(bytes);
    }
    // A symbolic link is kept, even if what it names does not exist.
    let path = &database_path::resolve(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".report-")
        .permissions(Permissions::from_mode(MODE))
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    if let Some(replaced) = existing {
        // Fails if the user is not in that group; then the file keeps the user's group.
        let _ = std::os::unix::fs::fchown(file.as_file(), None, Some(replaced.gid()));
        let mode = replaced.permissions().mode() & 0o777;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
