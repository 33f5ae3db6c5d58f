//! The simulated organization: what exists, and how time passes over it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::growth::{AccountGrowth, Counts, Platform, PostGrowth};
use crate::sandbox::moment::{DAY, Moment};
use crate::sandbox::schedule::Schedule;
use crate::sandbox::settings::SandboxSettings;

/// Client-owned tags of a row.
pub type Metadata = BTreeMap<String, String>;

/// A row, by kind and place. Places are never used twice, so they outlive deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Account, creator, video or account video.
    pub kind: Kind,
    /// Place in the world's vector of that kind.
    pub place: u32,
}

/// What accounts and videos have in common: they are added once, and scraped on a schedule.
#[derive(Debug)]
pub struct Tracked {
    pub(super) id: Uuid,
    pub(super) platform: Platform,
    /// Decides on all texts of the row.
    pub(super) text: u64,
    pub(super) is_active: bool,
    pub(super) is_unavailable: bool,
    pub(super) interval_hours: u32,
    pub(super) metadata: Metadata,
    pub(super) added_at: Moment,
    pub(super) schedule: Schedule,
    pub(super) deleted: bool,
}

/// A tracked profile.
#[derive(Debug)]
pub struct Account {
    pub(super) tracked: Tracked,
    pub(super) username: String,
    pub(super) creator: Option<u32>,
    pub(super) category: Option<String>,
    pub(super) max_posts: Option<u32>,
    pub(super) lookback_days: Option<u32>,
    pub(super) growth: AccountGrowth,
    pub(super) posts: Vec<u32>,
    pub(super) next_post_at: Moment,
}

/// A client-made group of accounts.
#[derive(Debug)]
pub struct Creator {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) is_active: bool,
    pub(super) metadata: Metadata,
    pub(super) accounts: Vec<u32>,
    pub(super) deleted: bool,
}

/// An individually tracked post.
#[derive(Debug)]
pub struct Video {
    pub(super) tracked: Tracked,
    pub(super) external_id: u64,
    pub(super) account: Option<u32>,
    pub(super) username: Option<String>,
    pub(super) updated_at: Option<Moment>,
    pub(super) growth: PostGrowth,
}

/// A post found in an account's feed; it is scraped whenever its account is.
#[derive(Debug)]
pub struct Post {
    pub(super) number: u64,
    pub(super) account: u32,
    pub(super) platform: Platform,
    pub(super) external_id: u64,
    pub(super) text: u64,
    pub(super) growth: PostGrowth,
    pub(super) deleted: bool,
}

/// One scrape of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scrape {
    /// When it happened.
    pub at: Moment,
    /// Followers, for accounts.
    pub followers: Option<i64>,
    /// What was counted, as later revised.
    pub counts: Counts,
}

/// Where a row stands in the usual order of its list: time, the number of its id, and its place.
pub type Position = (Moment, u128, u32);

/// Everything that exists.
#[derive(Debug)]
pub struct World {
    pub(super) settings: SandboxSettings,
    pub(super) now: Moment,
    pub(super) random: ChaCha8Rng,
    pub(super) accounts: Vec<Account>,
    pub(super) creators: Vec<Creator>,
    pub(super) videos: Vec<Video>,
    pub(super) posts: Vec<Post>,
    /// Accounts, creators and videos.
    pub(super) by_id: HashMap<Uuid, Row>,
    pub(super) post_by_number: HashMap<(Platform, u64), u32>,
    pub(super) post_numbers: BTreeMap<Platform, u64>,
    pub(super) video_by_post: HashMap<(Platform, u64), u32>,
    /// Accounts and videos by `added_at`, posts by when they were published; deleted ones included.
    pub(super) order: BTreeMap<Kind, BTreeSet<Position>>,
    pub(super) due: BinaryHeap<Reverse<(Moment, Row)>>,
    /// Counts that were changed after a scrape, by the scrape they belong to.
    pub(super) revised: BTreeMap<(Row, Moment), Counts>,
}

impl World {
    /// The world of these settings at `now`, with a history of some months behind it.
    pub fn new(settings: &SandboxSettings, now: Moment) -> Self {
        let mut world = Self {
            settings: settings.clone(),
            now,
            random: ChaCha8Rng::seed_from_u64(settings.seed),
            accounts: Vec::new(),
            creators: Vec::new(),
            videos: Vec::with_capacity(settings.videos),
            posts: Vec::with_capacity(settings.account_videos),
            by_id: HashMap::with_capacity(settings.videos),
            post_by_number: HashMap::with_capacity(settings.account_videos),
            post_numbers: BTreeMap::new(),
            video_by_post: HashMap::with_capacity(settings.videos),
            order: BTreeMap::new(),
            due: BinaryHeap::new(),
            revised: BTreeMap::new(),
        };
        world.populate();
        world
    }

    /// Lets time pass until `now`: every scrape that fell due happens. Time never goes back.
    pub fn bring_up(&mut self, now: Moment) {
        self.now = self.now.max(now);
        while let Some(Reverse((at, row))) = self.due.peek().copied()
            && at <= self.now
        {
            self.due.pop();
            self.scrape(row);
        }
    }

    fn scrape(&mut self, row: Row) {
        let now = self.now;
        let Some(tracked) = self.tracked_mut(row) else { return };
        // An entry may be left over from a schedule that was changed since.
        if tracked.schedule.advance(now) {
            if row.kind == Kind::Account {
                self.find_new_posts(row.place);
            }
            self.reschedule(row);
        }
    }

    /// An account or video.
    pub(super) fn tracked(&self, row: Row) -> Option<&Tracked> {
        match row.kind {
            Kind::Account => self.accounts.get(row.place as usize).map(|row| &row.tracked),
            Kind::Video => self.videos.get(row.place as usize).map(|row| &row.tracked),
            _ => None,
        }
    }

