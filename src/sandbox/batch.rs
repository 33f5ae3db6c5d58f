//! The batch endpoints: windowed totals for many ids at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use serde_json::{Map, Value, json};

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::fields::members;
use crate::sandbox::figures::{days_before, preset_days};
use crate::sandbox::growth::Platform;
use crate::sandbox::replies::{Answer, Problem};
use crate::sandbox::world::{Row, World};

/// The most ids of one request.
const IDS_MAX: usize = 200;
/// The most days between the first and the last of a window.
const SPAN_DAYS_MAX: i64 = 366;

/// `POST /accounts/metrics`, `/videos/metrics`, `/account-videos/metrics`.
pub fn metrics(world: &World, kind: Kind, call: &Call) -> Result<Answer, Problem> {
    let body = members(call)?;
    let (period, start, end) = window(&body, world.now.date())?;
    let mut data = BTreeMap::new();
    let mut not_found = Vec::new();
    for (id, row) in asked_rows(world, kind, &body)? {
        match row {
            Some(row) => {
                let key = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
                data.insert(key, world.totals(row, start, end).json());
            }
            None => not_found.push(id),
        }
    }
    let meta = json!({
        "period": period,
        "start_date": start.to_string(),
        "end_date": end.to_string(),
        "days": (end - start).num_days() + 1,
        "not_found": not_found,
    });
    Ok(Answer::json(200, &json!({ "data": data, "meta": meta })))
}

/// The ids that were sent, each once, with the row that it names.
fn asked_rows(
    world: &World,
    kind: Kind,
    body: &Map<String, Value>,
) -> Result<Vec<(Value, Option<Row>)>, Problem> {
    if kind == Kind::AccountVideo {
        let mut rows = post_rows(world, body, "instagram_post_ids", Platform::Instagram)?;
        rows.extend(post_rows(world, body, "tiktok_video_ids", Platform::Tiktok)?);
        return Ok(rows);
    }
    let field = if kind == Kind::Account { "account_ids" } else { "video_ids" };
    let ids = ids(body, field)?.ok_or_else(|| Problem::field(field, "is required"))?;
    if ids.is_empty() {
        return Err(Problem::field(field, "must have at least 1 item"));
    }
    let row = |id: Value| {
        let text = id.as_str().filter(|text| uuid::Uuid::try_parse(text).is_ok());
        let text = text.ok_or_else(|| Problem::field(field, "must be UUIDs"))?;
        let row = world.find(kind, text).filter(|row| world.is_listed(*row));
        Ok((id, row))
    };
    ids.into_iter().map(row).collect()
}

fn post_rows(
    world: &World,
    body: &Map<String, Value>,
    field: &str,
    platform: Platform,
) -> Result<Vec<(Value, Option<Row>)>, Problem> {
    let row = |id: Value| {
        let number = id.as_u64().ok_or_else(|| Problem::field(field, "must be integers"))?;
        let place = world.post_by_number.get(&(platform, number)).copied();
        let row = place.map(|place| Row { kind: Kind::AccountVideo, place });
        Ok((id, row.filter(|row| world.is_listed(*row))))
    };
    ids(body, field)?.unwrap_or_default().into_iter().map(row).collect()
}

fn ids(body: &Map<String, Value>, field: &str) -> Result<Option<Vec<Value>>, Problem> {
    let Some(value) = body.get(field).filter(|value| !value.is_null()) else { return Ok(None) };
    let list = value.as_array().ok_or_else(|| Problem::field(field, "must be an array"))?;
    if list.len() > IDS_MAX {
        return Err(Problem::field(field, format!("must have at most {IDS_MAX} items")));
    }
    let mut seen = BTreeSet::new();
    let once = list.iter().filter(|id| seen.insert(id.to_string())).cloned();
    Ok(Some(once.collect()))
}

fn window(
    body: &Map<String, Value>,
    today: NaiveDate,
) -> Result<(String, NaiveDate, NaiveDate), Problem> {
    let date = |name: &str| {
        let date = body.get(name).and_then(|value| value.as_str()?.parse::<NaiveDate>().ok());
        date.ok_or_else(|| Problem::field(name, "must be a date, YYYY-MM-DD"))
    };
    let period = body.get("period").map_or(Some("30d"), Value::as_str).unwrap_or_default();
    if let Some(days) = preset_days(period) {
        return Ok((period.to_owned(), days_before(today, days - 1), today));
    }
    if period != "custom" {
        return Err(Problem::field("period", "must be 7d, 30d, 90d or custom"));
    }
    let (start, end) = (date("start_date")?, date("end_date")?);
    if start > end || (end - start).num_days() > SPAN_DAYS_MAX {
        let message = format!("must be at most {SPAN_DAYS_MAX} days before end_date");
        return Err(Problem::field("start_date", message));
    }
    Ok((period.to_owned(), start, end))
}
