//! `man`: the manual page of the program, of one of its commands, or of the configuration, in roff.

use std::io;

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config::Setting;
use crate::report::{Answer, CliError, Exit};

/// The page that is about no command.
const CONFIG: &str = "config";

const CONFIG_SOURCES: &[&str] = &[
    "A flag takes precedence over an environment variable, that over the configuration file, and that over the default.",
    "The configuration file is the first of: the one of --config FILE; /etc/creatormirror/NAME/config.toml with --instance NAME; \
     $CONFIGURATION_DIRECTORY/config.toml; /etc/creatormirror/config.toml; $XDG_CONFIG_HOME/creatormirror/config.toml. It is TOML; an \
     unknown setting is an error that names its line. Paths are relative to the file.",
    "Durations are written 90s, 5m, 2h, 1h 30m or 90d. Schedules are crontab(5) expressions with five fields, names and steps; @hourly, \
     @daily, @weekly and @monthly, at a minute that differs between installations; or off.",
    "Proxies come from HTTPS_PROXY, ALL_PROXY and NO_PROXY; they are http or https, not SOCKS. Over http, which is allowed on loopback alone, none is used.",
];

const FILES: &[(&str, &str)] = &[
    ("/etc/creatormirror/config.toml", "Settings; see creatormirror-config(5)."),
    (
        "/etc/creatormirror/api_key",
        "The API key, mode 0600. systemd hands it to the service as a credential.",
    ),
    (
        "/var/lib/creatormirror/creatormirror.db",
        "The mirror of the packaged service. Its -wal and -shm files belong to it.",
    ),
    (
        "/usr/share/doc/creatormirror/",
        "How to operate it, and examples: cron, alerts, a dashboard, queries.",
    ),
];

const SEE_ALSO: &[(&str, &str)] = &[
    ("creatormirror-COMMAND(1)", "A page for each command."),
    ("creatormirror-config(5)", "Every setting."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Commits, drops the requests in flight, and exits with 0. A second one exits at once.",
    ),
    (
        "SIGHUP",
        "Reads the settings and the API key again. A new key is used once the API accepts it for the same organization. A systemd \
         credential only changes with a restart.",
    ),
    ("SIGUSR1", "Logs the current state."),
];

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Print the page of this command, or of the settings with `config`, instead of the program's
    pub command: Option<String>,
}

/// Runs the command for this command line.
pub fn run(args: &ManArgs, program: Command) -> Result<Answer, CliError> {
    let page = match args.command.as_deref() {
        Some(CONFIG) => Ok(Some(config())),
        command => page(command, program),
    };
    let page = page.map_err(|error| CliError::answer(&error))?;
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
    let more = match name {
        None => exit_status() + &section("FILES", FILES) + &section("SEE ALSO", SEE_ALSO),
        Some("run") => exit_status() + &section("SIGNALS", SIGNALS),
        Some(_) => exit_status(),
    };
    Ok(Some(String::from_utf8_lossy(&page).into_owned() + &more))
}

/// The page `creatormirror-config(5)`: where settings come from, and each with its default and meaning.
fn config() -> String {
    let mut roff = Roff::new();
    roff.control("TH", ["creatormirror-config", "5", "", "creatormirror", ""]);
    roff.control("SH", ["NAME"]);
    roff.text([roman("creatormirror-config - settings of creatormirror")]);
    roff.control("SH", ["DESCRIPTION"]);
    for paragraph in CONFIG_SOURCES {
        roff.control("PP", []);
        roff.text([roman(*paragraph)]);
    }
    roff.control("SH", ["SETTINGS"]);
    for setting in Setting::all() {
        roff.control("TP", []);
        roff.text([bold(setting.name())]);
        roff.text([roman(setting.meaning())]);
        roff.control("br", []);
        let default =
            setting.default_text().map(|text| format!(" Default: {text}.")).unwrap_or_default();
        roff.text([roman(format!(
            "Value: {}.{default} Environment: {}.",
            setting.expected(),
            setting.variable()
        ))]);
    }
    roff.to_roff() + &section("SEE ALSO", &[("creatormirror(1)", "The commands.")])
}

/// A section of terms and their explanations.
fn section(title: &str, terms: &[(&str, &str)]) -> String {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, meaning) in terms {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
    roff.to_roff()
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
        let config = config();
        for setting in Setting::all() {
            assert!(config.contains(&setting.name().replace('-', "\\-")), "{setting}");
        }
        let args = ManArgs { command: Some("fly".to_owned()) };
        assert_eq!(run(&args, Cli::command()).unwrap_err().exit, Exit::Usage);
    }
}
