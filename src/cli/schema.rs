//! `schema`: what every view and column means. It needs no database, only this program.

use std::path::Path;

use clap::Args;

use crate::cli::{CliError, Exit};
use crate::report::{datasette, schema as report};
use crate::store::schema_docs::{TABLES, VIEWS, ViewFact};
use crate::store::{cookbook, open};

/// What Datasette calls a database, unless the file is called otherwise.
const DATABASE: &str = "creatormirror";

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {
    /// Only these views
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print one JSON document on stdout
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print Markdown
    #[arg(long, group = "form")]
    pub markdown: bool,
    /// Print metadata for Datasette, with the cookbook's queries, for a file named as --database is
    #[arg(long, group = "form", conflicts_with = "names")]
    pub datasette: bool,
}

/// Runs the command. Of the database only the name matters.
pub fn run(args: &SchemaArgs, database: Option<&Path>) -> Result<Exit, CliError> {
    let views = chosen(&args.names)?;
    let text = match args {
        SchemaArgs { json: true, .. } => {
            format!("{}\n", report::json(&views, open::known_version()))
        }
        SchemaArgs { markdown: true, .. } => report::markdown(&views),
        SchemaArgs { datasette: true, .. } => {
            let name = database.and_then(Path::file_stem).map(|name| name.to_string_lossy());
            let name = name.as_deref().unwrap_or(DATABASE);
            format!("{:#}\n", datasette::metadata(name, &views, TABLES, &cookbook::recipes()))
        }
        _ => report::text(&views),
    };
    crate::cli::answer(text.as_bytes())?;
    Ok(Exit::Done)
}

fn chosen(names: &[String]) -> Result<Vec<ViewFact>, CliError> {
    if let Some(name) = names.iter().find(|name| !VIEWS.iter().any(|one| one.name == **name)) {
        let known: Vec<_> = VIEWS.iter().map(|view| view.name).collect();
        let error = CliError::new(Exit::Usage, format!("there is no view `{name}`"));
        return Err(error.hint(format!("there are {}", known.join(", "))));
    }
    let is_wanted =
        |view: &&ViewFact| names.is_empty() || names.iter().any(|name| name == view.name);
    Ok(VIEWS.iter().filter(is_wanted).copied().collect())
}
