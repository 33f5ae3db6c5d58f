//! Cards about the mirror itself: freshness and coverage, requests, failed writes.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::model::instant::day_of;
use crate::model::outbox::State;
use crate::model::{Kind, instant};
use crate::report::dashboard::chart::{self, ChartError, SERIES, Series};
use crate::report::dashboard::html::Html;
use crate::report::dashboard::parts::{METER, framed, label, percent};
use crate::report::text::{UNKNOWN, moment, thousands};
use crate::store::dashboard::{DAYS_OF_REQUESTS, Dashboard, KindFreshness, RequestCounts};

/// Kinds with their own colour in the chart of requests, and one group for all others.
const GROUPS: [(&str, &str); 4] = [
    ("video", "videos"),
    ("account_video", "account videos"),
    ("account", "accounts"),
    ("", "other"),
];

/// About the height of the card of freshness and coverage, pixels.
pub const FRESHNESS_PX: usize = 430;

/// Renders the freshness and coverage of each kind.
pub fn freshness(
    html: &mut Html,
    kinds: &[KindFreshness],
    now: DateTime<Utc>,
) -> Result<(), ChartError> {
    html.begin_card("Freshness and coverage").end_head();
    html.definition(
        "Up to date: the next scrape of the account or post is not overdue; paused ones do not count. Complete: when everything that the API lists was last read.",
    );
    html.begin_table(&["kind", "up to date"], &["complete as of"]);
    for kind in kinds {
        html.raw("<tr><th scope=\"row\">").text(plural(kind.kind));
        html.raw("<br><span class=\"small quiet\">").text(thousands(kind.rows)).raw(" listed");
        if kind.removed > 0 {
            html.raw(", ").text(thousands(kind.removed)).raw(" removed");
        }
        html.raw("</span></th><td class=\"meter\">");
        match &kind.ages {
            None => drop(html.raw("<p class=\"quiet\">—</p>")),
            Some(ages) => {
                let fresh = ages.rows - ages.overdue;
                html.raw("<p>").text(percent(fresh, ages.rows)).raw("<span class=\"quiet\">");
                if ages.overdue > 0 {
                    html.raw(" · ").text(thousands(ages.overdue)).raw(" overdue");
                }
                html.raw("</span></p>");
                let color = if ages.overdue > 0 { SERIES[2] } else { SERIES[1] };
                let share = fresh as f64 / ages.rows.max(1) as f64;
                html.piece(&chart::meter(METER, share, color)?);
            }
        }
        html.raw("</td><td class=\"num\">");
        match kind.state.complete_as_of {
            Some(at) => {
                let age = now.signed_duration_since(instant::from_micros(at)).num_seconds();
                match age {
                    ..60 => html.raw("just now"),
                    _ => html.text(rough_span(age as f64)).raw(" ago"),
                }
            }
            None => html.raw("<span class=\"quiet\">never</span>"),
        };
        if let Some(ages) = &kind.ages {
            html.raw("<br><span class=\"small quiet\">oldest scrape ");
            html.text(rough_span(ages.oldest_hours * 3_600.0)).raw("</span>");
        }
        if let Some(outcome) = kind.state.last_outcome.filter(|outcome| !outcome.is_good()) {
            html.raw("<br><span class=\"chip bad\">");
            html.text(outcome.name().replace('_', " ")).raw("</span>");
        }
        html.raw("</td></tr>");
    }
    html.end_table().end_card();
    Ok(())
}

fn plural(kind: Kind) -> String {
    kind.plural().replace('_', " ")
}

/// Formats a duration in one unit, rounded.
fn rough_span(seconds: f64) -> String {
    let minutes = (seconds.max(0.0) / 60.0).round();
    match minutes {
        minutes if minutes < 90.0 => format!("{minutes:.0} min"),
        minutes if minutes < 48.0 * 60.0 => format!("{:.0} h", minutes / 60.0),
        minutes => format!("{:.0} d", minutes / 1_440.0),
    }
}

