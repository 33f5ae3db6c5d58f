//! The rows that the views should have, computed scrape by scrape from their definitions. A float in place of a count is
//! its value before rounding.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, TimeDelta, TimeZone, Timelike, Utc};
use creatormirror::model::Instant;
use serde_json::{Value, json};

use crate::model::{Counted, Member, Model, Post};
use crate::world::{Counts, DAY_S, account_id, creator_id, external_id, username, video_id};

pub type Rows = Vec<Vec<Value>>;

const DAY_MICROS: i64 = DAY_S * 1_000_000;

pub fn date(day: i64) -> Value {
    let midnight = DateTime::from_timestamp(day * DAY_S, 0).unwrap();
    json!(midnight.date_naive().to_string())
}

fn text(seconds: i64) -> Value {
    json!(Instant { seconds, nanos: 0 }.to_text())
}

/// Local time in Berlin: an hour ahead of UTC, and two from the last Sunday of March to the last of October, 01:00 UTC.
fn in_berlin(seconds: i64) -> DateTime<FixedOffset> {
    let at = DateTime::from_timestamp(seconds, 0).unwrap();
    let change = |month: u32| {
        let last = Utc.with_ymd_and_hms(at.year(), month, 31, 1, 0, 0).unwrap();
        last - TimeDelta::days(last.weekday().num_days_from_sunday().into())
    };
    let hours = if (change(3)..change(10)).contains(&at) { 2 } else { 1 };
    at.with_timezone(&FixedOffset::east_opt(hours * 3600).unwrap())
}

/// Nanoseconds since 1970.
fn nanos(at: Instant) -> i128 {
    i128::from(at.seconds) * 1_000_000_000 + i128::from(at.nanos)
}

fn whole(seconds: i64) -> Instant {
    Instant { seconds, nanos: 0 }
}

fn difference(now: Option<i64>, before: Option<i64>) -> Option<i64> {
    Some(now? - before?)
}

/// The count at an instant on the straight line between two scrapes.
fn between(
    at: Instant,
    before: (Instant, Option<i64>),
    after: (Instant, Option<i64>),
) -> Option<f64> {
    let (from, to) = (before.1? as f64, after.1? as f64);
    let part = (nanos(at) - nanos(before.0)) as f64 / (nanos(after.0) - nanos(before.0)) as f64;
    Some(from + (to - from) * part)
}

fn engagement(counts: &Counts) -> Option<i64> {
    let known = counts[1..4].iter().flatten().copied().collect::<Vec<_>>();
    (!known.is_empty()).then(|| known.iter().sum())
}

/// Whether a post was published at most 1.5 intervals before its first scrape.
fn is_seen_at_once(post: &Post<'_>) -> bool {
    let first = post.scrapes.first_key_value();
    first.zip(post.create).is_some_and(|((at, scrape), create)| {
        2 * (at.seconds - create) <= 3 * 3_600 * scrape.interval.unwrap_or(24)
    })
}

fn last_until(post: &Post<'_>, end: i64) -> Option<(Instant, Counted)> {
    post.scrapes.range(..whole(end)).next_back().map(|(at, scrape)| (*at, *scrape))
}

/// The later of the two last scrapes, that of the video if both are equal.
fn newer<'w>(post: &Post<'w>, now: i64) -> &'w Member {
    let scraped = |member: &Member| crate::world::scraped_at(member.now.scrape, now);
    match (post.video, post.account_video) {
        (Some(video), Some(other)) if scraped(other) > scraped(video) => other,
        (Some(one), _) | (None, Some(one)) => one,
        (None, None) => panic!("a post has a row"),
    }
}

fn is_unavailable(post: &Post<'_>) -> Option<bool> {
    let present = [post.video, post.account_video].into_iter().flatten();
    let mut members = present.collect::<Vec<_>>();
    if members.iter().any(|member| member.removed.is_none()) {
        members.retain(|member| member.removed.is_none());
    }
    members.iter().filter_map(|member| member.now.is_unavailable).max()
}

fn is_removed(post: &Post<'_>) -> bool {
    let mut members = [post.video, post.account_video].into_iter().flatten();
    members.all(|member| member.removed.is_some())
}

