//! `schema`: describes every view and column, without a database.

use std::path::Path;

use clap::Args;

use crate::report::{Answer, CliError, Exit, datasette, schema as report};
use crate::store::schema_docs::{TABLES, VIEWS, ViewFact};
use crate::store::{cookbook, open};

/// Default name of the database in Datasette metadata.
const DATABASE: &str = "creatormirror";

/// Arguments of `schema`.
#[derive(Debug, Clone, Args)]
pub struct SchemaArgs {
    /// Describe only these views
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print one JSON document on stdout
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print Markdown
    #[arg(long, group = "form")]
    pub markdown: bool,
    /// Print Datasette metadata with example queries, for a file with the name given by --database
    #[arg(long, group = "form", conflicts_with = "names")]
    pub datasette: bool,
}

/// Runs the command. Only the file name of `database` is used.
pub fn run(args: &SchemaArgs, database: Option<&Path>) -> Result<Answer, CliError> {
    let views = select(&args.names)?;
    if args.markdown {
        return Ok(Answer::text(report::markdown(&views)));
    }
    if args.datasette {
        let name = database.and_then(Path::file_stem).map(|name| name.to_string_lossy());
        let name = name.as_deref().unwrap_or(DATABASE);
        let metadata = datasette::metadata(name, &views, TABLES, &cookbook::recipes());
        return Ok(Answer::text(format!("{metadata:#}\n")));
    }
    let json = || report::json(&views, open::known_version());
    Ok(Answer::of(args.json, || report::text(&views), json))
}

fn select(names: &[String]) -> Result<Vec<ViewFact>, CliError> {
    if let Some(name) = names.iter().find(|name| !VIEWS.iter().any(|one| one.name == **name)) {
        let known: Vec<_> = VIEWS.iter().map(|view| view.name).collect();
        let error = CliError::new(Exit::Usage, format!("unknown view `{name}`"));
        return Err(error.hint(format!("known views: {}", known.join(", "))));
    }
    let is_selected =
        |view: &&ViewFact| names.is_empty() || names.iter().any(|name| name == view.name);
    Ok(VIEWS.iter().filter(is_selected).copied().collect())
}
