//! Compares rows of an answer with what is held of them, in the transaction that then writes them.
//!
//! The comparison, the mark that forces a row to be rewritten, and the rewrite are one transaction:
//! what is reported as repaired is repaired, whatever ends the process in between.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction};

use crate::model::row::NO_FINGERPRINT;
use crate::model::{Kind, Row};
use crate::store::StoreResult;
use crate::store::sample::{self, Held, Stratum};
use crate::sync::compare::{self, Compared};
use crate::sync::verify_report::{Discrepancy, VerifyReport};

/// What the rows of one answer are compared under.
#[derive(Debug, Clone)]
pub struct Judge {
    /// The kind of the rows.
    pub kind: Kind,
    /// Start of the request, a stamp.
    pub as_of: i64,
    /// Unix seconds.
    pub now: i64,
    /// Creators of accounts that were seen to have been scraped.
    pub moved: BTreeSet<String>,
}

/// Result of comparing one row.
#[derive(Debug)]
pub struct Judged {
    key: i64,
    id: String,
    compared: Compared,
    /// The account's creator, if the account was scraped since the mirror saw it.
    moved: Option<String>,
    /// Whether the content is held, but was received in another form, as in a list.
    pub is_other_form: bool,
}

impl Judge {
    /// Compares all rows, each resource once.
    pub fn rows(&self, tx: &Transaction<'_>, rows: &[Row]) -> StoreResult<Vec<Judged>> {
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        for row in rows {
            if let Some(judged) = self.row(tx, row)?
                && seen.insert(judged.key)
            {
                all.push(judged);
            }
        }
        Ok(all)
    }

    /// Compares a row. One that drifted is invalidated, so that the write that follows in this
    /// transaction rewrites it. `None`: nothing is held of it, or a newer answer is.
    pub fn row(&self, tx: &Transaction<'_>, row: &Row) -> StoreResult<Option<Judged>> {
        let platform = row.value(self.kind, "platform");
        let Some(held) = sample::held(tx, self.kind, &row.id(), platform.as_text())? else {
            return Ok(None);
        };
        // A row that is back was never the sample's.
        if held.is_removed || self.as_of < held.as_of {
            return Ok(None);
        }
        let compared = self.compare(tx, &held, row)?;
        if matches!(compared, Compared::Drift(_)) {
            sample::invalidate(tx, self.kind, held.key)?;
        }
        let is_scraped = self.kind == Kind::Account && compare::is_later(self.kind, &held, row);
        let creator = row.value(self.kind, "creator_id").into_text().filter(|_| is_scraped);
        Ok(Some(Judged {
            key: held.key,
            id: row.id().into_owned(),
            moved: creator.map(Cow::into_owned),
            is_other_form: compared == Compared::Equal
                && ![row.fingerprint, NO_FINGERPRINT].contains(&held.fingerprint),
            compared,
        }))
    }

    fn compare(&self, c: &Connection, held: &Held, row: &Row) -> StoreResult<Compared> {
        let is_newer = self.kind == Kind::Creator
            && (self.moved.contains(&*row.id())
                || sample::has_newer_scrape(c, &row.id(), held.as_of, self.now)?);
        let scrape = match row.scraped_at {
            Some(at) => sample::scrape(c, self.kind, held.key, at)?,
            None => None,
        };
        Ok(compare::compare(self.kind, held, row, is_newer, scrape.as_deref()))
    }
}

