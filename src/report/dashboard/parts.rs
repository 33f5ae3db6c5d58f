//! Helpers shared by the cards of the dashboard.

use chrono::DateTime;

use crate::model::instant::{DAY_S, day_of};
use crate::report::dashboard::chart::{ChartError, Frame};
use crate::report::dashboard::html::Html;
use crate::report::text::{UNKNOWN, counted};

/// Size of a bar in a table.
pub const METER: Frame = Frame { width: 200, height: 8 };

/// Sizes of a chart for a desktop and a phone. Scaling one chart would make its text unreadable.
const FRAMES: [(&str, Frame); 2] = [
    ("<div class=\"wide\">", Frame { width: 500, height: 240 }),
    ("<div class=\"phone\">", Frame { width: 310, height: 205 }),
];

/// How far back the mirror reaches, which explains what it cannot show.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// The present time, Unix seconds.
    pub now: i64,
    /// Time of the first scrape, Unix seconds.
    pub first_scrape: Option<i64>,
    /// Start of the first complete sync, Unix seconds.
    pub first_synced: Option<i64>,
}

impl History {
    /// Says why there are no rows that need so many days of history.
    pub fn reason(&self, days: i64, otherwise: &'static str) -> String {
        match self.shortage(days) {
            Some(shortage) => shortage,
            None if self.first_scrape.or(self.first_synced).is_none() => {
                "Nothing is synced yet.".to_owned()
            }
            None => otherwise.to_owned(),
        }
    }

    /// Says that the history is shorter than that, if it is.
    pub fn shortage(&self, days: i64) -> Option<String> {
        // The first scrape of a paused resource can be long before the first sync.
        let begins = self.first_synced.or(self.first_scrape)?;
        let at = DateTime::from_timestamp(begins, 0)?.format("%-d %B %Y, %H:%M UTC");
        let is_short = self.first_synced.is_none() || day_of(begins) > day_of(self.now) - days;
        (is_short && days > 0).then(|| {
            format!(
                "The history begins with {at}; this is complete after {}.",
                counted(days, "day")
            )
        })
    }
}

/// Formats a share as a percentage. Only the whole is 100 %.
pub fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return UNKNOWN.to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    match share {
        share if part < whole && share > 99.0 => format!("{:.1} %", share.min(99.9)),
        share => format!("{share:.0} %"),
    }
}

/// Formats a day, counted from the epoch: `12 Nov`.
pub fn day(day: i64) -> String {
    let at = DateTime::from_timestamp(day.saturating_mul(DAY_S), 0);
    at.map_or_else(String::new, |at| at.format("%-d %b").to_string())
}

/// Names a day in a chart.
pub fn label(at: i64, today: i64) -> String {
    if at == today { "today".to_owned() } else { day(at) }
}

/// Draws a chart in all sizes.
pub fn framed(
    html: &mut Html,
    draw: impl Fn(Frame) -> Result<Html, ChartError>,
) -> Result<(), ChartError> {
    for (begin, frame) in FRAMES {
        html.raw(begin).piece(&draw(frame)?).raw("</div>");
    }
    Ok(())
}
