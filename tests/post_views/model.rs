//! What the mirror should hold after a series of events: the current state and the scrapes of each resource, the links
//! of accounts to creators, and posts made of them, each computed directly from its definition.

use std::collections::BTreeMap;

use creatormirror::model::{Instant, Kind};

use crate::world::{
    AccountAnswer, Answer, Counts, Event, PostAnswer, account_id, external_id, platform_of,
    scraped_at,
};

/// A tracked account.
pub struct Account {
    pub n: usize,
    pub now: AccountAnswer,
    as_of: i64,
    first_at: i64,
    removed: Option<i64>,
    links: Vec<Link>,
    /// Followers at each scrape.
    pub scrapes: BTreeMap<Instant, Option<i64>>,
}

struct Link {
    creator: usize,
    from: i64,
    to: Option<i64>,
}

impl Account {
    /// The creator it belonged to just before an instant, in microseconds.
    pub fn creator_before(&self, end: i64) -> Option<usize> {
        let begins = |link: &&Link| link.from < end || link.from <= self.first_at;
        let found = self.links.iter().filter(begins);
        let mut found = found.filter(|link| link.to.is_none_or(|to| to >= end));
        found.next().map(|link| link.creator)
    }

    fn link(&mut self, at: i64) {
        let open = self.links.iter_mut().find(|link| link.to.is_none());
        match open {
            Some(link) if Some(link.creator) == self.now.creator => return,
            Some(link) => link.to = Some(at),
            None => {}
        }
        if let Some(creator) = self.now.creator {
            self.links.push(Link { creator, from: at, to: None });
        }
    }
}

/// A row of `videos` or `account_videos`.
pub struct Member {
    pub kind: Kind,
    pub n: usize,
    pub now: PostAnswer,
    as_of: i64,
    pub removed: Option<i64>,
    scrapes: BTreeMap<Instant, Counted>,
}

/// A scrape's interval in hours and its counts.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    pub interval: Option<i64>,
    pub counts: Counts,
}

impl Member {
    pub fn platform(&self) -> Option<&'static str> {
        if self.kind == Kind::Video { self.now.identity.platform } else { platform_of(self.n) }
    }

    fn key(&self) -> String {
        let platform = self.platform().unwrap_or("unknown");
        match (self.now.identity.external, self.kind) {
            (Some(external), _) => format!("{platform}:{}", external_id(external)),
            (None, Kind::Video) => format!("{platform}:v:v{}", self.n),
            (None, _) => format!("{platform}:av:{}", self.n),
        }
    }
}

/// The members with the same key.
pub struct Post<'w> {
    pub key: String,
    pub video: Option<&'w Member>,
    pub account_video: Option<&'w Member>,
    pub account: Option<String>,
    /// When it was published, Unix seconds.
    pub create: Option<i64>,
    pub scrapes: BTreeMap<Instant, Counted>,
}

impl<'w> Post<'w> {
    /// The value of the video, else of the account video.
    pub fn first_of<T>(&self, value: impl Fn(&'w Member) -> Option<T>) -> Option<T> {
        self.video.and_then(&value).or_else(|| self.account_video.and_then(&value))
    }
}

#[derive(Default)]
pub struct Model {
    pub accounts: Vec<Account>,
    /// In the order in which they were first seen.
    pub members: Vec<Member>,
}

impl Model {
    pub fn member(&self, kind: Kind, n: usize) -> Option<&Member> {
        self.members.iter().find(|member| member.kind == kind && member.n == n)
    }

    pub fn account(&self, n: usize) -> Option<&Account> {
        self.accounts.iter().find(|account| account.n == n)
    }

    /// The time at which an event that removes a resource takes effect, after all that is known of it; `None` if the
    /// resource is not known.
    pub fn removal(&self, event: &Event, at: i64) -> Option<i64> {
        let as_of = match event.answer.kind() {
            Kind::Account => self.account(event.n).map(|account| account.as_of),
            kind => self.member(kind, event.n).map(|member| member.as_of),
        };
        as_of.map(|as_of| at.max(as_of + 1))
    }

