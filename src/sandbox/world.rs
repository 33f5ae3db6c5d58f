//! The simulated organization: what exists, and how time passes over it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::growth::{AccountGrowth, Counts, Platform, PostGrowth};
use crate::sandbox::moment::{DAY, Moment};
use crate::sandbox::schedule::Schedule;
use crate::sandbox::settings::SandboxSettings;

/// Client-owned tags of a row.
pub type Metadata = BTreeMap<String, String>;

/// The members of a row that a test has replaced, or removed.
pub type Overrides = BTreeMap<String, Option<Box<RawValue>>>;

/// A row, by kind and place. Places are never used twice, so they outlive deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row {
    /// Account, creator, video or account video.
    pub kind: Kind,
    /// Place in the world's vector of that kind.
    pub place: u32,
}

/// A tracked profile.
#[derive(Debug)]
pub struct Account {
    pub(super) id: Uuid,
    pub(super) platform: Platform,
    pub(super) username: String,
    pub(super) text: u64,
    pub(super) is_active: bool,
    pub(super) is_unavailable: bool,
    pub(super) creator: Option<u32>,
    pub(super) category: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) added_at: Moment,
    pub(super) interval_hours: u32,
    pub(super) max_posts: Option<u32>,
    pub(super) lookback_days: Option<u32>,
    pub(super) schedule: Schedule,
    pub(super) growth: AccountGrowth,
    pub(super) posts: Vec<u32>,
    pub(super) next_post_at: Moment,
    pub(super) deleted: bool,
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
    pub(super) id: Uuid,
    pub(super) platform: Platform,
    pub(super) external_id: u64,
    pub(super) text: u64,
    pub(super) account: Option<u32>,
    pub(super) username: Option<String>,
    pub(super) is_active: bool,
    pub(super) is_unavailable: bool,
    pub(super) interval_hours: u32,
    pub(super) metadata: Metadata,
    pub(super) added_at: Moment,
    pub(super) updated_at: Option<Moment>,
    pub(super) schedule: Schedule,
    pub(super) growth: PostGrowth,
    pub(super) deleted: bool,
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

/// Everything that exists.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) settings: SandboxSettings,
    pub(super) now: Moment,
    pub(super) random: ChaCha8Rng,
    pub(super) accounts: Vec<Account>,
    pub(super) creators: Vec<Creator>,
    pub(super) videos: Vec<Video>,
    pub(super) posts: Vec<Post>,
    pub(super) account_by_id: HashMap<Uuid, u32>,
    pub(super) creator_by_id: HashMap<Uuid, u32>,
    pub(super) video_by_id: HashMap<Uuid, u32>,
    pub(super) post_by_number: HashMap<(Platform, u64), u32>,
    pub(super) post_numbers: BTreeMap<Platform, u64>,
    pub(super) video_by_post: HashMap<(Platform, u64), u32>,
    /// Living accounts and videos by (added_at, id), posts by (published, number).
    pub(super) account_order: Vec<u32>,
    pub(super) video_order: Vec<u32>,
    pub(super) post_order: Vec<u32>,
    pub(super) due: BinaryHeap<Reverse<(Moment, Row)>>,
    /// Members that a test has replaced, or removed.
    pub(super) overrides: BTreeMap<Row, Overrides>,
    /// Counts that a test has changed after a scrape, by the scrape they belong to.
    pub(super) revised: BTreeMap<(Row, Moment), Counts>,
    /// `last_scrape_time` that a test has set back; forgotten at the next scrape.
    pub(super) rewound: BTreeMap<Row, Moment>,
}

