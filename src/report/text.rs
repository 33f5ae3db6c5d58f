//! Numbers and times as people read them. Pure.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use comfy_table::{CellAlignment, Table, presets};

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// A count with a comma between thousands.
pub fn thousands(count: impl Into<i128>) -> String {
    let count = count.into();
    let digits = count.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if count < 0 {
        text.push('-');
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A series as a row of bars between its least and its greatest number. What is no number is a gap.
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
            // Halves, so that the span of the greatest doubles does not overflow.
            let span = high / 2.0 - low / 2.0;
            let share = if span > 0.0 { (number / 2.0 - low / 2.0) / span } else { 0.0 };
            bar(share)
        })
        .collect()
}

fn bar(share: f64) -> char {
    let top = 7.0;
    // A share is between 0 and 1, so the cast keeps it within the eight bars.
    let place = (share * top).round().clamp(0.0, top) as usize;
    BARS.get(place).copied().unwrap_or(' ')
}

/// A length of time in its two greatest units: `3 h 20 min`.
pub fn span(length: Duration) -> String {
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
        .take(2)
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| format!("{count} {unit}"))
        .collect();
    parts.join(" ")
}

/// How long before or after `now` an instant is: `3 h 20 min ago`, `in 5 min`, `now`.
pub fn relative(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let away = now.signed_duration_since(then);
    let length = Duration::from_secs(away.num_seconds().unsigned_abs());
    match away.num_seconds() {
        0 => "now".to_owned(),
        1.. => format!("{} ago", span(length)),
        _ => format!("in {}", span(length)),
    }
}

/// An instant to the second, and how long before or after `now` it is.
pub fn moment(then: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let text = then.to_rfc3339_opts(SecondsFormat::Secs, true);
    format!("{text} ({})", relative(then, now))
}

/// A size in the largest unit of 1,000 that it fills: `14.2 MB`.
pub fn bytes(count: u64) -> String {
    let units = [("GB", 1_000_000_000_u64), ("MB", 1_000_000), ("kB", 1_000)];
    match units.into_iter().find(|(_, size)| count >= *size) {
        Some((unit, size)) => {
            let tenths = u128::from(count) * 10 / u128::from(size);
            format!("{}.{} {unit}", thousands_of(tenths / 10), tenths % 10)
        }
        None => format!("{count} B"),
    }
}

/// A text in lines of at most `width` characters, broken between words. A longer word stands alone.
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

fn thousands_of(count: u128) -> String {
    thousands(i128::try_from(count).unwrap_or(i128::MAX))
}

/// A table without lines, the columns two spaces apart; those of these places hold numbers.
pub fn table(
    header: &[&str],
    numbers: &[usize],
    rows: impl IntoIterator<Item = Vec<String>>,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.iter().copied());
    table.add_rows(rows);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 2));
        if numbers.contains(&place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (count, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (-1_234_567, "-1,234,567"),
            (i64::MIN, "-9,223,372,036,854,775,808"),
        ] {
            assert_eq!(thousands(count), text);
        }
    }

    #[test]
    fn a_sparkline_reaches_from_least_to_greatest() {
        assert_eq!(sparkline(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]), "▁▂▃▄▅▆▇█");
        assert_eq!(sparkline(&[5.0, 5.0]), "▁▁");
        assert_eq!(sparkline(&[f64::NAN, -1.0, 1.0]), " ▁█");
        assert_eq!(sparkline(&[f64::MIN, f64::MAX]), "▁█");
        assert_eq!(sparkline(&[]), "");
    }

    #[test]
    fn lines_are_broken_between_words() {
        assert_eq!(wrapped("one  two three\nfour", 8), ["one two", "three", "four"]);
        assert_eq!(wrapped("incomprehensible é é", 5), ["incomprehensible", "é é"]);
        assert!(wrapped(" ", 5).is_empty());
    }

    #[test]
    fn spans_have_two_units() {
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
    }

    #[test]
    fn sizes_have_one_digit_after_the_point() {
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
    fn instants_are_before_or_after() {
        let now = DateTime::from_timestamp(1_750_000_000, 0).unwrap();
        assert_eq!(relative(now - TimeDelta::minutes(200), now), "3 h 20 min ago");
        assert_eq!(relative(now + TimeDelta::minutes(5), now), "in 5 min");
        assert_eq!(relative(now, now), "now");
        let then = now - TimeDelta::milliseconds(60_500);
        assert_eq!(moment(then, now), "2025-06-15T15:05:39Z (1 min ago)");
    }
}
