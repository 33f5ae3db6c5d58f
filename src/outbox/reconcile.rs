//! Looking before sending again: is what an entry wanted to create there already?
//!
//! What is seen on the way is mirrored. A list that cannot be read to its end says nothing, and is
//! an error.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value as Json};

use crate::api::{Failure, Head, Item, Page, Request, Verdict};
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::{SyncContext, query, write};
use crate::model::{Instant, Kind, Row, instant};
use crate::outbox::{body, validate};
use crate::store::outbox::{Entry, find};

/// Pages after which a list is taken for endless.
const PAGES_MAX: usize = 10_000;
/// How much earlier than by our reckoning the server may have added something: its clock, ours, and
/// seconds that were cut off.
const MARGIN: TimeDelta = TimeDelta::seconds(120);

/// A resource, as far as it can be told from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its name, user name or shortcode.
    name: Option<String>,
    platform: Option<String>,
    external_id: Option<String>,
    added_at: Option<Instant>,
}

/// All creators, as of one moment.
#[derive(Debug, Clone)]
pub struct Creators {
    /// Start of the listing, microseconds by the clock.
    pub began_at: i64,
    seen: Vec<Seen>,
}

/// Which videos are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Those that were added since the first send.
    SinceFirstSend,
    /// All there are.
    All,
}

/// Looks for the account of an entry.
pub async fn account(ctx: &mut SyncContext, entry: &Entry) -> FetchResult<Vec<String>> {
    let wanted = members(entry);
    let text = |name: &str| wanted.get(name).and_then(Json::as_str).unwrap_or_default();
    let platform = text("platform").to_owned();
    let Ok(username) = body::username(text("username")) else { return Ok(Vec::new()) };
    let narrow = [("platform", platform.as_str()), ("q", username.as_str())];
    let is_it = |seen: &Seen| {
        seen.platform.as_ref() == Some(&platform)
            && seen.name.as_ref().is_some_and(|name| name.to_lowercase() == username)
    };
    let pages = match chain(ctx, Kind::Account, &narrow, |_| false).await {
        // A server that does not know these filters is asked for all.
        Err(FetchError::Api(failure)) if failure.is_refusal() => {
            chain(ctx, Kind::Account, &[], |_| false).await?
        }
        pages => pages?,
    };
    Ok(pages.into_iter().filter(is_it).map(|seen| seen.id).collect())
}

/// Looks for the video of an entry.
pub async fn video(ctx: &mut SyncContext, entry: &Entry, depth: Depth) -> FetchResult<Vec<String>> {
    let Ok(post) = validate::post(&members(entry)) else { return Ok(Vec::new()) };
    let is_it = |seen: &Seen| {
        post.is(seen.platform.as_deref(), seen.external_id.as_deref(), seen.name.as_deref())
    };
    if depth == Depth::All
        && let Some(id) = known_video(ctx, &post, &is_it).await?
    {
        return Ok(vec![id]);
    }
    let now = ctx.fetcher.clock().now();
    let since = match depth {
        Depth::All => None,
        Depth::SinceFirstSend => entry.first_sent_at.map(instant::from_micros),
    };
    // A clock that went back makes the first send lie ahead: then all are looked at.
    let since = since.filter(|since| *since <= now);
    let newest_first = [("order_by", "added_at"), ("order_direction", "desc")];
    let mut latest: Option<Instant> = None;
    let mut is_in_order = true;
    let enough = |page: &PageSeen<'_>| {
        for seen in page.rows {
            if seen.added_at.is_some() {
                is_in_order &= latest.is_none_or(|before| seen.added_at <= Some(before));
                latest = seen.added_at;
            }
        }
        if page.rows.iter().any(is_it) {
            return true;
        }
        let offset = page.server_date.map_or(TimeDelta::zero(), |date| date - now);
        let edge = since.map(|since| Instant::from(since + offset - MARGIN));
        is_in_order && latest.is_some() && edge.is_some_and(|edge| latest < Some(edge))
    };
    let pages = match chain(ctx, Kind::Video, &newest_first, enough).await {
        Err(FetchError::Api(failure)) if failure.is_refusal() => {
            chain(ctx, Kind::Video, &[], |page| page.rows.iter().any(is_it)).await?
        }
        pages => pages?,
    };
    Ok(pages.into_iter().filter(is_it).map(|seen| seen.id).collect())
}

