//! Random answers of the API about a few accounts and posts, in the order in which the mirror receives them.

use creatormirror::model::{Instant, Kind};
use proptest::prelude::*;
use serde_json::{Value, json};

/// The counts of a scrape in the order of the history's columns: view, like, comment, share, play, saved.
pub type Counts = [Option<i64>; 6];

pub const NAMES: [&str; 6] =
    ["view_count", "like_count", "comment_count", "share_count", "play_count", "saved_count"];
pub const DAY_S: i64 = 86_400;

/// Captions with hashtags of ASCII and other letters, repeated, in other case, or without letters.
const CAPTIONS: [Option<&str>; 4] =
    [None, Some("no tags"), Some("Pie! #Baking,#pie #PIE (#食べ物)"), Some("🔥#été\n#2024 #a_1-b")];

/// A time that the test places relative to now.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// Seconds after the start of a window of this many days.
    Window(i64, i64),
    /// Whole days before today, and the second of that UTC day.
    Day(i64, i64),
    /// Unix seconds.
    Fixed(i64),
}

impl When {
    pub fn seconds(self, now: i64) -> i64 {
        match self {
            Self::Window(days, seconds) => now - days * DAY_S + seconds,
            Self::Day(days, second) => (now.div_euclid(DAY_S) - days) * DAY_S + second,
            Self::Fixed(seconds) => seconds,
        }
    }
}

/// When a scrape was made, and nanoseconds.
pub type Scrape = Option<(When, u32)>;

#[derive(Debug, Clone)]
pub struct AccountAnswer {
    pub creator: Option<usize>,
    pub interval: Option<i64>,
    pub followers: Option<i64>,
    pub scrape: Scrape,
}

/// What rarely changes.
#[derive(Debug, Clone)]
pub struct Identity {
    pub external: Option<usize>,
    pub platform: Option<&'static str>,
    pub account: Option<usize>,
    pub create: Option<When>,
}

#[derive(Debug, Clone)]
pub struct PostAnswer {
    pub identity: Identity,
    pub interval: Option<i64>,
    pub is_unavailable: Option<bool>,
    pub caption: Option<&'static str>,
    pub first_scrape: Option<When>,
    pub scrape: Scrape,
    pub counts: Counts,
}

#[derive(Debug, Clone)]
pub enum Answer {
    Account(AccountAnswer),
    Video(PostAnswer),
    AccountVideo(PostAnswer),
    Removed(Kind),
}

/// What the mirror learns about the `n`th resource of a kind from a request that started at `at`. It is received
/// after the next `delay` answers of later requests.
#[derive(Debug, Clone)]
pub struct Event {
    pub at: When,
    pub delay: usize,
    pub n: usize,
    pub answer: Answer,
}

impl Answer {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Account(_) => Kind::Account,
            Self::Video(_) => Kind::Video,
            Self::AccountVideo(_) => Kind::AccountVideo,
            Self::Removed(kind) => *kind,
        }
    }

    /// The resource as the API shows it; `None` if it is removed.
    pub fn to_json(&self, n: usize, now: i64) -> Option<Value> {
        let text = |when: When| Instant { seconds: when.seconds(now), nanos: 0 }.to_text();
        match self {
            Self::Account(account) => Some(json!({
                "id": account_id(n),
                "creator_id": account.creator.map(creator_id),
                "scrape_interval_hours": account.interval,
                "follower_count": account.followers,
                "last_scrape_time": scraped_at(account.scrape, now).map(Instant::to_text),
            })),
            Self::Video(post) | Self::AccountVideo(post) => {
                let mut row = json!({
                    "id": n,
                    "external_id": post.identity.external.map(external_id),
                    "shortcode": post.identity.external.map(|external| format!("s{external}")),
                    "account_id": post.identity.account.map(account_id),
                    "account_username": post.identity.account.map(username),
                    "create_time": post.identity.create.map(text),
                    "is_unavailable": post.is_unavailable,
                    "description": post.caption,
                    "first_scrape_time": post.first_scrape.map(text),
                    "last_scrape_time": scraped_at(post.scrape, now).map(Instant::to_text),
                });
                let platform = match self {
                    Self::AccountVideo(_) => platform_of(n),
                    _ => {
                        row["id"] = json!(video_id(n));
                        row["scrape_interval_hours"] = json!(post.interval);
                        row["metadata"] = json!({"n": n});
                        post.identity.platform
                    }
                };
                row["platform"] = json!(platform);
                for (name, count) in NAMES.iter().zip(post.counts) {
                    row[*name] = json!(count);
                }
                Some(row)
            }
            Self::Removed(_) => None,
        }
    }
}

pub fn scraped_at(scrape: Scrape, now: i64) -> Option<Instant> {
    scrape.map(|(when, nanos)| Instant { seconds: when.seconds(now), nanos })
}

pub fn account_id(n: usize) -> String {
    format!("a{n}")
}

pub fn username(n: usize) -> String {
    format!("user{n}")
}

pub fn creator_id(n: usize) -> String {
    format!("c{n}")
}

pub fn external_id(n: usize) -> String {
    format!("e{n}")
}

pub fn video_id(n: usize) -> String {
    format!("v{n}")
}