/// Adds committed results to the findings. `stratum` tells why a row was read.
pub fn note(
    verify_report: &mut VerifyReport,
    kind: Kind,
    judged: impl IntoIterator<Item = Judged>,
    stratum: impl Fn(&str) -> Option<Stratum>,
) {
    for one in judged {
        verify_report.moved.extend(one.moved);
        // What was shown in passing may be picked as well.
        let is_new = verify_report.seen.insert((kind, one.key));
        if !is_new && one.compared == Compared::Equal {
            continue;
        }
        let of_kind = verify_report.of(kind);
        of_kind.read += u64::from(is_new);
        match one.compared {
            Compared::Equal => of_kind.equal += 1,
            Compared::Later => of_kind.later += 1,
            Compared::Drift(differences) => {
                of_kind.drifted += 1;
                let columns: Vec<_> = differences.iter().map(|one| &one.column).collect();
                tracing::warn!(%kind, id = one.id, ?columns, "the mirror differed from the API");
                verify_report.tell(
                    kind,
                    &one.id,
                    stratum(&one.id),
                    Discrepancy::Columns(differences),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::decode;
    use crate::store::open::IfMissing;
    use crate::store::rows::{RowWriter, Source};
    use crate::store::{Database, StoreError};

    const TRUTH: &str = r#"{"id":"v","last_scrape_time":"2026-01-01T00:00:00Z","view_count":5}"#;

    fn write(tx: &Transaction<'_>, as_of: i64) -> StoreResult<()> {
        let row = decode::row(Kind::Video, TRUTH.to_owned()).unwrap();
        RowWriter::new(tx, Kind::Video)?.write(&row, Source { page: None, as_of })?;
        Ok(())
    }

    fn mirror() -> (tempfile::TempDir, Database) {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("m.db"), IfMissing::Create).unwrap();
        store.write(|tx| write(tx, 1)).unwrap();
        (folder, store)
    }

    fn judge(tx: &Transaction<'_>, as_of: i64) -> StoreResult<Vec<Judged>> {
        let rows = [TRUTH, TRUTH].map(|json| decode::row(Kind::Video, json.to_owned()).unwrap());
        let judge = Judge { kind: Kind::Video, as_of, now: 0, moved: BTreeSet::new() };
        judge.rows(tx, &rows)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
        /// Whatever fingerprint a wrong row has, and however often it is marked: it is told once and
        /// rewritten, and without the commit nothing has happened.
        #[test]
        fn what_is_told_as_repaired_is_repaired(
            fingerprint in prop_oneof![any::<i64>(), Just(NO_FINGERPRINT), Just(-1)],
            is_inverted in any::<bool>(),
            marks in 0..4_usize,
        ) {
            let (_folder, store) = mirror();
            let views = || store.read(|c| Ok(c.query_row(
                "SELECT view_count FROM video", [], |row| row.get::<_, i64>(0))?)).unwrap();
            store.write(|tx| {
                tx.execute("UPDATE video SET view_count = 6", [])?;
                // As the toggle of an earlier version left it, or as chance has it.
                match is_inverted {
                    true => tx.execute("UPDATE video SET fingerprint = ~fingerprint", [])?,
                    false => tx.execute("UPDATE video SET fingerprint = ?1", [fingerprint])?,
                };
                Ok(())
            }).unwrap();
            for _ in 0..marks {
                // Dropped before it is committed, as by a kill.
                let killed: StoreResult<()> = store.write(|tx| {
                    judge(tx, 2)?;
                    write(tx, 2)?;
                    Err(StoreError::Interrupted)
                });
                prop_assert!(killed.is_err());
                prop_assert_eq!(views(), 6);
            }
            let judged = store.write(|tx| {
                let judged = judge(tx, 2)?;
                write(tx, 2)?;
                write(tx, 2)?;
                Ok(judged)
            }).unwrap();
            prop_assert!(matches!(&judged[..], [one] if matches!(one.compared, Compared::Drift(_))));
            prop_assert_eq!(views(), 5);
            let again = store.write(|tx| judge(tx, 3)).unwrap();
            prop_assert!(matches!(&again[..], [one] if one.compared == Compared::Equal));
        }
    }

    #[test]
    fn an_answer_older_than_what_is_held_says_nothing() {
        let (_folder, store) = mirror();
        store.write(|tx| write(tx, 5)).unwrap();
        assert!(store.write(|tx| judge(tx, 4)).unwrap().is_empty());
    }
}
