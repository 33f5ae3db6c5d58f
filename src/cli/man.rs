//! `man`: the manual page of the program, or of one of its commands, in roff.

use std::io;

use clap::{Args, Command};
use clap_mangen::Man;

use crate::report::{Answer, CliError, Exit};

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Print the page of this command instead of the program's
    pub command: Option<String>,
}

/// Runs the command for this command line.
pub fn run(args: &ManArgs, program: Command) -> Result<Answer, CliError> {
    let page = page(args.command.as_deref(), program).map_err(|error| CliError::answer(&error))?;
    page.map(Answer::text).ok_or_else(|| {
        let name = args.command.as_deref().unwrap_or_default();
        CliError::new(Exit::Usage, format!("there is no command `{name}` to describe"))
    })
}

/// The page of the program, or of a command of this name if there is one.
fn page(name: Option<&str>, program: Command) -> io::Result<Option<String>> {
    let mut program = program.disable_help_subcommand(true);
    program.build();
    let command = match name {
        None => Some(program),
        Some(name) => program.find_subcommand(name).cloned(),
    };
    let Some(command) = command else { return Ok(None) };
    let has_commands = command.has_subcommands();
    let man = Man::new(command).manual("creatormirror");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if has_commands {
        man.render_subcommands_section(&mut page)?;
    }
    Ok(Some(String::from_utf8_lossy(&page).into_owned() + &exit_status()))
}

/// The exit codes under the heading where manual pages have them.
fn exit_status() -> String {
    let mut text = ".SH \"EXIT STATUS\"\nThe first that applies:\n".to_owned();
    for exit in Exit::ALL {
        // A hyphen must be escaped, or it is typeset as a dash.
        let meaning = exit.meaning().replace('-', "\\-");
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{meaning}\n", exit.code()));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_has_a_page() {
        for command in Cli::command().get_subcommands() {
            let page = page(Some(command.get_name()), Cli::command()).unwrap().unwrap();
            let title = format!(".TH creatormirror-{} 1", command.get_name());
            assert!(page.contains(&title), "{page}");
            assert!(page.contains("EXIT STATUS"));
        }
        let args = ManArgs { command: Some("fly".to_owned()) };
        assert_eq!(run(&args, Cli::command()).unwrap_err().exit, Exit::Usage);
    }
}
