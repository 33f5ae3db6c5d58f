//! `completions`: prints shell completions.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::report::Answer;

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// Shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs the command for `program`.
pub fn run(args: &CompletionsArgs, mut program: Command) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "creatormirror", &mut script);
    Answer::text(String::from_utf8_lossy(&script).into_owned())
}