impl World {
    /// The world of these settings at `now`, with a history of some months behind it.
    pub fn new(settings: &SandboxSettings, now: Moment) -> Self {
        let mut world = Self {
            seed: settings.seed,
            settings: settings.clone(),
            now,
            random: ChaCha8Rng::seed_from_u64(settings.seed),
            accounts: Vec::new(),
            creators: Vec::new(),
            videos: Vec::with_capacity(settings.videos),
            posts: Vec::with_capacity(settings.account_videos),
            account_by_id: HashMap::new(),
            creator_by_id: HashMap::new(),
            video_by_id: HashMap::with_capacity(settings.videos),
            post_by_number: HashMap::with_capacity(settings.account_videos),
            post_numbers: BTreeMap::new(),
            video_by_post: HashMap::with_capacity(settings.videos),
            account_order: Vec::new(),
            video_order: Vec::new(),
            post_order: Vec::new(),
            due: BinaryHeap::new(),
            overrides: BTreeMap::new(),
            revised: BTreeMap::new(),
            rewound: BTreeMap::new(),
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
        let schedule = match row.kind {
            Kind::Account => &mut self.accounts[row.place as usize].schedule,
            _ => &mut self.videos[row.place as usize].schedule,
        };
        // An entry may be left over from a schedule that was changed since.
        let moved = schedule.advance(now);
        let next = schedule.next();
        if moved {
            self.rewound.remove(&row);
            if row.kind == Kind::Account {
                self.find_new_posts(row.place);
            }
        }
        if moved && let Some(next) = next {
            self.due.push(Reverse((next, row)));
        }
    }

    /// An account's scrape finds what the account has published since.
    fn find_new_posts(&mut self, account: u32) {
        let per_day = self.settings.new_posts_per_day;
        let owner = &self.accounts[account as usize];
        let (Some(last), mut at) = (owner.schedule.last(), owner.next_post_at) else { return };
        let posts: Vec<u32> = owner.posts.clone();
        for post in posts {
            self.rewound.remove(&Row { kind: Kind::AccountVideo, place: post });
        }
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
        let next = match row.kind {
            Kind::Account => self.accounts[row.place as usize].schedule.next(),
            Kind::Video => self.videos[row.place as usize].schedule.next(),
            _ => None,
        };
        if let Some(next) = next {
            self.due.push(Reverse((next, row)));
        }
    }

    /// When the row was last scraped, as the API shows it.
    pub(super) fn last_scrape(&self, row: Row) -> Option<Moment> {
        self.rewound.get(&row).copied().or_else(|| self.true_last_scrape(row))
    }

    pub(super) fn true_last_scrape(&self, row: Row) -> Option<Moment> {
        self.schedule(row)?.last()
    }

    pub(super) fn first_scrape(&self, row: Row) -> Option<Moment> {
        match row.kind {
            Kind::AccountVideo => {
                let post = &self.posts[row.place as usize];
                self.schedule(row)?.first_after(post.growth.published)
            }
            _ => self.schedule(row)?.first(),
        }
    }

    /// The schedule that a row is scraped by.
    pub(super) fn schedule(&self, row: Row) -> Option<&Schedule> {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => self.accounts.get(place).map(|account| &account.schedule),
            Kind::Video => self.videos.get(place).map(|video| &video.schedule),
            Kind::AccountVideo => {
                let post = self.posts.get(place)?;
                Some(&self.accounts[post.account as usize].schedule)
            }
            _ => None,
        }
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
                account.growth.at(account.platform, at)
            }
            Kind::Video => self.videos[place].growth.at(self.videos[place].platform, at),
            Kind::AccountVideo => self.posts[place].growth.at(self.posts[place].platform, at),
            _ => Counts::default(),
        }
    }

    /// The counts that the row shows now; none before its first scrape.
    pub(super) fn counts(&self, row: Row) -> Option<Counts> {
        self.true_last_scrape(row).map(|at| self.counts_at(row, at))
    }

    /// Whether the API shows this post: its account has been scraped since it was published.
    pub(super) fn is_found(&self, post: &Post) -> bool {
        let account = &self.accounts[post.account as usize];
        !post.deleted
            && !account.deleted
            && account.schedule.last().is_some_and(|last| last >= post.growth.published)
    }

    /// Whether the API shows this row.
    pub(super) fn is_listed(&self, row: Row) -> bool {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => self.accounts.get(place).is_some_and(|account| !account.deleted),
            Kind::Creator => self.creators.get(place).is_some_and(|creator| !creator.deleted),
            Kind::Video => self.videos.get(place).is_some_and(|video| !video.deleted),
            Kind::AccountVideo => self.posts.get(place).is_some_and(|post| self.is_found(post)),
            _ => false,
        }
    }

    /// The members of this row that a test has replaced.
    pub(super) fn overridden(&self, row: Row) -> Option<&Overrides> {
        if self.overrides.is_empty() { None } else { self.overrides.get(&row) }
    }
}
