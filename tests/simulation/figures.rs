//! How good a strategy was: requests spent, scrapes caught and missed, and how stale they were.

use std::collections::BTreeMap;

use super::truth::{Seen, Truth};

/// How a strategy fared.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Its name.
    pub name: &'static str,
    /// Requests for videos.
    pub requests: u64,
    /// Scrapes that happened.
    pub happened: usize,
    /// Those that it saw.
    pub caught: usize,
    /// Those that were overwritten before it saw them.
    pub missed: usize,
    /// Those that it had not seen in the end, but still could.
    pub pending: usize,
    /// From each scrape that it saw to its seeing it, milliseconds, in order. One that it had not
    /// seen in the end counts with its age.
    pub staleness: Vec<i64>,
    /// By interval in hours, video by video.
    pub videos: BTreeMap<i64, Vec<OfVideo>>,
}

/// How one video fared.
#[derive(Debug, Clone, Copy, Default)]
pub struct OfVideo {
    /// Its scrapes that happened.
    pub happened: usize,
    /// Its scrapes that were overwritten unseen.
    pub missed: usize,
    /// The sum of their staleness, milliseconds.
    pub staleness: i64,
    /// The longest time between two looks that saw something, or since the last, milliseconds.
    pub dark: i64,
}

/// How alike the videos of one interval fared.
#[derive(Debug, Clone, Copy)]
pub struct Evenness {
    /// Their interval.
    pub hours: i64,
    /// How many there are.
    pub videos: usize,
    /// The part missed of all their scrapes.
    pub missed: f64,
    /// The part missed by the unluckiest and by the luckiest of twenty.
    pub missed_p05_p95: (f64, f64),
    /// Mean staleness, milliseconds: of all, and of the luckiest and unluckiest of twenty.
    pub staleness: i64,
    /// See `staleness`.
    pub staleness_p05_p95: (i64, i64),
    /// The longest that any of them went without news, as a multiple of the interval.
    pub dark_max: f64,
}

impl Figures {
    /// Holds what was seen against what happened.
    pub fn of(name: &'static str, requests: u64, truth: &Truth, seen: &Seen) -> Self {
        let mut figures = Self {
            name,
            requests,
            happened: 0,
            caught: 0,
            missed: 0,
            pending: 0,
            staleness: Vec::new(),
            videos: BTreeMap::new(),
        };
        for video in &truth.videos {
            let mut own = OfVideo { happened: video.scrapes.len(), ..OfVideo::default() };
            let mut looked = truth.begin;
            for (n, at) in video.scrapes.iter().enumerate() {
                let seen_at = seen.get(&(video.id.clone(), *at)).filter(|seen| **seen <= truth.end);
                let is_overwritten = n + 1 < video.scrapes.len();
                match seen_at {
                    Some(seen_at) => {
                        figures.caught += 1;
                        own.dark = own.dark.max(seen_at - looked);
                        looked = *seen_at;
                    }
                    None if is_overwritten => own.missed += 1,
                    None => figures.pending += 1,
                }
                if seen_at.is_some() || !is_overwritten {
                    let staleness = seen_at.copied().unwrap_or(truth.end) - at;
                    own.staleness += staleness;
                    figures.staleness.push(staleness);
                }
            }
            own.dark = own.dark.max(truth.end - looked);
            figures.happened += own.happened;
            figures.missed += own.missed;
            if video.is_active && video.before.is_some() {
                figures.videos.entry(video.interval_ms / 3_600_000).or_default().push(own);
            }
        }
        figures.staleness.sort_unstable();
        figures
    }

    /// The staleness that so many of a hundred scrapes stay below, seconds.
    pub fn percentile(&self, hundredths: usize) -> i64 {
        percentile(&self.staleness, hundredths) / 1_000
    }

    /// How alike videos of equal interval fared.
    pub fn evenness(&self) -> Vec<Evenness> {
        self.videos.iter().map(|(hours, videos)| evenness(*hours, videos)).collect()
    }
}

fn percentile<T: Copy + Default>(sorted: &[T], hundredths: usize) -> T {
    let at = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn evenness(hours: i64, videos: &[OfVideo]) -> Evenness {
    let happened: usize = videos.iter().map(|video| video.happened).sum();
    let missed: usize = videos.iter().map(|video| video.missed).sum();
    let staleness: i64 = videos.iter().map(|video| video.staleness).sum();
    let share = |part: usize, of: usize| part as f64 / of.max(1) as f64;
    let mean = |sum: i64, of: usize| sum / i64::try_from(of.max(1)).unwrap();
    let with_scrapes: Vec<_> = videos.iter().filter(|video| video.happened > 0).collect();
    let mut shares: Vec<f64> =
        with_scrapes.iter().map(|video| share(video.missed, video.happened)).collect();
    shares.sort_unstable_by(f64::total_cmp);
    let mut remaining: Vec<i64> = with_scrapes
        .iter()
        .filter(|video| video.happened > video.missed)
        .map(|video| mean(video.staleness, video.happened - video.missed))
        .collect();
    remaining.sort_unstable();
    Evenness {
        hours,
        videos: videos.len(),
        missed: share(missed, happened),
        missed_p05_p95: (percentile(&shares, 5), percentile(&shares, 95)),
        staleness: mean(staleness, happened - missed),
        staleness_p05_p95: (percentile(&remaining, 5), percentile(&remaining, 95)),
        dark_max: videos.iter().map(|video| video.dark).max().unwrap_or(0) as f64
            / (hours * 3_600_000) as f64,
    }
}

/// Strategies side by side, and what could not be undercut.
pub fn table(truth: &Truth, strategies: &[&Figures]) -> String {
    let bound = truth.lower_bound();
    let mut text = format!(
        "{:<28} {:>9} {:>8} {:>8} {:>8} {:>7} {:>7}   staleness p50 p90 p99 max, seconds\n",
        "", "requests", "x bound", "happened", "caught", "missed", "pending"
    );
    for figures in strategies {
        text += &format!(
            "{:<28} {:>9} {:>8.2} {:>8} {:>8} {:>7} {:>7}   {:>6} {:>6} {:>6} {:>6}\n",
            figures.name,
            figures.requests,
            figures.requests as f64 / bound as f64,
            figures.happened,
            figures.caught,
            figures.missed,
            figures.pending,
            figures.percentile(50),
            figures.percentile(90),
            figures.percentile(99),
            figures.percentile(100),
        );
    }
    text += &format!("{:<28} {bound:>9}\n", "lower bound");
    text
}

/// Interval by interval.
pub fn evenness_table(figures: &Figures) -> String {
    let mut text = format!(
        "{:>8} {:>7} {:>8} {:>14} {:>10} {:>16} {:>9}\n",
        "interval", "videos", "missed", "p05..p95", "stale, s", "p05..p95", "dark max"
    );
    for even in figures.evenness() {
        text += &format!(
            "{:>7}h {:>7} {:>7.1}% {:>6.1}%..{:>5.1}% {:>10} {:>7}..{:>7} {:>8.2}x\n",
            even.hours,
            even.videos,
            even.missed * 100.0,
            even.missed_p05_p95.0 * 100.0,
            even.missed_p05_p95.1 * 100.0,
            even.staleness / 1_000,
            even.staleness_p05_p95.0 / 1_000,
            even.staleness_p05_p95.1 / 1_000,
            even.dark_max,
        );
    }
    text
}
