//! The requests a pass would make, for `sync --dry-run`. Nothing is sent and nothing is written.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rusqlite::Connection;

use crate::model::due::DueFeed;
use crate::model::{BackoffScope, Kind, Lot, instant};
use crate::pass::order::{Order, PassSettings};
use crate::pass::{backfill, standing};
use crate::plan::backfill::Task;
use crate::plan::work::Work;
use crate::poll::{documents, metrics, page, query};
use crate::push;
use crate::store::pauses::in_force;
use crate::store::{StoreResult, pages, refusals, walks};

/// One line per request, and one where the number is not known. `c` is `None` before the first
/// pass.
pub fn preview(
    c: Option<&Connection>,
    order: &Order,
    settings: &PassSettings,
    now: DateTime<Utc>,
) -> StoreResult<Vec<String>> {
    let mut lines = vec!["GET /whoami".to_owned()];
    if let Some(c) = c {
        lines.extend(push::preview(c)?);
    }
    let refused = match c {
        Some(c) => refusals::in_force(c, instant::micros(now))?,
        None => Vec::new(),
    };
    let refused = refused.into_iter().map(|refusal| refusal.thing).collect();
    for (kind, work) in agenda(c, &refused, order, settings, now)? {
        let parameters = query::parameters(kind, &refused);
        match work {
            Work::Nothing | Work::Unavailable => {}
            Work::Walk(_) | Work::Resume if kind == Kind::Overview => {
                lines.push(documents::overview_request().to_string());
            }
            Work::Walk(_) | Work::Resume if kind == Kind::Meta => lines.push(query::endpoint(kind)),
            Work::Walk(_) => chain(c, kind, &parameters, None, &mut lines)?,
            Work::Resume => {
                let open = c.map(|c| walks::open(c, kind)).transpose()?;
                let cursor = open.flatten().and_then(|walk| walk.next_cursor);
                chain(c, kind, &parameters, cursor, &mut lines)?;
            }
            Work::Poll(cover) => {
                for page in cover.pages {
                    let address = c.map(|c| pages::address(c, page));
                    let address = address.transpose()?.flatten();
                    let cursor = address.and_then(|address| address.cursor);
                    lines.push(query::page(kind, &parameters, cursor.as_deref()).to_string());
                }
                for (_, id) in cover.items {
                    lines.push(format!("{}/{id}", query::endpoint(kind)));
                }
            }
            Work::Follow(_) => {
                lines.push(format!(
                    "{}?order_by=last_scrape_time&order_direction=desc",
                    query::endpoint(kind)
                ));
                lines.push(format!(
                    "… and the pages of {} after it, until nothing is new",
                    kind.path()
                ));
            }
            Work::Feeds(feeds) => {
                let feed =
                    |feed: DueFeed| format!("{}?account_id={}", query::endpoint(kind), feed.id);
                lines.extend(feeds.into_iter().map(feed));
            }
        }
    }
    if let Some(c) = c {
        lines.extend(days(c, order, now)?);
    }
    Ok(lines)
}

/// The days that are asked for after the pass.
fn days(c: &Connection, order: &Order, now: DateTime<Utc>) -> StoreResult<Vec<String>> {
    let paused = in_force(c, instant::micros(now))?;
    let is_paused =
        |kind| paused.iter().any(|one| one.kind == kind && one.scope == BackoffScope::Days);
    let wanted = Lot::KINDS.into_iter().filter(|kind| order.wants(*kind) && !is_paused(*kind));
    let tasks = backfill::due(c, now, &wanted.collect::<Vec<_>>())?;
    let of = |task: &Task| {
        format!("{} for {}: {}", metrics::endpoint(task.lot), task.day, task.lot.member())
    };
    Ok(tasks.iter().map(of).collect())
}

/// What a pass does, in its order: what is due, and then the walks.
fn agenda(
    c: Option<&Connection>,
    refused: &BTreeSet<String>,
    order: &Order,
    settings: &PassSettings,
    now: DateTime<Utc>,
) -> StoreResult<Vec<(Kind, Work)>> {
    let (mut polls, mut listings) = (Vec::new(), Vec::new());
    for kind in Kind::ALL.into_iter().filter(|kind| order.wants(*kind)) {
        let standing = standing::read(c, refused, order, kind, now)?;
        let decision = standing::weigh(&standing, order, settings, kind, now);
        polls.extend(decision.polls.map(|work| (kind, work)));
        listings.push((decision.waits_since, kind, decision.listing));
    }
    listings.sort_by_key(|(waits_since, ..)| *waits_since);
    polls.extend(listings.into_iter().map(|(_, kind, work)| (kind, work)));
    Ok(polls)
}

/// The pages of a walk as far as the last one knew them.
fn chain(
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
