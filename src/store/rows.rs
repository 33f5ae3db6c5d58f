//! Writes one resource: its current state, its history, and the ETag of its former page.

use std::sync::OnceLock;

use rusqlite::{
    CachedStatement, Connection, Error, OptionalExtension, Transaction, params_from_iter,
};

use crate::model::{Kind, Row, Value, columns};
use crate::store::change_log::ChangeWriter;
use crate::store::creator_links;
use crate::store::error::StoreResult;
use crate::store::history::{History, Scrape};
use crate::store::posts::{self, Posts};
use crate::store::query::Query;

/// Origin of a row.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The list page it was on; `None` for an answer about the resource alone.
    pub page: Option<i64>,
    /// Start of the request, a stamp of [`crate::store::instance`].
    pub as_of: i64,
}

/// Result of writing a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The resource's row_id in our tables.
    pub row_id: i64,
    /// Change of its current state.
    pub state: RowState,
    /// Change of its history.
    pub scrape: Scrape,
    /// The listing that last read its former page.
    pub last_listing: Option<i64>,
}

/// Change of a row's current state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// The row is new.
    New,
    /// Its content changed, or it was removed before.
    Changed,
    /// Confirmed without a change.
    Same,
    /// A newer answer was written before; this one changed nothing.
    Outdated,
}

/// Writes rows of one kind within one transaction.
pub struct RowWriter<'t> {
    kind: Kind,
    sql: &'static Sql,
    find: CachedStatement<'t>,
    insert: CachedStatement<'t>,
    update: CachedStatement<'t>,
    set_page: CachedStatement<'t>,
    clear_etag: CachedStatement<'t>,
    tx: &'t Transaction<'t>,
    posts: Option<Posts<'t>>,
    /// The `row_id` of the next new row.
    next_row_id: i64,
    history: Option<History<'t>>,
    changes: ChangeWriter<'t>,
    /// Whether the last row was new. Then the next one is inserted first, and looked up only if it exists.
    was_new: bool,
}

struct Found {
    row_id: i64,
    /// The post; the row itself if it is an account.
    owner: i64,
    /// Whether its key, account and publication are still those that its post was written with.
    is_same_post: bool,
    fingerprint: i64,
    page: Option<i64>,
    as_of: i64,
    listing: Option<i64>,
    is_marked: bool,
    removed_at: Option<i64>,
}

impl<'t> RowWriter<'t> {
    /// Prepares the statements of a kind.
    pub fn new(tx: &'t Transaction<'t>, kind: Kind) -> StoreResult<Self> {
        let sql = sql(kind);
        Ok(Self {
            kind,
            sql,
            tx,
            posts: Posts::new(tx, kind)?,
            next_row_id: tx.prepare_cached(&sql.next_row_id)?.query_row([], |row| row.get(0))?,
            find: tx.prepare_cached(&sql.find)?,
            insert: tx.prepare_cached(&sql.insert)?,
            update: tx.prepare_cached(&sql.update)?,
            set_page: tx.prepare_cached(&sql.set_page)?,
            clear_etag: tx.prepare_cached(
                "UPDATE page SET etag = NULL WHERE page = ?1 AND etag IS NOT NULL",
            )?,
            history: History::new(tx, kind)?,
            changes: ChangeWriter::new(tx, kind)?,
            was_new: false,
        })
    }

    /// Writes a row if it is new or changed.
    pub fn write(&mut self, row: &Row, source: Source) -> StoreResult<Written> {
        let mut found = if self.was_new { None } else { self.find(row)? };
        if found.is_none() {
            if let Some((row_id, scrape)) = self.insert(row, source)? {
                self.was_new = true;
                self.link(row_id, row, source.as_of)?;
                return Ok(Written { row_id, state: RowState::New, scrape, last_listing: None });
            }
            found = self.find(row)?;
        }
        self.was_new = false;
        let found = found.ok_or(Error::QueryReturnedNoRows)?;
        let (row_id, mut owner) = (found.row_id, found.owner);
        let state = self.update_state(&found, row, source)?;
        if let Some(posts) =
            self.posts.as_mut().filter(|_| state == RowState::Changed && !found.is_same_post)
        {
            owner = posts.update_member(row, row_id, owner)?;
        }
        let scrape = match state {
            RowState::Same | RowState::New => Scrape::Held,
            RowState::Changed => self.record(owner, row_id, row)?,
            // An older answer may contain a scrape that is not in the history yet.
            RowState::Outdated => self.add_scrape(owner, row_id, row)?,
        };
        Ok(Written { row_id, state, scrape, last_listing: found.listing })
    }

