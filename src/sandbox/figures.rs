//! Figures over many rows: the overview.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::growth::Counts;
use crate::sandbox::moment::Moment;
use crate::sandbox::replies::{Answer, Problem};
use crate::sandbox::world::{Row, World};

/// Totals over some days.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Views gained.
    pub views: i64,
    /// Plays gained.
    pub plays: i64,
    /// Likes gained.
    pub likes: i64,
    /// Comments gained.
    pub comments: i64,
    /// Shares gained.
    pub shares: i64,
}

impl Totals {
    fn between(earlier: Counts, later: Counts) -> Self {
        Self {
            views: later.view - earlier.view,
            plays: later.play - earlier.play,
            likes: later.like - earlier.like,
            comments: later.comment - earlier.comment,
            shares: later.share - earlier.share,
        }
    }

    fn add(&mut self, other: Self) {
        self.views += other.views;
        self.plays += other.plays;
        self.likes += other.likes;
        self.comments += other.comments;
        self.shares += other.shares;
    }

    /// Likes, comments and shares.
    pub fn engagement(&self) -> i64 {
        self.likes + self.comments + self.shares
    }

    /// The schema `WindowedMetrics`.
    pub fn json(&self) -> Value {
        json!({
            "views": self.views, "plays": self.plays, "likes": self.likes,
            "comments": self.comments, "shares": self.shares, "engagement": self.engagement(),
        })
    }
}

impl World {
    /// What the scrapes of the days from `start` to `end`, both included, have added to a row.
    pub fn totals(&self, row: Row, start: NaiveDate, end: NaiveDate) -> Totals {
        let Some(schedule) = self.schedule(row) else { return Totals::default() };
        let Some(first) = self.first_scrape(row) else { return Totals::default() };
        let until = |date| Moment::start_of(date).plus(-1);
        let at = |moment| schedule.last_before(moment).unwrap_or(first).max(first);
        let next_day = end.checked_add_days(Days::new(1)).unwrap_or(end);
        let (earlier, later) = (at(until(start)), at(until(next_day)));
        Totals::between(self.counts_at(row, earlier), self.counts_at(row, later))
    }

    fn overview_figures(&self, start: NaiveDate, end: NaiveDate) -> Value {
        let mut totals = Totals::default();
        for row in self.all(Kind::Account).filter(|row| self.is_listed(*row)) {
            totals.add(self.totals(row, start, end));
        }
        let until = Moment::start_of(end.checked_add_days(Days::new(1)).unwrap_or(end));
        let accounts =
            self.accounts.iter().map(|a| &a.tracked).filter(|a| !a.deleted && a.added_at < until);
        let videos = self.videos.iter().map(|video| &video.tracked);
        let posts = self.all(Kind::AccountVideo).filter(|row| self.is_listed(*row));
        json!({
            "total_views": totals.views,
            "engagement_rate": rate(&totals),
            "active_accounts": accounts.filter(|a| a.is_active).count(),
            "account_videos": posts
                .filter(|row| self.posts[row.place as usize].growth.published < until).count(),
            "tracked_videos": videos.filter(|v| !v.deleted && v.added_at < until).count(),
        })
    }
}

/// `GET /overview`.
pub fn overview(world: &World, call: &Call) -> Result<Answer, Problem> {
    let days = preset_days(call.param("period").unwrap_or("7d"));
    let days = days.ok_or_else(|| Problem::field("period", "must be 7d, 30d or 90d"))?;
    let end = world.now.date();
    let start = days_before(end, days - 1);
    let current = world.overview_figures(start, end);
    let previous = world.overview_figures(days_before(start, days), days_before(start, 1));
    let mut changes = BTreeMap::new();
    for (name, now) in current.as_object().into_iter().flatten() {
        let (now, before) = (now.as_f64(), previous[name].as_f64());
        let change = match (now, before) {
            (Some(now), Some(before)) if before != 0.0 => {
                json!(round((now - before) / before * 100.0, 10.0))
            }
            _ => Value::Null,
        };
        changes.insert(format!("{name}_pct"), change);
    }
    let data = json!({
        "type": "overview", "current": current, "previous": previous, "changes": changes,
    });
    Ok(Answer::data(200, &data))
}

/// The days of a period that has a name.
pub fn preset_days(period: &str) -> Option<u64> {
    match period {
        "7d" => Some(7),
        "30d" => Some(30),
        "90d" => Some(90),
        _ => None,
    }
}

/// The date `days` before `date`.
pub fn days_before(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_sub_days(Days::new(days)).unwrap_or(date)
}

/// Engagement as a percentage of views.
fn rate(totals: &Totals) -> f64 {
    match totals.views {
        0 => 0.0,
        views => round(totals.engagement() as f64 / views as f64 * 100.0, 100.0),
    }
}

fn round(number: f64, parts: f64) -> f64 {
    (number * parts).round() / parts
}
