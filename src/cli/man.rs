//! `man`: prints the manual page of the program, a command, or the configuration, in roff.

use std::io;

use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::config::Setting;
use crate::report::{Answer, CliError, Exit};

/// Name of the page about the configuration.
const CONFIG: &str = "config";

const CONFIG_SOURCES: &[&str] = &[
    "Precedence: flag, environment variable, configuration file, default.",
    "The configuration file is the first of: --config FILE; /etc/creatormirror/NAME/config.toml with --instance NAME; \
     $CONFIGURATION_DIRECTORY/config.toml; /etc/creatormirror/config.toml; $XDG_CONFIG_HOME/creatormirror/config.toml. It is TOML; an \
unknown setting is an error. Paths are relative to the directory of the file.",
    "Durations are written 90s, 5m, 2h, 1h 30m or 90d. Schedules are crontab(5) expressions with five fields, names and steps; @hourly, \
     @daily, @weekly and @monthly, at a minute that differs between installations; or off.",
    "Proxies are read from HTTPS_PROXY, ALL_PROXY and NO_PROXY; http and https proxies are supported, SOCKS is not. An http base_url (loopback) uses no proxy.",
];

const FILES: &[(&str, &str)] = &[
    ("/etc/creatormirror/config.toml", "Settings; see creatormirror-config(5)."),
    (
        "/etc/creatormirror/api_key",
        "The API key, mode 0600. systemd passes it to the service as a credential.",
    ),
    (
        "/var/lib/creatormirror/creatormirror.db",
        "The database of the packaged service, with its -wal and -shm files.",
    ),
    (
        "/usr/share/doc/creatormirror/",
        "Operations manual, and examples of cron jobs, alerts, a dashboard and queries.",
    ),
];

const SEE_ALSO: &[(&str, &str)] = &[
    ("creatormirror-COMMAND(1)", "One page per command."),
    ("creatormirror-config(5)", "Every setting."),
];

const SIGNALS: &[(&str, &str)] = &[
    (
        "SIGTERM, SIGINT",
        "Stops: cancels requests in flight, commits, and exits with 0. A second signal exits immediately.",
    ),
    (
        "SIGHUP",
        "Reloads settings and API key. A new key is used once the API accepts it for the same organization. A systemd \
credential changes only on restart.",
    ),
    ("SIGUSR1", "Logs the current state."),
];

/// Arguments of `man`.
#[derive(Debug, Clone, Args)]
pub struct ManArgs {
    /// Command to describe, or `config` for the settings; default: the program
    pub command: Option<String>,
}

/// Runs the command for `program`.
pub fn run(args: &ManArgs, program: Command) -> Result<Answer, CliError> {
    let page = match args.command.as_deref() {
        Some(CONFIG) => Ok(Some(config())),
        command => page(command, program),
    };
    let page = page.map_err(|error| CliError::answer(&error))?;
    page.map(Answer::text).ok_or_else(|| {
        let name = args.command.as_deref().unwrap_or_default();
        CliError::new(Exit::Usage, format!("unknown command `{name}`"))
    })
}

/// Renders the page of the program, or of a command; `None` if there is no such command.
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

/// Renders `creatormirror-config(5)`: sources of settings, and each setting with its meaning and
/// default.
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
    for setting in Setting::ALL {
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

/// Renders a section with a list of terms.
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

/// Renders the section EXIT STATUS.
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
        for setting in Setting::ALL {
            assert!(config.contains(&setting.name().replace('-', "\\-")), "{setting}");
        }
        let args = ManArgs { command: Some("fly".to_owned()) };
        assert_eq!(run(&args, Cli::command()).unwrap_err().exit, Exit::Usage);
    }
}
