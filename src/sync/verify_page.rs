//! Compares rows of an answer with the stored ones, in the transaction that then writes the answer.
//!
//! The comparison, the mark that forces a row to be rewritten, and the rewrite are one transaction, so that
//! what is reported as repaired is repaired even after a crash.

use std::borrow::Cow;
use std::collections::BTreeSet;

use rusqlite::{Connection, Transaction};

use crate::model::row::NO_FINGERPRINT;
use crate::model::{Kind, Row};
use crate::store::StoreResult;
use crate::store::sample::{self, StoredRow, Stratum};
use crate::sync::compare::{self, Comparison};
use crate::sync::verify_report::{Discrepancy, VerifyReport};

/// Compares the rows of one answer.
#[derive(Debug, Clone)]
pub struct RowComparer {
    /// The kind of the rows.
    pub kind: Kind,
    /// Start of the request, a stamp.
    pub as_of: i64,
    /// Unix seconds.
    pub now: i64,
    /// Creators with accounts that were scraped since the mirror read them.
    pub newly_scraped: BTreeSet<String>,
}

/// The result of comparing one row.
#[derive(Debug)]
pub struct ComparedRow {
    row_id: i64,
    id: String,
    comparison: Comparison,
    /// The account's creator, if the account was scraped since the mirror read it.
    newly_scraped: Option<String>,
    /// Whether the content is the same, but was received in another form, as in a list.
    pub is_other_form: bool,
}

impl RowComparer {
    /// Compares rows, each resource once.
    pub fn rows(&self, tx: &Transaction<'_>, rows: &[Row]) -> StoreResult<Vec<ComparedRow>> {
        let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
        for row in rows {
            if let Some(compared) = self.row(tx, row)?
                && seen.insert(compared.row_id)
            {
                all.push(compared);
            }
        }
        Ok(all)
    }

    /// Compares a row. One that differs is invalidated, so that the write that follows in this transaction
    /// rewrites it. Returns `None` if the row is not stored, or a newer answer is.
    pub fn row(&self, tx: &Transaction<'_>, row: &Row) -> StoreResult<Option<ComparedRow>> {
        let platform = row.value(self.kind, "platform");
        let Some(held) = sample::held(tx, self.kind, &row.id(), platform.as_text())? else {
            return Ok(None);
        };
        // A removed row is not part of the sample; the write brings it back.
        if held.is_removed || self.as_of < held.as_of {
            return Ok(None);
        }
        let comparison = self.compare(tx, &held, row)?;
        if matches!(comparison, Comparison::Drift(_)) {
            sample::invalidate(tx, self.kind, held.row_id)?;
        }
        let is_scraped = self.kind == Kind::Account && compare::is_later(self.kind, &held, row);
        let creator = row.value(self.kind, "creator_id").into_text().filter(|_| is_scraped);
        Ok(Some(ComparedRow {
            row_id: held.row_id,
            id: row.id().into_owned(),
            newly_scraped: creator.map(Cow::into_owned),
            is_other_form: comparison == Comparison::Equal
                && ![row.fingerprint, NO_FINGERPRINT].contains(&held.fingerprint),
            comparison,
        }))
    }

    fn compare(&self, c: &Connection, held: &StoredRow, row: &Row) -> StoreResult<Comparison> {
        let is_newer = self.kind == Kind::Creator
            && (self.newly_scraped.contains(&*row.id())
                || sample::has_newer_scrape(c, &row.id(), held.as_of, self.now)?);
        let scrape = match row.scraped_at {
            Some(at) => sample::scrape(c, self.kind, held.row_id, at)?,
            None => None,
        };
        Ok(compare::compare(self.kind, held, row, is_newer, scrape.as_deref()))
    }
}

/// Adds committed results to the report. `stratum` returns why a row was read.
pub fn record(
    verify_report: &mut VerifyReport,
    kind: Kind,
    rows: impl IntoIterator<Item = ComparedRow>,
    stratum: impl Fn(&str) -> Option<Stratum>,
) {
    for one in rows {
        verify_report.newly_scraped.extend(one.newly_scraped);
        // A row of another answer may be in the sample as well.
        let is_new = verify_report.seen.insert((kind, one.row_id));
        if !is_new && one.comparison == Comparison::Equal {
            continue;
        }
        let of_kind = verify_report.of(kind);
        of_kind.read += u64::from(is_new);
        match one.comparison {
            Comparison::Equal => of_kind.equal += 1,
            Comparison::Later => of_kind.later += 1,
            Comparison::Drift(differences) => {
                of_kind.drifted += 1;
                let columns: Vec<_> = differences.iter().map(|one| &one.column).collect();
                tracing::warn!(%kind, id = one.id, ?columns, "the mirror differed from the API");
                verify_report.add(
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

    fn compare_twice(tx: &Transaction<'_>, as_of: i64) -> StoreResult<Vec<ComparedRow>> {
        let rows = [TRUTH, TRUTH].map(|json| decode::row(Kind::Video, json.to_owned()).unwrap());
        let comparer =
            RowComparer { kind: Kind::Video, as_of, now: 0, newly_scraped: BTreeSet::new() };
        comparer.rows(tx, &rows)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(24) })]
        /// Whatever its fingerprint and however often it was marked, a wrong row is reported once and
        /// rewritten; without a commit nothing changes.
        #[test]
        fn reported_repairs_are_committed(
            fingerprint in prop_oneof![any::<i64>(), Just(NO_FINGERPRINT), Just(-1)],
            is_inverted in any::<bool>(),
            marks in 0..4_usize,
        ) {
            let (_folder, store) = mirror();
            let views = || store.read(|c| Ok(c.query_row(
                "SELECT view_count FROM video", [], |row| row.get::<_, i64>(0))?)).unwrap();
            store.write(|tx| {
                tx.execute("UPDATE video SET view_count = 6", [])?;
                match is_inverted {
                    true => tx.execute("UPDATE video SET fingerprint = ~fingerprint", [])?,
                    false => tx.execute("UPDATE video SET fingerprint = ?1", [fingerprint])?,
                };
                Ok(())
            }).unwrap();
            for _ in 0..marks {
                // Dropped before it is committed, as by a kill.
                let killed: StoreResult<()> = store.write(|tx| {
                    compare_twice(tx, 2)?;
                    write(tx, 2)?;
                    Err(StoreError::Interrupted)
                });
                prop_assert!(killed.is_err());
                prop_assert_eq!(views(), 6);
            }
            let compared = store.write(|tx| {
                let compared = compare_twice(tx, 2)?;
                write(tx, 2)?;
                write(tx, 2)?;
                Ok(compared)
            }).unwrap();
            prop_assert!(matches!(&compared[..], [one] if matches!(one.comparison, Comparison::Drift(_))));
            prop_assert_eq!(views(), 5);
            let again = store.write(|tx| compare_twice(tx, 3)).unwrap();
            prop_assert!(matches!(&again[..], [one] if one.comparison == Comparison::Equal));
        }
    }

    #[test]
    fn older_answer_is_not_compared() {
        let (_folder, store) = mirror();
        store.write(|tx| write(tx, 5)).unwrap();
        assert!(store.write(|tx| compare_twice(tx, 4)).unwrap().is_empty());
    }
}
