//! The HTML dashboard of `report`: one self-contained page. It loads no resources and runs no scripts, which its content
//! security policy enforces.

mod chart;
mod growth;
mod html;
mod parts;
mod sections;
mod upkeep;

use std::path::Path;

use chrono::{DateTime, Utc};

pub use chart::ChartError;
use chart::compact;
use html::Html;
use parts::{History, percent};
use sections::SECTIONS;

use crate::model::Kind;
use crate::report::text::{UNKNOWN, counted, thousands};
use crate::store::dashboard::{
    ByPlatform, DAYS_OF_REQUESTS, Dashboard, Growth, KindFreshness, Table,
};

const STYLE: &str = include_str!("style.css");

/// Renders the page of figures that were read at `now`, with a random nonce of its content security policy.
pub fn page(
    dashboard: &Dashboard,
    now: DateTime<Utc>,
    database: &Path,
    nonce: &str,
) -> Result<String, ChartError> {
    let mut html = Html::default();
    let history = History {
        now: now.timestamp(),
        first_scrape: dashboard.first_scrape,
        first_synced: dashboard.growth.first_synced,
    };
    head(&mut html, dashboard, now, nonce);
    tiles(&mut html, dashboard, &history);
    upkeep::outbox(&mut html, dashboard, now);
    html.raw("<div class=\"pair\">");
    for chart in [growth::VIEWS, growth::FOLLOWERS] {
        growth::chart(&mut html, &chart, &dashboard.growth, &history)?;
    }
    html.raw("</div>");
    tables(&mut html, dashboard, now, &history)?;
    upkeep::requests(&mut html, &dashboard.requests, now)?;
    html.raw("</main><footer><p>Made by creatormirror ");
    html.text(env!("CARGO_PKG_VERSION")).raw(" from ");
    let name = database.file_name().unwrap_or_default();
    html.foreign(&name.to_string_lossy());
    html.raw(
        ". Days are UTC days. Numbers are as of the last scrapes; — means not known. Views of days before the mirror existed are as counted by the API.</p></footer>",
    );
    html.raw("</body></html>\n");
    Ok(html.into_markup())
}

/// Renders the tables in two columns that end at about the same height.
fn tables(
    html: &mut Html,
    dashboard: &Dashboard,
    now: DateTime<Utc>,
    history: &History,
) -> Result<(), ChartError> {
    let none = Table::default();
    let mut cards: Vec<(usize, Html)> = Vec::new();
    for section in &SECTIONS {
        let table = dashboard.tables.get(section.recipe).unwrap_or(&none);
        let mut card = Html::default();
        sections::section(&mut card, section, table, history)?;
        cards.push((section.height(table), card));
    }
    let mut card = Html::default();
    upkeep::freshness(&mut card, &dashboard.kinds, now)?;
    cards.push((upkeep::FRESHNESS_PX, card));
    // A bit for each card in the right column; the first card is in the left one.
    let is_right = |columns: usize, at: usize| columns >> at & 1 == 1;
    let excess = |columns: usize| {
        let signed = |(at, (height, _)): (usize, &(usize, Html))| {
            let height = height.cast_signed();
            if is_right(columns, at) { -height } else { height }
        };
        cards.iter().enumerate().map(signed).sum::<isize>().unsigned_abs()
    };
    let columns = (0..1 << cards.len()).step_by(2).min_by_key(|columns| excess(*columns));
    html.raw("<div class=\"pair\">");
    for column in [false, true] {
        html.raw("<div class=\"column\">");
        for (at, (_, card)) in cards.iter().enumerate() {
            if is_right(columns.unwrap_or_default(), at) == column {
                html.piece(card);
            }
        }
        html.raw("</div>");
    }
    html.raw("</div>");
    Ok(())
}

fn head(html: &mut Html, dashboard: &Dashboard, now: DateTime<Utc>, nonce: &str) {
    html.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    html.raw("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'nonce-");
    html.text(nonce).raw("'; base-uri 'none'; form-action 'none'\">");
    html.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">");
    html.raw("<meta name=\"color-scheme\" content=\"light dark\">");
    html.raw("<meta name=\"referrer\" content=\"no-referrer\"><meta name=\"robots\" content=\"noindex\">");
    html.raw("<title>Organization dashboard</title><style nonce=\"").text(nonce).raw("\">");
    html.raw(STYLE).raw("</style></head><body><header><p class=\"eyebrow\">creatormirror</p>");
    html.raw("<h1>Organization dashboard</h1><p class=\"quiet\">");
    html.text(now.format("%-d %B %Y, %H:%M UTC"));
    match &dashboard.identity.organization_id {
        Some(organization) => html.raw(" · organization ").foreign(organization),
        None => html.raw(" · nothing is mirrored yet"),
    };
    if let Some(key) = &dashboard.identity.api_key_name {
        html.raw(" · API key ").foreign(key);
    }
    html.raw("</p></header><main>");
}

/// Renders the headline numbers.
fn tiles(html: &mut Html, dashboard: &Dashboard, history: &History) {
    let is_synced = dashboard.identity.organization_id.is_some();
    let known = |count: i64| if is_synced { thousands(count) } else { UNKNOWN.to_owned() };
    let rows = |kind: Kind| {
        let freshness = dashboard.kinds.iter().find(|freshness| freshness.kind == kind);
        freshness.map_or(0, |freshness| freshness.rows)
    };
    html.raw("<dl class=\"tiles\">");
    let growth = &dashboard.growth;
    let followers = growth.followers.map_or_else(|| UNKNOWN.to_owned(), short);
    let gained = growth.week().map(|week| signed(total(week.followers), "in 7 days"));
    tile(html, "Followers", &followers, &gained.unwrap_or_else(|| unknown(history)));
    let week = growth.week().map(|week| total(week.views));
    let views = week.map_or_else(|| UNKNOWN.to_owned(), short);
    tile(
        html,
        "Views in 7 days",
        &views,
        &week.map_or_else(|| unknown(history), |week| compared(week, growth)),
    );
    let creators =
        if is_synced { counted(rows(Kind::Creator), "creator") } else { UNKNOWN.to_owned() };
    tile(html, "Accounts", &known(rows(Kind::Account)), &Remark::plain(&creators));
    let tracked = format!("{} tracked individually", known(dashboard.tracked_posts));
    tile(html, "Posts", &known(dashboard.posts), &Remark::plain(&tracked));
    let (share, remark) = freshness(&dashboard.kinds);
    tile(html, "Up to date", &share, &remark);
    let requests: i64 = dashboard.requests.values().map(|spent| spent.requests).sum();
    let unchanged: i64 = dashboard.requests.values().map(|spent| spent.not_modified).sum();
    let days = match requests {
        0 => format!("none sent in {DAYS_OF_REQUESTS} days"),
        _ => format!("in {DAYS_OF_REQUESTS} days, {} unchanged", percent(unchanged, requests)),
    };
    tile(html, "Requests", &known(requests), &Remark::plain(&days));
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

fn total(of: ByPlatform) -> i64 {
    of.into_iter().fold(0, i64::saturating_add)
}

/// Says why the growth of the last 7 days is not known.
fn unknown(history: &History) -> Remark {
    Remark::plain(match history.first_scrape {
        Some(_) => "the first whole day is not over",
        None => "nothing is synced yet",
    })
}

fn compared(now: i64, growth: &Growth) -> Remark {
    let before = growth.week_before().map(|week| total(week.views));
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
        (0, _) => (UNKNOWN.to_owned(), Remark::plain("no scrapes yet")),
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
