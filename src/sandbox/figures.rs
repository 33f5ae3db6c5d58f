//! Figures over many rows: the overview, the best creators, a creator's days, the search.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate};
use serde_json::{Value, json};

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::growth::Counts;
use crate::sandbox::moment::Moment;
use crate::sandbox::replies::{Answer, Problem};
use crate::sandbox::world::{Row, World};

/// Most results of the small lists, and most per section of a search whatever was asked.
const SMALL_LIMIT_MAX: usize = 25;
const SMALL_LIMIT_DEFAULT: usize = 10;
const SECTION_MAX: usize = 10;
const QUERY_LENGTH_MAX: usize = 128;
const ANALYTICS_DAYS_MAX: i64 = 366;

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
    pub(super) fn totals(&self, row: Row, start: NaiveDate, end: NaiveDate) -> Totals {
        let Some(schedule) = self.schedule(row) else { return Totals::default() };
        let Some(first) = self.first_scrape(row) else { return Totals::default() };
        let until = |date| Moment::start_of(date).plus(-1);
        let at = |moment| schedule.last_before(moment).unwrap_or(first).max(first);
        let next_day = end.checked_add_days(Days::new(1)).unwrap_or(end);
        let (earlier, later) = (at(until(start)), at(until(next_day)));
        Totals::between(self.counts_at(row, earlier), self.counts_at(row, later))
    }

    fn accounts_totals(&self, start: NaiveDate, end: NaiveDate) -> Totals {
        let mut sum = Totals::default();
        for row in self.all(Kind::Account).filter(|row| self.is_listed(*row)) {
            sum.add(self.totals(row, start, end));
        }
        sum
    }

    fn overview_figures(&self, start: NaiveDate, end: NaiveDate) -> Value {
        let totals = self.accounts_totals(start, end);
        let until = Moment::start_of(end.checked_add_days(Days::new(1)).unwrap_or(end));
        let accounts = self.accounts.iter().filter(|a| !a.deleted && a.added_at < until);
        let videos = self.video_order.iter().map(|n| self.videos[*n as usize].added_at);
        let posts = self.post_order.iter().map(|n| &self.posts[*n as usize]);
        json!({
            "total_views": totals.views,
            "engagement_rate": rate(&totals),
            "active_accounts": accounts.filter(|a| a.is_active).count(),
            "account_videos": posts
                .filter(|post| self.is_found(post) && post.growth.published < until).count(),
            "tracked_videos": videos.filter(|added_at| *added_at < until).count(),
        })
    }
}

