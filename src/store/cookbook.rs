//! The cookbook: ready-made queries for common questions, from the files in `deploy/queries/`.
//!
//! A file begins with a comment: a title, what the query returns, and a line for each parameter,
//! `-- :days integer = 7  Length of the period`. The statement writes each parameter as `coalesce(:days, 7)`, so that it
//! can be pasted into the sqlite3 shell, where a parameter without a value is NULL.

use crate::model::named::named;

/// Name and content of every file of the folder, in display order.
const FILES: [(&str, &str); 22] = [
    ("fastest-risers", include_str!("../../deploy/queries/fastest-risers.sql")),
    ("losing-steam", include_str!("../../deploy/queries/losing-steam.sql")),
    ("new-posts", include_str!("../../deploy/queries/new-posts.sql")),
    ("above-median", include_str!("../../deploy/queries/above-median.sql")),
    ("most-engaging-posts", include_str!("../../deploy/queries/most-engaging-posts.sql")),
    ("best-posting-hour", include_str!("../../deploy/queries/best-posting-hour.sql")),
    ("campaigns", include_str!("../../deploy/queries/campaigns.sql")),
    ("views-per-day", include_str!("../../deploy/queries/views-per-day.sql")),
    ("weekly-growth", include_str!("../../deploy/queries/weekly-growth.sql")),
    ("week-over-week", include_str!("../../deploy/queries/week-over-week.sql")),
    ("month-over-month", include_str!("../../deploy/queries/month-over-month.sql")),
    ("engagement-by-creator", include_str!("../../deploy/queries/engagement-by-creator.sql")),
    ("follower-growth", include_str!("../../deploy/queries/follower-growth.sql")),
    ("posting-frequency", include_str!("../../deploy/queries/posting-frequency.sql")),
    ("accounts-gone-quiet", include_str!("../../deploy/queries/accounts-gone-quiet.sql")),
    ("what-changed", include_str!("../../deploy/queries/what-changed.sql")),
    ("what-has-disappeared", include_str!("../../deploy/queries/what-has-disappeared.sql")),
    ("not-refreshed", include_str!("../../deploy/queries/not-refreshed.sql")),
    ("data-completeness", include_str!("../../deploy/queries/data-completeness.sql")),
    ("gaps-in-history", include_str!("../../deploy/queries/gaps-in-history.sql")),
    ("cost-of-requests", include_str!("../../deploy/queries/cost-of-requests.sql")),
    ("outbox-failures", include_str!("../../deploy/queries/outbox-failures.sql")),
];

named! {
    /// Type of a parameter's value.
    pub enum ParameterType {
        /// A whole number.
        Integer = "integer",
        /// A number.
        Real = "real",
        /// Text.
        Text = "text",
        /// A day in UTC, `YYYY-MM-DD`.
        Date = "date",
    }
}

/// A parameter of a ready-made query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Type of its value.
    pub value_type: ParameterType,
    /// Its default, an SQL literal.
    pub default: &'static str,
    /// Its meaning, for users.
    pub meaning: &'static str,
}

impl Parameter {
    /// Reads `:days integer = 7  Length of the period`.
    fn parse(line: &'static str) -> Option<Self> {
        let (declared, meaning) = line.strip_prefix(':')?.split_once("  ")?;
        let (declared, default) = declared.split_once(" = ")?;
        let (name, value_type) = declared.split_once(' ')?;
        let value_type = ParameterType::from_name(value_type)?;
        Some(Self { name, value_type, default, meaning: meaning.trim() })
    }

    /// How the statement writes it.
    fn in_sql(&self) -> String {
        format!("coalesce(:{}, {})", self.name, self.default)
    }
}

/// A ready-made query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// File name without `.sql`.
    pub name: &'static str,
    /// First line of the file's leading comment.
    pub title: String,
    /// Rest of that comment: what the query returns, and its limits.
    pub text: String,
    /// The parameters, in the order of the comment.
    pub parameters: Vec<Parameter>,
    /// The statement, without its final semicolon.
    pub sql: &'static str,
}

