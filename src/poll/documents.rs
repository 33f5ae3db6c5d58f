//! The two single documents: the headline figures of the organization, and the API's lifecycle.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::Desk;
use super::error::PollResult;
use super::walk;
use crate::api::{Request, item};
use crate::model::Kind;
use crate::store::documents::{self, Figures};
use crate::store::passes::Tally;
use crate::store::{instance, walks};

/// The window the figures are asked for; the API's default.
const PERIOD: &str = "7d";

/// Reads `GET /overview`; its figures are kept if any has changed.
pub async fn overview(desk: &mut Desk) -> PollResult<()> {
    let request = Request::get(Kind::Overview.path()).query("period", PERIOD);
    let url = walk::url(&request);
    let etag = desk.store.read(|c| documents::etag(c, &url))?;
    let request = request.if_none_match(etag);
    let fetched = desk
        .fetcher
        .fetch(&request, |answer| match answer.not_modified {
            true => Ok(None),
            false => item(&answer.body).map(|raw| Some(figures(raw))),
        })
        .await?;
    let ledger = desk.ledger(Kind::Overview);
    desk.store.write(|tx| {
        let mut done = Tally::default();
        done.page.rows_seen = 1;
        if let Some((figures, is_odd)) = &fetched.checked {
            let is_new = documents::observe(tx, PERIOD, figures, fetched.as_of)?;
            done.page.rows_changed = i64::from(is_new);
            done.page.snapshots_added = i64::from(is_new);
            done.page.rows_odd = i64::from(*is_odd);
            documents::keep_etag(tx, &url, fetched.answer.etag.as_deref(), fetched.as_of)?;
        }
        walks::answered(tx, Kind::Overview, fetched.as_of)?;
        ledger.close(tx, &done)
    })?;
    Ok(())
}

/// Reads `GET /meta`, which needs no key and is not limited.
pub async fn meta(desk: &mut Desk) -> PollResult<()> {
    let request = Request::get(Kind::Meta.path()).without_key();
    let fetched = desk
        .fetcher
        .fetch(&request, |answer| item(&answer.body).map(|raw| raw.get().to_owned()))
        .await?;
    let ledger = desk.ledger(Kind::Meta);
    desk.store.write(|tx| {
        let before = instance::api_meta(tx)?;
        let is_new = before.is_none_or(|(meta, _)| meta != fetched.checked);
        let mut done = Tally::default();
        done.page.rows_seen = 1;
        done.page.rows_changed = i64::from(is_new);
        instance::keep_api_meta(tx, &fetched.checked, fetched.as_of)?;
        walks::answered(tx, Kind::Meta, fetched.as_of)?;
        ledger.close(tx, &done)
    })?;
    Ok(())
}

/// The figures of `data.current`, the rest of the answer, and whether a figure was no number.
fn figures(raw: &RawValue) -> (Figures, bool) {
    let mut rest: Map<String, Value> = serde_json::from_str(raw.get()).unwrap_or_default();
    let mut current = match rest.remove("current") {
        Some(Value::Object(current)) => current,
        Some(other) => Map::from_iter([("current".to_owned(), other)]),
        None => Map::new(),
    };
    let mut is_odd = false;
    let mut whole = |name: &str| {
        let value = current.remove(name)?;
        let number = value.as_i64().or_else(|| whole_float(&value));
        if number.is_none() && !value.is_null() {
            is_odd = true;
            rest.insert(name.to_owned(), value);
        }
        number
    };
    let mut figures = Figures {
        total_views: whole("total_views"),
        engagement_rate: None,
        active_accounts: whole("active_accounts"),
        account_videos: whole("account_videos"),
        tracked_videos: whole("tracked_videos"),
        extra: None,
    };
    if let Some(value) = current.remove("engagement_rate") {
        figures.engagement_rate = value.as_f64();
        if figures.engagement_rate.is_none() && !value.is_null() {
            is_odd = true;
            rest.insert("engagement_rate".to_owned(), value);
        }
    }
    if !current.is_empty() {
        rest.insert("current".to_owned(), Value::Object(current));
    }
    // The previous window and the changes follow from the figures of two windows; they are kept.
    figures.extra = (!rest.is_empty()).then(|| Value::Object(rest).to_string());
    (figures, is_odd)
}

fn whole_float(value: &Value) -> Option<i64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let number = value.as_f64().filter(|n| n.fract() == 0.0 && n.abs() <= EXACT_MAX)?;
    #[allow(clippy::cast_possible_truncation)] // Checked: a whole number within the exact range.
    Some(number as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read_and_the_rest_is_kept() {
        let json = r#"{"type":"overview","current":{"total_views":12.0,"engagement_rate":4.5,
            "active_accounts":"3","new":1},"previous":{"total_views":9}}"#;
        let (figures, is_odd) = figures(serde_json::from_str(json).unwrap());
        assert_eq!((figures.total_views, figures.engagement_rate), (Some(12), Some(4.5)));
        assert_eq!(figures.active_accounts, None);
        assert!(is_odd);
        let extra: Value = serde_json::from_str(&figures.extra.unwrap()).unwrap();
        assert_eq!(extra["active_accounts"], "3");
        assert_eq!(extra["current"]["new"], 1);
        assert_eq!(extra["previous"]["total_views"], 9);
    }
}
