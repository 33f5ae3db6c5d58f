//! Width of the terminal that answers are printed to.

use std::io::{self, IsTerminal};

use crate::config::Environment;

/// Narrower terminals are treated as this wide.
const WIDTH_MIN: usize = 40;

/// Returns the columns of the terminal: `COLUMNS`, or the width of the terminal that stdout is. `None` if stdout is a file
/// or a pipe, where lines may have any length.
pub fn width(environment: &Environment) -> Option<usize> {
    let stdout = io::stdout();
    let columns = environment.text("COLUMNS").and_then(|columns| columns.parse().ok());
    let columns = columns.filter(|columns| *columns > 0).or_else(|| {
        let size = stdout.is_terminal().then(|| rustix::termios::tcgetwinsize(&stdout).ok())??;
        Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
    });
    columns.map(|columns| columns.max(WIDTH_MIN))
}
