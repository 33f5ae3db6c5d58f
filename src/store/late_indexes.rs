//! Indexes that a new mirror gets once it has rows: keeping them up takes a tenth of the time of a first load.
//!
//! Rows do not arrive by account, so each page of a list changes almost every page of these indexes. They serve queries
//! by account, which need no index while there are few rows; and sorting the entries of few rows takes little time and
//! memory.

use rusqlite::{Connection, Transaction};

use crate::store::error::StoreResult;
use crate::store::query::Query;

/// They are created when there are this many posts, or at the end of the first run that leaves any.
pub const POSTS_MAX: i64 = 20_000;

/// Name, table and columns, as the migrations have them.
const INDEXES: [(&str, &str); 2] = [
    ("post_by_account", "post (account_id, create_s)"),
    ("video_by_account", "video (account_id)"),
];

/// Whether an index may be missing for this reason.
pub fn includes(index: &str) -> bool {
    INDEXES.iter().any(|(name, _)| *name == index)
}

/// Drops them from a new database.
pub fn drop(new: &Connection) -> StoreResult<()> {
    INDEXES.iter().try_for_each(|(name, _)| new.exec(&format!("DROP INDEX {name}"), []))
}

/// Creates them if they are missing and there are at least `posts_min` posts.
pub fn create(tx: &Transaction<'_>, posts_min: i64) -> StoreResult<()> {
    if tx.value::<Option<i64>>("SELECT max(post) FROM post", [])? < Some(posts_min) {
        return Ok(());
    }
    INDEXES.iter().try_for_each(|(name, on)| {
        tx.exec(&format!("CREATE INDEX IF NOT EXISTS {name} ON {on}"), [])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::store::pages::{self, NewPage};
    use crate::store::testing::mirror;
    use crate::store::{Database, runs, schema_check};

    /// The late indexes that exist.
    fn existing(mirror: &Database) -> Vec<String> {
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'index'";
        let all: Vec<String> = mirror.read(|c| c.all(sql, [], |row| row.get(0))).unwrap();
        all.into_iter().filter(|name| includes(name)).collect()
    }

    fn end_run(mirror: &Database) {
        let end = |tx: &Transaction<'_>| {
            let run = runs::begin(tx, "command", 1)?;
            runs::end(tx, run, "finished", None, 2)
        };
        mirror.write(end).unwrap();
    }

    fn write_page(mirror: &Database) {
        let page = NewPage {
            kind: Kind::Video,
            url: "/videos",
            cursor: None,
            etag: None,
            next_cursor: None,
            total_count: None,
            as_of: 1,
            listing: None,
            dropped: 0,
        };
        mirror.write(|tx| pages::write(tx, &page, &[], |_, _| Ok(()))).unwrap();
    }

    #[test]
    fn first_run_that_leaves_posts_creates_them() {
        let (_folder, mirror) = mirror();
        assert_eq!(existing(&mirror), Vec::<String>::new());
        end_run(&mirror);
        assert_eq!(existing(&mirror), Vec::<String>::new());
        mirror.write(|tx| tx.exec("INSERT INTO post (post_key) VALUES ('p')", [])).unwrap();
        write_page(&mirror);
        assert_eq!(existing(&mirror), Vec::<String>::new());
        end_run(&mirror);
        assert_eq!(existing(&mirror).len(), 2);
        // They are exactly what the migrations make.
        assert_eq!(mirror.read(schema_check::read).unwrap().faults, Vec::<String>::new());
        for name in existing(&mirror) {
            mirror.write(|tx| Ok(tx.execute_batch(&format!("DROP INDEX {name}"))?)).unwrap();
            end_run(&mirror);
            assert_eq!(existing(&mirror).len(), 2, "{name}");
        }
    }

    #[test]
    fn they_are_not_put_off_for_many_posts() {
        let (_folder, mirror) = mirror();
        let posts = |count: i64| {
            format!(
                "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count})
                 INSERT INTO post (post_key) SELECT 'p:' || (SELECT count(*) FROM post) || n FROM n"
            )
        };
        mirror.write(|tx| tx.exec(&posts(POSTS_MAX - 1), [])).unwrap();
        write_page(&mirror);
        assert_eq!(existing(&mirror), Vec::<String>::new());
        mirror.write(|tx| tx.exec(&posts(1), [])).unwrap();
        write_page(&mirror);
        assert_eq!(existing(&mirror).len(), 2);
    }
}
