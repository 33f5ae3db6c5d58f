//! Single documents: the overview, whose figures are kept whenever they change, and validators.

use rusqlite::{Connection, Transaction};

use crate::model::row::DECODER_VERSION;
use crate::store::error::StoreResult;
use crate::store::query::{Query, from_row};

/// The figures of one `GET /overview`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Views in the period.
    pub total_views: Option<i64>,
    /// Engagement rate as received; whether 1 or 100 is the whole is not documented.
    pub engagement_rate: Option<f64>,
    /// Accounts that are tracked and not paused.
    pub active_accounts: Option<i64>,
    /// Posts found through accounts.
    pub account_videos: Option<i64>,
    /// Individually tracked videos.
    pub tracked_videos: Option<i64>,
    /// The rest of the answer, as received.
    pub extra: Option<String>,
}

from_row!(Figures: total_views, engagement_rate, active_accounts, account_videos, tracked_videos, extra);

/// Adds an observation if any figure differs from the latest one of the period. Returns whether. What
/// else the answer says, such as the figures of the window before, makes no observation of its own: the
/// latest one keeps the newest of it.
pub fn observe(
    tx: &Transaction<'_>,
    period: &str,
    figures: &Figures,
    at: i64,
) -> StoreResult<bool> {
    if let Some((observed_at, held)) = latest(tx, period)? {
        let is_same = Figures { extra: figures.extra.clone(), ..held.clone() } == *figures;
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

fn latest(c: &Connection, period: &str) -> StoreResult<Option<(i64, Figures)>> {
    let sql = "SELECT *, api_engagement_rate AS engagement_rate FROM overview_observation
               WHERE period = ?1 ORDER BY observed_at DESC LIMIT 1";
    c.optional(sql, [period], |row| Ok((row.get("observed_at")?, Figures::from_row(row)?)))
}

/// The validator of a document, if this decoder read it.
pub fn etag(c: &Connection, url: &str) -> StoreResult<Option<String>> {
    let sql = "SELECT etag FROM document WHERE url = ?1 AND decoder = ?2";
    Ok(c.optional(sql, (url, DECODER_VERSION), |row| row.get(0))?.flatten())
}

/// Keeps the validator of a document; `None` for a 304 keeps the one there is.
pub fn keep_etag(tx: &Transaction<'_>, url: &str, etag: Option<&str>, at: i64) -> StoreResult<()> {
    let sql = "INSERT INTO document (url, etag, decoder, as_of) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (url) DO UPDATE
               SET etag = excluded.etag, decoder = excluded.decoder, as_of = excluded.as_of";
    tx.exec(sql, (url, etag, DECODER_VERSION, at))
}
