//! What a demo has to show for itself: what grew, how fresh it is, what it cost, and where it is.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use comfy_table::{CellAlignment, LineStyle, Table, presets};

use crate::demo::{Coverage, DemoProgress, FRESHNESS};
use crate::model::{Kind, instant};
use crate::report::outbox;
use crate::report::text::{span, sparkline, thousands};
use crate::store::analysis::{Ages, Grower, KindRequests};
use crate::store::outbox::Entry;

/// Bars of a sparkline; over a week, one for each six hours.
const BARS: usize = 28;

/// Put in place of `sqlite3`, it does the same.
const PYTHON: &str = "python3 -c 'import sqlite3, sys; [print(*row, sep=\"|\") for row in \
                      sqlite3.connect(sys.argv[1]).execute(sys.argv[2])]'";

/// Everything the report says.
#[derive(Debug)]
pub struct DemoSummary {
    /// The database, absolute.
    pub database: PathBuf,
    /// How long it all took.
    pub took: Duration,
    /// When the week began.
    pub start: DateTime<Utc>,
    /// What was done.
    pub done: DemoProgress,
    /// How many of each kind there are.
    pub counts: Vec<(Kind, i64)>,
    /// The fastest growing videos with their scrapes: Unix seconds and views.
    pub growers: Vec<(Grower, Vec<(i64, i64)>)>,
    /// The entry of the outbox by which a video was tracked, and that video's scrapes.
    pub tracked: Option<(Entry, Vec<(i64, i64)>)>,
    /// How fresh the figures are.
    pub ages: Vec<Ages>,
    /// What happened, and what of it is mirrored.
    pub coverage: Vec<Coverage>,
    /// What was spent.
    pub spent: Vec<KindRequests>,
    /// Requests of a script that asks for every video every hour.
    pub naive: i64,
    /// Requests of a script that lists every list every hour.
    pub listing: i64,
}

/// The whole report.
pub fn text(summary: &DemoSummary) -> String {
    let sections = [
        head(summary),
        format!("Fastest growing videos of the week\n\n{}", growers(summary)),
        format!("Tracked through the outbox\n\n{}", tracked(summary)),
        format!("Freshness, and what became of the scrapes of the week\n\n{}", freshness(summary)),
        format!("Requests\n\n{}", requests(summary)),
        format!("The database\n\n{}", summary.database.display()),
        format!("Two queries to paste\n\n{}", queries(summary)),
    ];
    sections.join("\n\n") + "\n"
}

fn head(summary: &DemoSummary) -> String {
    let counts: Vec<String> = summary
        .counts
        .iter()
        .map(|(kind, rows)| format!("{} {}", thousands(*rows), kind.plural().replace('-', " ")))
        .collect();
    format!(
        "A simulated week of a made-up organization ({}),\n\
         mirrored over HTTP in {}, in {} passes.",
        counts.join(", "),
        span(summary.took),
        thousands(summary.done.runs)
    )
}

fn growers(summary: &DemoSummary) -> String {
    let mut table =
        table(&["account", "platform", "views", "gained", "views over the week"], &[2, 3]);
    for (grower, scrapes) in &summary.growers {
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        table.add_row([
            shown(&grower.account),
            shown(&grower.platform),
            grower.views.map_or_else(|| "-".to_owned(), thousands),
            format!("+{}", thousands(grower.gained)),
            sparkline(&resample(scrapes, summary.start, summary.done.now)),
        ]);
    }
    table.trim_fmt()
}

/// The views at even steps over the week, each as last seen by then; none before the first scrape.
fn resample(scrapes: &[(i64, i64)], start: DateTime<Utc>, end: DateTime<Utc>) -> Vec<f64> {
    let (start, end) = (start.timestamp(), end.timestamp());
    (1..=BARS)
        .map(|bar| {
            // Both are far below where an f64 or the product would lose anything.
            let at = start + (end - start) * bar as i64 / BARS as i64;
            let seen = scrapes.iter().rev().find(|(scraped, _)| *scraped <= at);
            seen.map_or(f64::NAN, |(_, views)| *views as f64)
        })
        .collect()
}

/// The entry, and what the API has shown of the video since.
fn tracked(summary: &DemoSummary) -> String {
    let Some((entry, scrapes)) = &summary.tracked else { return "nothing was queued".to_owned() };
    let line = outbox::line(entry);
    let line = line.trim_end();
    let (Some(ended), [(first, views), ..]) = (entry.finished_at, scrapes.as_slice()) else {
        return line.to_owned();
    };
    let after = first.saturating_sub(instant::from_micros(ended).timestamp());
    let after = span(Duration::from_secs(u64::try_from(after).unwrap_or(0)));
    let latest = scrapes.last().map_or(*views, |(_, views)| *views);
    format!(
        "{line}\nfirst scrape {after} later: {} views; {} scrapes since, now {} views  {}",
        thousands(*views),
        thousands(i64::try_from(scrapes.len() - 1).unwrap_or(i64::MAX)),
        thousands(latest),
        sparkline(&scrapes.iter().map(|(_, views)| *views as f64).collect::<Vec<_>>()),
    )
}

