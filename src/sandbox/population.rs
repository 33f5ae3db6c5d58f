//! Who lives in a new world, and how rows come into it later.

use rand::RngExt;

use crate::model::Kind;
use crate::sandbox::growth::{AccountGrowth, Platform, PostGrowth, hours};
use crate::sandbox::moment::{DAY, HOUR, Moment, SECOND};
use crate::sandbox::schedule::Schedule;
use crate::sandbox::words;
use crate::sandbox::world::{Account, Creator, Metadata, Post, Row, Video, World};

const VIDEO_INTERVALS: [u32; 8] = [1, 3, 6, 12, 24, 24, 24, 48];
const ACCOUNT_INTERVALS: [u32; 4] = [24, 12, 24, 6];
const CATEGORIES: [&str; 5] = ["beauty", "food", "fitness", "travel", "comedy"];
/// Account videos are counted from here, on each platform alike, so that equal numbers are common.
const FIRST_POST_NUMBER: u64 = 1_001;

impl World {
    /// Fills an empty world and lets its past happen.
    pub(super) fn populate(&mut self) {
        let settings = self.settings.clone();
        for (n, added_at) in self.past(settings.accounts).into_iter().enumerate() {
            self.first_account(n, added_at);
        }
        for n in 0..settings.creators {
            self.first_creator(n, settings.creators);
        }
        for (n, added_at) in self.past(settings.videos).into_iter().enumerate() {
            self.first_video(n, added_at);
        }
        let now = self.now;
        self.bring_up(now);
        self.first_posts(settings.account_videos);
    }

    /// When rows were added, oldest first, so that each lands at the end of its list.
    fn past(&mut self, rows: usize) -> Vec<Moment> {
        let longest = i64::from(self.settings.past_days.max(1)) * DAY;
        let mut ago = |_| self.random.random_range(60 * SECOND..longest);
        let ago: Vec<i64> = (0..rows).map(&mut ago).collect();
        let mut past: Vec<_> = ago.iter().map(|ms| self.now.plus(-ms).whole_second()).collect();
        past.sort_unstable();
        past
    }

    fn first_account(&mut self, n: usize, added_at: Moment) {
        let platform = Platform::ALL[n % 2];
        let place = self.add_account(platform, words::username(n as u64 + 1), added_at);
        let (active, lost) = (self.random.random_bool(0.92), self.random.random_bool(0.04));
        let interval = ACCOUNT_INTERVALS[n % ACCOUNT_INTERVALS.len()];
        let quits_at = self.quits_at(added_at);
        let category = CATEGORIES.get(n % (CATEGORIES.len() + 1)).map(|name| (*name).to_owned());
        let account = &mut self.accounts[place as usize];
        account.category = category;
        account.interval_hours = interval;
        if n.is_multiple_of(4) {
            account.metadata.insert("campaign".to_owned(), format!("spring-{}", n % 3));
        }
        account.schedule.run(added_at, hours(interval));
        account.is_active = active;
        account.is_unavailable = lost;
        if !active || lost {
            account.schedule.advance(quits_at);
            account.schedule.stop();
        }
        self.reschedule(Row { kind: Kind::Account, place });
    }

    fn first_creator(&mut self, n: usize, creators: usize) {
        let place = self.add_creator(words::display_name(self.seed ^ (n as u64 * 7_919)));
        // Two accounts each while they last, and one creator without any.
        for account in [2 * n, 2 * n + 1] {
            if account < self.accounts.len() && n + 1 < creators {
                self.accounts[account].creator = Some(place);
                self.creators[place as usize].accounts.push(account as u32);
            }
        }
        if n.is_multiple_of(3) {
            let tags = &mut self.creators[place as usize].metadata;
            tags.insert("manager".to_owned(), "alex".to_owned());
        }
    }

    fn first_video(&mut self, n: usize, added_at: Moment) {
        let platform = Platform::ALL[n % 2];
        let external_id = self.draw_external_id(platform);
        let place = self.add_video(platform, external_id, added_at);
        let (active, lost) = (self.random.random_bool(0.93), self.random.random_bool(0.02));
        let quits_at = self.quits_at(added_at);
        let never_scraped = n % 97 == 96;
        let owner = (n % 3 == 1 && !self.accounts.is_empty()).then(|| n % self.accounts.len());
        let owner = owner.filter(|account| self.accounts[*account].platform == platform);
        let video = &mut self.videos[place as usize];
        video.interval_hours = VIDEO_INTERVALS[n % VIDEO_INTERVALS.len()];
        video.account = owner.map(|account| account as u32);
        video.is_active = active && !never_scraped;
        video.is_unavailable = lost;
        if n.is_multiple_of(5) {
            video.metadata.insert("campaign".to_owned(), format!("spring-{}", n % 4));
        }
        if !never_scraped {
            video.schedule.run(added_at, hours(video.interval_hours));
        }
        if !active || lost {
            video.schedule.advance(quits_at);
            video.schedule.stop();
        }
        self.reschedule(Row { kind: Kind::Video, place });
    }