    fn find(&mut self, row: &Row) -> StoreResult<Option<Found>> {
        let read = |r: &rusqlite::Row<'_>| {
            let page_as_of: Option<i64> = r.get(4)?;
            Ok(Found {
                row_id: r.get(0)?,
                fingerprint: r.get(1)?,
                page: r.get(2)?,
                as_of: r.get::<_, i64>(3)?.max(page_as_of.unwrap_or(i64::MIN)),
                listing: r.get(5)?,
                is_marked: r.get(6)?,
                owner: r.get(7)?,
                is_same_post: r.get(8)?,
                removed_at: r.get(9)?,
            })
        };
        let values = self.sql.found_by.iter().map(|position| row.value_at(*position));
        let parameters = std::iter::once(Value::Text(row.id())).chain(values);
        let found = self.find.query_row(params_from_iter(parameters), read);
        Ok(found.optional()?)
    }

    /// Updates the current state. Clears the ETag of the former page of a row that changes or moves: a
    /// later 304 would confirm an outdated row.
    fn update_state(&mut self, found: &Found, row: &Row, source: Source) -> StoreResult<RowState> {
        if source.as_of < found.as_of {
            return Ok(RowState::Outdated);
        }
        let page = source.page.or(found.page);
        let is_same = found.fingerprint == row.fingerprint;
        let stays = found.page == page;
        if is_same && !found.is_marked && stays && source.page.is_some() {
            return Ok(RowState::Same);
        }
        if let Some(former) = found.page
            && (!stays || (source.page.is_none() && (!is_same || found.is_marked)))
        {
            self.clear_etag.execute([former])?;
        }
        self.log(found, row, source.as_of)?;
        if is_same {
            self.set_page.execute((found.row_id, page, source.as_of))?;
            return Ok(if found.is_marked { RowState::Changed } else { RowState::Same });
        }
        let head = [Value::Integer(found.row_id), integer(page), Value::Integer(source.as_of)];
        self.update.execute(params_from_iter(bind(head, row, self.history.is_some())))?;
        Ok(RowState::Changed)
    }

    /// Logs what a newer answer changes, before it is written.
    fn log(&mut self, found: &Found, row: &Row, as_of: i64) -> StoreResult<()> {
        if let Some(removed_at) = found.removed_at {
            self.changes.returned(row, removed_at, as_of)?;
        }
        let has_edits =
            found.fingerprint != row.fingerprint && self.changes.edits(found.row_id, row, as_of)?;
        if let Some(history) = self.history.as_mut().filter(|_| has_edits) {
            history.edited(found.owner, found.row_id, as_of)?;
        }
        if has_edits || found.removed_at.is_some() {
            self.link(found.row_id, row, as_of)?;
        }
        Ok(())
    }

    /// Records the creator of an account.
    fn link(&self, row_id: i64, row: &Row, as_of: i64) -> StoreResult<()> {
        if self.kind != Kind::Account {
            return Ok(());
        }
        let creator_id = row.value(self.kind, "creator_id");
        creator_links::set(self.tx, row_id, creator_id.as_text(), as_of)
    }

    /// Inserts a new row with its scrape; `None` if it exists already.
    fn insert(&mut self, row: &Row, source: Source) -> StoreResult<Option<(i64, Scrape)>> {
        let row_id = self.next_row_id;
        let head = [Value::Text(row.id()), integer(source.page), Value::Integer(source.as_of)];
        let values = bind(head, row, self.history.is_some()).chain([Value::Integer(row_id)]);
        let Some(posts) = &mut self.posts else {
            if self.insert.execute(params_from_iter(values))? == 0 {
                return Ok(None);
            }
            self.next_row_id += 1;
            return Ok(Some((row_id, self.record(row_id, row_id, row)?)));
        };
        let member = posts.find_or_insert(row, row_id)?;
        let values = values.chain([Value::Integer(member.post)]);
        if self.insert.execute(params_from_iter(values))? == 0 {
            posts.forget(member)?;
            return Ok(None);
        }
        self.next_row_id += 1;
        if !member.is_first {
            posts.add_member(member.post)?;
            return Ok(Some((row_id, self.add_scrape(member.post, row_id, row)?)));
        }
        let scrape = match &mut self.history {
            Some(history) => posts.add_first_scrape(history, member, row_id, row)?,
            None => Scrape::Held,
        };
        Ok(Some((row_id, scrape)))
    }

    fn record(&mut self, owner: i64, row_id: i64, row: &Row) -> StoreResult<Scrape> {
        self.change_history(owner, row, |history| history.record(owner, row_id, row))
    }

    fn add_scrape(&mut self, owner: i64, row_id: i64, row: &Row) -> StoreResult<Scrape> {
        self.change_history(owner, row, |history| history.add(owner, row_id, row))
    }

    /// Changes the history of an account or post, and what a post gained.
    fn change_history(
        &mut self,
        owner: i64,
        row: &Row,
        change: impl FnOnce(&mut History<'t>) -> StoreResult<Scrape>,
    ) -> StoreResult<Scrape> {
        let (Some(history), Some(at)) = (&mut self.history, row.scraped_at) else {
            return Ok(Scrape::Held);
        };
        let scrape = change(history)?;
        if scrape != Scrape::Held && self.posts.is_some() {
            posts::count_scrape(self.tx, owner, at)?;
        }
        Ok(scrape)
    }
}

