//! `schema`: what every view and column means. It needs no database, only this program.

use clap::Args;

use super::{CliError, Exit};
use crate::report::schema as report;
use crate::store::dictionary::{self, View};
use crate::store::open;

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {
    /// Only these views
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print one JSON document on stdout
    #[arg(long, conflicts_with = "markdown")]
    pub json: bool,
    /// Print Markdown
    #[arg(long)]
    pub markdown: bool,
}

/// Runs the command.
pub fn run(args: &SchemaArgs) -> Result<Exit, CliError> {
    let views = chosen(&args.names)?;
    let text = match args {
        SchemaArgs { json: true, .. } => {
            format!("{}\n", report::json(&views, open::known_version()))
        }
        SchemaArgs { markdown: true, .. } => report::markdown(&views),
        _ => report::text(&views),
    };
    super::answer(text.as_bytes())?;
    Ok(Exit::Done)
}

fn chosen(names: &[String]) -> Result<Vec<View>, CliError> {
    let all = dictionary::views();
    if let Some(name) = names.iter().find(|name| !all.iter().any(|one| one.name == **name)) {
        let known: Vec<_> = all.iter().map(|view| view.name.as_str()).collect();
        let error = CliError::new(Exit::Usage, format!("there is no view `{name}`"));
        return Err(error.hint(format!("there are {}", known.join(", "))));
    }
    let is_wanted = |view: &View| names.is_empty() || names.contains(&view.name);
    Ok(all.into_iter().filter(is_wanted).collect())
}