    /// Spreads posts over the accounts whose feed has been read.
    fn first_posts(&mut self, posts: usize) {
        let owners: Vec<(u32, Moment)> = (0u32..)
            .zip(&self.accounts)
            .filter_map(|(place, account)| Some((place, account.schedule.last()?)))
            .collect();
        let mut drawn = Vec::with_capacity(posts);
        for n in 0..posts {
            let Some((account, last)) = owners.get(n % owners.len().max(1)).copied() else {
                return;
            };
            let ago = self.random.random_range(HOUR..120 * DAY);
            drawn.push((last.plus(-ago).whole_second(), account));
        }
        drawn.sort_unstable();
        for (published, account) in drawn {
            self.add_post(account, published);
        }
    }

    fn quits_at(&mut self, added_at: Moment) -> Moment {
        let lived = self.random.random_range(0..=(self.now.0 - added_at.0).max(1));
        added_at.plus(lived.max(10 * SECOND)).min(self.now)
    }

    /// A platform's id for a post that nobody tracks yet.
    pub(super) fn draw_external_id(&mut self, platform: Platform) -> u64 {
        loop {
            let id = self.random.random_range(7_000_000_000_000_000_000..7_600_000_000_000_000_000);
            if !self.video_by_post.contains_key(&(platform, id)) {
                return id;
            }
        }
    }

    /// A new account that nothing is scheduled for yet.
    pub(super) fn add_account(
        &mut self,
        platform: Platform,
        username: String,
        added_at: Moment,
    ) -> u32 {
        let place = self.accounts.len() as u32;
        let id = words::uuid(self.random.random(), self.random.random());
        let (text, seed) = (self.random.random(), self.random.random());
        let growth = AccountGrowth::draw(&mut self.random, added_at);
        let whole_seconds = platform == Platform::Instagram;
        self.accounts.push(Account {
            id,
            platform,
            username,
            text,
            is_active: true,
            is_unavailable: false,
            creator: None,
            category: None,
            metadata: Metadata::new(),
            added_at,
            interval_hours: 24,
            max_posts: None,
            lookback_days: None,
            schedule: Schedule::idle(seed, whole_seconds),
            growth,
            posts: Vec::new(),
            next_post_at: self.now.max(added_at),
            deleted: false,
        });
        self.account_by_id.insert(id, place);
        let accounts = &self.accounts;
        let key = (added_at, id);
        insert_sorted(&mut self.account_order, place, |n| {
            (accounts[n as usize].added_at, accounts[n as usize].id) < key
        });
        place
    }

    /// A new creator without accounts.
    pub(super) fn add_creator(&mut self, name: String) -> u32 {
        let place = self.creators.len() as u32;
        let id = words::uuid(self.random.random(), self.random.random());
        self.creators.push(Creator {
            id,
            name,
            is_active: true,
            metadata: Metadata::new(),
            accounts: Vec::new(),
            deleted: false,
        });
        self.creator_by_id.insert(id, place);
        place
    }

    /// A new video that nothing is scheduled for yet.
    pub(super) fn add_video(
        &mut self,
        platform: Platform,
        external_id: u64,
        added_at: Moment,
    ) -> u32 {
        let place = self.videos.len() as u32;
        let id = words::uuid(self.random.random(), self.random.random());
        let (text, seed) = (self.random.random(), self.random.random());
        let published = added_at.plus(-self.random.random_range(HOUR..10 * DAY)).whole_second();
        let growth = PostGrowth::draw(&mut self.random, published);
        let whole_seconds = platform == Platform::Instagram;
        self.videos.push(Video {
            id,
            platform,
            external_id,
            text,
            account: None,
            username: None,
            is_active: true,
            is_unavailable: false,
            interval_hours: 24,
            metadata: Metadata::new(),
            added_at,
            updated_at: None,
            schedule: Schedule::idle(seed, whole_seconds),
            growth,
            deleted: false,
        });
        self.video_by_id.insert(id, place);
        self.video_by_post.insert((platform, external_id), place);
        let videos = &self.videos;
        let key = (added_at, id);
        insert_sorted(&mut self.video_order, place, |n| {
            (videos[n as usize].added_at, videos[n as usize].id) < key
        });
        place
    }

    /// A new post in an account's feed.
    pub(super) fn add_post(&mut self, account: u32, published: Moment) -> u32 {
        let place = self.posts.len() as u32;
        let owner = &mut self.accounts[account as usize];
        owner.posts.push(place);
        let platform = owner.platform;
        let numbers = self.post_numbers.entry(platform).or_insert(FIRST_POST_NUMBER);
        let number = *numbers;
        *numbers += 1;
        let post = Post {
            number,
            account,
            platform,
            external_id: self
                .random
                .random_range(3_000_000_000_000_000_000..7_000_000_000_000_000_000),
            text: self.random.random(),
            growth: PostGrowth::draw(&mut self.random, published),
            deleted: false,
        };
        let key = post_key(&post);
        self.posts.push(post);
        self.post_by_number.insert((platform, number), place);
        let posts = &self.posts;
        insert_sorted(&mut self.post_order, place, |n| post_key(&posts[n as usize]) < key);
        place
    }
}

pub(super) fn post_key(post: &Post) -> (Moment, Platform, u64) {
    (post.growth.published, post.platform, post.number)
}

/// New rows nearly always belong at the end.
pub(super) fn insert_sorted(order: &mut Vec<u32>, place: u32, is_before: impl Fn(u32) -> bool) {
    let at = match order.last() {
        Some(last) if !is_before(*last) => order.partition_point(|n| is_before(*n)),
        _ => order.len(),
    };
    order.insert(at, place);
}
