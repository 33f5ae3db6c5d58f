//! Reconciles a creation whose answer was lost: does the API list what the entry wanted to create?
//!
//! The rows it reads are mirrored. A list that cannot be read to its end is an error, since the resource may
//! be among the missing rows.

use std::borrow::Cow;
use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value as Json};

use crate::api::{Failure, Head, Item, Page, Request, Verdict};
use crate::fetch::error::{FetchError, FetchResult};
use crate::fetch::{SyncContext, query, write};
use crate::model::shown::counted;
use crate::model::{Instant, Kind, Row, instant};
use crate::outbox::post::Post;
use crate::outbox::{body, validate};
use crate::store::outbox::{Entry, find};

/// The most pages read.
const PAGES_MAX: usize = 10_000;
/// How much earlier than expected the server's time of an addition may be, for clock differences and
/// truncated seconds.
const MARGIN: TimeDelta = TimeDelta::seconds(120);

/// The members of a resource that identify it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The API's id.
    pub id: String,
    /// Its name, user name or shortcode.
    name: Option<String>,
    platform: Option<String>,
    external_id: Option<String>,
    added_at: Option<Instant>,
}

/// All creators, as of one listing.
#[derive(Debug, Clone)]
pub struct Creators {
    /// Start of the listing, microseconds by the clock.
    pub began_at: i64,
    all: Vec<Candidate>,
}

/// Which videos are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Those added since the first attempt.
    SinceFirstSend,
    /// All.
    All,
}

/// Returns the ids of the accounts that match an entry.
pub async fn account(ctx: &mut SyncContext, entry: &Entry) -> FetchResult<Vec<String>> {
    let wanted = members(entry);
    let text = |name: &str| wanted.get(name).and_then(Json::as_str).unwrap_or_default();
    let platform = text("platform").to_owned();
    let Ok(username) = body::username(text("username")) else { return Ok(Vec::new()) };
    let filters = [("platform", platform.as_str()), ("q", username.as_str())];
    let is_match = |candidate: &Candidate| {
        candidate.platform.as_ref() == Some(&platform)
            && candidate.name.as_ref().is_some_and(|name| name.to_lowercase() == username)
    };
    let accounts = read_pages(ctx, Kind::Account, &filters, |_| false).await?;
    Ok(accounts.into_iter().filter(is_match).map(|candidate| candidate.id).collect())
}

/// Returns the ids of the videos that match an entry.
pub async fn video(ctx: &mut SyncContext, entry: &Entry, depth: Depth) -> FetchResult<Vec<String>> {
    let Ok(post) = validate::post(&members(entry)) else { return Ok(Vec::new()) };
    let is_match = |candidate: &Candidate| {
        let Candidate { platform, external_id, name, .. } = candidate;
        post.is(platform.as_deref(), external_id.as_deref(), name.as_deref())
    };
    if depth == Depth::All
        && let Some(id) = known_video(ctx, &post, &is_match).await?
    {
        return Ok(vec![id]);
    }
    let now = ctx.fetcher.clock().now();
    let since = match depth {
        Depth::All => None,
        Depth::SinceFirstSend => entry.first_sent_at.map(instant::from_micros),
    };
    // After a clock step back the first attempt may lie in the future; then all are read.
    let since = since.filter(|since| *since <= now);
    let newest_first = [("order_by", "added_at"), ("order_direction", "desc")];
    let mut latest: Option<Instant> = None;
    let mut is_in_order = true;
    let is_enough = |page: &PageRows<'_>| {
        for row in page.rows {
            if row.added_at.is_some() {
                is_in_order &= latest.is_none_or(|before| row.added_at <= Some(before));
                latest = row.added_at;
            }
        }
        if page.rows.iter().any(is_match) {
            return true;
        }
        let offset = page.server_date.map_or(TimeDelta::zero(), |date| date - now);
        let oldest = since.map(|since| Instant::from(since + offset - MARGIN));
        let is_in_order = page.is_as_requested && is_in_order;
        is_in_order && latest.is_some() && oldest.is_some_and(|oldest| latest < Some(oldest))
    };
    let videos = read_pages(ctx, Kind::Video, &newest_first, is_enough).await?;
    Ok(videos.into_iter().filter(is_match).map(|candidate| candidate.id).collect())
}

/// Returns the id of a matching video in the mirror, if the API still has it.
async fn known_video(
    ctx: &mut SyncContext,
    post: &Post,
    is_match: impl Fn(&Candidate) -> bool,
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
        let candidate = candidate(Kind::Video, &row);
        let page = Page { rows: vec![row], ..Page::default() };
        write::unlisted(&ctx.store, ctx.counters(Kind::Video), page, as_of).await?;
        if is_match(&candidate) {
            return Ok(Some(candidate.id));
        }
    }
    Ok(None)
}