    /// An account or video, to be changed.
    pub(super) fn tracked_mut(&mut self, row: Row) -> Option<&mut Tracked> {
        match row.kind {
            Kind::Account => self.accounts.get_mut(row.place as usize).map(|row| &mut row.tracked),
            Kind::Video => self.videos.get_mut(row.place as usize).map(|row| &mut row.tracked),
            _ => None,
        }
    }

    /// An account's scrape finds what the account has published since.
    fn find_new_posts(&mut self, account: u32) {
        let per_day = self.settings.new_posts_per_day;
        let owner = &self.accounts[account as usize];
        let (Some(last), mut at) = (owner.tracked.schedule.last(), owner.next_post_at) else {
            return;
        };
        if per_day <= 0.0 {
            return;
        }
        while at <= last {
            self.add_post(account, at);
            let gap = self.random.random_range(0.3..1.7) * DAY as f64 / per_day;
            at = at.plus((gap as i64).max(1));
        }
        self.accounts[account as usize].next_post_at = at;
    }

    /// Puts the row's next scrape on the agenda, after its schedule was changed.
    pub(super) fn reschedule(&mut self, row: Row) {
        if let Some(next) = self.schedule(row).and_then(Schedule::next) {
            self.due.push(Reverse((next, row)));
        }
    }

    /// The server's time.
    pub fn now(&self) -> Moment {
        self.now
    }

    /// When the row was last scraped.
    pub(super) fn last_scrape(&self, row: Row) -> Option<Moment> {
        self.schedule(row)?.last()
    }

    /// When the row was first scraped.
    pub(super) fn first_scrape(&self, row: Row) -> Option<Moment> {
        match row.kind {
            Kind::AccountVideo => {
                let post = &self.posts[row.place as usize];
                self.schedule(row)?.first_after(post.growth.published)
            }
            _ => self.schedule(row)?.first(),
        }
    }

    /// The schedule that a row is scraped by: its own, or that of its account.
    pub(super) fn schedule(&self, row: Row) -> Option<&Schedule> {
        let row = match row.kind {
            Kind::AccountVideo => {
                Row { kind: Kind::Account, place: self.posts.get(row.place as usize)?.account }
            }
            _ => row,
        };
        self.tracked(row).map(|tracked| &tracked.schedule)
    }

    /// The counts that the scrape at `at` found, as later revised.
    pub(super) fn counts_at(&self, row: Row, at: Moment) -> Counts {
        if let Some(revised) = self.revised.get(&(row, at)) {
            return *revised;
        }
        let place = row.place as usize;
        match row.kind {
            Kind::Account => {
                let account = &self.accounts[place];
                account.growth.at(account.tracked.platform, at)
            }
            Kind::Video => self.videos[place].growth.at(self.videos[place].tracked.platform, at),
            Kind::AccountVideo => self.posts[place].growth.at(self.posts[place].platform, at),
            _ => Counts::default(),
        }
    }

    /// The counts that the row shows now; none before its first scrape.
    pub(super) fn counts(&self, row: Row) -> Option<Counts> {
        self.last_scrape(row).map(|at| self.counts_at(row, at))
    }

    /// Every scrape of the row that ever happened, oldest first, and what it found.
    pub fn scrapes(&self, row: Row) -> Vec<Scrape> {
        let (Some(schedule), Some(first)) = (self.schedule(row), self.first_scrape(row)) else {
            return Vec::new();
        };
        let account = self.accounts.get(row.place as usize).filter(|_| row.kind == Kind::Account);
        let scrape = |at: Moment| Scrape {
            at,
            followers: account.map(|account| account.growth.followers(at)),
            counts: self.counts_at(row, at),
        };
        schedule.all().filter(|at| *at >= first).map(scrape).collect()
    }

    /// Whether the API shows this row; a post only once its account was scraped.
    pub fn is_listed(&self, row: Row) -> bool {
        let place = row.place as usize;
        match row.kind {
            Kind::Creator => self.creators.get(place).is_some_and(|creator| !creator.deleted),
            Kind::AccountVideo => self.posts.get(place).is_some_and(|post| {
                let account = &self.accounts[post.account as usize].tracked;
                let last = account.schedule.last();
                let is_found = last.is_some_and(|last| last >= post.growth.published);
                is_found && !post.deleted && !account.deleted
            }),
            _ => self.tracked(row).is_some_and(|tracked| !tracked.deleted),
        }
    }

    /// Every row of a kind, deleted ones included.
    pub fn all(&self, kind: Kind) -> impl Iterator<Item = Row> + use<> {
        let rows = match kind {
            Kind::Account => self.accounts.len(),
            Kind::Creator => self.creators.len(),
            Kind::Video => self.videos.len(),
            Kind::AccountVideo => self.posts.len(),
            _ => 0,
        };
        (0..rows as u32).map(move |place| Row { kind, place })
    }

    /// A number that tells rows of a kind apart; breaks ties in orders.
    pub(super) fn id_number(&self, row: Row) -> u128 {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => self.accounts[place].tracked.id.as_u128(),
            Kind::Creator => self.creators[place].id.as_u128(),
            Kind::Video => self.videos[place].tracked.id.as_u128(),
            _ => {
                let post = &self.posts[place];
                ((post.platform as u128) << 64) | u128::from(post.number)
            }
        }
    }

    /// Whether a row is not paused.
    pub(super) fn is_active(&self, row: Row) -> bool {
        match row.kind {
            Kind::Creator => self.creators[row.place as usize].is_active,
            _ => self.tracked(row).is_none_or(|tracked| tracked.is_active),
        }
    }
}
