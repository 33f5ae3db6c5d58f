//! What has grown: views and followers by day, the posts that moved most, creators by engagement.

use crate::report::glance::chart::{self, ChartError, Frame, SERIES, Series, compact};
use crate::report::glance::html::Html;
use crate::report::glance::{day, empty, framed, thousands};
use crate::store::glance::{DAY_S, DAYS_OF_MOVERS, Engagement, Followers, Growth, Mover, Subject};

const SPARK: Frame = Frame { width: 150, height: 34 };
const METER: Frame = Frame { width: 200, height: 8 };

/// Views gained on each day.
pub fn views(html: &mut Html, growth: &Growth) -> Result<(), ChartError> {
    html.raw("<section class=\"card\"><div class=\"head\"><h2>Views gained per day</h2>");
    if growth.days.len() < 2 {
        html.raw("</div>");
        empty(html, "Growth shows from the second day of scrapes on.");
        return Ok(());
    }
    html.raw("<ul class=\"legend\"><li class=\"k1\">tracked videos</li>");
    html.raw("<li class=\"k2\">other posts of accounts</li></ul></div>");
    let labels: Vec<String> = growth.days.keys().map(|at| day(*at)).collect();
    let series = [
        Series {
            values: growth.days.values().map(|gain| gain.videos as f64).collect(),
            color: SERIES[0],
        },
        Series {
            values: growth.days.values().map(|gain| gain.posts as f64).collect(),
            color: SERIES[1],
        },
    ];
    let title = format!("Views gained on each of {} days; the numbers are below", labels.len());
    framed(html, |frame| chart::bars(frame, &title, &labels, &series))?;
    html.raw("<details><summary>The numbers</summary><table><thead><tr><th scope=\"col\">day</th>");
    html.raw("<th scope=\"col\" class=\"num\">tracked videos</th>");
    html.raw("<th scope=\"col\" class=\"num\">other posts</th></tr></thead><tbody>");
    for (at, gain) in growth.days.iter().rev() {
        html.raw("<tr><th scope=\"row\">").text(day(*at)).raw("</th><td class=\"num\">");
        html.text(thousands(gain.videos)).raw("</td><td class=\"num\">");
        html.text(thousands(gain.posts)).raw("</td></tr>");
    }
    html.raw("</tbody></table></details></section>");
    Ok(())
}

/// Followers at the end of each day.
pub fn followers(html: &mut Html, followers: &Followers) -> Result<(), ChartError> {
    html.raw(
        "<section class=\"card\"><div class=\"head\"><h2>Followers of all accounts</h2></div>",
    );
    if followers.curve.len() < 2 {
        empty(html, "The curve begins with the second day of scrapes.");
        return Ok(());
    }
    let labels: Vec<String> = followers.curve.keys().map(|at| day(*at)).collect();
    let values = followers.curve.values().map(|count| *count as f64).collect();
    let series = Series { values, color: SERIES[0] };
    let title =
        format!("Followers at the end of each of {} days; the numbers are below", labels.len());
    framed(html, |frame| chart::curve(frame, &title, &labels, &series))?;
    html.raw("<details><summary>The numbers</summary><table><thead><tr><th scope=\"col\">day</th>");
    html.raw("<th scope=\"col\" class=\"num\">followers</th></tr></thead><tbody>");
    for (at, count) in followers.curve.iter().rev() {
        html.raw("<tr><th scope=\"row\">").text(day(*at)).raw("</th><td class=\"num\">");
        html.text(thousands(*count)).raw("</td></tr>");
    }
    html.raw("</tbody></table></details></section>");
    Ok(())
}

/// The posts that gained the most views.
pub fn movers(html: &mut Html, movers: &[Mover], now: i64) -> Result<(), ChartError> {
    html.raw(
        "<section class=\"card\"><div class=\"head\"><h2>Top movers of the last 7 days</h2></div>",
    );
    if movers.is_empty() {
        empty(html, "No post is known to have gained views in the last 7 days.");
        return Ok(());
    }
    html.raw("<table><thead><tr><th scope=\"col\">post</th><th scope=\"col\">views</th>");
    html.raw("<th scope=\"col\" class=\"num\">gained</th></tr></thead><tbody>");
    let span = now - DAYS_OF_MOVERS * DAY_S..now;
    for mover in movers {
        html.raw("<tr><th scope=\"row\"><span class=\"title\">");
        match mover.caption.as_deref().filter(|caption| !caption.trim().is_empty()) {
            Some(caption) => html.foreign(caption),
            None => html.raw("<span class=\"quiet\">without a caption</span>"),
        };
        html.raw("</span><span class=\"small quiet\">");
        if let Some(account) = &mover.account {
            html.foreign(account).raw(" · ");
        }
        if let Some(platform) = &mover.platform {
            platform_name(html, platform);
        }
        if mover.subject == Subject::Video {
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
    html.raw("</tbody></table></section>");
    Ok(())
}

fn platform_name(html: &mut Html, platform: &str) {
    match platform {
        "tiktok" => html.raw("TikTok"),
        "instagram" => html.raw("Instagram"),
        other => html.foreign(other),
    };
}

/// Creators by what their views come with.
pub fn creators(html: &mut Html, creators: &[Engagement]) -> Result<(), ChartError> {
    html.raw("<section class=\"card\"><div class=\"head\"><h2>Engagement by creator</h2>");
    html.raw("<p class=\"small quiet\">likes, comments and shares per view</p></div>");
    if creators.is_empty() {
        empty(html, "No account is mirrored yet.");
        return Ok(());
    }
    let best = creators.iter().filter_map(Engagement::rate).fold(f64::MIN_POSITIVE, f64::max);
    html.raw("<table><thead><tr><th scope=\"col\">creator</th><th scope=\"col\">engagement</th>");
    html.raw("<th scope=\"col\" class=\"num\">views</th></tr></thead><tbody>");
    for one in creators {
        html.raw("<tr><th scope=\"row\">");
        match &one.creator {
            Some(name) => html.foreign(name),
            None => html.raw("<span class=\"quiet\">without a creator</span>"),
        };
        html.raw("<br><span class=\"small quiet\">").text(thousands(one.accounts));
        html.raw(if one.accounts == 1 { " account, " } else { " accounts, " });
        html.text(compact(one.followers as f64)).raw(" followers</span></th><td class=\"meter\">");
        match one.rate() {
            Some(rate) => {
                html.raw("<p>").text(format!("{:.1} %", rate * 100.0)).raw("</p>");
                html.chart(&chart::meter(METER, rate / best, SERIES[0])?);
            }
            None => drop(html.raw("<p class=\"quiet\">no views</p>")),
        }
        html.raw("</td><td class=\"num\">").text(compact(one.views as f64)).raw("</td></tr>");
    }
    html.raw("</tbody></table></section>");
    Ok(())
}