/// `posts` in the order of POSTS_SQL.
pub fn posts(model: &Model, posts: &BTreeMap<String, Post<'_>>, now: i64) -> Rows {
    let row = |post: &Post<'_>| {
        let platform = post.first_of(Member::platform);
        let external = post.first_of(|member| member.now.identity.external);
        let username = post.first_of(|member| member.now.identity.account).map(username);
        let url = match (platform, external, &username) {
            (Some("tiktok"), Some(e), Some(user)) => {
                Some(format!("https://www.tiktok.com/@{user}/video/{}", external_id(e)))
            }
            (Some("instagram"), Some(e), _) => Some(format!("https://www.instagram.com/p/s{e}/")),
            _ => None,
        };
        let account = model.accounts.iter().find(|a| post.account == Some(account_id(a.n)));
        let first = [post.video, post.account_video].into_iter().flatten();
        let first = first.filter_map(|member| member.now.first_scrape.map(|at| at.seconds(now)));
        let last = newer(post, now);
        let at = crate::world::scraped_at(last.now.scrape, now);
        let counts = last.now.counts;
        let views = counts[0].filter(|views| *views != 0);
        let rate = engagement(&counts).zip(views).map(|(one, views)| one as f64 / views as f64);
        let local = post.create.map(in_berlin);
        let mut row = vec![
            json!(post.key),
            json!(platform),
            json!(external.map(external_id)),
            json!(url),
            json!(post.video.map(|video| video_id(video.n))),
            json!(post.account_video.map(|video| video.n.to_string())),
            json!(i64::from(post.video.is_some_and(|video| video.removed.is_none()))),
            json!(post.account),
            json!(username),
            json!(account.and_then(|account| account.now.creator).map(creator_id)),
            json!(post.video.map(|video| format!("{{\"n\":{}}}", video.n))),
            json!(post.first_of(|member| member.now.caption)),
            json!(post.create.map(text)),
            json!(first.min().map(text)),
            json!(at.map(Instant::to_text)),
        ];
        row.extend(counts.map(|count| json!(count)));
        row.extend([
            json!(rate),
            json!(is_unavailable(post).map(i64::from)),
            json!(i64::from(is_removed(post))),
            json!(local.map(|at| at.date_naive().to_string())),
            json!(local.map(|at| at.hour())),
            json!(local.map(|at| at.weekday().number_from_monday())),
        ]);
        row
    };
    posts.values().map(row).collect()
}

pub fn history(posts: &BTreeMap<String, Post<'_>>) -> Rows {
    let mut rows = Rows::new();
    for post in posts.values() {
        for (at, scrape) in &post.scrapes {
            let mut row = vec![json!(post.key), json!(at.to_text()), json!(at.seconds)];
            row.extend(scrape.counts.map(|count| json!(count)));
            rows.push(row);
        }
    }
    rows
}

pub fn gains(posts: &BTreeMap<String, Post<'_>>, now: i64) -> Rows {
    let windows =
        |post| [1, 7, 14, 28, 30, 90].into_iter().filter_map(move |days| gain(post, days, now));
    posts.values().flat_map(windows).collect()
}

/// A post's row of `post_gains` for one window; `None` if it has no scrape in it.
fn gain(post: &Post<'_>, days: i64, now: i64) -> Option<Vec<Value>> {
    let start = whole(now - days * DAY_S);
    let (to, last) = post.scrapes.last_key_value()?;
    let (after, first) = post.scrapes.iter().find(|(at, _)| **at > start)?;
    let before = post.scrapes.iter().rfind(|(at, _)| **at <= start);
    let is_published = |create: &i64| (start.seconds..=to.seconds).contains(create);
    let published = post.create.filter(is_published);
    let from = match (published, before) {
        (Some(create), _) => whole(create),
        (None, Some(_)) => start,
        (None, None) => *after,
    };
    let base = |n: usize| match (published, before) {
        (Some(_), _) => Some(0.0),
        (None, Some((at, scrape))) => {
            between(start, (*at, scrape.counts[n]), (*after, first.counts[n]))
        }
        (None, None) => first.counts[n].map(|count| count as f64),
    };
    let is_wide = before.is_some_and(|(at, scrape)| {
        let hours = scrape.interval.unwrap_or(24).max(first.interval.unwrap_or(24));
        nanos(*after) - nanos(*at) > i128::from(hours) * 5_400 * 1_000_000_000
    });
    let mut row = vec![
        json!(post.key),
        json!(days),
        json!(from.to_text()),
        json!(from.seconds),
        json!(to.to_text()),
        json!(to.seconds),
        json!((nanos(*to) - nanos(from)) as f64 / 3.6e12),
    ];
    row.extend([0, 1, 2, 3, 5].map(|n| {
        let gain = last.counts[n].zip(base(n)).map(|(count, base)| count as f64 - base);
        json!(gain)
    }));
    row.extend([
        json!(i64::from(published.is_some())),
        json!(i64::from(published.is_none() && before.is_none())),
        json!(i64::from(published.is_none() && is_wide)),
    ]);
    Some(row)
}

/// What a post gained on a day: views, likes, comments, shares and saves.
type DayGains = [Option<i64>; 5];

