//! The two documents: `GET /overview`, totals of the organization, and `GET /meta`, the API's lifecycle.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::api::{Request, decode, document};
use crate::fetch::context::SyncContext;
use crate::fetch::error::FetchResult;
use crate::model::{Column, ColumnType, Kind, Value, columns};
use crate::store::documents::{self, OverviewFigures};
use crate::store::runs::KindCounts;
use crate::store::{instance, listings};
use crate::sync::page;

/// The period of the totals; the API's default.
const PERIOD: &str = "7d";

/// The request for the overview.
pub fn overview_request() -> Request {
    Request::get(Kind::Overview.path()).query("period", PERIOD)
}

/// Reads `GET /overview`; adds its totals to history if any changed.
pub async fn overview(ctx: &mut SyncContext) -> FetchResult<()> {
    let request = overview_request();
    let url = page::url(&request);
    let stored_url = url.clone();
    let etag = ctx.store.read(move |c| documents::etag(c, &stored_url)).await?;
    let request = request.if_none_match(etag);
    let fetched = ctx
        .fetcher
        .fetch(&request, |answer| answer.if_modified(|answer| Ok(figures(&document(answer)?))))
        .await?;
    let counters = ctx.counters(Kind::Overview);
    ctx.store
        .write(move |tx| {
            let mut done = KindCounts::default();
            done.page.rows_seen = 1;
            if let Some((figures, is_type_mismatch)) = &fetched.value {
                let is_new = documents::observe(tx, PERIOD, figures, fetched.as_of)?;
                done.page.rows_changed = i64::from(is_new);
                done.page.snapshots_added = i64::from(is_new);
                done.page.type_mismatches = i64::from(*is_type_mismatch);
                documents::save_etag(tx, &url, fetched.head.etag.as_deref(), fetched.as_of)?;
            }
            listings::record_document(tx, Kind::Overview, fetched.as_of)?;
            counters.close(tx, &done)
        })
        .await?;
    Ok(())
}

/// Reads `GET /meta`, which needs no key and has no rate limit.
pub async fn meta(ctx: &mut SyncContext) -> FetchResult<()> {
    let request = Request::get(Kind::Meta.path()).without_key();
    let fetched = ctx
        .fetcher
        .fetch(&request, |answer| document(answer).map(|raw| raw.get().to_owned()))
        .await?;
    let counters = ctx.counters(Kind::Meta);
    ctx.store
        .write(move |tx| {
            let before = instance::api_meta(tx)?;
            let is_new = before.is_none_or(|(meta, _)| meta != fetched.value);
            let mut done = KindCounts::default();
            done.page.rows_seen = 1;
            done.page.rows_changed = i64::from(is_new);
            instance::save_api_meta(tx, &fetched.value, fetched.as_of)?;
            listings::record_document(tx, Kind::Meta, fetched.as_of)?;
            counters.close(tx, &done)
        })
        .await?;
    Ok(())
}

/// The totals, members of `data.current`.
const FIGURES: [Column; 5] = [
    columns::unlogged("total_views", ColumnType::Integer),
    columns::unlogged("engagement_rate", ColumnType::Real),
    columns::unlogged("active_accounts", ColumnType::Integer),
    columns::unlogged("account_videos", ColumnType::Integer),
    columns::unlogged("tracked_videos", ColumnType::Integer),
];

/// Returns the totals and the rest of the answer, and whether a total had another type than documented.
fn figures(raw: &RawValue) -> (OverviewFigures, bool) {
    let outer = decode::pick(raw, &[columns::unlogged("current", ColumnType::Object)]);
    let Some(mut outer) = outer else { return (OverviewFigures::default(), true) };
    let current = outer.values.first().and_then(Value::as_text).map(str::to_owned);
    let current: Option<&RawValue> =
        current.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let picked = current.and_then(|current| decode::pick(current, &FIGURES));
    let is_type_mismatch =
        outer.is_type_mismatch || picked.as_ref().is_some_and(|picked| picked.is_type_mismatch);
    let mut figures = OverviewFigures::default();
    if let Some(picked) = picked {
        let integer = |at: usize| picked.values.get(at).and_then(Value::as_integer);
        figures.total_views = integer(0);
        figures.engagement_rate = match picked.values.get(1) {
            Some(Value::Real(rate)) => Some(*rate),
            _ => None,
        };
        figures.active_accounts = integer(2);
        figures.account_videos = integer(3);
        figures.tracked_videos = integer(4);
        if !picked.rest.is_empty() {
            outer.rest.insert(Cow::Borrowed("current"), Cow::Owned(decode::object(&picked.rest)));
        }
    }
    figures.extra = (!outer.rest.is_empty()).then(|| decode::object(&outer.rest));
    (figures, is_type_mismatch)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_and_the_rest_is_kept() {
        let json = r#"{"type":"overview","current":{"total_views":12.0,"engagement_rate":4.5,
            "active_accounts":"3","new":1},"previous":{"total_views":9}}"#;
        let (figures, is_type_mismatch) = figures(serde_json::from_str(json).unwrap());
        assert_eq!((figures.total_views, figures.engagement_rate), (Some(12), Some(4.5)));
        assert_eq!(figures.active_accounts, None);
        assert!(is_type_mismatch);
        // A number beyond any type is kept as received.
        let extreme = r#"{"current":{"total_views":5,"x":1e400},"y":"\ud800"}"#;
        let (figures_of_extreme, _) = super::figures(serde_json::from_str(extreme).unwrap());
        assert_eq!(figures_of_extreme.total_views, Some(5));
        assert_eq!(
            figures_of_extreme.extra.as_deref(),
            Some(r#"{"current":{"x":1e400},"y":"\ud800"}"#)
        );
        let extra: serde_json::Value = serde_json::from_str(&figures.extra.unwrap()).unwrap();
        assert_eq!(extra["current"]["active_accounts"], "3");
        assert_eq!(extra["current"]["new"], 1);
        assert_eq!(extra["previous"]["total_views"], 9);
    }
}