fn integer(number: Option<i64>) -> Value<'static> {
    number.map_or(Value::Null, Value::Integer)
}

/// The parameters of an insert or an update: the three in `head`, then the row. Kinds with scrapes also
/// have the flag `scrape_unreadable`.
fn bind<'a>(
    head: [Value<'a>; 3],
    row: &'a Row,
    has_flag: bool,
) -> impl Iterator<Item = Value<'a>> + 'a {
    let extra = row.extra.as_deref().map_or(Value::Null, |extra| Value::Text(extra.into()));
    let flag = has_flag.then_some(Value::Integer(row.has_unreadable_scrape.into()));
    let own = head.into_iter().chain([extra, Value::Integer(row.fingerprint)]).chain(flag);
    own.chain(row.values())
}

/// Rows of a kind whose scrapes do not enter history, because their `last_scrape_time` cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableScrapes {
    /// Number of rows.
    pub rows: i64,
    /// The id of one of them.
    pub id: String,
    /// Its `last_scrape_time` as received.
    pub given: Option<String>,
}

/// Returns the rows of a kind whose scrapes do not enter history, if there are any.
pub fn unreadable_scrapes(c: &Connection, kind: Kind) -> StoreResult<Option<UnreadableScrapes>> {
    if columns::history_columns(kind).is_empty() {
        return Ok(None);
    }
    let sql = format!(
        "SELECT count(*), min(id), CASE WHEN json_valid(extra) THEN substr(extra ->> '$.last_scrape_time', 1, 80) END
         FROM {} WHERE scrape_unreadable = 1 AND removed_at IS NULL",
        kind.name()
    );
    c.one(&sql, [], |row| {
        let (rows, given) = (row.get(0)?, row.get(2)?);
        Ok(row.get::<_, Option<String>>(1)?.map(|id| UnreadableScrapes { rows, id, given }))
    })
}

struct Sql {
    find: String,
    /// Positions of the values that `find` takes after the id.
    found_by: Vec<usize>,
    next_row_id: String,
    insert: String,
    update: String,
    set_page: String,
}

/// Returns the statements of a kind, which are composed once from its columns.
fn sql(kind: Kind) -> &'static Sql {
    static SQL: OnceLock<Vec<(Kind, Sql)>> = OnceLock::new();
    let all =
        SQL.get_or_init(|| Kind::LISTS.into_iter().map(|kind| (kind, compose(kind))).collect());
    // Contains every list kind; other kinds have no rows.
    all.iter().find(|(one, _)| *one == kind).map_or(&all[0].1, |(_, sql)| sql)
}

