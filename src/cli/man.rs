//! `man`: the manual page of the program, or of one of its commands, in roff.

use clap::{Args, CommandFactory};
use clap_mangen::Man;

use crate::cli::{Cli, CliError, Exit};

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Print the page of this command instead of the program's
    pub command: Option<String>,
}

/// Runs the command.
pub fn run(args: &ManArgs) -> Result<Exit, CliError> {
    let mut page = Vec::new();
    render(args.command.as_deref(), &mut page)?;
    crate::cli::answer(&page)?;
    Ok(Exit::Done)
}

fn render(name: Option<&str>, page: &mut Vec<u8>) -> Result<(), CliError> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let command = match name {
        None => program,
        Some(name) => program.find_subcommand(name).cloned().ok_or_else(|| {
            CliError::new(Exit::Usage, format!("there is no command `{name}` to describe"))
        })?,
    };
    let has_commands = command.has_subcommands();
    let man = Man::new(command).manual("creatormirror");
    let sections = [
        Man::render_title,
        Man::render_name_section,
        Man::render_synopsis_section,
        Man::render_description_section,
        Man::render_options_section,
    ];
    for section in sections {
        section(&man, page).map_err(|error| CliError::answer(&error))?;
    }
    if has_commands {
        man.render_subcommands_section(page).map_err(|error| CliError::answer(&error))?;
    }
    page.extend_from_slice(exit_status().as_bytes());
    Ok(())
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
    use super::*;

    #[test]
    fn every_command_has_a_page() {
        for command in Cli::command().get_subcommands() {
            let mut page = Vec::new();
            render(Some(command.get_name()), &mut page).unwrap();
            let page = String::from_utf8(page).unwrap();
            let title = format!(".TH creatormirror-{} 1", command.get_name());
            assert!(page.contains(&title), "{page}");
            assert!(page.contains("EXIT STATUS"));
        }
        assert_eq!(render(Some("fly"), &mut Vec::new()).unwrap_err().exit, Exit::Usage);
    }
}