    pub fn apply(&mut self, event: &Event, at: i64, now: i64) {
        match &event.answer {
            Answer::Account(answer) => self.see_account(event.n, answer, at, now),
            Answer::Video(answer) => self.see_post(Kind::Video, event.n, (answer, at, now)),
            Answer::AccountVideo(answer) => {
                self.see_post(Kind::AccountVideo, event.n, (answer, at, now));
            }
            Answer::Removed(kind) => {
                if let Some(at) = self.removal(event, at) {
                    self.remove(*kind, event.n, at);
                }
            }
        }
    }

    fn see_account(&mut self, n: usize, answer: &AccountAnswer, at: i64, now: i64) {
        let known = self.accounts.iter().position(|account| account.n == n);
        let place = known.unwrap_or_else(|| {
            self.accounts.push(Account {
                n,
                now: answer.clone(),
                as_of: at,
                first_at: at,
                removed: None,
                links: Vec::new(),
                scrapes: BTreeMap::new(),
            });
            self.accounts.len() - 1
        });
        let account = &mut self.accounts[place];
        let is_newest = at >= account.as_of;
        if is_newest {
            (account.now, account.as_of, account.removed) = (answer.clone(), at, None);
            account.link(at);
        }
        if let Some(scrape) = scraped_at(answer.scrape, now) {
            let known = account.scrapes.entry(scrape).or_insert(answer.followers);
            if is_newest {
                *known = answer.followers.or(*known);
            }
        }
    }

    fn see_post(&mut self, kind: Kind, n: usize, (answer, at, now): (&PostAnswer, i64, i64)) {
        let interval = match (kind, answer.identity.account) {
            (Kind::Video, _) => answer.interval,
            (_, Some(account)) => self.account(account).and_then(|account| account.now.interval),
            _ => None,
        };
        let known = self.members.iter().position(|member| member.kind == kind && member.n == n);
        let place = known.unwrap_or_else(|| {
            self.members.push(Member {
                kind,
                n,
                now: answer.clone(),
                as_of: at,
                removed: None,
                scrapes: BTreeMap::new(),
            });
            self.members.len() - 1
        });
        let member = &mut self.members[place];
        let is_newest = at >= member.as_of;
        if is_newest {
            (member.now, member.as_of, member.removed) = (answer.clone(), at, None);
        }
        if let Some(scrape) = scraped_at(answer.scrape, now) {
            let counts = answer.counts;
            let known = member.scrapes.entry(scrape).or_insert(Counted { interval, counts });
            if is_newest {
                known.counts = std::array::from_fn(|n| counts[n].or(known.counts[n]));
            }
        }
    }

    fn remove(&mut self, kind: Kind, n: usize, at: i64) {
        if kind == Kind::Account {
            for account in self.accounts.iter_mut().filter(|account| account.n == n) {
                if account.removed.is_none() {
                    (account.removed, account.as_of) = (Some(at), at);
                    account.links.iter_mut().for_each(|link| link.to = link.to.or(Some(at)));
                }
            }
            return;
        }
        let members = self.members.iter_mut();
        for member in members.filter(|member| member.kind == kind && member.n == n) {
            if member.removed.is_none() {
                (member.removed, member.as_of) = (Some(at), at);
            }
        }
    }

    /// The posts by their keys.
    pub fn posts(&self, now: i64) -> BTreeMap<String, Post<'_>> {
        let mut keys = self.members.iter().map(Member::key).collect::<Vec<_>>();
        keys.sort();
        keys.dedup();
        keys.into_iter().map(|key| (key.clone(), self.post(key, now))).collect()
    }

    fn post(&self, key: String, now: i64) -> Post<'_> {
        let of = |kind: Kind| {
            let members = self.members.iter().filter(move |member| member.kind == kind);
            members.filter(|member| member.key() == key).collect::<Vec<_>>()
        };
        let (videos, account_videos) = (of(Kind::Video), of(Kind::AccountVideo));
        let mut post = Post {
            video: videos.last().copied(),
            account_video: account_videos.last().copied(),
            account: None,
            create: None,
            scrapes: BTreeMap::new(),
            key: key.clone(),
        };
        post.account = post.first_of(|member| member.now.identity.account.map(account_id));
        post.create = post.first_of(|member| member.now.identity.create.map(|at| at.seconds(now)));
        // Of scrapes at the same instant, that of the newest video has precedence.
        for member in account_videos.iter().rev().chain(&videos) {
            post.scrapes.extend(&member.scrapes);
        }
        post
    }
}
