//! Results of a polling strategy: requests, scrapes caught and missed, and staleness.

use std::collections::BTreeMap;

use super::truth::{Seen, Truth};

/// Results of a strategy.
#[derive(Debug, Clone)]
pub struct Figures {
    /// Its name.
    pub name: &'static str,
    /// Requests for videos.
    pub requests: u64,
    /// Scrapes that happened.
    pub happened: usize,
    /// Scrapes that it saw.
    pub caught: usize,
    /// Scrapes overwritten before it saw them.
    pub missed: usize,
    /// Latest scrapes that it had not seen yet.
    pub pending: usize,
    /// Time from each scrape to the request that saw it, milliseconds, sorted. Pending scrapes count
    /// with their age.
    pub staleness: Vec<i64>,
    /// Results of videos, by interval in hours.
    pub videos: BTreeMap<i64, Vec<VideoFigures>>,
}

/// Results of one video.
#[derive(Debug, Clone, Copy, Default)]
pub struct VideoFigures {
    /// Its scrapes that happened.
    pub happened: usize,
    /// Its scrapes that were overwritten unseen.
    pub missed: usize,
    /// The sum of their staleness, milliseconds.
    pub staleness: i64,
    /// The longest time between two requests that saw a new scrape, or since the last one, milliseconds.
    pub gap: i64,
}

/// Fairness among the videos of one interval.
#[derive(Debug, Clone, Copy)]
pub struct Fairness {
    /// Their interval.
    pub hours: i64,
    /// Number of videos.
    pub videos: usize,
    /// Fraction of their scrapes that was missed.
    pub missed: f64,
    /// 5th and 95th percentile of the fraction missed by a video.
    pub missed_p05_p95: (f64, f64),
    /// Mean staleness, milliseconds.
    pub staleness: i64,
    /// 5th and 95th percentile of the mean staleness of a video, milliseconds.
    pub staleness_p05_p95: (i64, i64),
    /// The longest time that a video went without a new scrape, as a multiple of the interval.
    pub gap_max: f64,
}

impl Figures {
    /// Compares the scrapes seen with those that happened.
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
            let mut own = VideoFigures { happened: video.scrapes.len(), ..VideoFigures::default() };
            let mut last_seen = truth.begin;
            for (n, at) in video.scrapes.iter().enumerate() {
                let seen_at = seen.get(&(video.id.clone(), *at)).filter(|seen| **seen <= truth.end);
                let is_overwritten = n + 1 < video.scrapes.len();
                match seen_at {
                    Some(seen_at) => {
                        figures.caught += 1;
                        own.gap = own.gap.max(seen_at - last_seen);
                        last_seen = *seen_at;
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
            own.gap = own.gap.max(truth.end - last_seen);
            figures.happened += own.happened;
            figures.missed += own.missed;
            if video.is_active && video.before.is_some() {
                figures.videos.entry(video.interval_ms / 3_600_000).or_default().push(own);
            }
        }
        figures.staleness.sort_unstable();
        figures
    }

    /// A percentile of staleness, seconds.
    pub fn percentile(&self, hundredths: usize) -> i64 {
        percentile(&self.staleness, hundredths) / 1_000
    }

    /// Fairness by interval.
    pub fn fairness(&self) -> Vec<Fairness> {
        self.videos.iter().map(|(hours, videos)| fairness(*hours, videos)).collect()
    }
}

fn percentile<T: Copy + Default>(sorted: &[T], hundredths: usize) -> T {
    let at = (sorted.len() * hundredths / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

fn fairness(hours: i64, videos: &[VideoFigures]) -> Fairness {
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
    Fairness {
        hours,
        videos: videos.len(),
        missed: share(missed, happened),
        missed_p05_p95: (percentile(&shares, 5), percentile(&shares, 95)),
        staleness: mean(staleness, happened - missed),
        staleness_p05_p95: (percentile(&remaining, 5), percentile(&remaining, 95)),
        gap_max: videos.iter().map(|video| video.gap).max().unwrap_or(0) as f64
            / (hours * 3_600_000) as f64,
    }
}

/// A table of strategies and the lower bound of requests.
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

/// A table of fairness by interval.
pub fn fairness_table(figures: &Figures) -> String {
    let mut text = format!(
        "{:>8} {:>7} {:>8} {:>14} {:>10} {:>16} {:>9}\n",
        "interval", "videos", "missed", "p05..p95", "stale, s", "p05..p95", "gap max"
    );
    for even in figures.fairness() {
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
            even.gap_max,
        );
    }
    text
}