/// The days of a post from its first scrape to today: the last scrape until the end of the day, and the gains.
fn days(post: &Post<'_>, today: i64) -> Vec<(i64, (Instant, Counted), DayGains)> {
    let Some((first, _)) = post.scrapes.first_key_value() else { return Vec::new() };
    let day = |day: i64| {
        let last = last_until(post, (day + 1) * DAY_S).unwrap();
        let gained = |n: usize| match last_until(post, day * DAY_S) {
            Some((_, before)) => difference(last.1.counts[n], before.counts[n]),
            None if is_seen_at_once(post) => last.1.counts[n],
            None => None,
        };
        (day, last, [0, 1, 2, 3, 5].map(gained))
    };
    (first.seconds.div_euclid(DAY_S)..=today).map(day).collect()
}

pub fn post_days(posts: &BTreeMap<String, Post<'_>>, today: i64) -> Rows {
    let mut rows = Rows::new();
    for post in posts.values() {
        for (day, (at, scrape), gains) in days(post, today) {
            let mut row = vec![json!(post.key), date(day)];
            row.extend(scrape.counts.map(|count| json!(count)));
            row.extend(gains.map(|gain| json!(gain)));
            row.push(json!(i64::from(at.seconds < day * DAY_S)));
            rows.push(row);
        }
    }
    rows
}

/// A day of an account.
pub struct AccountDay {
    pub n: usize,
    pub day: i64,
    followers: Option<i64>,
    followers_gained: Option<i64>,
    published: i64,
    /// Views, likes, comments and shares.
    gained: [i64; 4],
    is_carried: bool,
    creator: Option<usize>,
}

pub fn account_days(
    model: &Model,
    posts: &BTreeMap<String, Post<'_>>,
    today: i64,
) -> Vec<AccountDay> {
    let mut rows = Vec::new();
    for account in &model.accounts {
        let id = Some(account_id(account.n));
        let own = posts.values().filter(|post| post.account == id).collect::<Vec<_>>();
        let mut gained: BTreeMap<i64, [i64; 4]> = BTreeMap::new();
        for (day, _, gains) in own.iter().flat_map(|post| days(post, today)) {
            let sums = gained.entry(day).or_default();
            (0..4).for_each(|n| sums[n] += gains[n].unwrap_or(0));
        }
        let Some((first, _)) = account.scrapes.first_key_value() else { continue };
        for day in first.seconds.div_euclid(DAY_S)..=today {
            let last = |end: i64| account.scrapes.range(..whole(end * DAY_S)).next_back();
            let (at, followers) = last(day + 1).unwrap();
            let before = last(day).and_then(|(_, followers)| *followers);
            let is_on_day = |create: i64| create.div_euclid(DAY_S) == day;
            let published = own.iter().filter(|post| post.create.is_some_and(is_on_day)).count();
            rows.push(AccountDay {
                n: account.n,
                day,
                followers: *followers,
                followers_gained: difference(*followers, before),
                published: i64::try_from(published).unwrap(),
                gained: gained.get(&day).copied().unwrap_or_default(),
                is_carried: at.seconds < day * DAY_S,
                creator: account.creator_before((day + 1) * DAY_MICROS),
            });
        }
    }
    rows
}

pub fn account_daily(days: &[AccountDay]) -> Rows {
    let row = |day: &AccountDay| {
        let mut row = vec![
            json!(account_id(day.n)),
            date(day.day),
            json!(day.followers),
            json!(day.followers_gained),
            json!(day.published),
        ];
        row.extend(day.gained.map(|gain| json!(gain)));
        row.push(json!(i64::from(day.is_carried)));
        row
    };
    sorted(days.iter().map(row).collect())
}

/// The sum of what is known; `None` if nothing is.
fn sum(values: impl Iterator<Item = Option<i64>>) -> Option<i64> {
    values.flatten().reduce(|one, other| one + other)
}

fn group<K: Ord>(
    days: &[AccountDay],
    key: impl Fn(&AccountDay) -> Option<K>,
) -> BTreeMap<K, Vec<&AccountDay>> {
    let mut groups: BTreeMap<K, Vec<&AccountDay>> = BTreeMap::new();
    for day in days {
        if let Some(key) = key(day) {
            groups.entry(key).or_default().push(day);
        }
    }
    groups
}

