//! `schema`: what every view and column means. It needs no database, only this program.

use std::path::Path;

use clap::Args;

use crate::report::{Answer, CliError, Exit, datasette, schema as report};
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
pub fn run(args: &SchemaArgs, database: Option<&Path>) -> Result<Answer, CliError> {
    let views = chosen(&args.names)?;
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
