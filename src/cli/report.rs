//! `report`: the organization at a glance, as one HTML page. Like `status` it needs neither key nor
//! network nor lock.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use uuid::Uuid;

use crate::cli::context::Context;
use crate::report::glance::{self as page, Facts};
use crate::report::{Answer, CliError, Exit};
use crate::store::glance;

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
    let glance = store
        .read(|c| glance::read(c, now.timestamp()))
        .map_err(|error| context.storage(&error))?;
    let nonce = Uuid::new_v4().simple().to_string();
    let facts = Facts { glance: &glance, now, database: store.path(), nonce: &nonce };
    let page = page::page(&facts).map_err(|error| CliError::from_error(Exit::Partial, &error))?;
    if args.out == Path::new("-") {
        return Ok(Answer::text(page));
    }
    write(&args.out, page.as_bytes()).map_err(|error| {
        CliError::new(Exit::Storage, format!("cannot write {}", args.out.display())).because(&error)
    })?;
    Ok(Answer::text(format!("{}\n", args.out.display())))
}

/// Puts the file in its place when it is whole, so that nobody sees half of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::Builder::new()
        .prefix(".report-")
        .permissions(permissions())
        .tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// For its owner and group, like the mirror.
fn permissions() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    std::fs::Permissions::from_mode(0o640)
}
