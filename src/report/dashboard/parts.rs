//! Helpers shared by the cards of the dashboard.

use chrono::DateTime;

use crate::model::instant::DAY_S;
use crate::report::dashboard::chart::{ChartError, Frame};
use crate::report::dashboard::html::{Html, Svg};

/// Size of a bar in a table.
pub const METER: Frame = Frame { width: 200, height: 8 };

/// Sizes of a chart for a desktop and a phone. Scaling one chart would make its text unreadable.
const FRAMES: [(&str, Frame); 2] = [
    ("<div class=\"wide\">", Frame { width: 500, height: 240 }),
    ("<div class=\"phone\">", Frame { width: 310, height: 205 }),
];

/// Formats a share as a percentage. Only the whole is 100 %.
pub fn percent(part: i64, whole: i64) -> String {
    if whole <= 0 {
        return "–".to_owned();
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

/// Draws a chart in all sizes.
pub fn framed(
    html: &mut Html,
    draw: impl Fn(Frame) -> Result<Svg, ChartError>,
) -> Result<(), ChartError> {
    for (begin, frame) in FRAMES {
        html.raw(begin).chart(&draw(frame)?).raw("</div>");
    }
    Ok(())
}