/// The platform of the `n`th account video, which is a part of its identity.
pub fn platform_of(n: usize) -> Option<&'static str> {
    [Some("tiktok"), Some("tiktok"), Some("instagram"), None][n]
}

/// Times around the borders of days and windows, most of them in the last days. None is in the future.
fn when() -> impl Strategy<Value = When> {
    let second =
        prop_oneof![3 => Just(0), 2 => Just(DAY_S - 1), 2 => Just(DAY_S / 2), 2 => 0..DAY_S];
    let days = prop_oneof![4 => 1_i64..9, 1 => 1_i64..100];
    let window = prop::sample::select(vec![1_i64, 7, 14, 28, 30, 90]);
    let after = prop_oneof![-4_000_i64..4_000, -2_i64..8];
    prop_oneof![
        4 => (days, second).prop_map(|(days, second)| When::Day(days, second)),
        1 => (window, after).prop_map(|(days, seconds)| When::Window(days, seconds)),
    ]
}

/// Times of publication: also at the changes of daylight saving in Berlin, on 2025-10-26 and 2026-03-29.
fn publication() -> impl Strategy<Value = When> {
    let change = prop::sample::select(vec![1_761_440_400_i64, 1_774_746_000]);
    let change = (change, prop::sample::select(vec![-3_600_i64, -1, 0, 1, 3_600]));
    prop_oneof![8 => when(), 1 => change.prop_map(|(at, after)| When::Fixed(at + after))]
}

fn scrape() -> impl Strategy<Value = Scrape> {
    let nanos = prop_oneof![4 => Just(0_u32), 1 => Just(999_999_999), 1 => 0_u32..1_000_000_000];
    prop::option::weighted(0.9, (when(), nanos))
}

fn interval() -> impl Strategy<Value = Option<i64>> {
    prop::sample::select(vec![None, Some(1), Some(6), Some(24), Some(24), Some(48)])
}

fn count() -> impl Strategy<Value = Option<i64>> {
    prop::option::weighted(0.85, prop_oneof![Just(0), 0_i64..1_000])
}

fn account() -> impl Strategy<Value = AccountAnswer> {
    (prop::option::weighted(0.7, 0_usize..2), interval(), count(), scrape()).prop_map(
        |(creator, interval, followers, scrape)| AccountAnswer {
            creator,
            interval,
            followers,
            scrape,
        },
    )
}

fn identity() -> impl Strategy<Value = Identity> {
    (
        prop::option::weighted(0.8, 0_usize..2),
        prop::sample::select(vec![Some("tiktok"), Some("tiktok"), Some("instagram"), None]),
        prop::option::weighted(0.85, 0_usize..2),
        prop::option::weighted(0.85, publication()),
    )
        .prop_map(|(external, platform, account, create)| Identity {
            external,
            platform,
            account,
            create,
        })
}

fn post() -> impl Strategy<Value = PostAnswer> {
    let state = (
        interval(),
        prop::option::of(prop::bool::ANY),
        prop::sample::select(CAPTIONS.to_vec()),
        prop::option::weighted(0.7, when()),
    );
    (identity(), state, scrape(), prop::array::uniform6(count())).prop_map(
        |(identity, (interval, is_unavailable, caption, first_scrape), scrape, counts)| {
            PostAnswer { identity, interval, is_unavailable, caption, first_scrape, scrape, counts }
        },
    )
}

fn answer() -> impl Strategy<Value = Answer> {
    let removed = prop::sample::select(vec![Kind::Account, Kind::Video, Kind::AccountVideo]);
    prop_oneof![
        3 => account().prop_map(Answer::Account),
        5 => post().prop_map(Answer::Video),
        5 => post().prop_map(Answer::AccountVideo),
        1 => removed.prop_map(Answer::Removed),
    ]
}

/// Events in which most answers about a post repeat its identity.
pub fn events(max: usize) -> impl Strategy<Value = Vec<Event>> {
    let delay = prop_oneof![4 => Just(0_usize), 1 => 1_usize..6];
    let event = (when(), delay, 0_usize..4, answer(), prop::bool::weighted(0.2));
    let usual = prop::collection::vec(identity(), 8);
    (usual, prop::collection::vec(event, 1..max)).prop_map(|(usual, events)| {
        let event = |(at, delay, n, mut answer, is_edit): (When, usize, usize, Answer, bool)| {
            match &mut answer {
                Answer::Video(post) if !is_edit => post.identity = usual[n].clone(),
                Answer::AccountVideo(post) if !is_edit => post.identity = usual[4 + n].clone(),
                _ => {}
            }
            let n = if answer.kind() == Kind::Account { n % 2 } else { n };
            Event { at, delay, n, answer }
        };
        events.into_iter().map(event).collect()
    })
}

/// Sorts events by the start of their requests, then delays some. Returns the microseconds of each.
pub fn in_order(events: &[Event], now: i64) -> Vec<(i64, Event)> {
    let mut sorted = (0_i64..)
        .zip(events)
        .map(|(n, event)| (event.at.seconds(now) * 1_000_000 + n, event.clone()))
        .collect::<Vec<_>>();
    sorted.sort_by_key(|(at, _)| *at);
    let mut places = sorted.into_iter().enumerate().collect::<Vec<_>>();
    places.sort_by_key(|(place, (_, event))| (place + event.delay, *place));
    places.into_iter().map(|(_, event)| event).collect()
}
