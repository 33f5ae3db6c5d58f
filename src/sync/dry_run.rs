//! `sync --dry-run`: the requests that a run would send. Sends nothing and writes nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::fetch::query;
use crate::model::due::DueAccountList;
use crate::model::{Kind, instant};
use crate::outbox;
use crate::schedule::backfill::Task;
use crate::schedule::decision::Work;
use crate::store::{StoreResult, listings, pages, unsupported};
use crate::sync::options::{RunOptions, SyncSettings};
use crate::sync::{backfill, daily_metrics, documents, page, schedule_state};

/// Returns a line per request, and one where their number is not known. `c` is `None` before the first run.
pub fn preview(
    c: Option<&Connection>,
    options: &RunOptions,
    settings: &SyncSettings,
    now: DateTime<Utc>,
) -> StoreResult<Vec<String>> {
    let mut lines = vec!["GET /whoami".to_owned()];
    if let Some(c) = c {
        lines.extend(outbox::preview(c)?);
    }
    let mut refused = match c {
        Some(c) => unsupported::active(c, instant::micros(now))?,
        None => Vec::new(),
    };
    // A full sync tries them again.
    refused.retain(|refusal| !(options.scope.full && refusal.is_missing_scope()));
    let refused = refused.into_iter().map(|refusal| refusal.feature).collect();
    for (kind, work) in work(c, &refused, options, settings, now)? {
        let parameters = query::parameters(kind, &refused);
        match work {
            Work::Nothing | Work::Unavailable => {}
            Work::Listing(_) | Work::Resume if kind == Kind::Overview => {
                lines.push(documents::overview_request().to_string());
            }
            Work::Listing(_) | Work::Resume if kind == Kind::Meta => {
                lines.push(query::endpoint(kind))
            }
            Work::Listing(_) => listing(c, kind, &parameters, None, &mut lines)?,
            Work::Resume => {
                let open = c.map(|c| listings::open(c, kind)).transpose()?;
                let cursor = open.flatten().and_then(|listing| listing.next_cursor);
                listing(c, kind, &parameters, cursor, &mut lines)?;
            }
            Work::Poll(request_plan) => {
                for page in request_plan.pages {
                    let address = c.map(|c| pages::address(c, page));
                    let address = address.transpose()?.flatten();
                    let cursor = address.and_then(|address| address.cursor);
                    lines.push(query::page(kind, &parameters, cursor.as_deref()).to_string());
                }
                for (_, id) in request_plan.items {
                    lines.push(format!("{}/{id}", query::endpoint(kind)));
                }
            }
            Work::RecentAccounts(_) => {
                lines.push(format!(
                    "{}?order_by=last_scrape_time&order_direction=desc",
                    query::endpoint(kind)
                ));
                lines.push(format!(
                    "… and the pages of {} after it, until nothing is new",
                    kind.path()
                ));
            }
            Work::AccountLists(account_lists) => {
                let account_list = |account_list: DueAccountList| {
                    format!("{}?account_id={}", query::endpoint(kind), account_list.id)
                };
                lines.extend(account_lists.into_iter().map(account_list));
            }
        }
    }
    if let Some(c) = c {
        lines.extend(daily_requests(c, options, now)?);
    }
    Ok(lines)
}

/// The daily metrics that are requested after the run.
fn daily_requests(
    c: &Connection,
    options: &RunOptions,
    now: DateTime<Utc>,
) -> StoreResult<Vec<String>> {
    let line = |task: Task| {
        let (endpoint, ids) =
            (daily_metrics::endpoint(task.subject_kind), task.subject_kind.member());
        format!("{endpoint} for {}: {ids}", task.day)
    };
    Ok(backfill::due(c, now, &options.only)?.into_iter().map(line).collect())
}

/// The work of a run in its order: polls, then listings.
fn work(
    c: Option<&Connection>,
    refused: &BTreeSet<String>,
    options: &RunOptions,
    settings: &SyncSettings,
    now: DateTime<Utc>,
) -> StoreResult<Vec<(Kind, Work)>> {
    let (mut polls, mut listings) = (Vec::new(), Vec::new());
    for kind in Kind::ALL.into_iter().filter(|kind| options.wants(*kind)) {
        let decision = schedule_state::preview(c, refused, options, settings, kind, now)?;
        polls.extend(decision.polls.map(|work| (kind, work)));
        listings.push((decision.state.full_sync_due_after, kind, decision.listing));
    }
    listings.sort_by_key(|(due_after, ..)| *due_after);
    polls.extend(listings.into_iter().map(|(_, kind, work)| (kind, work)));
    Ok(polls)
}

/// The pages of a listing, as far as the last listing knew them.
fn listing(
    c: Option<&Connection>,
    kind: Kind,
    parameters: &[(String, String)],
    mut cursor: Option<String>,
    lines: &mut Vec<String>,
) -> StoreResult<()> {
    let mut left = match c {
        Some(c) => pages::count(c, kind)?,
        None => 0,
    };
    loop {
        let request = query::page(kind, parameters, cursor.as_deref());
        let known = match c {
            Some(c) => pages::find(c, &page::url(&request))?,
            None => None,
        };
        lines.push(request.to_string());
        left -= 1;
        match known {
            Some(known) if known.next_cursor.is_some() && left > 0 => cursor = known.next_cursor,
            Some(known) if known.next_cursor.is_none() => return Ok(()),
            _ => {
                lines.push(format!("… and the pages of {} after it", kind.path()));
                return Ok(());
            }
        }
    }
}