/// Renders the requests per day and kind.
pub fn requests(
    html: &mut Html,
    spent: &BTreeMap<(i64, String), RequestCounts>,
    now: DateTime<Utc>,
) -> Result<(), ChartError> {
    html.begin_card("Requests to the API per day");
    if spent.is_empty() {
        html.end_head().end_empty("No requests in the last two weeks.");
        return Ok(());
    }
    html.legend(&GROUPS.map(|(_, name)| name)).end_head();
    let today = day_of(now.timestamp());
    let days: Vec<i64> = (today - DAYS_OF_REQUESTS + 1..=today).collect();
    let series: Vec<Series> = GROUPS
        .iter()
        .zip(SERIES)
        .map(|((group, _), color)| {
            let of_day = |day: &i64| {
                let of_group =
                    spent.iter().filter(|((at, kind), _)| at == day && group_of(kind) == *group);
                of_group.map(|(_, spent)| spent.requests).sum::<i64>() as f64
            };
            Series { values: days.iter().map(of_day).collect(), color }
        })
        .collect();
    let labels: Vec<String> = days.iter().map(|at| label(*at, today)).collect();
    let title = format!("Requests on each of {DAYS_OF_REQUESTS} days; the totals are beside it");
    html.raw("<div class=\"pair\"><div>");
    framed(html, |frame| chart::bars(frame, &title, &labels, &series))?;
    let mut sums: BTreeMap<&str, RequestCounts> = BTreeMap::new();
    for ((_, kind), spent) in spent {
        let sum = sums.entry(kind).or_default();
        sum.requests += spent.requests;
        sum.not_modified += spent.not_modified;
    }
    html.raw("</div><table class=\"dense\">");
    html.table_head(&["kind"], &["requests", "answered “unchanged”"]);
    for (kind, sum) in sums {
        let name = Kind::from_name(kind).map_or_else(|| kind.to_owned(), plural);
        let unchanged = percent(sum.not_modified, sum.requests);
        html.row(name, &[thousands(sum.requests), unchanged]);
    }
    html.end_table().raw("</div>").end_card();
    Ok(())
}

fn group_of(kind: &str) -> &str {
    if GROUPS.iter().any(|(group, _)| *group == kind) { kind } else { "" }
}

/// Renders the writes that failed, are held, or have an unknown outcome, if there are any.
pub fn outbox(html: &mut Html, dashboard: &Dashboard, now: DateTime<Utc>) {
    let is_shown = |state: &State| matches!(state, State::Failed | State::Held | State::Unsure);
    let counts: Vec<_> =
        dashboard.outbox.counts.iter().filter(|(state, _)| is_shown(state)).collect();
    if counts.is_empty() {
        return;
    }
    html.raw(
        "<section class=\"card alarm\"><div class=\"head\"><h2>Writes that need attention</h2><p>",
    );
    for (state, count) in counts {
        html.raw("<span class=\"chip bad\">").text(thousands(*count)).raw(" ").text(state);
        html.raw("</span> ");
    }
    html.raw("</p></div>");
    if dashboard.outbox.failed.is_empty() {
        html.end_card();
        return;
    }
    html.begin_table(&["entry", "what", "why"], &[]);
    for entry in &dashboard.outbox.failed {
        html.raw("<tr><td>").text(entry.entry).raw("</td><th scope=\"row\">").text(entry.action);
        html.raw(" ")
            .text(entry.kind)
            .raw(" ")
            .foreign(entry.target.as_deref().unwrap_or_default());
        html.raw("<br><span class=\"small quiet\">queued ");
        html.text(moment(instant::from_micros(entry.created_at), now)).raw("</span></th><td>");
        html.foreign(entry.detail.as_deref().or(entry.code.as_deref()).unwrap_or(UNKNOWN));
        html.raw("</td></tr>");
    }
    html.end_table().end_card();
}
