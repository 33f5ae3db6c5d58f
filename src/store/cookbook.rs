//! The cookbook: ready-made queries for common questions, from the files in `deploy/queries/`.

/// Name and content of every file of the folder, in display order.
const FILES: [(&str, &str); 14] = [
    ("fastest-risers", include_str!("../../deploy/queries/fastest-risers.sql")),
    ("losing-steam", include_str!("../../deploy/queries/losing-steam.sql")),
    ("new-posts", include_str!("../../deploy/queries/new-posts.sql")),
    ("most-engaging-posts", include_str!("../../deploy/queries/most-engaging-posts.sql")),
    ("best-posting-hour", include_str!("../../deploy/queries/best-posting-hour.sql")),
    ("views-per-day", include_str!("../../deploy/queries/views-per-day.sql")),
    ("engagement-by-creator", include_str!("../../deploy/queries/engagement-by-creator.sql")),
    ("follower-growth", include_str!("../../deploy/queries/follower-growth.sql")),
    ("accounts-gone-quiet", include_str!("../../deploy/queries/accounts-gone-quiet.sql")),
    ("what-has-disappeared", include_str!("../../deploy/queries/what-has-disappeared.sql")),
    ("not-refreshed", include_str!("../../deploy/queries/not-refreshed.sql")),
    ("gaps-in-history", include_str!("../../deploy/queries/gaps-in-history.sql")),
    ("cost-of-requests", include_str!("../../deploy/queries/cost-of-requests.sql")),
    ("outbox-failures", include_str!("../../deploy/queries/outbox-failures.sql")),
];

/// A ready-made query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// File name without `.sql`.
    pub name: &'static str,
    /// First line of the file's leading comment.
    pub title: String,
    /// Rest of that comment: what the query returns, and its limits.
    pub text: String,
    /// The statement, without its final semicolon.
    pub sql: &'static str,
}

/// Returns all recipes in display order.
pub fn recipes() -> Vec<Recipe> {
    FILES.iter().map(|(name, file)| recipe(name, file)).collect()
}

fn recipe(name: &'static str, file: &'static str) -> Recipe {
    let comment = file.lines().map_while(|line| line.strip_prefix("-- "));
    let mut comment = comment.map(str::to_owned);
    let title = comment.next().unwrap_or_default();
    let text = comment.collect::<Vec<_>>().join(" ");
    let length: usize =
        file.split_inclusive('\n').take_while(|line| line.starts_with("-- ")).map(str::len).sum();
    let sql = file.get(length..).unwrap_or_default().trim_end();
    Recipe { name, title, text, sql: sql.trim_end_matches(';') }
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
