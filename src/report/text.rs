//! Formatting for terminals: numbers, times, sparklines and line wrapping. Pure.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};

pub use crate::model::shown::{counted, thousands};

/// In place of a value that is not known.
pub const UNKNOWN: &str = "—";

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Draws a series as a row of bars, scaled between its minimum and its maximum. NaN is a gap.
pub fn sparkline(series: &[f64]) -> String {
    let numbers = || series.iter().copied().filter(|number| number.is_finite());
    let low = numbers().fold(f64::INFINITY, f64::min);
    let high = numbers().fold(f64::NEG_INFINITY, f64::max);
    series
        .iter()
        .map(|number| {
            if !number.is_finite() {
                return ' ';
            }
            // Halves, so that the span of extreme values does not overflow.
            let span = high / 2.0 - low / 2.0;
            let share = if span > 0.0 { (number / 2.0 - low / 2.0) / span } else { 0.0 };
            bar(share)
        })
        .collect()
}

fn bar(share: f64) -> char {
    let top = 7.0;
    let index = (share * top).round().clamp(0.0, top) as usize;
    BARS.get(index).copied().unwrap_or(' ')
}

/// Formats a duration in its two largest units: `3 h 20 min`.
pub fn span(length: Duration) -> String {
    in_units(length, 2)
}

/// Formats a duration in its largest unit, rounded down: `3 h`.
pub fn short_span(length: Duration) -> String {
    in_units(length, 1)
}

fn in_units(length: Duration, units_max: usize) -> String {
    let seconds = length.as_secs();
    if seconds == 0 {
        return match length.subsec_millis() {
            0 => "0 s".to_owned(),
            millis => format!("{millis} ms"),
        };
    }
    let units = [
        (seconds / 86_400, "d"),
        (seconds / 3_600 % 24, "h"),
        (seconds / 60 % 60, "min"),
        (seconds % 60, "s"),
    ];
    let parts: Vec<String> = units
        .iter()
        .skip_while(|(count, _)| *count == 0)
        .take(units_max)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    parts.join(" ")
}

/// Formats an instant relative to `now`: `3 h 20 min ago`, `in 5 min`, `now`.
pub fn relative(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    relative_with(then, now, span)
}

/// Formats an instant relative to `now` in one unit: `3 h ago`, `in 5 min`, `now`.
pub fn short_relative(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    relative_with(then, now, short_span)
}

/// A function that formats an instant, given the current time.
pub type TimeFormat = fn(DateTime<Utc>, DateTime<Utc>) -> String;

fn relative_with(then: DateTime<Utc>, now: DateTime<Utc>, span: fn(Duration) -> String) -> String {
    let seconds = now.signed_duration_since(then).num_seconds();
    let length = Duration::from_secs(seconds.unsigned_abs());
    match seconds {
        0 => "now".to_owned(),
        1.. => format!("{} ago", span(length)),
        _ => format!("in {}", span(length)),
    }
}

/// Formats an instant to the second, followed by its distance from `now`.
pub fn moment(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let text = then.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{text} ({})", relative(then, now))
}

/// Formats a size in the largest decimal unit that it fills: `14.2 MB`.
pub fn bytes(count: u64) -> String {
    let units = [("GB", 1_000_000_000_u64), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => {
            let tenths = i128::from(count) * 10 / i128::from(size);
            format!("{}.{} {unit}", thousands(tenths / 10), tenths % 10)
        }
        None => format!("{count} B"),
    }
}

/// Wraps a text into lines of at most `width` characters. A longer word gets its own line.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Wraps lines longer than `width` between words, but not inside backticks. Continuation lines are indented to the last
/// column of the line, or by two spaces.
pub fn folded(text: &str, width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    text.split_inclusive('\n')
        .map(|line| match line.trim_end_matches('\n').chars().count() > width {
            true => fold_line(line.trim_end_matches('\n'), width) + "\n",
            false => line.to_owned(),
        })
        .collect()
}

fn fold_line(line: &str, width: usize) -> String {
    let indent = last_column(line, width / 2);
    let (mut folded, rest) = match line.char_indices().nth(indent) {
        Some((at, _)) => (line[..at].to_owned(), &line[at..]),
        None => (String::new(), line),
    };
    let indent = if indent == 0 { 2 } else { indent };
    let mut used = folded.chars().count();
    let mut is_quoted = false;
    let is_break = |c: char| {
        is_quoted ^= c == '`';
        c == ' ' && !is_quoted
    };
    for (index, word) in rest.split(is_break).enumerate() {
        let length = word.chars().count();
        if index > 0 && used + 1 + length > width && used > indent {
            folded.push_str(&format!("\n{:indent$}", ""));
            used = indent;
        } else if index > 0 {
            folded.push(' ');
            used += 1;
        }
        folded.push_str(word);
        used += length;
    }
    folded
}

/// Where the last text starts that follows at least two spaces within the first `chars_max` characters; 0 if none does.
fn last_column(line: &str, chars_max: usize) -> usize {
    let (mut column, mut spaces) = (0, 0);
    for (index, c) in line.chars().take(chars_max).enumerate() {
        if c != ' ' && spaces >= 2 {
            column = index;
        }
        spaces = if c == ' ' { spaces + 1 } else { 0 };
    }
    column
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn sparkline_is_scaled_to_minimum_and_maximum() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[5.0, 5.0]), "▁▁");
        assert_eq!(sparkline(&[f64::NAN, -1.0, 1.0]), " ▁█");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX]), "▁█");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrapped("one  two three\nfour", 8), ["one two", "three", "four"]);
        assert_eq!(wrapped("incomprehensible é é", 5), ["incomprehensible", "é é"]);
        assert!(wrapped(" ", 5).is_empty());
    }

    #[test]
    fn span_has_two_units() {
        for (seconds, text) in [
            (5, "5 s"),
            (60, "1 min"),
            (61, "1 min 1 s"),
            (12_000, "3 h 20 min"),
            (86_405, "1 d"),
            (100 * 86_400 + 3_600, "100 d 1 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
        assert_eq!(span(Duration::from_millis(250)), "250 ms");
        assert_eq!(span(Duration::ZERO), "0 s");
        assert_eq!(short_span(Duration::from_secs(12_000)), "3 h");
    }

    #[test]
    fn size_has_one_decimal() {
        for (count, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (14_260_000, "14.2 MB"),
            (2_500_000_000_000, "2,500.0 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn instants_are_relative_to_now() {
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        assert_eq!(relative(now - TimeDelta::minutes(200), now), "3 h 20 min ago");
        assert_eq!(relative(now + TimeDelta::minutes(5), now), "in 5 min");
        assert_eq!(relative(now, now), "now");
        let then = now - TimeDelta::milliseconds(60_500);
        assert_eq!(moment(then, now), "2025-06-15T15:05:39Z (1 min ago)");
    }

    #[test]
    fn long_lines_are_folded_under_their_last_column() {
        let line = "database      /home/me/creatormirror.db, 14.2 MB, schema version 2\n";
        assert_eq!(
            folded(line, Some(40)),
            "database      /home/me/creatormirror.db,\n              14.2 MB, schema version 2\n"
        );
        assert_eq!(folded(line, None), line);
        let note = "videos: 4,000 held back; if correct, run `sync --accept-removals` now";
        assert_eq!(
            folded(note, Some(44)),
            "videos: 4,000 held back; if correct, run\n  `sync --accept-removals` now\n"
        );
    }
}