fn compose(kind: Kind) -> Sql {
    let table = kind.name();
    let flag = (!columns::history_columns(kind).is_empty()).then_some("scrape_unreadable");
    let names = columns::columns(kind).iter().map(|column| column.name);
    let names: Vec<&str> = flag.into_iter().chain(names).collect();
    // The id of an account video is unique per platform only.
    let by_id =
        if kind == Kind::AccountVideo { "r.id = ?1 AND r.platform = ?2" } else { "r.id = ?1" };
    let has_post = posts::is_post(kind);
    let post_columns: &[&str] =
        if has_post { &["platform", "external_id", "account_id", "create_time"] } else { &[] };
    let is_same = post_columns.iter().zip(2..).map(|(name, n)| format!("r.{name} IS ?{n}"));
    let is_same = match has_post {
        true => is_same.collect::<Vec<_>>().join(" AND "),
        false => "1".to_owned(),
    };
    let owner = if has_post { "r.post" } else { "r.row_id" };
    // Parameters 1 to 3 are those of `head`, 4 and 5 are extra and fingerprint.
    let numbered = |first: usize| (first..).map(|n| format!("?{n}")).take(names.len());
    let values = numbered(6).collect::<Vec<_>>().join(", ");
    let sets = names.iter().zip(numbered(6)).map(|(name, n)| format!("{name} = {n}"));
    let sets = sets.collect::<Vec<_>>().join(", ");
    let list = names.join(", ");
    let (post, post_value) = match has_post {
        true => (", post", format!(", ?{}", 7 + names.len())),
        false => ("", String::new()),
    };
    let row_id = 6 + names.len();
    Sql {
        find: format!(
            "SELECT r.row_id, r.fingerprint, r.page, r.as_of, p.as_of, p.listing,
                    r.removed_at IS NOT NULL OR r.absent_listing IS NOT NULL OR r.not_found_at IS NOT NULL,
                    {owner}, {is_same}, r.removed_at
             FROM {table} AS r LEFT JOIN page AS p ON p.page = r.page
             WHERE {by_id}"
        ),
        insert: format!(
            "INSERT INTO {table} (id, page, as_of, first_mirrored_at, extra, fingerprint, {list}, row_id{post})
             VALUES (?1, ?2, ?3, ?3, ?4, ?5, {values}, ?{row_id}{post_value})
             ON CONFLICT DO NOTHING"
        ),
        found_by: post_columns.iter().filter_map(|name| columns::position(kind, name)).collect(),
        next_row_id: format!("SELECT coalesce(max(row_id), 0) + 1 FROM {table}"),
        update: format!(
            "UPDATE {table}
             SET page = ?2, as_of = ?3, extra = ?4, fingerprint = ?5,
                 removed_at = NULL, absent_listing = NULL, not_found_at = NULL, {sets}
             WHERE row_id = ?1"
        ),
        set_page: format!(
            "UPDATE {table}
             SET page = ?2, as_of = ?3, removed_at = NULL, absent_listing = NULL, not_found_at = NULL
             WHERE row_id = ?1"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;
    use crate::store::testing::mirror;

    fn write(store: &Database, json: &str, as_of: i64) -> Written {
        let row = crate::api::decode::row(Kind::Video, json.to_owned()).unwrap();
        let source = Source { page: None, as_of };
        store.write(|tx| RowWriter::new(tx, Kind::Video)?.write(&row, source)).unwrap()
    }

    fn history(store: &Database) -> Vec<(String, Option<i64>)> {
        store
            .read(|c| {
                let sql = "SELECT scraped_at, view_count FROM video_history ORDER BY scraped_at";
                let mut statement = c.prepare(sql)?;
                let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .unwrap()
    }

    fn video(hour: u32, views: &str) -> String {
        format!(
            r#"{{"id":"v","last_scrape_time":"2026-01-01T{hour:02}:00:00Z","view_count":{views}}}"#
        )
    }

    #[test]
    fn scrape_is_in_history_once_and_revised_by_newer_counts() {
        let (_folder, store) = mirror();
        let one = write(&store, &video(1, "10"), 1);
        assert_eq!((one.state, one.scrape), (RowState::New, Scrape::Added));
        assert_eq!(write(&store, &video(1, "10"), 2).scrape, Scrape::Held);
        let revised = write(&store, &video(1, "11"), 3);
        assert_eq!((revised.state, revised.scrape), (RowState::Changed, Scrape::Revised));
        // NULL never replaces a number in history.
        assert_eq!(write(&store, &video(1, "null"), 4).scrape, Scrape::Held);
        assert_eq!(history(&store), [("2026-01-01T01:00:00Z".to_owned(), Some(11))]);
    }

    #[test]
    fn scrape_time_that_goes_back_adds_only_new_scrapes() {
        let (_folder, store) = mirror();
        write(&store, &video(5, "50"), 1);
        assert_eq!(write(&store, &video(3, "30"), 2).scrape, Scrape::Added);
        let back = write(&store, &video(5, "50"), 3);
        assert_eq!((back.state, back.scrape), (RowState::Changed, Scrape::Held));
        assert_eq!(history(&store).len(), 2);
    }

    #[test]
    fn older_answer_changes_history_but_not_state() {
        let (_folder, store) = mirror();
        write(&store, &video(5, "50"), 10);
        let late = write(&store, &video(4, "40"), 9);
        assert_eq!((late.state, late.scrape), (RowState::Outdated, Scrape::Added));
        assert_eq!(write(&store, &video(5, "1"), 8).scrape, Scrape::Held);
        let views: i64 = store
            .read(|c| Ok(c.query_row("SELECT view_count FROM videos", [], |r| r.get(0))?))
            .unwrap();
        assert_eq!(views, 50);
        assert_eq!(history(&store)[1].1, Some(50));
    }
}
