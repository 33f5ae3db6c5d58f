//! The data dictionary: every view and column that users query, read out of the comments in
//! `migrations/`, so that what is told about them and what stands beside them is one text. (Tables are
//! ours alone.)
//!
//! The comment before a view says what it is. The comment before a column is `what it is, unit; where
//! the API says it`, the unit with `or NULL` where the column may be that. A later migration that makes
//! a view anew documents it anew.

mod tokens;

use tokens::Token;

/// Every unit, and the type in which SQLite holds it.
const UNITS: [(&str, &str); 17] = [
    ("id", "text"),
    ("text", "text"),
    ("URL", "text"),
    ("UTC instant", "text"),
    ("UTC date", "text"),
    ("JSON object", "text"),
    ("JSON array", "text"),
    ("0/1", "integer"),
    ("count", "integer"),
    ("number", "integer"),
    ("whole hours", "integer"),
    ("whole days", "integer"),
    ("hours", "real"),
    ("seconds", "real"),
    ("fraction", "real"),
    ("rate", "real"),
    ("per hour", "real"),
];

/// Something that users query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: String,
    /// What it is.
    pub text: String,
    /// Its columns in their order.
    pub columns: Vec<Described>,
}

/// A column of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// What it says.
    pub meaning: String,
    /// What it is measured in, or how it is written.
    pub unit: String,
    /// Whether it may be NULL.
    pub is_nullable: bool,
    /// The request and the member of its answer that says it; `ours` where the mirror does.
    pub source: String,
}

impl Described {
    /// SQLite's type of what is measured in this unit; empty for a unit that is none.
    pub fn sql_type(&self) -> &'static str {
        let known = UNITS.iter().find(|(unit, _)| *unit == self.unit);
        known.map_or("", |(_, sql_type)| sql_type)
    }

    fn new(name: &str, comment: &str) -> Self {
        let (said, source) = comment.rsplit_once("; ").unwrap_or((comment, ""));
        let (meaning, unit) = said.rsplit_once(", ").unwrap_or((said, ""));
        let bare = unit.strip_suffix(" or NULL");
        Self {
            name: name.to_owned(),
            meaning: meaning.to_owned(),
            unit: bare.unwrap_or(unit).to_owned(),
            is_nullable: bare.is_some(),
            source: source.to_owned(),
        }
    }
}

/// Everything that users query, as of the newest schema.
pub fn views() -> Vec<View> {
    let mut known = Vec::new();
    for script in super::open::scripts() {
        read(&script, &mut known);
    }
    known
}

/// The tables under the views, which nobody has to look at.
pub fn tables() -> Vec<String> {
    let mut known: Vec<String> = Vec::new();
    for script in super::open::scripts() {
        for statement in tokens::of(&script).split(|token| *token == Token::Symbol(';')) {
            match words(documented(statement).1)[..] {
                ["CREATE", "TABLE", name, ..] => known.push(name.to_owned()),
                ["DROP", "TABLE", .., name] => known.retain(|other| other != name),
                _ => {}
            }
        }
    }
    known
}

/// What a migration makes, makes anew or drops.
fn read(script: &str, known: &mut Vec<View>) {
    let tokens = tokens::of(script);
    for statement in tokens.split(|token| *token == Token::Symbol(';')) {
        let (text, statement) = documented(statement);
        match words(statement)[..] {
            ["CREATE", "VIEW", name, ..] => {
                let columns = columns(statement, known);
                let view = View { name: name.to_owned(), text, columns };
                match known.iter_mut().find(|other| other.name == name) {
                    Some(former) => *former = view,
                    None => known.push(view),
                }
            }
            ["DROP", "VIEW", .., name] => known.retain(|other| other.name != name),
            _ => {}
        }
    }
}

