//! The organization at a dashboard: one HTML page that needs nothing but itself. It loads nothing, runs
//! nothing, and says so to the browser.

mod chart;
mod growth;
mod html;
mod parts;
mod upkeep;

use std::path::Path;

use chrono::{DateTime, Utc};

pub use chart::ChartError;
use chart::compact;
use html::Html;
use parts::percent;

use crate::model::Kind;
use crate::report::text::thousands;
use crate::store::dashboard::{DAYS_OF_REQUESTS, Dashboard, KindFreshness};

const STYLE: &str = include_str!("style.css");

/// What a page is made of.
#[derive(Debug)]
pub struct PageInput<'a> {
    /// What is shown.
    pub dashboard: &'a Dashboard,
    /// When it was read.
    pub now: DateTime<Utc>,
    /// The mirror.
    pub database: &'a Path,
    /// A text that no page had before: only what carries it may style the page.
    pub nonce: &'a str,
}

/// The whole page.
pub fn page(input: &PageInput<'_>) -> Result<String, ChartError> {
    let dashboard = input.dashboard;
    let mut html = Html::default();
    head(&mut html, input);
    tiles(&mut html, dashboard);
    upkeep::outbox(&mut html, dashboard, input.now);
    html.raw("<div class=\"columns\"><div class=\"column\">");
    growth::views(&mut html, &dashboard.growth)?;
    growth::movers(&mut html, &dashboard.growth.movers, input.now.timestamp())?;
    html.raw("</div><div class=\"column\">");
    growth::followers(&mut html, &dashboard.followers)?;
    growth::creators(&mut html, &dashboard.creators)?;
    upkeep::freshness(&mut html, &dashboard.kinds, input.now)?;
    html.raw("</div></div>");
    upkeep::requests(&mut html, &dashboard.spent, input.now)?;
    html.raw("</main><footer><p>Made by creatormirror ");
    html.text(env!("CARGO_PKG_VERSION")).raw(" from ");
    let name = input.database.file_name().unwrap_or_default();
    html.foreign(&name.to_string_lossy());
    html.raw(
        ". Days are UTC. Numbers are those of the last scrapes; days before the mirror began are as the API counted them.</p></footer>",
    );
    html.raw("</body></html>\n");
    Ok(html.into_markup())
}

fn head(html: &mut Html, input: &PageInput<'_>) {
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'nonce-");
    html.text(input.nonce).raw("'; base-uri 'none'; form-action 'none'\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    html.raw("<meta name=\"referrer\" content=\"no-referrer\"><meta name=\"robots\" content=\"noindex\">");
    html.raw("<title>Organization at a dashboard</title><style nonce=\"")
        .text(input.nonce)
        .raw("\">");
    html.raw(STYLE).raw("</style></head><body><header><p class=\"eyebrow\">creatormirror</p>");
    html.raw("<h1>Organization at a dashboard</h1><p class=\"quiet\">");
    html.text(input.now.format("%-d %B %Y, %H:%M UTC"));
    match &input.dashboard.identity.organization_id {
        Some(organization) => html.raw(" · organization ").foreign(organization),
        None => html.raw(" · nothing is mirrored yet"),
    };
    html.raw("</p></header><main>");
}

/// The headline numbers.
fn tiles(html: &mut Html, dashboard: &Dashboard) {
    let rows = |kind: Kind| {
        let freshness = dashboard.kinds.iter().find(|freshness| freshness.kind == kind);
        freshness.map_or(0, |freshness| freshness.rows)
    };
    html.raw("<dl class=\"tiles\">");
    let followers = &dashboard.followers;
    tile(html, "Followers", &short(followers.total), &signed(followers.week, "in 7 days"));
    let growth = &dashboard.growth;
    tile(html, "Views in 7 days", &short(growth.week), &against(growth.week, growth.week_before));
    let creators = match rows(Kind::Creator) {
        1 => "1 creator".to_owned(),
        count => format!("{} creators", thousands(count)),
    };
    tile(html, "Accounts", &thousands(rows(Kind::Account)), &Remark::plain(&creators));
    let (videos, posts) = (rows(Kind::Video), rows(Kind::AccountVideo));
    let split = format!("{} tracked, {} of accounts", thousands(videos), thousands(posts));
    tile(html, "Posts", &thousands(videos.saturating_add(posts)), &Remark::plain(&split));
    let (fresh, remark) = freshness(&dashboard.kinds);
    tile(html, "Up to date", &fresh, &remark);
    let requests: i64 = dashboard.spent.values().map(|spent| spent.requests).sum();
    let unchanged: i64 = dashboard.spent.values().map(|spent| spent.not_modified).sum();
    let days = match requests {
        0 => format!("none sent in {DAYS_OF_REQUESTS} days"),
        _ => format!("in {DAYS_OF_REQUESTS} days, {} unchanged", percent(unchanged, requests)),
    };
    tile(html, "Requests", &thousands(requests), &Remark::plain(&days));
    html.raw("</dl>");
}

/// What is said under a number, and how it is to be taken.
struct Remark {
    text: String,
    mood: &'static str,
}

impl Remark {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), mood: "<span class=\"quiet\">" }
    }
}

fn tile(html: &mut Html, name: &'static str, number: &str, remark: &Remark) {
    html.raw("<div class=\"card tile\"><dt>").text(name).raw("</dt><dd><span class=\"number\">");
    html.text(number).raw("</span></dd><dd class=\"small\">").raw(remark.mood);
    html.text(&remark.text).raw("</span></dd></div>");
}

const UP: &str = "<span class=\"up\">";
const DOWN: &str = "<span class=\"down\">";

fn signed(change: i64, when: &str) -> Remark {
    match change {
        0 => Remark::plain(&format!("none gained {when}")),
        1.. => Remark { text: format!("▲ {} {when}", thousands(change)), mood: UP },
        _ => Remark { text: format!("▼ {} {when}", thousands(-i128::from(change))), mood: DOWN },
    }
}

fn against(now: i64, before: Option<i64>) -> Remark {
    let Some(before) = before.filter(|before| *before > 0) else {
        return Remark::plain("nothing to compare with yet");
    };
    let change = (now as f64 / before as f64 - 1.0) * 100.0;
    let text = |arrow: &str| format!("{arrow} {:.0} % on the 7 days before", change.abs());
    match change {
        change if change >= 900.0 => {
            let times = compact(now as f64 / before as f64);
            Remark { text: format!("▲ {times} times the 7 days before"), mood: UP }
        }
        change if change >= 0.5 => Remark { text: text("▲"), mood: UP },
        change if change <= -0.5 => Remark { text: text("▼"), mood: DOWN },
        _ => Remark::plain("as in the 7 days before"),
    }
}

fn freshness(kinds: &[KindFreshness]) -> (String, Remark) {
    let ages = || kinds.iter().filter_map(|freshness| freshness.ages.as_ref());
    let (rows, late) =
        ages().fold((0, 0), |(rows, late), ages| (rows + ages.rows, late + ages.overdue));
    match (rows, late) {
        (0, _) => ("–".to_owned(), Remark::plain("nothing is collected yet")),
        (_, 0) => ("100 %".to_owned(), Remark::plain("every scrape is in that should be")),
        _ => {
            let text = format!("{} of {} are late", thousands(late), thousands(rows));
            (percent(rows - late, rows), Remark { text, mood: DOWN })
        }
    }
}

/// A headline number: exact while that is short.
fn short(count: i64) -> String {
    if count.unsigned_abs() < 100_000 { thousands(count) } else { compact(count as f64) }
}