/// Reads all creators.
pub async fn creators(ctx: &mut SyncContext) -> FetchResult<Creators> {
    let began_at = instant::micros(ctx.fetcher.clock().now());
    let parameters = query::parameters(Kind::Creator, &ctx.refused);
    let order: Vec<(&str, &str)> = parameters
        .iter()
        .filter(|(name, _)| name.starts_with("order"))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    Ok(Creators { began_at, all: read_pages(ctx, Kind::Creator, &order, |_| false).await? })
}

impl Creators {
    /// Returns the ids of the creators with the name of an entry.
    pub fn named(&self, entry: &Entry) -> Vec<String> {
        let wanted = members(entry);
        let name = wanted.get("name").and_then(Json::as_str).unwrap_or_default();
        let is_named = |creator: &&Candidate| {
            creator.name.as_ref().is_some_and(|found| body::is_same_text(found, name))
        };
        self.all.iter().filter(is_named).map(|creator| creator.id.clone()).collect()
    }
}

fn members(entry: &Entry) -> Map<String, Json> {
    entry.body.as_deref().and_then(|body| serde_json::from_str(body).ok()).unwrap_or_default()
}

struct PageRows<'a> {
    rows: &'a [Candidate],
    server_date: Option<DateTime<Utc>>,
    /// Whether the extra parameters were sent.
    is_as_requested: bool,
}

/// Reads a list to its end, or until `is_enough`, and mirrors its rows. If the server refuses the `extra`
/// parameters, the list is read without them.
async fn read_pages(
    ctx: &mut SyncContext,
    kind: Kind,
    mut extra: &[(&str, &str)],
    mut is_enough: impl FnMut(&PageRows<'_>) -> bool,
) -> FetchResult<Vec<Candidate>> {
    let (mut all, mut cursors, mut cursor) = (Vec::new(), BTreeSet::new(), None::<String>);
    loop {
        let mut parameters = query::parameters(kind, &ctx.refused);
        parameters.retain(|(name, _)| matches!(name.as_str(), "limit" | "include_total"));
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        parameters.extend(extra.iter().map(own));
        let request = query::page(kind, &parameters, cursor.as_deref());
        let fetched = ctx.fetcher.fetch(&request, |answer| {
            let page = Page::read(kind, &parameters, answer)?;
            // An undecodable row may be the one that is searched.
            match page.bad.first() {
                Some(bad) => Err(Failure::malformed(bad.reason)),
                None => Ok(page),
            }
        });
        let fetched = match fetched.await {
            Err(FetchError::Api(failure)) if failure.is_refusal() && !extra.is_empty() => {
                (all, cursors, cursor, extra) = (Vec::new(), BTreeSet::new(), None, &[]);
                continue;
            }
            fetched => fetched?,
        };
        let (page, as_of) = (fetched.value, fetched.as_of);
        let rows: Vec<Candidate> = page.rows.iter().map(|row| candidate(kind, row)).collect();
        let (next, total) = (page.next_cursor.clone(), page.total_count);
        write::unlisted(&ctx.store, ctx.counters(kind), page, as_of).await?;
        let (server_date, is_as_requested) = (fetched.head.server_date, !extra.is_empty());
        let is_last = is_enough(&PageRows { rows: &rows, server_date, is_as_requested });
        all.extend(rows);
        match next {
            _ if is_last => return Ok(all),
            None => return check_total(all, total, &fetched.head),
            Some(next) if cursors.len() >= PAGES_MAX || !cursors.insert(next.clone()) => {
                let failure = Failure::malformed("a cursor came twice");
                return Err(FetchError::Api(failure.with_head(&fetched.head)));
            }
            next => cursor = next,
        }
    }
}

/// A list that ended before `total_count` rows may lack the one that is searched.
fn check_total(
    all: Vec<Candidate>,
    total: Option<i64>,
    last: &Head,
) -> FetchResult<Vec<Candidate>> {
    let distinct: BTreeSet<&str> = all.iter().map(|candidate| candidate.id.as_str()).collect();
    let rows = i64::try_from(distinct.len()).unwrap_or(i64::MAX);
    match total {
        Some(total) if rows < total => {
            let rows = counted(rows, "row");
            let reason = format!("the list ended after {rows}, but the API counts {total}");
            Err(FetchError::Api(Failure::malformed(reason).with_head(last)))
        }
        _ => Ok(all),
    }
}

fn candidate(kind: Kind, row: &Row) -> Candidate {
    let text = |name: &str| row.value(kind, name).into_text().map(Cow::into_owned);
    let name = match kind {
        Kind::Account => "username",
        Kind::Video => "shortcode",
        _ => "name",
    };
    Candidate {
        id: row.id().into_owned(),
        name: text(name),
        platform: text("platform"),
        external_id: text("external_id"),
        added_at: row.value(kind, "added_at").as_text().and_then(Instant::parse),
    }
}
