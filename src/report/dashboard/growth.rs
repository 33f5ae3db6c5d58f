//! Charts of what was gained per day.

use crate::report::dashboard::chart::{self, ChartError, SERIES, Series};
use crate::report::dashboard::html::Html;
use crate::report::dashboard::parts::{History, day, framed, label};
use crate::report::text::thousands;
use crate::store::dashboard::{ByPlatform, Gains, Growth};

/// A chart of gains.
#[derive(Debug)]
pub struct Gained {
    title: &'static str,
    definition: &'static str,
    of: fn(&Gains) -> ByPlatform,
}

/// The views.
pub const VIEWS: Gained = Gained {
    title: "Views gained per day",
    definition: "By the platform of the account; “others” are accounts on other platforms or not tracked. A post gains the views that its last scrape of a day shows more than its last scrape before; a post first scraped shortly after its publication gained all its views.",
    of: |gains| gains.views,
};

/// The followers.
pub const FOLLOWERS: Gained = Gained {
    title: "Followers gained per day",
    definition: "The last count of each account on a day, less the last count before. A newly tracked account adds no step.",
    of: |gains| gains.followers,
};

/// Renders a chart of gains with its numbers.
pub fn chart(
    html: &mut Html,
    chart: &Gained,
    growth: &Growth,
    history: &History,
) -> Result<(), ChartError> {
    html.begin_card(chart.title);
    if growth.days.is_empty() {
        html.end_head().end_empty(&history.reason(1, "No gain in the last 30 days."));
        return Ok(());
    }
    let names = ["TikTok", "Instagram", "others"];
    html.legend(&names).end_head().definition(chart.definition);
    let labels: Vec<String> = growth.days.keys().map(|at| label(*at, growth.today)).collect();
    let of_platform =
        |place: usize| growth.days.values().map(move |gains| (chart.of)(gains)[place] as f64);
    let series: Vec<Series> = (0..names.len())
        .zip(SERIES)
        .map(|(place, color)| Series { values: of_platform(place).collect(), color })
        .collect();
    let title = format!("{} on {} days; the numbers are below", chart.title, labels.len());
    framed(html, |frame| chart::bars(frame, &title, &labels, &series))?;
    html.raw("<details><summary>The numbers</summary>").begin_table(&["day"], &names);
    for (at, gains) in growth.days.iter().rev() {
        let so_far = if *at == growth.today { ", so far" } else { "" };
        html.row(day(*at) + so_far, &(chart.of)(gains).map(thousands));
    }
    html.end_table().raw("</details>").end_card();
    Ok(())
}
