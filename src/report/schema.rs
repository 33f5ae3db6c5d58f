//! The documentation of views and columns for people, for programs, and for pages of documentation.

use serde_json::{Value, json};

use crate::report::text::wrapped;
use crate::store::schema_docs::{ColumnFact, ViewFact};

/// Characters of a line.
const WIDTH: usize = 112;
/// Characters for a column's name; what is longer has a line to itself.
const NAME_WIDTH: usize = 24;
/// Characters for a column's type: the longest is `integer`.
const TYPE_WIDTH: usize = 7;
/// Characters for a column's unit: the longest is `UTC instant or NULL`.
const UNIT_WIDTH: usize = 19;

/// As text: for each view what it is, and its columns below one another.
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
        text.push_str(&described(column));
    }
    text
}

fn described(column: &ColumnFact) -> String {
    let indent = 2 + NAME_WIDTH + 1 + TYPE_WIDTH + 1 + UNIT_WIDTH + 2;
    let mut text = format!("  {:<NAME_WIDTH$}", column.name);
    if column.name.chars().count() > NAME_WIDTH {
        text.push_str(&format!("\n  {:<NAME_WIDTH$}", ""));
    }
    let (sql_type, unit) = (column.sql_type(), unit(column));
    text.push_str(&format!(" {sql_type:<TYPE_WIDTH$} {unit:<UNIT_WIDTH$}  "));
    let said = format!("{} [{}]", column.meaning, column.source);
    let lines = wrapped(&said, WIDTH - indent);
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

/// As Markdown: a heading, what it is, and a table for each view.
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

/// A text in which nothing means something to Markdown.
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

/// As one JSON document.
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
    fn text_has_columns_that_line_up() {
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
    fn nothing_in_markdown_breaks_its_table() {
        let text = markdown(&[FEATURES]);
        assert!(text.contains("| `weight` | integer | count or NULL | How much"), "{text}");
        assert!(text.contains("| a\\|b\\_c | ours |"), "{text}");
    }

    #[test]
    fn the_whole_of_it_keeps_to_its_width() {
        let all = text(VIEWS);
        let long: Vec<_> = all.lines().filter(|line| line.chars().count() > WIDTH).collect();
        assert!(long.is_empty(), "{long:#?}");
    }
}