fn freshness(summary: &DemoSummary) -> String {
    let header = ["", "newest scrape", "oldest", "overdue", "mirrored", "to come", "missed"];
    let mut table = table(&header, &[1, 2, 3, 4, 5, 6]);
    let ago =
        |hours: f64| format!("{} ago", span(Duration::from_secs_f64(hours.max(0.0) * 3_600.0)));
    for coverage in &summary.coverage {
        let ages = summary.ages.iter().find(|ages| ages.kind == coverage.kind.name());
        let of = |shown: &dyn Fn(&Ages) -> String| ages.map_or_else(|| "-".to_owned(), shown);
        table.add_row([
            coverage.kind.plural().replace('-', " "),
            of(&|ages| ago(ages.newest_hours)),
            of(&|ages| ago(ages.oldest_hours)),
            of(&|ages| format!("{} of {}", thousands(ages.overdue), thousands(ages.rows))),
            count(coverage.mirrored),
            count(coverage.to_come),
            count(coverage.missed),
        ]);
    }
    table.trim_fmt()
}

fn count(number: usize) -> String {
    thousands(i64::try_from(number).unwrap_or(i64::MAX))
}

fn requests(summary: &DemoSummary) -> String {
    let mut table = table(&["", "requests", "of these 304"], &[1, 2]);
    for spent in &summary.spent {
        let name = match Kind::from_name(&spent.kind) {
            // Its turn carries the request that begins every run.
            Some(Kind::Meta) => "whoami and meta".to_owned(),
            Some(kind) => kind.plural().replace('-', " "),
            None => spent.kind.clone(),
        };
        table.add_row([name, thousands(spent.requests), thousands(spent.not_modified)]);
    }
    let total = |of: fn(&KindRequests) -> i64| summary.spent.iter().map(of).sum::<i64>();
    table.add_row([
        "in all".to_owned(),
        thousands(total(|spent| spent.requests)),
        thousands(total(|spent| spent.not_modified)),
    ]);
    format!(
        "{}\n\n\
         Asking for every video by itself, once an hour, would have cost {}.\n\
         Walking every list once an hour: {}, with scrapes seen up to an hour late rather than {}.",
        table.trim_fmt(),
        thousands(summary.naive),
        thousands(summary.listing),
        span(FRESHNESS)
    )
}

fn queries(summary: &DemoSummary) -> String {
    let path = quoted(&summary.database.to_string_lossy());
    let lines = sql(summary).map(|sql| format!("sqlite3 {path} \"{sql}\""));
    format!(
        "{}\n\nWhere there is no sqlite3 (3.37 or newer), this does instead of that word:\n{PYTHON}",
        lines.join("\n")
    )
}

/// The queries, free of what means something to a shell between double quotes.
fn sql(summary: &DemoSummary) -> [String; 2] {
    let fastest = summary.growers.first().map_or("", |(grower, _)| grower.video_id.as_str());
    [
        format!(
            "SELECT date, view_count, views_gained FROM video_daily \
             WHERE video_id = '{fastest}' ORDER BY date"
        ),
        "SELECT creator_name, accounts, followers, views, round(100 * engagement_rate, 1) \
         FROM creator_rollup ORDER BY views DESC LIMIT 5"
            .to_owned(),
    ]
}

/// A path as a shell takes it for one word.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%".contains(c);
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

/// A table without a frame; these columns hold numbers.
fn table(header: &[&str], numbers: &[usize]) -> Table {
    let mut table = Table::new();
    let line = LineStyle::new('─', '─', '─', '─');
    table.load_style(presets::NOTHING.header_separator(line)).set_header(header.iter().copied());
    for column in numbers {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_has_even_steps_and_holds_its_last_value() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let series = resample(&[(5, 10), (14, 20)], at(0), at(28));
        assert_eq!(series.len(), BARS);
        assert!(series[..4].iter().all(|views| views.is_nan()));
        assert!(series[4..13].iter().all(|views| *views == 10.0));
        assert!(series[13..].iter().all(|views| *views == 20.0));
    }

    #[test]
    fn paths_are_one_word_to_a_shell() {
        for (path, word) in [
            ("/tmp/a-1/demo.db", "/tmp/a-1/demo.db"),
            ("/tmp/my demo.db", "'/tmp/my demo.db'"),
            ("/tmp/it's.db", "'/tmp/it'\\''s.db'"),
            ("/tmp/$HOME.db", "'/tmp/$HOME.db'"),
        ] {
            assert_eq!(quoted(path), word);
        }
    }
}
