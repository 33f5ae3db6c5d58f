//! Single documents: changes of the overview's figures, and ETags.

use rusqlite::{Connection, Transaction};

use crate::model::row::DECODER_VERSION;
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// The figures of one `GET /overview`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct OverviewFigures {
    /// Views in the period.
    pub total_views: Option<i64>,
    /// Engagement rate as received; the API does not document whether it is a fraction or a percentage.
    pub engagement_rate: Option<f64>,
    /// Accounts that are tracked and not paused.
    pub active_accounts: Option<i64>,
    /// Posts found through accounts.
    pub account_videos: Option<i64>,
    /// Individually tracked videos.
    pub tracked_videos: Option<i64>,
    /// The rest of the answer, as JSON.
    pub extra: Option<String>,
}

from_row!(OverviewFigures: total_views, engagement_rate, active_accounts, account_videos, tracked_videos, extra);

/// Adds an observation if any figure differs from the latest one of the period, and returns whether it
/// did. The rest of the answer, such as the figures of the period before, is only updated in the latest
/// observation.
pub fn observe(
    tx: &Transaction<'_>,
    period: &str,
    figures: &OverviewFigures,
    at: i64,
) -> StoreResult<bool> {
    if let Some((observed_at, held)) = latest(tx, period)? {
        let is_same = OverviewFigures { extra: figures.extra.clone(), ..held.clone() } == *figures;
        if is_same && held.extra != figures.extra {
            let sql = "UPDATE overview_observation SET extra = ?3
                       WHERE period = ?1 AND observed_at = ?2";
            tx.execute(sql, (period, observed_at, &figures.extra))?;
        }
        if is_same {
            return Ok(false);
        }
    }
    let sql = "INSERT INTO overview_observation
                   (period, observed_at, total_views, api_engagement_rate, active_accounts,
                    account_videos, tracked_videos, extra)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
               ON CONFLICT DO NOTHING";
    let added = tx.execute(
        sql,
        (
            period,
            at,
            figures.total_views,
            figures.engagement_rate,
            figures.active_accounts,
            figures.account_videos,
            figures.tracked_videos,
            &figures.extra,
        ),
    )?;
    Ok(added > 0)
}

fn latest(c: &Connection, period: &str) -> StoreResult<Option<(i64, OverviewFigures)>> {
    let sql = "SELECT *, api_engagement_rate AS engagement_rate FROM overview_observation
               WHERE period = ?1 ORDER BY observed_at DESC LIMIT 1";
    c.optional(sql, [period], |row| Ok((row.get("observed_at")?, OverviewFigures::from_row(row)?)))
}

/// Returns the ETag of a document, if this decoder version read it.
pub fn etag(c: &Connection, url: &str) -> StoreResult<Option<String>> {
    let sql = "SELECT etag FROM document WHERE url = ?1 AND decoder = ?2";
    Ok(c.optional(sql, (url, DECODER_VERSION), |row| row.get(0))?.flatten())
}

/// Saves the ETag of a document, with the time of its request.
pub fn save_etag(tx: &Transaction<'_>, url: &str, etag: Option<&str>, at: i64) -> StoreResult<()> {
    let sql = "INSERT INTO document (url, etag, decoder, as_of) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (url) DO UPDATE
               SET etag = excluded.etag, decoder = excluded.decoder, as_of = excluded.as_of";
    tx.exec(sql, (url, etag, DECODER_VERSION, at))
}
