//! The tables of the dashboard: ready-made queries of the cookbook, so that both count alike.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::model::Value;
use crate::model::instant::DAY_S;
use crate::store::cookbook;
use crate::store::dashboard::growth::DAYS;
use crate::store::error::StoreResult;
use crate::store::query::{self, Query};

/// The queries that find posts by their keys.
const OF_SOME_POSTS: [&str; 3] = ["week-over-week", "fastest-risers", "above-median"];
/// The queries that read every post.
const OF_ALL_POSTS: [&str; 4] =
    ["engagement-by-creator", "posting-frequency", "accounts-gone-quiet", "campaigns"];
/// Maximum number of rows shown of a query.
pub const ROWS_MAX: usize = 10;

/// The first rows of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// Names of its columns.
    pub columns: Vec<String>,
    /// At most [`ROWS_MAX`] rows.
    pub rows: Vec<Vec<Value<'static>>>,
    /// Number of further rows.
    pub more: usize,
    /// For each row about a post, its scrapes of the last [`DAYS`] days: Unix seconds and views.
    pub curves: Vec<Vec<(i64, i64)>>,
}

impl Table {
    /// Returns a value of a row.
    pub fn value<'a>(&self, row: &'a [Value<'static>], column: &str) -> &'a Value<'static> {
        let place = self.columns.iter().position(|name| name == column);
        place.and_then(|place| row.get(place)).unwrap_or(&Value::Null)
    }
}

/// The tables, by name of their query in the cookbook.
pub type Tables = BTreeMap<&'static str, Table>;

/// Reads the tables, and the numbers of present posts: all, and those tracked individually.
pub(super) fn read(c: &Connection, now: i64) -> StoreResult<(Tables, [i64; 2])> {
    let mut tables = Tables::new();
    for name in OF_SOME_POSTS {
        tables.insert(name, table(c, name, now)?);
    }
    // In place of the view: each of these queries reads the whole view, which takes longer than to copy it once. The
    // limit of the views, as for the gains of a day, keeps sums from overflowing. It ends with the transaction.
    c.execute_batch(
        "CREATE TEMP TABLE posts AS
         SELECT platform, account_id, account_username, creator_id, creator_name, metadata, create_time, is_tracked,
             max(min(view_count, 1000000000000), -1000000000000) AS view_count, engagement_rate, removed_at
         FROM main.posts",
    )?;
    for name in OF_ALL_POSTS {
        tables.insert(name, table(c, name, now)?);
    }
    let sql =
        "SELECT count(*), coalesce(sum(is_tracked), 0) FROM temp.posts WHERE removed_at IS NULL";
    let counts = c.prepare(sql)?.query_row([], |row| Ok([row.get(0)?, row.get(1)?]))?;
    c.execute_batch("DROP TABLE temp.posts")?;
    Ok((tables, counts))
}

fn table(c: &Connection, name: &str, now: i64) -> StoreResult<Table> {
    let recipe = cookbook::recipes().into_iter().find(|recipe| recipe.name == name);
    let Some(recipe) = recipe else { return Ok(Table::default()) };
    let mut statement = c.prepare(recipe.sql)?;
    let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
    let mut table = Table { columns, ..Table::default() };
    // Parameters without a value have their defaults.
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if table.rows.len() == ROWS_MAX {
            table.more += 1;
            continue;
        }
        let values =
            (0..table.columns.len()).map(|n| Ok(query::value(row.get_ref(n)?).into_owned()));
        table.rows.push(values.collect::<StoreResult<_>>()?);
    }
    if table.columns.iter().any(|column| column == "post_key") {
        for row in &table.rows {
            table.curves.push(curve(c, table.value(row, "post_key"), now)?);
        }
    }
    Ok(table)
}

/// Returns the views of a post in the last [`DAYS`] days, and the last known before them.
fn curve(c: &Connection, post_key: &Value<'_>, now: i64) -> StoreResult<Vec<(i64, i64)>> {
    let sql = "SELECT scraped_at_unix, view_count FROM post_history
               WHERE post_key = ?1 AND view_count IS NOT NULL AND scraped_at_unix <= ?3
                 AND scraped_at_unix >= coalesce((SELECT max(scraped_at_unix) FROM post_history
                                                  WHERE post_key = ?1 AND view_count IS NOT NULL
                                                    AND scraped_at_unix < ?2), ?2)
               ORDER BY scraped_at_unix";
    c.all(sql, (post_key, now - DAYS * DAY_S, now), |row| Ok((row.get(0)?, row.get(1)?)))
}
