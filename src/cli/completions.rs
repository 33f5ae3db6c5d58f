//! `completions`: what a shell needs to complete our commands.

use clap::{Args, Command};
use clap_complete::Shell;

use crate::report::Answer;

/// Arguments of `completions`.
#[derive(Debug, Clone, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: Shell,
}

/// Runs the command for this command line.
pub fn run(args: &CompletionsArgs, mut program: Command) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut program, "creatormirror", &mut script);
    Answer::text(String::from_utf8_lossy(&script).into_owned())
}
