//! Cards about growth: views and followers by day, top movers, engagement by creator.

use crate::model::instant::DAY_S;
use crate::report::dashboard::chart::{self, ChartError, Frame, SERIES, Series, compact};
use crate::report::dashboard::html::Html;
use crate::report::dashboard::parts::{METER, day, framed};
use crate::report::text::thousands;
use crate::store::dashboard::{DAYS_OF_MOVERS, Engagement, Followers, Growth, Mover, Split};

const SPARK: Frame = Frame { width: 150, height: 34 };

/// Renders the views gained per day.
pub fn views(html: &mut Html, growth: &Growth) -> Result<(), ChartError> {
    html.begin_card("Views gained per day");
    if growth.days.len() < 2 {
        html.end_head().end_empty("Growth is shown after two days of scrapes.");
        return Ok(());
    }
    html.raw("<ul class=\"legend\"><li class=\"k1\">tracked posts</li>");
    html.raw("<li class=\"k2\">other posts of accounts</li></ul>").end_head();
    let labels: Vec<String> = growth.days.keys().map(|at| day(*at)).collect();
    let values = |of: fn(&Split) -> i64| growth.days.values().map(|gain| of(gain) as f64).collect();
    let series = [
        Series { values: values(|gain| gain.tracked), color: SERIES[0] },
        Series { values: values(|gain| gain.others), color: SERIES[1] },
    ];
    let title = format!("Views gained on each of {} days; the numbers are below", labels.len());
    framed(html, |frame| chart::bars(frame, &title, &labels, &series))?;
    let rows = growth.days.iter().rev();
    let rows = rows.map(|(at, gain)| (*at, vec![thousands(gain.tracked), thousands(gain.others)]));
    numbers(html, &["tracked posts", "other posts"], rows);
    Ok(())
}

/// Renders the followers at the end of each day.
pub fn followers(html: &mut Html, followers: &Followers) -> Result<(), ChartError> {
    html.begin_card("Followers of all accounts").end_head();
    if followers.curve.len() < 2 {
        html.end_empty("The curve is shown after two days of scrapes.");
        return Ok(());
    }
    let labels: Vec<String> = followers.curve.keys().map(|at| day(*at)).collect();
    let values = followers.curve.values().map(|count| *count as f64).collect();
    let series = Series { values, color: SERIES[0] };
    let title =
        format!("Followers at the end of each of {} days; the numbers are below", labels.len());
    framed(html, |frame| chart::curve(frame, &title, &labels, &series))?;
    let rows = followers.curve.iter().rev();
    numbers(html, &["followers"], rows.map(|(at, count)| (*at, vec![thousands(*count)])));
    Ok(())
}

/// Renders a chart's numbers, a row per day, and closes its card.
fn numbers(
    html: &mut Html,
    columns: &[&'static str],
    rows: impl Iterator<Item = (i64, Vec<String>)>,
) {
    html.raw("<details><summary>The numbers</summary>").begin_table(&["day"], columns);
    for (at, numbers) in rows {
        html.row(day(at), &numbers);
    }
    html.end_table().raw("</details>").end_card();
}

/// Renders the posts that gained the most views.
pub fn movers(html: &mut Html, movers: &[Mover], now: i64) -> Result<(), ChartError> {
    html.begin_card("Top movers of the last 7 days").end_head();
    if movers.is_empty() {
        html.end_empty("No post gained views in the last 7 days.");
        return Ok(());
    }
    html.begin_table(&["post", "views"], &["gained"]);
    let span = now - DAYS_OF_MOVERS * DAY_S..now;
    for mover in movers {
        html.raw("<tr><th scope=\"row\"><span class=\"title\">");
        let url = mover.url.as_deref().filter(|url| is_plain(url));
        if let Some(url) = url {
            html.raw("<a rel=\"noopener noreferrer\" href=\"").text(url).raw("\">");
        }
        match mover.caption.as_deref().filter(|caption| !caption.trim().is_empty()) {
            Some(caption) => html.foreign(caption),
            None => html.raw("<span class=\"quiet\">without a caption</span>"),
        };
        html.raw(if url.is_some() { "</a>" } else { "" });
        html.raw("</span><span class=\"small quiet\">");
        if let Some(account) = &mover.account {
            html.foreign(account).raw(" · ");
        }
        if let Some(platform) = &mover.platform {
            platform_name(html, platform);
        }
        if mover.is_tracked {
            html.raw("&nbsp;· tracked");
        }
        html.raw("</span></th><td class=\"spark\">");
        html.chart(&chart::sparkline(SPARK, &mover.scrapes, span.clone(), SERIES[1])?);
        html.raw("</td><td class=\"num\"><strong>+").text(compact(mover.gained as f64));
        html.raw("</strong><br><span class=\"small quiet\">");
        if let Some(views) = mover.views {
            html.raw("of ").text(compact(views as f64));
        }
        html.raw("</span></td></tr>");
    }
    html.end_table().end_card();
    Ok(())
}

/// Whether an address has only characters that need no escaping.
fn is_plain(url: &str) -> bool {
    url.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/@".contains(&byte))
}

fn platform_name(html: &mut Html, platform: &str) {
    match platform {
        "tiktok" => html.raw("TikTok"),
        "instagram" => html.raw("Instagram"),
        other => html.foreign(other),
    };
}

/// Renders creators by their engagement rate.
pub fn creators(html: &mut Html, creators: &[Engagement]) -> Result<(), ChartError> {
    html.begin_card("Engagement by creator");
    html.raw("<p class=\"small quiet\">likes, comments and shares of posts, as far as known, per view</p>").end_head();
    if creators.is_empty() {
        html.end_empty("No account is mirrored yet.");
        return Ok(());
    }
    let best = creators.iter().filter_map(Engagement::rate).fold(f64::MIN_POSITIVE, f64::max);
    html.begin_table(&["creator", "engagement"], &["views"]);
    for creator in creators {
        html.raw("<tr><th scope=\"row\">");
        match &creator.creator {
            Some(name) => html.foreign(name),
            None => html.raw("<span class=\"quiet\">without a creator</span>"),
        };
        html.raw("<br><span class=\"small quiet\">").text(thousands(creator.accounts));
        html.raw(if creator.accounts == 1 { " account, " } else { " accounts, " });
        html.text(compact(creator.followers as f64));
        html.raw(" followers</span></th><td class=\"meter\">");
        match creator.rate() {
            Some(rate) => {
                html.raw("<p>").text(format!("{:.1} %", rate * 100.0)).raw("</p>");
                html.chart(&chart::meter(METER, rate / best, SERIES[0])?);
            }
            None => drop(html.raw("<p class=\"quiet\">no views</p>")),
        }
        html.raw("</td><td class=\"num\">").text(compact(creator.views as f64)).raw("</td></tr>");
    }
    html.end_table().end_card();
    Ok(())
}
