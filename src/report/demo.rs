//! Report of the demo: the fastest growing videos, a write through the outbox, freshness, requests, and queries to paste.

use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::demo::{Coverage, DemoProgress, FRESHNESS};
use crate::model::{Kind, instant};
use crate::report::outbox;
use crate::report::table::{self, Column};
use crate::report::text::{UNKNOWN, folded, short_span, span, sparkline, thousands, wrapped};
use crate::store::analysis::{Ages, Grower, KindRequests};
use crate::store::outbox::Entry;

/// Bars of a sparkline: one for each six hours of a week.
const BARS: usize = 28;

/// Width of the text where the terminal's is unknown.
const WIDTH: usize = 80;

/// Name of the database in the queries, if none is kept.
const FILE: &str = "demo.db";

/// What to do after the demo.
const NEXT: &str = "`creatormirror sandbox` serves such an API for a first `creatormirror sync`; README (First sync) \
                    then says what to change for the real one. `creatormirror report` makes a page of charts from \
                    any mirror.";

/// Works like `sqlite3` in the queries.
const PYTHON: &str = "python3 -c 'import sqlite3, sys; [print(*row, sep=\"|\") for row in \
                      sqlite3.connect(sys.argv[1]).execute(sys.argv[2])]'";

/// The facts of the report.
#[derive(Debug)]
pub struct DemoSummary {
    /// Absolute path of the database, if it stays after the demo.
    pub kept: Option<PathBuf>,
    /// Duration of the demo.
    pub took: Duration,
    /// Start of the simulated week.
    pub start: DateTime<Utc>,
    /// Work done.
    pub done: DemoProgress,
    /// Rows of each kind.
    pub counts: Vec<(Kind, i64)>,
    /// The fastest growing videos with their scrapes: Unix seconds and views.
    pub growers: Vec<(Grower, Vec<(i64, i64)>)>,
    /// The outbox entry that tracked a video, and that video's scrapes.
    pub tracked: Option<(Entry, Vec<(i64, i64)>)>,
    /// Ages of the newest scrapes, by kind.
    pub ages: Vec<Ages>,
    /// Scrapes of the simulated week, mirrored and missed, by kind.
    pub coverage: Vec<Coverage>,
    /// Requests by kind.
    pub spent: Vec<KindRequests>,
    /// Requests of an equally fresh script that requests every video by itself.
    pub single: i64,
    /// Requests of an equally fresh script that lists everything.
    pub listing: i64,
}

/// Returns the report for a terminal of this width. Lines to paste are not wrapped.
pub fn text(summary: &DemoSummary, width: Option<usize>) -> String {
    let sections = [
        head(summary, width),
        format!("Fastest growing videos of the week\n\n{}", growers(summary, width)),
        format!("Tracked through the outbox\n\n{}", folded(&tracked(summary), width)),
        format!("Freshness, and scrapes of the week\n\n{}", freshness(summary, width)),
        format!("Requests\n\n{}", requests(summary, width)),
        format!("The database\n\n{}", database(summary, width)),
        format!("Two queries to paste\n\n{}", queries(summary)),
        format!("Next\n\n{}", paragraph(NEXT, width)),
    ];
    sections.join("\n\n") + "\n"
}

fn database(summary: &DemoSummary, width: Option<usize>) -> String {
    match &summary.kept {
        Some(path) => path.display().to_string(),
        None => paragraph(
            &format!(
                "It was temporary. To keep one for the queries below, run the demo with `--database {FILE}`."
            ),
            width,
        ),
    }
}

fn head(summary: &DemoSummary, width: Option<usize>) -> String {
    let counts: Vec<String> = summary
        .counts
        .iter()
        .map(|(kind, rows)| format!("{} {}", thousands(*rows), kind.plural().replace('_', " ")))
        .collect();
    paragraph(
        &format!(
            "A simulated week of a made-up organization ({}), mirrored over HTTP in {}, in {} runs.",
            counts.join(", "),
            span(summary.took),
            thousands(summary.done.runs)
        ),
        width,
    )
}

fn paragraph(text: &str, width: Option<usize>) -> String {
    wrapped(text, width.unwrap_or(WIDTH)).join("\n")
}

fn growers(summary: &DemoSummary, width: Option<usize>) -> String {
    let columns = [
        Column::text("account").truncated(10),
        Column::text("platform"),
        Column::number("views"),
        Column::number("gained"),
        Column::text("views over the week"),
    ];
    let row = |(grower, scrapes): &(Grower, Vec<(i64, i64)>)| {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| UNKNOWN.to_owned());
        vec![
            or_dash(&grower.account),
            or_dash(&grower.platform),
            or_dash(&grower.views.map(thousands)),
            format!("+{}", thousands(grower.gained)),
            sparkline(&resample(scrapes, summary.start, summary.done.now)),
        ]
    };
    table::format(&columns, summary.growers.iter().map(row).collect(), width)
}