pub fn creator_daily(days: &[AccountDay]) -> Rows {
    let groups = group(days, |day| Some((day.creator?, day.day)));
    let row = |((creator, day), days): ((usize, i64), Vec<&AccountDay>)| {
        let mut row = vec![
            json!(creator_id(creator)),
            date(day),
            json!(sum(days.iter().map(|day| day.followers))),
            json!(sum(days.iter().map(|day| day.followers_gained))),
            json!(days.iter().map(|day| day.published).sum::<i64>()),
        ];
        row.extend((0..4).map(|n| json!(days.iter().map(|day| day.gained[n]).sum::<i64>())));
        row
    };
    sorted(groups.into_iter().map(row).collect())
}

pub fn account_weekly(model: &Model, days: &[AccountDay]) -> Rows {
    let monday = |day: i64| {
        let date = DateTime::from_timestamp(day * DAY_S, 0).unwrap().date_naive();
        date.week(chrono::Weekday::Mon).first_day()
    };
    let groups = group(days, |day| Some((day.n, monday(day.day))));
    let row = |((n, monday), days): ((usize, NaiveDate), Vec<&AccountDay>)| {
        let start = whole(monday.and_hms_opt(0, 0, 0).unwrap().and_utc().timestamp());
        let before = model.account(n).unwrap().scrapes.range(..start).next_back();
        let before = before.and_then(|(_, followers)| *followers).filter(|count| *count != 0);
        let followers = days.last().unwrap().followers;
        let gained = sum(days.iter().map(|day| day.followers_gained));
        let total = |n: usize| days.iter().map(|day| day.gained[n]).sum::<i64>();
        let engagement = (total(1) + total(2) + total(3)) as f64;
        let per = |count: i64| (count != 0).then(|| engagement / count as f64);
        vec![
            json!(account_id(n)),
            json!(monday.to_string()),
            json!(followers),
            json!(gained),
            json!(gained.zip(before).map(|(gained, before)| 100.0 * gained as f64 / before as f64)),
            json!(days.iter().map(|day| day.published).sum::<i64>()),
            json!(total(0)),
            json!(per(total(0))),
            json!(followers.and_then(per)),
        ]
    };
    sorted(groups.into_iter().map(row).collect())
}

/// The columns of `post_age_metrics` that need no other post.
pub fn ages(posts: &BTreeMap<String, Post<'_>>) -> Rows {
    let row = |post: &Post<'_>| {
        let views = |counts: &Counts| counts[0];
        let views = [24, 72, 168, 672].map(|hours| json!(at_age(post, hours, views)));
        let engagements = [24, 168].map(|hours| json!(at_age(post, hours, engagement)));
        std::iter::once(json!(post.key)).chain(views).chain(engagements).collect()
    };
    posts.values().map(row).collect()
}

fn at_age(post: &Post<'_>, hours: i64, count: impl Fn(&Counts) -> Option<i64>) -> Option<f64> {
    let at = whole(post.create? + hours * 3_600);
    let (after, scrape) = post.scrapes.range(at..).next()?;
    let after = (*after, count(&scrape.counts));
    if after.0 == at {
        return after.1.map(|count| count as f64);
    }
    match post.scrapes.range(..at).next_back() {
        Some((before, scrape)) => between(at, (*before, count(&scrape.counts)), after),
        None if is_seen_at_once(post) => between(at, (whole(post.create?), Some(0)), after),
        None => None,
    }
}

/// The median of each account's `views_7d`, as shown, by `account_id`.
pub fn medians(views: &[(Option<String>, Option<i64>)]) -> BTreeMap<String, f64> {
    let mut by_account: BTreeMap<&String, Vec<i64>> = BTreeMap::new();
    for (account, views) in views {
        if let (Some(account), Some(views)) = (account, views) {
            by_account.entry(account).or_default().push(*views);
        }
    }
    let median = |(account, mut views): (&String, Vec<i64>)| {
        views.sort_unstable();
        let (low, high) = (views[(views.len() - 1) / 2], views[views.len() / 2]);
        (account.clone(), f64::midpoint(low as f64, high as f64))
    };
    by_account.into_iter().map(median).collect()
}

/// The hashtags of a caption, as a person would find them.
pub fn hashtags(caption: &str) -> BTreeSet<String> {
    let ends = |c: char| {
        c.is_whitespace()
            || (c.is_ascii_punctuation() && c != '_')
            || "…“”‘’、。，！？：\u{fe0f}".contains(c)
    };
    let mut tags = BTreeSet::new();
    for (at, _) in caption.match_indices('#') {
        let tag: String = caption[at + 1..].chars().take_while(|c| !ends(*c)).collect();
        if tag.chars().any(|c| !c.is_ascii_digit()) {
            tags.insert(tag.to_ascii_lowercase());
        }
    }
    tags
}

/// Rows by their first two columns.
pub fn sorted(mut rows: Rows) -> Rows {
    rows.sort_by_key(|row| (row[0].to_string(), row[1].to_string()));
    rows
}
