//! Documentation of views and columns as text, Markdown and JSON.

use serde_json::{Value, json};

use crate::report::text::wrapped;
use crate::store::schema_docs::{ColumnFact, ViewFact};

/// Line width, characters.
const WIDTH: usize = 112;
/// Width of a column's name. A longer name gets its own line.
const NAME_WIDTH: usize = 24;
/// Width of a column's type. The longest is `integer`.
const TYPE_WIDTH: usize = 7;
/// Width of a column's unit. The longest is `UTC instant or NULL`.
const UNIT_WIDTH: usize = 19;

/// Returns the documentation as text.
pub fn text(views: &[ViewFact]) -> String {
    views.iter().map(section).collect::<Vec<_>>().join("\n")
}

fn section(view: &ViewFact) -> String {
    let mut text = format!("{}\n", view.name);
    for line in wrapped(view.text, WIDTH) {
        text.push_str(&format!("{line}\n"));
    }
    text.push('\n');
    for column in view.columns() {
        text.push_str(&column_text(column));
    }
    text
}

fn column_text(column: &ColumnFact) -> String {
    let indent = 2 + NAME_WIDTH + 1 + TYPE_WIDTH + 1 + UNIT_WIDTH + 2;
    let mut text = format!("  {:<NAME_WIDTH$}", column.name);
    if column.name.chars().count() > NAME_WIDTH {
        text.push_str(&format!("\n  {:<NAME_WIDTH$}", ""));
    }
    let (sql_type, unit) = (column.sql_type(), unit(column));
    text.push_str(&format!(" {sql_type:<TYPE_WIDTH$} {unit:<UNIT_WIDTH$}  "));
    let meaning = format!("{} [{}]", column.meaning, column.source);
    let lines = wrapped(&meaning, WIDTH - indent);
    text.push_str(&lines.join(&format!("\n{:indent$}", "")));
    text.push('\n');
    text
}

fn unit(column: &ColumnFact) -> String {
    match column.is_nullable {
        true => format!("{} or NULL", column.unit.name),
        false => column.unit.name.to_owned(),
    }
}

/// Returns the documentation as Markdown.
pub fn markdown(views: &[ViewFact]) -> String {
    let mut text = "# Views and columns\n".to_owned();
    for view in views {
        text.push_str(&format!("\n## {}\n\n{}\n\n", view.name, cell(view.text)));
        text.push_str("| column | type | unit | meaning | source |\n|---|---|---|---|---|\n");
        for column in view.columns() {
            text.push_str(&format!(
                "| `{}` | {} | {} | {} | {} |\n",
                column.name,
                column.sql_type(),
                unit(column),
                cell(column.meaning),
                cell(column.source)
            ));
        }
    }
    text
}

/// Escapes the special characters of Markdown.
fn cell(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_{}[]<>#|".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Returns the documentation as one JSON document.
pub fn json(views: &[ViewFact], version: i64) -> Value {
    let views = views.iter().map(|view| {
        let columns = view.columns().map(|column| {
            json!({
                "name": column.name,
                "type": column.sql_type(),
                "unit": column.unit.name,
                "nullable": column.is_nullable,
                "meaning": column.meaning,
                "source": column.source,
            })
        });
        json!({
            "name": view.name,
            "description": view.text,
            "columns": columns.collect::<Vec<_>>(),
        })
    });
    json!({ "schema_version": version, "views": views.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema_docs::{Unit, VIEWS, ValueType};

    const COUNT: Unit = Unit { name: "count", value_type: ValueType::Integer };

    const fn column(name: &'static str, meaning: &'static str) -> ColumnFact {
        ColumnFact { name, unit: COUNT, is_nullable: true, meaning, source: "ours" }
    }

    const COLUMNS: &[ColumnFact] = &[
        column("weight", "How much of it there is, in a text that is long enough to be wrapped"),
        column("a_name_that_is_longer_than_others", "a|b_c"),
    ];

    const FEATURES: ViewFact =
        ViewFact { name: "things", text: "What there is.", groups: &[COLUMNS] };

    #[test]
    fn text_has_aligned_columns() {
        let expected = "\
things
What there is.

  weight                   integer count or NULL        How much of it there is, in a text that is long enough
                                                        to be wrapped [ours]
  a_name_that_is_longer_than_others
                           integer count or NULL        a|b_c [ours]
";
        assert_eq!(text(&[FEATURES]), expected);
    }

    #[test]
    fn markdown_is_escaped() {
        let text = markdown(&[FEATURES]);
        assert!(text.contains("| `weight` | integer | count or NULL | How much"), "{text}");
        assert!(text.contains("| a\\|b\\_c | ours |"), "{text}");
    }

    #[test]
    fn no_line_is_longer_than_the_width() {
        let all = text(VIEWS);
        let long: Vec<_> = all.lines().filter(|line| line.chars().count() > WIDTH).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
