//! The scrapes that happened, the lower bound of requests that see them, and simpler strategies.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use chrono::{DateTime, Utc};
use creatormirror::model::Kind;

use super::figures::Figures;
use crate::support::sandbox::Control;

/// Maximum rows of a page of the API.
const PAGE_ROWS: usize = 200;
/// How long after the expected scrape a simple script requests a video, milliseconds.
const MARGIN_MS: i64 = 30_000;

/// A video and its scrapes during the simulation, Unix milliseconds.
#[derive(Debug, Clone)]
pub struct Video {
    /// The API's id.
    pub id: String,
    /// Its page in the list.
    pub page: usize,
    /// Time between two scrapes.
    pub interval_ms: i64,
    /// Whether it is scraped.
    pub is_active: bool,
    /// The last scrape before the simulation began.
    pub before: Option<i64>,
    /// The scrapes during the simulation.
    pub scrapes: Vec<i64>,
}

/// All scrapes of a simulation.
#[derive(Debug)]
pub struct Truth {
    /// The videos, in the order of their list.
    pub videos: Vec<Video>,
    /// Pages of the list.
    pub pages: usize,
    /// Start of the simulation, Unix milliseconds.
    pub begin: i64,
    /// End of the simulation, Unix milliseconds.
    pub end: i64,
    /// `freshness_target` in milliseconds.
    pub freshness: i64,
}

/// When each scrape was seen, by video and scrape.
pub type Seen = BTreeMap<(String, i64), i64>;

impl Truth {
    /// Reads the scrapes from the sandbox.
    pub fn read(
        control: &Control,
        begin: DateTime<Utc>,
        end: DateTime<Utc>,
        freshness: Duration,
    ) -> Self {
        let (begin, end) = (begin.timestamp_millis(), end.timestamp_millis());
        let mut rows = control.rows(Kind::Video);
        rows.sort_by_key(|row| (text(row, "added_at"), text(row, "id")));
        let videos = rows.iter().enumerate().map(|(n, row)| {
            let id = text(row, "id");
            let all = control.scrapes(Kind::Video, &id);
            let all = all.iter().map(|scrape| millis(&scrape.scraped_at)).filter(|at| *at <= end);
            let (before, scrapes): (Vec<_>, Vec<_>) = all.partition(|at| *at <= begin);
            Video {
                page: n / PAGE_ROWS,
                interval_ms: row["scrape_interval_hours"].as_i64().unwrap() * 3_600_000,
                is_active: row["is_active"] == true && row["is_unavailable"] != true,
                before: before.last().copied(),
                scrapes,
                id,
            }
        });
        Self {
            videos: videos.collect(),
            pages: rows.len().div_ceil(PAGE_ROWS),
            begin,
            end,
            freshness: i64::try_from(freshness.as_millis()).unwrap(),
        }
    }

    /// Simulated days.
    pub fn days(&self) -> i64 {
        (self.end - self.begin) / 86_400_000
    }

    /// The least number of requests that see every scrape within the freshness target, given all scrape
    /// times in advance.
    ///
    /// For each page the least number of instants that stab every interval
    /// `[scrape, scrape + freshness]` ending within the simulation (earliest deadline first, which is
    /// the optimum on a line; a get of one video never shows more than its page does), and
    /// `ceil(N / 200)` for each of the daily full syncs and for the first listing, as if none of these could
    /// stab anything.
    pub fn lower_bound(&self) -> u64 {
        let mut by_page = vec![Vec::new(); self.pages];
        for video in &self.videos {
            let in_time = video.scrapes.iter().filter(|at| **at + self.freshness <= self.end);
            by_page[video.page].extend(in_time);
        }
        let stabs = |mut scrapes: Vec<i64>| {
            scrapes.sort_unstable();
            let (mut count, mut last) = (0, i64::MIN);
            for at in scrapes {
                if at > last {
                    last = at + self.freshness;
                    count += 1;
                }
            }
            count
        };
        let polls: u64 = by_page.into_iter().map(stabs).sum();
        polls + self.pages as u64 * (self.days().unsigned_abs() + 1)
    }

    /// A script that gets every video when it is due, and again a freshness target later if nothing has
    /// changed: the most overdue first, at most `per_hour` requests, evenly spread.
    pub fn get_per_due(&self, per_hour: Option<f64>) -> Figures {
        let service_ms = per_hour.map_or(0, |budget| (3_600_000.0 / budget) as i64);
        let due = |video: &Video, last: i64| last + video.interval_ms + MARGIN_MS;
        let mut queue: BinaryHeap<_> = (0..self.videos.len())
            .filter(|n| self.videos[*n].is_active)
            .filter_map(|n| Some(Reverse((due(&self.videos[n], self.videos[n].before?), n))))
            .collect();
        let mut known: Vec<_> = self.videos.iter().map(|video| video.before).collect();
        // The first listing of the videos.
        let mut requests = self.pages as u64;
        let (mut free, mut seen) = (self.begin, Seen::new());
        while let Some(Reverse((due_at, n))) = queue.pop() {
            let at = due_at.max(free);
            if at > self.end {
                break;
            }
            free = at + service_ms;
            requests += 1;
            let video = &self.videos[n];
            let shown = video.scrapes.iter().rev().find(|scrape| **scrape <= at).copied();
            let next = match shown.filter(|shown| Some(*shown) != known[n]) {
                Some(shown) => {
                    seen.insert((video.id.clone(), shown), at);
                    known[n] = Some(shown);
                    due(video, shown).max(at + 1)
                }
                None => at + self.freshness,
            };
            queue.push(Reverse((next, n)));
        }
        Figures::of("a get per due video", requests, self, &seen)
    }

    /// A script that reads the whole list once per freshness target, or as often as `per_hour` requests
    /// allow.
    pub fn listings(&self, per_hour: Option<f64>) -> Figures {
        let affordable =
            per_hour.map_or(0, |budget| (3_600_000.0 * self.pages as f64 / budget) as i64);
        let period = self.freshness.max(affordable);
        let listings = (self.end - self.begin) / period;
        let mut seen = Seen::new();
        for video in &self.videos {
            for listing in 0..=listings {
                let at = self.begin + listing * period;
                let upto = video.scrapes.partition_point(|scrape| *scrape <= at);
                if let Some(shown) = upto.checked_sub(1).map(|n| video.scrapes[n]) {
                    seen.entry((video.id.clone(), shown)).or_insert(at);
                }
            }
        }
        let requests = self.pages as u64 * (listings.unsigned_abs() + 1);
        Figures::of("a listing per freshness target", requests, self, &seen)
    }
}

fn text(row: &serde_json::Value, name: &str) -> String {
    row[name].as_str().unwrap().to_owned()
}

fn millis(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}
