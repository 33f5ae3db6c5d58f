//! How the mirror itself is doing: what is late, what is complete, what it cost, what was not done.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::model::outbox::State;
use crate::model::{Kind, instant};
use crate::report::dashboard::chart::{self, ChartError, SERIES, Series};
use crate::report::dashboard::html::Html;
use crate::report::dashboard::parts::{METER, day, framed, percent};
use crate::report::text::{moment, thousands};
use crate::store::dashboard::{DAYS_OF_REQUESTS, Dashboard, KindFreshness, RequestCounts, day_of};

/// The kinds that have a colour of their own among requests, and all others together.
const GROUPS: [(&str, &str); 4] = [
    ("video", "<li class=\"k1\">videos</li>"),
    ("account_video", "<li class=\"k2\">account videos</li>"),
    ("account", "<li class=\"k3\">accounts</li>"),
    ("", "<li class=\"k4\">other</li>"),
];

/// How fresh and how complete each kind is.
pub fn freshness(
    html: &mut Html,
    kinds: &[KindFreshness],
    now: DateTime<Utc>,
) -> Result<(), ChartError> {
    html.begin_card("Freshness and coverage").end_head();
    html.begin_table(&["kind", "up to date"], &["complete as of"]);
    for freshness in kinds {
        html.raw("<tr><th scope=\"row\">").text(plural(freshness.kind));
        html.raw("<br><span class=\"small quiet\">").text(thousands(freshness.rows)).raw(" listed");
        if freshness.removed > 0 {
            html.raw(", ").text(thousands(freshness.removed)).raw(" gone");
        }
        html.raw("</span></th><td class=\"meter\">");
        match &freshness.ages {
            None => drop(html.raw("<p class=\"quiet\">–</p>")),
            Some(ages) => {
                let fresh = ages.rows - ages.overdue;
                html.raw("<p>").text(percent(fresh, ages.rows)).raw("<span class=\"quiet\">");
                if ages.overdue > 0 {
                    html.raw(" · ").text(thousands(ages.overdue)).raw(" late");
                }
                html.raw("</span></p>");
                let color = if ages.overdue > 0 { SERIES[2] } else { SERIES[1] };
                let share = fresh as f64 / ages.rows.max(1) as f64;
                html.chart(&chart::meter(METER, share, color)?);
            }
        }
        html.raw("</td><td class=\"num\">");
        match freshness.state.complete_as_of {
            Some(at) => {
                let age = now.signed_duration_since(instant::from_micros(at)).num_seconds();
                match age {
                    ..60 => html.raw("just now"),
                    _ => html.text(rough(age as f64)).raw(" ago"),
                }
            }
            None => html.raw("<span class=\"quiet\">never</span>"),
        };
        if let Some(ages) = &freshness.ages {
            html.raw("<br><span class=\"small quiet\">oldest scrape ");
            html.text(rough(ages.oldest_hours * 3_600.0)).raw("</span>");
        }
        let trouble = freshness.state.last_outcome.filter(|word| !word.is_good());
        if let Some(word) = trouble {
            html.raw("<br><span class=\"chip bad\">")
                .text(word.name().replace('_', " "))
                .raw("</span>");
        }
        html.raw("</td></tr>");
    }
    html.end_table().end_card();
    Ok(())
}

fn plural(kind: Kind) -> String {
    kind.plural().replace('-', " ")
}

/// A length of time in one unit.
fn rough(seconds: f64) -> String {
    let minutes = (seconds.max(0.0) / 60.0).round();
    match minutes {
        minutes if minutes < 90.0 => format!("{minutes:.0} min"),
        minutes if minutes < 48.0 * 60.0 => format!("{:.0} h", minutes / 60.0),
        minutes => format!("{:.0} d", minutes / 1_440.0),
    }
}

/// Requests by day and kind.
pub fn requests(
    html: &mut Html,
    spent: &BTreeMap<(i64, String), RequestCounts>,
    now: DateTime<Utc>,
) -> Result<(), ChartError> {
    html.raw("<section class=\"card last\"><div class=\"head\"><h2>Requests per day</h2>");
    if spent.is_empty() {
        html.end_head().end_empty("No request was sent in the last two weeks.");
        return Ok(());
    }
    html.raw("<ul class=\"legend\">");
    for (_, key) in GROUPS {
        html.raw(key);
    }
    html.raw("</ul>").end_head();
    let today = day_of(now.timestamp());
    let days: Vec<i64> = (today - DAYS_OF_REQUESTS + 1..=today).collect();
    let series: Vec<Series> = GROUPS
        .iter()
        .zip(SERIES)
        .map(|((group, _), color)| {
            let of_day = |day: &i64| {
                let own =
                    spent.iter().filter(|((at, kind), _)| at == day && group_of(kind) == *group);
                own.map(|(_, spent)| spent.requests).sum::<i64>() as f64
            };
            Series { values: days.iter().map(of_day).collect(), color }
        })
        .collect();
    let labels: Vec<String> = days.iter().map(|at| day(*at)).collect();
    let title = format!("Requests on each of {DAYS_OF_REQUESTS} days; the sums are beside it");
    html.raw("<div class=\"columns\"><div>");
    framed(html, |frame| chart::bars(frame, &title, &labels, &series))?;
    let mut sums: BTreeMap<&str, RequestCounts> = BTreeMap::new();
    for ((_, kind), one) in spent {
        let sum = sums.entry(kind).or_default();
        sum.requests += one.requests;
        sum.not_modified += one.not_modified;
    }
    html.raw("</div><table class=\"dense\">");
    html.table_head(&["kind"], &["requests", "unchanged (304)"]);
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

/// Writes that came to nothing, or that nobody knows about. Nothing, where there are none.
pub fn outbox(html: &mut Html, dashboard: &Dashboard, now: DateTime<Utc>) {
    let is_trouble = |state: &State| matches!(state, State::Failed | State::Held | State::Unsure);
    let counts: Vec<_> =
        dashboard.outbox.counts.iter().filter(|(state, _)| is_trouble(state)).collect();
    if counts.is_empty() {
        return;
    }
    html.raw(
        "<section class=\"card alarm\"><div class=\"head\"><h2>Writes that need a look</h2><p>",
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
        html.foreign(entry.detail.as_deref().or(entry.code.as_deref()).unwrap_or("–"));
        html.raw("</td></tr>");
    }
    html.end_table().end_card();
}
