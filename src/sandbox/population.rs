//! Who lives in a new world, and how rows come into it later.

use rand::RngExt;

use crate::model::Kind;
use crate::sandbox::growth::{AccountGrowth, Platform, PostGrowth, hours};
use crate::sandbox::moment::{DAY, HOUR, Moment, SECOND};
use crate::sandbox::schedule::Schedule;
use crate::sandbox::words;
use crate::sandbox::world::{
    Account, Creator, Metadata, Position, Post, Row, Tracked, Video, World,
};

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
        let interval = ACCOUNT_INTERVALS[n % ACCOUNT_INTERVALS.len()];
        self.live(Row { kind: Kind::Account, place }, interval, (0.92, 0.04), true);
        let category = CATEGORIES.get(n % (CATEGORIES.len() + 1)).map(|name| (*name).to_owned());
        let account = &mut self.accounts[place as usize];
        account.category = category;
        if n.is_multiple_of(4) {
            let tags = &mut account.tracked.metadata;
            tags.insert("campaign".to_owned(), format!("spring-{}", n % 3));
        }
    }

    /// Lets the past of a row happen: some were paused or lost on the way, and a few that are paused
    /// were never scraped.
    fn live(&mut self, row: Row, interval: u32, odds: (f64, f64), is_scraped: bool) {
        let (active, lost) = (self.random.random_bool(odds.0), self.random.random_bool(odds.1));
        let now = self.now;
        let added_at = self.tracked(row).map_or(now, |tracked| tracked.added_at);
        let lived = self.random.random_range(0..=(now.0 - added_at.0).max(1));
        let quits_at = added_at.plus(lived.max(10 * SECOND)).min(now);
        let Some(tracked) = self.tracked_mut(row) else { return };
        tracked.interval_hours = interval;
        tracked.is_active = active && is_scraped;
        tracked.is_unavailable = lost;
        if is_scraped {
            tracked.schedule.run(added_at, hours(interval));
        }
        if !active || lost {
            tracked.schedule.advance(quits_at);
            tracked.schedule.stop();
        }
        self.reschedule(row);
    }

    fn first_creator(&mut self, n: usize, creators: usize) {
        let place = self.add_creator(words::display_name(self.settings.seed ^ (n as u64 * 7_919)));
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
        let interval = VIDEO_INTERVALS[n % VIDEO_INTERVALS.len()];
        self.live(Row { kind: Kind::Video, place }, interval, (0.93, 0.02), n % 97 != 96);
        let owner = (n % 3 == 1 && !self.accounts.is_empty()).then(|| n % self.accounts.len());
        let owner = owner.filter(|account| self.accounts[*account].tracked.platform == platform);
        let video = &mut self.videos[place as usize];
        video.account = owner.map(|account| account as u32);
        if n.is_multiple_of(5) {
            let tags = &mut video.tracked.metadata;
            tags.insert("campaign".to_owned(), format!("spring-{}", n % 4));
        }
    }

    /// Spreads posts over the accounts whose feed has been read.
    fn first_posts(&mut self, posts: usize) {
        let owners: Vec<(u32, Moment)> = (0u32..)
            .zip(&self.accounts)
            .filter_map(|(place, account)| Some((place, account.tracked.schedule.last()?)))
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

    /// A platform's id of a new post.
    pub fn draw_external_id(&mut self, platform: Platform) -> u64 {
        loop {
            let id = self.random.random_range(7_000_000_000_000_000_000..7_600_000_000_000_000_000);
            if !self.video_by_post.contains_key(&(platform, id)) {
                return id;
            }
        }
    }

    fn draw_tracked(&mut self, platform: Platform, added_at: Moment) -> Tracked {
        let id = words::uuid(self.random.random(), self.random.random());
        let (text, seed) = (self.random.random(), self.random.random());
        Tracked {
            id,
            platform,
            text,
            is_active: true,
            is_unavailable: false,
            interval_hours: 24,
            metadata: Metadata::new(),
            added_at,
            schedule: Schedule::idle(seed, platform == Platform::Instagram),
            deleted: false,
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
        let tracked = self.draw_tracked(platform, added_at);
        self.by_id.insert(tracked.id, Row { kind: Kind::Account, place });
        self.accounts.push(Account {
            tracked,
            username,
            creator: None,
            category: None,
            max_posts: None,
            lookback_days: None,
            growth: AccountGrowth::draw(&mut self.random, added_at),
            posts: Vec::new(),
            next_post_at: self.now.max(added_at),
        });
        self.put_in_order(Row { kind: Kind::Account, place });
        place
    }

    /// A new creator without accounts.
    pub fn add_creator(&mut self, name: String) -> u32 {
        let place = self.creators.len() as u32;
        let id = words::uuid(self.random.random(), self.random.random());
        let (metadata, accounts) = (Metadata::new(), Vec::new());
        let creator = Creator { id, name, is_active: true, metadata, accounts, deleted: false };
        self.creators.push(creator);
        self.by_id.insert(id, Row { kind: Kind::Creator, place });
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
        let tracked = self.draw_tracked(platform, added_at);
        self.by_id.insert(tracked.id, Row { kind: Kind::Video, place });
        self.video_by_post.insert((platform, external_id), place);
        let published = added_at.plus(-self.random.random_range(HOUR..10 * DAY)).whole_second();
        let growth = PostGrowth::draw(&mut self.random, published);
        let (account, username, updated_at) = (None, None, None);
        self.videos.push(Video { tracked, external_id, account, username, updated_at, growth });
        self.put_in_order(Row { kind: Kind::Video, place });
        place
    }

    /// A new post in an account's feed. It shows from the account's next scrape after `published`.
    pub fn add_post(&mut self, account: u32, published: Moment) -> u32 {
        let place = self.posts.len() as u32;
        let owner = &mut self.accounts[account as usize];
        owner.posts.push(place);
        let platform = owner.tracked.platform;
        let numbers = self.post_numbers.entry(platform).or_insert(FIRST_POST_NUMBER);
        let number = *numbers;
        *numbers += 1;
        self.posts.push(Post {
            number,
            account,
            platform,
            external_id: self
                .random
                .random_range(3_000_000_000_000_000_000..7_000_000_000_000_000_000),
            text: self.random.random(),
            growth: PostGrowth::draw(&mut self.random, published),
            deleted: false,
        });
        self.post_by_number.insert((platform, number), place);
        self.put_in_order(Row { kind: Kind::AccountVideo, place });
        place
    }

    /// Where a row stands in its list.
    pub(super) fn position(&self, row: Row) -> Position {
        let added_at = self.tracked(row).map(|tracked| tracked.added_at);
        let at = added_at.unwrap_or_else(|| self.posts[row.place as usize].growth.published);
        (at, self.id_number(row), row.place)
    }

    /// Puts a new row into its list.
    pub(super) fn put_in_order(&mut self, row: Row) {
        let position = self.position(row);
        self.order.entry(row.kind).or_default().insert(position);
    }
}