impl Recipe {
    /// Returns the statement with the defaults in place of its parameters.
    pub fn sql_with_defaults(&self) -> String {
        let fill = |sql: String, one: &Parameter| sql.replace(&one.in_sql(), one.default);
        self.parameters.iter().fold(self.sql.to_owned(), fill)
    }
}

/// Returns all recipes in display order.
pub fn recipes() -> Vec<Recipe> {
    FILES.iter().map(|(name, file)| recipe(name, file)).collect()
}

fn recipe(name: &'static str, file: &'static str) -> Recipe {
    let comment = file.lines().map_while(|line| line.strip_prefix("-- "));
    let (parameters, comment): (Vec<_>, Vec<_>) =
        comment.partition(|line| Parameter::parse(line).is_some());
    let parameters = parameters.into_iter().filter_map(Parameter::parse).collect();
    let mut comment = comment.into_iter().map(str::to_owned);
    let title = comment.next().unwrap_or_default();
    let text = comment.collect::<Vec<_>>().join(" ");
    let length: usize =
        file.split_inclusive('\n').take_while(|line| line.starts_with("-- ")).map(str::len).sum();
    let sql = file.get(length..).unwrap_or_default().trim_end();
    Recipe { name, title, text, parameters, sql: sql.trim_end_matches(';') }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_file_into_title_text_and_query() {
        let file = "-- One?\n-- Two\n-- three.\nSELECT 1 -- four;\nFROM t;\n";
        let found = recipe("one", file);
        assert_eq!((found.title.as_str(), found.text.as_str()), ("One?", "Two three."));
        assert_eq!(found.sql, "SELECT 1 -- four;\nFROM t");
        assert_eq!(found.parameters, []);
    }

    #[test]
    fn reads_parameters_and_fills_in_defaults() {
        let file = "-- One?\n-- Two.\n-- :days integer = 7  Length of the period\nSELECT coalesce(:days, 7);\n";
        let found = recipe("one", file);
        assert_eq!(found.text, "Two.");
        let (value_type, meaning) = (ParameterType::Integer, "Length of the period");
        let expected = Parameter { name: "days", value_type, default: "7", meaning };
        assert_eq!(found.parameters, [expected]);
        assert_eq!(found.sql, "SELECT coalesce(:days, 7)");
        assert_eq!(found.sql_with_defaults(), "SELECT 7");
    }

    /// A parameter that is not declared, or is written without its default, would be NULL for many users.
    #[test]
    fn every_parameter_is_declared_with_its_default() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        let mut types = std::collections::BTreeMap::new();
        for recipe in recipes() {
            for parameter in &recipe.parameters {
                assert!(recipe.sql.contains(&parameter.in_sql()), "{}", recipe.name);
                let known = types.entry(parameter.name).or_insert(parameter.value_type);
                assert_eq!(*known, parameter.value_type, "{}: {}", recipe.name, parameter.name);
            }
            let filled = recipe.sql_with_defaults();
            let is_left = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
            let left = filled.split(':').skip(1).find(|part| is_left(part));
            assert_eq!(left, None, "{}: a parameter is not declared", recipe.name);
            // Only tables are missing in an empty database.
            let error = db.prepare(&filled).unwrap_err().to_string();
            assert!(error.contains("no such table"), "{}: {error}", recipe.name);
        }
    }

    #[test]
    fn includes_every_file_of_the_folder() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/queries");
        let mut files: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".sql"))
            .collect();
        files.sort();
        let mut known: Vec<_> = FILES.iter().map(|(name, _)| format!("{name}.sql")).collect();
        known.sort();
        assert_eq!(files, known);
        for recipe in recipes() {
            assert!(!recipe.title.is_empty() && recipe.text.ends_with('.'), "{}", recipe.name);
        }
    }
}