/// `GET /overview`.
pub fn overview(world: &World, call: &Call) -> Result<Answer, Problem> {
    let days = preset_days(call, "7d")?;
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

/// `GET /creators/top`: by views gained.
pub fn top(world: &World, call: &Call) -> Result<Answer, Problem> {
    let limit = call.number_param("limit", SMALL_LIMIT_DEFAULT, SMALL_LIMIT_MAX)?;
    let days = preset_days(call, "7d")?;
    let (start, end) = (days_before(world.now.date(), days - 1), world.now.date());
    let creators = world.all(Kind::Creator).filter(|row| world.is_listed(*row));
    let mut ranked: Vec<(Totals, u32)> =
        creators.map(|row| (creator_totals(world, row.place, start, end), row.place)).collect();
    ranked.sort_by_key(|(totals, place)| (std::cmp::Reverse(totals.views), *place));
    let rows: Vec<Value> = ranked
        .iter()
        .take(limit)
        .enumerate()
        .map(|(n, (totals, place))| {
            let creator = &world.creators[*place as usize];
            let mut row = totals.json();
            row["rank"] = json!(n + 1);
            row["id"] = json!(creator.id.to_string());
            row["name"] = json!(creator.name);
            row["engagement_rate"] = json!(rate(totals));
            row
        })
        .collect();
    Ok(Answer::data(200, &rows))
}

/// `GET /creators/{id}/analytics`: one row per day.
pub fn analytics(world: &World, id: &str, call: &Call) -> Result<Answer, Problem> {
    let row = world.find(Kind::Creator, id).filter(|row| world.is_listed(*row));
    let row = row.ok_or_else(|| Problem::not_found("Creator"))?;
    let today = world.now.date();
    let end = date_param(call, "end_date")?.unwrap_or(today);
    let start = date_param(call, "start_date")?.unwrap_or_else(|| days_before(end, 29));
    if start > end || (end - start).num_days() > ANALYTICS_DAYS_MAX {
        let message = format!("must be from 0 to {ANALYTICS_DAYS_MAX} days before end_date");
        return Err(Problem::field("start_date", message));
    }
    let days: Vec<Value> = start
        .iter_days()
        .take_while(|date| *date <= end)
        .map(|date| {
            let mut day = creator_totals(world, row.place, date, date).json();
            day["date"] = json!(date.to_string());
            day["followers"] = json!(creator_followers(world, row.place, date));
            day
        })
        .collect();
    Ok(Answer::data(200, &days))
}

/// `GET /search`.
pub fn search(world: &World, call: &Call) -> Result<Answer, Problem> {
    let limit = call.number_param("limit", SMALL_LIMIT_DEFAULT, SMALL_LIMIT_MAX)?;
    let asked = call.param("q").unwrap_or_default();
    if asked.chars().count() > QUERY_LENGTH_MAX {
        return Err(Problem::field("q", format!("at most {QUERY_LENGTH_MAX} characters")));
    }
    let (cap, q) = (limit.min(SECTION_MAX), asked.trim().to_lowercase());
    let found = |kind| -> Vec<Row> {
        let rows = world.all(kind).filter(|row| !q.is_empty() && world.is_listed(*row));
        rows.filter(|row| world.searchable(*row).to_lowercase().contains(&q)).take(cap).collect()
    };
    let section = |kind, members: &[(&str, &str)]| -> Vec<Value> {
        let shown = |row: &Row| {
            let full = serde_json::to_value(world.view(*row)).unwrap_or_default();
            let pairs =
                members.iter().map(|(name, from)| ((*name).to_owned(), full[*from].clone()));
            Value::Object(pairs.collect())
        };
        found(kind).iter().map(shown).collect()
    };
    let account = [("id", "id"), ("platform", "platform"), ("username", "username")];
    let account = [&account[..], &[("display_name", "name")]].concat();
    let video = [("id", "id"), ("platform", "platform"), ("caption", "description")];
    let video =
        [&video[..], &[("account_id", "account_id"), ("account_username", "account_username")]];
    Ok(Answer::json(
        200,
        &json!({
            "data": {
                "accounts": section(Kind::Account, &account),
                "creators": section(Kind::Creator, &[("id", "id"), ("name", "name")]),
                "videos": section(Kind::Video, &video.concat()),
            },
            "meta": {
                "query": asked,
                "limit_per_section": limit,
                "effective_caps": { "accounts": cap, "creators": cap, "videos": cap },
            },
        }),
    ))
}

fn creator_totals(world: &World, creator: u32, start: NaiveDate, end: NaiveDate) -> Totals {
    let mut sum = Totals::default();
    for place in &world.creators[creator as usize].accounts {
        sum.add(world.totals(Row { kind: Kind::Account, place: *place }, start, end));
    }
    sum
}

fn creator_followers(world: &World, creator: u32, date: NaiveDate) -> i64 {
    let end = Moment::start_of(date.checked_add_days(Days::new(1)).unwrap_or(date)).plus(-1);
    let accounts = world.creators[creator as usize].accounts.iter();
    accounts
        .map(|place| &world.accounts[*place as usize])
        .filter_map(|account| Some(account.growth.followers(account.schedule.last_before(end)?)))
        .sum()
}

fn preset_days(call: &Call, default: &str) -> Result<u64, Problem> {
    match call.param("period").unwrap_or(default) {
        "7d" => Ok(7),
        "30d" => Ok(30),
        "90d" => Ok(90),
        _ => Err(Problem::field("period", "must be 7d, 30d or 90d")),
    }
}

fn date_param(call: &Call, name: &str) -> Result<Option<NaiveDate>, Problem> {
    let Some(text) = call.param(name) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| Problem::field(name, "must be a date, YYYY-MM-DD"))
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