/// The columns of the first `SELECT`, which names them for all that are united with it.
fn columns(statement: &[Token<'_>], known: &[View]) -> Vec<Described> {
    let begin = statement.iter().position(|token| token.is_word("SELECT")).unwrap_or(0);
    let list = statement.get(begin + 1..).unwrap_or_default();
    let mut depth = 0;
    let end = list.iter().position(|token| {
        depth += token.nesting();
        depth == 0 && token.is_word("FROM")
    });
    let (list, rest) = list.split_at(end.unwrap_or(list.len()));
    let mut columns = Vec::new();
    for item in items(list) {
        let (comment, item) = documented(item);
        match item {
            [Token::Word(alias), Token::Symbol('.'), Token::Symbol('*')] => {
                columns.extend(all_of(alias, rest, known));
            }
            [.., Token::Word(name)] => columns.push(Described::new(name, &comment)),
            _ => {}
        }
    }
    columns
}

/// The columns of the view that goes by this alias.
fn all_of(alias: &str, from: &[Token<'_>], known: &[View]) -> Vec<Described> {
    let named = words(from).windows(3).find_map(|words| match words {
        [name, "AS", other] if *other == alias => Some(*name),
        _ => None,
    });
    let view = known.iter().find(|view| Some(view.name.as_str()) == named);
    view.map_or_else(Vec::new, |view| view.columns.clone())
}

/// What stands between the commas that are in no brackets.
fn items<'t, 's>(list: &'t [Token<'s>]) -> impl Iterator<Item = &'t [Token<'s>]> {
    let mut depth = 0;
    list.split(move |token| {
        depth += token.nesting();
        depth == 0 && *token == Token::Symbol(',')
    })
}

/// The comment right before the first token that is none, in one line, and that token with all after
/// it.
fn documented<'t, 's>(tokens: &'t [Token<'s>]) -> (String, &'t [Token<'s>]) {
    let is_comment = |token: &Token<'_>| matches!(token, Token::Comment(_) | Token::Gap);
    let begin = tokens.iter().position(|token| !is_comment(token)).unwrap_or(tokens.len());
    let (before, rest) = tokens.split_at(begin);
    let last = before.split(|token| *token == Token::Gap).next_back().unwrap_or_default();
    let lines: Vec<&str> = last
        .iter()
        .filter_map(|token| match token {
            Token::Comment(line) => Some(*line),
            _ => None,
        })
        .collect();
    (lines.join(" "), rest)
}

fn words<'s>(tokens: &[Token<'s>]) -> Vec<&'s str> {
    let word = |token: &Token<'s>| match token {
        Token::Word(word) => Some(*word),
        _ => None,
    };
    tokens.iter().filter_map(word).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(scripts: &[&str]) -> Vec<View> {
        let mut known = Vec::new();
        scripts.iter().for_each(|script| read(script, &mut known));
        known
    }

    #[test]
    fn views_are_described_by_the_comments_before_them() {
        let script = "
            -- A head that belongs to the file; it's no view's.

            -- What there is,
            -- and more.
            CREATE VIEW things AS
            SELECT
                -- The thing's name; never empty, text; GET /things, Thing.name
                t.name,
                -- Weight of it,
                -- count or NULL; ours
                sum(t.weight, 'of; , FROM') * (SELECT 1 FROM other) AS weight
            FROM thing AS t; -- not ours
            -- Internal.
            CREATE TABLE thing (name TEXT);";
        let known = read_all(&[script]);
        assert_eq!(known.len(), 1);
        assert_eq!(known[0].name, "things");
        assert_eq!(known[0].text, "What there is, and more.");
        let [name, weight] = &known[0].columns[..] else { panic!("{known:#?}") };
        assert_eq!(
            (name.name.as_str(), name.meaning.as_str()),
            ("name", "The thing's name; never empty")
        );
        assert_eq!((name.unit.as_str(), name.is_nullable), ("text", false));
        assert_eq!(name.source, "GET /things, Thing.name");
        assert_eq!((weight.name.as_str(), weight.meaning.as_str()), ("weight", "Weight of it"));
        assert_eq!((weight.unit.as_str(), weight.is_nullable), ("count", true));
        assert_eq!((weight.source.as_str(), weight.sql_type()), ("ours", "integer"));
    }

    #[test]
    fn a_star_stands_for_what_is_known_and_later_versions_replace_former_ones() {
        let first = "CREATE VIEW a AS SELECT
                         -- One, text; ours
                         x FROM t;
                     CREATE VIEW b AS SELECT
                         v.*,
                         -- Two, text; ours
                         y FROM a AS v;
                     CREATE VIEW c AS SELECT z FROM t;";
        let second = "DROP VIEW c; -- New.
                      CREATE VIEW a AS SELECT 1 AS w FROM t;";
        let known = read_all(&[first, second]);
        let shape: Vec<(&str, Vec<&str>)> = known
            .iter()
            .map(|one| (one.name.as_str(), one.columns.iter().map(|c| c.name.as_str()).collect()))
            .collect();
        assert_eq!(shape, [("a", vec!["w"]), ("b", vec!["x", "y"])]);
        assert_eq!(known[0].text, "New.");
    }
}
