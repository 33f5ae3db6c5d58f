//! The HTML dashboard of `report`: one self-contained page. It loads no resources and runs no scripts, which its content
//! security policy enforces.

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
use crate::report::text::{counted, thousands};
use crate::store::dashboard::{DAYS_OF_REQUESTS, Dashboard, KindFreshness};

const STYLE: &str = include_str!("style.css");

/// Inputs of the page.
#[derive(Debug)]
pub struct PageInput<'a> {
    /// The figures.
    pub dashboard: &'a Dashboard,
    /// When they were read.
    pub now: DateTime<Utc>,
    /// Path of the database.
    pub database: &'a Path,
    /// Random nonce of the content security policy.
    pub nonce: &'a str,
}

/// Renders the page.
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
    upkeep::requests(&mut html, &dashboard.requests, input.now)?;
    html.raw("</main><footer><p>Made by creatormirror ");
    html.text(env!("CARGO_PKG_VERSION")).raw(" from ");
    let name = input.database.file_name().unwrap_or_default();
    html.foreign(&name.to_string_lossy());
    html.raw(
        ". Days are UTC, and today is not over. Numbers are as of the last scrapes; a post published shortly before its first scrape gained all its views then; days before the mirror existed are as counted by the API.</p></footer>",
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
    html.raw("<title>Organization dashboard</title><style nonce=\"").text(input.nonce).raw("\">");
    html.raw(STYLE).raw("</style></head><body><header><p class=\"eyebrow\">creatormirror</p>");
    html.raw("<h1>Organization dashboard</h1><p class=\"quiet\">");
    html.text(input.now.format("%-d %B %Y, %H:%M UTC"));
    match &input.dashboard.identity.organization_id {
        Some(organization) => html.raw(" · organization ").foreign(organization),
        None => html.raw(" · nothing is mirrored yet"),
    };
    html.raw("</p></header><main>");
}

/// Renders the headline numbers.
fn tiles(html: &mut Html, dashboard: &Dashboard) {
    let rows = |kind: Kind| {
        let freshness = dashboard.kinds.iter().find(|freshness| freshness.kind == kind);
        freshness.map_or(0, |freshness| freshness.rows)
    };
    html.raw("<dl class=\"tiles\">");
    let followers = &dashboard.followers;
    tile(html, "Followers", &short(followers.total), &signed(followers.week, "in 7 days"));
    let growth = &dashboard.growth;
    let views = compared(growth.week, growth.week_before);
    tile(html, "Views in 7 days", &short(growth.week), &views);
    let creators = counted(rows(Kind::Creator), "creator");
    tile(html, "Accounts", &thousands(rows(Kind::Account)), &Remark::plain(&creators));
    let posts = &dashboard.posts;
    let split = format!("{} tracked, {} others", thousands(posts.tracked), thousands(posts.others));
    let all = posts.tracked.saturating_add(posts.others);
    tile(html, "Posts", &thousands(all), &Remark::plain(&split));
    let (share, remark) = freshness(&dashboard.kinds);
    tile(html, "Up to date", &share, &remark);
    let requests: i64 = dashboard.requests.values().map(|spent| spent.requests).sum();
    let unchanged: i64 = dashboard.requests.values().map(|spent| spent.not_modified).sum();
    let days = match requests {
        0 => format!("none sent in {DAYS_OF_REQUESTS} days"),
        _ => format!("in {DAYS_OF_REQUESTS} days, {} unchanged", percent(unchanged, requests)),
    };
    tile(html, "Requests", &thousands(requests), &Remark::plain(&days));
    html.raw("</dl>");
}

/// Text under a number, with its opening tag.
struct Remark {
    text: String,
    tag: &'static str,
}

impl Remark {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), tag: "<span class=\"quiet\">" }
    }
}

fn tile(html: &mut Html, name: &'static str, number: &str, remark: &Remark) {
    html.raw("<div class=\"card tile\"><dt>").text(name).raw("</dt><dd><span class=\"number\">");
    html.text(number).raw("</span></dd><dd class=\"small\">").raw(remark.tag);
    html.text(&remark.text).raw("</span></dd></div>");
}

const UP: &str = "<span class=\"up\">";
const DOWN: &str = "<span class=\"down\">";

fn signed(change: i64, period: &str) -> Remark {
    match change {
        0 => Remark::plain(&format!("none gained {period}")),
        1.. => Remark { text: format!("▲ {} {period}", thousands(change)), tag: UP },
        _ => Remark { text: format!("▼ {} {period}", thousands(-i128::from(change))), tag: DOWN },
    }
}

fn compared(now: i64, before: Option<i64>) -> Remark {
    let Some(before) = before.filter(|before| *before > 0) else {
        return Remark::plain("no earlier data to compare with");
    };
    let change = (now as f64 / before as f64 - 1.0) * 100.0;
    let text = |arrow: &str| format!("{arrow} {:.0} % on the 7 days before", change.abs());
    match change {
        change if change >= 900.0 => {
            let times = compact(now as f64 / before as f64);
            Remark { text: format!("▲ {times} times the 7 days before"), tag: UP }
        }
        change if change >= 0.5 => Remark { text: text("▲"), tag: UP },
        change if change <= -0.5 => Remark { text: text("▼"), tag: DOWN },
        _ => Remark::plain("same as the 7 days before"),
    }
}

fn freshness(kinds: &[KindFreshness]) -> (String, Remark) {
    let ages = || kinds.iter().filter_map(|freshness| freshness.ages.as_ref());
    let (rows, late) =
        ages().fold((0, 0), |(rows, late), ages| (rows + ages.rows, late + ages.overdue));
    match (rows, late) {
        (0, _) => ("–".to_owned(), Remark::plain("no scrapes yet")),
        (_, 0) => ("100 %".to_owned(), Remark::plain("no scrape is overdue")),
        _ => {
            let text = format!("{} of {} overdue", thousands(late), thousands(rows));
            (percent(rows - late, rows), Remark { text, tag: DOWN })
        }
    }
}

/// Formats a headline number, exact up to five digits.
fn short(count: i64) -> String {
    if count.unsigned_abs() < 100_000 { thousands(count) } else { compact(count as f64) }
}