/// Returns the views at even steps over the week, each as of the last scrape; NaN before the first.
fn resample(scrapes: &[(i64, i64)], start: DateTime<Utc>, end: DateTime<Utc>) -> Vec<f64> {
    let (start, end) = (start.timestamp(), end.timestamp());
    (1..=BARS)
        .map(|bar| {
            let at = start + (end - start) * bar as i64 / BARS as i64;
            let seen = scrapes.iter().rev().find(|(scraped, _)| *scraped <= at);
            seen.map_or(f64::NAN, |(_, views)| *views as f64)
        })
        .collect()
}

/// The entry, and the scrapes of its video.
fn tracked(summary: &DemoSummary) -> String {
    let Some((entry, scrapes)) = &summary.tracked else { return "nothing was queued".to_owned() };
    let line = outbox::line(entry);
    let line = line.trim_end();
    let (Some(finished_at), [(first, views), ..]) = (entry.finished_at, scrapes.as_slice()) else {
        return line.to_owned();
    };
    let after = first.saturating_sub(instant::from_micros(finished_at).timestamp());
    let after = span(Duration::from_secs(u64::try_from(after).unwrap_or(0)));
    let latest = scrapes.last().map_or(*views, |(_, views)| *views);
    format!(
        "{line}\nfirst scrape {after} later: {} views; {} scrapes since, now {} views {}",
        thousands(*views),
        thousands(i64::try_from(scrapes.len() - 1).unwrap_or(i64::MAX)),
        thousands(latest),
        sparkline(&scrapes.iter().map(|(_, views)| *views as f64).collect::<Vec<_>>()),
    )
}

fn freshness(summary: &DemoSummary, width: Option<usize>) -> String {
    let columns = [
        Column::text("kind"),
        Column::number("newest scrape"),
        Column::number("oldest"),
        Column::number("overdue"),
        Column::number("mirrored"),
        Column::number("to come"),
        Column::number("missed"),
    ];
    let ago = |hours: f64| {
        format!("{} ago", short_span(Duration::from_secs_f64(hours.max(0.0) * 3_600.0)))
    };
    let row = |coverage: &Coverage| {
        let ages = summary.ages.iter().find(|ages| ages.kind == coverage.kind.name());
        let or_dash =
            |cell: &dyn Fn(&Ages) -> String| ages.map_or_else(|| UNKNOWN.to_owned(), cell);
        vec![
            coverage.kind.plural().replace('_', " "),
            or_dash(&|ages| ago(ages.newest_hours)),
            or_dash(&|ages| ago(ages.oldest_hours)),
            or_dash(&|ages| format!("{} of {}", thousands(ages.overdue), thousands(ages.rows))),
            thousands(coverage.mirrored as u64),
            thousands(coverage.to_come as u64),
            thousands(coverage.missed as u64),
        ]
    };
    table::format(&columns, summary.coverage.iter().map(row).collect(), width)
}

fn requests(summary: &DemoSummary, width: Option<usize>) -> String {
    let columns =
        [Column::text("kind"), Column::number("requests"), Column::number("of these 304")];
    let mut rows: Vec<Vec<String>> = summary
        .spent
        .iter()
        .map(|spent| {
            let name = match Kind::from_name(&spent.kind) {
                // The first request of every run is counted with this kind.
                Some(Kind::Meta) => "whoami and meta".to_owned(),
                Some(kind) => kind.plural().replace('_', " "),
                None => spent.kind.clone(),
            };
            vec![name, thousands(spent.requests), thousands(spent.not_modified)]
        })
        .collect();
    let total = |of: fn(&KindRequests) -> i64| thousands(summary.spent.iter().map(of).sum::<i64>());
    rows.push(vec![
        "total".to_owned(),
        total(|spent| spent.requests),
        total(|spent| spent.not_modified),
    ]);
    let comparison = format!(
        "To see each scrape within {} like this, a script that lists everything needs {} requests, one that requests \
         every video by itself {}.",
        span(FRESHNESS),
        thousands(summary.listing),
        thousands(summary.single),
    );
    format!("{}\n\n{}", table::format(&columns, rows, width), paragraph(&comparison, width))
}

fn queries(summary: &DemoSummary) -> String {
    let path = summary.kept.as_ref().map_or(FILE.into(), |path| path.to_string_lossy());
    let path = quoted(&path);
    let lines = sql(summary).map(|sql| format!("sqlite3 {path} \"{sql}\""));
    format!(
        "{}\n\nWithout sqlite3 3.37 or newer, replace `sqlite3` with:\n{PYTHON}",
        lines.join("\n")
    )
}

/// The queries, without characters that a shell interprets between double quotes.
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

/// Quotes a path for a shell.
fn quoted(path: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%".contains(c);
    match path.chars().all(is_plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resampled_series_has_even_steps_and_holds_the_last_value() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let series = resample(&[(5, 10), (14, 20)], at(0), at(28));
        assert_eq!(series.len(), BARS);
        assert!(series[..4].iter().all(|views| views.is_nan()));
        assert!(series[4..13].iter().all(|views| *views == 10.0));
        assert!(series[13..].iter().all(|views| *views == 20.0));
    }

    #[test]
    fn paths_are_quoted_for_a_shell() {
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