/// A video that the mirror knows, if the API still does.
async fn known_video(
    ctx: &mut SyncContext,
    post: &crate::outbox::post::Post,
    is_it: impl Fn(&Seen) -> bool,
) -> FetchResult<Option<String>> {
    let number = post.number.map(|number| number.to_string());
    let (platform, code) = (post.platform.name(), post.code.clone());
    let known = ctx
        .store
        .read(move |c| find::by_post(c, platform, number.as_deref(), code.as_deref()))
        .await?;
    for id in known {
        let request = Request::get(Kind::Video.path()).segment(&id);
        let fetched = ctx.fetcher.fetch(&request, |answer| Item::read(Kind::Video, answer));
        let fetched = match fetched.await {
            Err(FetchError::Api(failure)) if failure.verdict == Verdict::NotFound => continue,
            fetched => fetched?,
        };
        let (row, as_of) = (fetched.value.row, fetched.as_of);
        let seen = seen(Kind::Video, &row);
        let page = Page { rows: vec![row], ..Page::default() };
        write::unlisted(&ctx.store, ctx.counters(Kind::Video), page, as_of).await?;
        if is_it(&seen) {
            return Ok(Some(seen.id));
        }
    }
    Ok(None)
}

/// Listings all creators.
pub async fn creators(ctx: &mut SyncContext) -> FetchResult<Creators> {
    let began_at = instant::micros(ctx.fetcher.clock().now());
    let asked = query::parameters(Kind::Creator, &ctx.refused);
    let asked: Vec<(&str, &str)> = asked
        .iter()
        .filter(|(name, _)| name.starts_with("order"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let seen = match chain(ctx, Kind::Creator, &asked, |_| false).await {
        Err(FetchError::Api(failure)) if failure.is_refusal() => {
            chain(ctx, Kind::Creator, &[], |_| false).await?
        }
        seen => seen?,
    };
    Ok(Creators { began_at, seen })
}

impl Creators {
    /// The ids of the creators with the name that an entry wants.
    pub fn named(&self, entry: &Entry) -> Vec<String> {
        let wanted = members(entry);
        let name = wanted.get("name").and_then(Json::as_str);
        let named = self.seen.iter().filter(|seen| seen.name.as_deref() == name);
        named.map(|seen| seen.id.clone()).collect()
    }
}

fn members(entry: &Entry) -> Map<String, Json> {
    entry.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

struct PageSeen<'a> {
    rows: &'a [Seen],
    server_date: Option<DateTime<Utc>>,
}

/// Reads a list to its end, or until there is enough, and mirrors what it shows.
async fn chain(
    ctx: &mut SyncContext,
    kind: Kind,
    asked: &[(&str, &str)],
    mut enough: impl FnMut(&PageSeen<'_>) -> bool,
) -> FetchResult<Vec<Seen>> {
    let mut parameters = query::parameters(kind, &ctx.refused);
    parameters.retain(|(name, _)| matches!(name.as_str(), "limit" | "include_total"));
    parameters.extend(asked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut all: Vec<Seen> = Vec::new();
    let mut cursors = BTreeSet::new();
    let mut cursor: Option<String> = None;
    loop {
        let request = query::page(kind, &parameters, cursor.as_deref());
        let fetched = ctx.fetcher.fetch(&request, |answer| {
            let page = Page::read(kind, &parameters, answer)?;
            // The one that cannot be read might be the one that is looked for.
            match page.bad.first() {
                Some(bad) => Err(Failure::malformed(bad.reason)),
                None => Ok(page),
            }
        });
        let fetched = fetched.await?;
        let (page, as_of) = (fetched.value, fetched.as_of);
        let rows: Vec<Seen> = page.rows.iter().map(|row| seen(kind, row)).collect();
        let (next, total) = (page.next_cursor.clone(), page.total_count);
        write::unlisted(&ctx.store, ctx.counters(kind), page, as_of).await?;
        let is_enough = enough(&PageSeen { rows: &rows, server_date: fetched.head.server_date });
        all.extend(rows);
        match next {
            _ if is_enough => return Ok(all),
            None => return whole(all, total, &fetched.head),
            Some(next) if cursors.len() >= PAGES_MAX || !cursors.insert(next.clone()) => {
                let failure = Failure::malformed("a cursor came twice");
                return Err(FetchError::Api(failure.with_head(&fetched.head)));
            }
            next => cursor = next,
        }
    }
}

/// A list that ended before all were seen might have hidden what was looked for.
fn whole(all: Vec<Seen>, total: Option<i64>, last: &Head) -> FetchResult<Vec<Seen>> {
    let distinct: BTreeSet<&str> = all.iter().map(|seen| seen.id.as_str()).collect();
    let rows = i64::try_from(distinct.len()).unwrap_or(i64::MAX);
    match total {
        Some(total) if rows < total => {
            let reason = format!("the list ended after {rows} rows, but the API counts {total}");
            Err(FetchError::Api(Failure::malformed(reason).with_head(last)))
        }
        _ => Ok(all),
    }
}

fn seen(kind: Kind, row: &Row) -> Seen {
    let text = |name: &str| row.value(kind, name).into_text().map(Cow::into_owned);
    let name = match kind {
        Kind::Account => "username",
        Kind::Video => "shortcode",
        _ => "name",
    };
    Seen {
        id: row.id().into_owned(),
        name: text(name),
        platform: text("platform"),
        external_id: text("external_id"),
        added_at: row.value(kind, "added_at").as_text().and_then(Instant::parse),
    }
}
