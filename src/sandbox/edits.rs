//! Changes to the world: what clients may do to it, and what tests may.

use crate::model::Kind;
use crate::sandbox::accident::Mutation;
use crate::sandbox::growth::{Platform, hours};
use crate::sandbox::lists::ListQuery;
use crate::sandbox::moment::{HOUR, Moment};
use crate::sandbox::population::{insert_sorted, post_key};
use crate::sandbox::words;
use crate::sandbox::world::{Row, World};

/// Posts found in the feed of an account that is tracked later.
const POSTS_OF_NEW_ACCOUNT: i64 = 6;

impl World {
    /// Begins to track an account: its first scrape comes within seconds and finds posts.
    pub(super) fn track_account(&mut self, platform: Platform, username: String) -> Row {
        let now = self.now;
        let place = self.add_account(platform, username, now);
        for n in 1..=POSTS_OF_NEW_ACCOUNT {
            self.add_post(place, now.plus(-n * 31 * HOUR).whole_second());
        }
        let row = Row { kind: Kind::Account, place };
        self.set_active(row, true);
        row
    }

    /// Begins to track a post: its first scrape comes within seconds.
    pub(super) fn track_video(&mut self, platform: Platform, external_id: u64) -> Row {
        let row = Row { kind: Kind::Video, place: self.add_video(platform, external_id, self.now) };
        self.set_active(row, true);
        row
    }

    /// Pauses a row, or lets it go on. Pausing a creator pauses its accounts.
    pub(super) fn set_active(&mut self, row: Row, active: bool) {
        let (now, place) = (self.now, row.place as usize);
        let (flag, schedule, interval) = match row.kind {
            Kind::Account => {
                let account = &mut self.accounts[place];
                (&mut account.is_active, &mut account.schedule, account.interval_hours)
            }
            Kind::Video => {
                let video = &mut self.videos[place];
                (&mut video.is_active, &mut video.schedule, video.interval_hours)
            }
            Kind::Creator => {
                self.creators[place].is_active = active;
                for account in self.creators[place].accounts.clone() {
                    if !active {
                        self.set_active(Row { kind: Kind::Account, place: account }, false);
                    }
                }
                return;
            }
            _ => return,
        };
        *flag = active;
        if !active {
            schedule.stop();
        } else if schedule.next().is_none() {
            schedule.run(now, hours(interval));
        }
        self.reschedule(row);
    }

    /// Changes how often a row is scraped.
    pub(super) fn set_interval(&mut self, row: Row, interval: u32) {
        let (now, place) = (self.now, row.place as usize);
        let (kept, schedule) = match row.kind {
            Kind::Account => {
                let account = &mut self.accounts[place];
                (&mut account.interval_hours, &mut account.schedule)
            }
            Kind::Video => {
                let video = &mut self.videos[place];
                (&mut video.interval_hours, &mut video.schedule)
            }
            _ => return,
        };
        if *kept != interval {
            *kept = interval;
            if schedule.next().is_some() {
                schedule.run(now, hours(interval));
            }
            self.reschedule(row);
        }
    }

    /// Deletes a row, and with an account its posts, with a creator its links.
    pub(super) fn delete(&mut self, row: Row) {
        let place = row.place as usize;
        self.unlist(row);
        match row.kind {
            Kind::Account => {
                self.unlink(row.place);
                self.accounts[place].deleted = true;
                self.accounts[place].schedule.stop();
                for video in self.videos.iter_mut().filter(|v| v.account == Some(row.place)) {
                    video.account = None;
                }
            }
            Kind::Creator => {
                self.creators[place].deleted = true;
                for account in std::mem::take(&mut self.creators[place].accounts) {
                    self.accounts[account as usize].creator = None;
                }
            }
            Kind::Video => {
                let video = &mut self.videos[place];
                video.deleted = true;
                video.schedule.stop();
                self.video_by_post.remove(&(video.platform, video.external_id));
            }
            Kind::AccountVideo => self.posts[place].deleted = true,
            _ => {}
        }
    }

    /// Takes a deletion back. Links stay undone.
    pub(super) fn restore(&mut self, row: Row) {
        if self.is_deleted(row) {
            let place = row.place as usize;
            match row.kind {
                Kind::Account => self.accounts[place].deleted = false,
                Kind::Creator => self.creators[place].deleted = false,
                Kind::Video => {
                    let video = &mut self.videos[place];
                    video.deleted = false;
                    self.video_by_post.insert((video.platform, video.external_id), row.place);
                }
                Kind::AccountVideo => self.posts[place].deleted = false,
                _ => {}
            }
            self.list_again(row);
            if self.is_active(row) {
                self.set_active(row, true);
            }
        }
    }

    fn is_deleted(&self, row: Row) -> bool {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => self.accounts[place].deleted,
            Kind::Creator => self.creators[place].deleted,
            Kind::Video => self.videos[place].deleted,
            _ => self.posts[place].deleted,
        }
    }

    /// Links an account to a creator. Says whether it was not linked before; none when it belongs
    /// to another creator.
    pub(super) fn link(&mut self, creator: u32, account: u32) -> Option<bool> {
        match self.accounts[account as usize].creator {
            Some(linked) => (linked == creator).then_some(false),
            None => {
                self.accounts[account as usize].creator = Some(creator);
                self.creators[creator as usize].accounts.push(account);
                Some(true)
            }
        }
    }

    /// Unlinks an account from its creator.
    pub(super) fn unlink(&mut self, account: u32) {
        if let Some(creator) = self.accounts[account as usize].creator.take() {
            self.creators[creator as usize].accounts.retain(|linked| *linked != account);
        }
    }

    /// Gives a row another place in its list: `added_at` of accounts and videos, `create_time` of
    /// account videos.
    pub(super) fn move_to(&mut self, row: Row, at: Moment) {
        self.unlist(row);
        let place = row.place as usize;
        match row.kind {
            Kind::Account => self.accounts[place].added_at = at,
            Kind::Video => self.videos[place].added_at = at,
            Kind::AccountVideo => self.posts[place].growth.published = at,
            _ => {}
        }
        self.list_again(row);
    }

    fn unlist(&mut self, row: Row) {
        let order = match row.kind {
            Kind::Account => &mut self.account_order,
            Kind::Video => &mut self.video_order,
            Kind::AccountVideo => &mut self.post_order,
            _ => return,
        };
        if let Some(at) = order.iter().position(|place| *place == row.place) {
            order.remove(at);
        }
    }

    fn list_again(&mut self, row: Row) {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => {
                let rows = &self.accounts;
                let key = |n: u32| (rows[n as usize].added_at, rows[n as usize].id);
                insert_sorted(&mut self.account_order, row.place, |n| key(n) < key(row.place));
            }
            Kind::Video => {
                let rows = &self.videos;
                let key = |n: u32| (rows[n as usize].added_at, rows[n as usize].id);
                insert_sorted(&mut self.video_order, row.place, |n| key(n) < key(row.place));
            }
            Kind::AccountVideo => {
                let (rows, key) = (&self.posts, post_key(&self.posts[place]));
                insert_sorted(&mut self.post_order, row.place, |n| {
                    post_key(&rows[n as usize]) < key
                });
            }
            _ => {}
        }
    }

    /// Something happens between two pages of a walk.
    pub(super) fn mutate(&mut self, mutation: Mutation, query: &ListQuery, served: &[Row]) {
        let last = served.last().map(|row| query.place(self, *row));
        let ahead = query.rows_after(self, last.as_ref(), usize::MAX);
        match mutation {
            Mutation::Insert(rows) => (0..rows).for_each(|_| self.insert_any(query.kind())),
            Mutation::DeleteServed(rows) => served.iter().take(rows).for_each(|r| self.delete(*r)),
            Mutation::DeleteBorder => served.iter().rev().take(1).for_each(|r| self.delete(*r)),
            Mutation::DeleteAhead(rows) => ahead.iter().take(rows).for_each(|r| self.delete(*r)),
            Mutation::MoveBack => {
                if let (Some(row), Some(to)) = (ahead.first(), served.first()) {
                    self.move_beside(*row, *to, !query.descending());
                }
            }
            Mutation::MoveAhead => {
                if let (Some(row), Some(to)) = (served.first(), ahead.last()) {
                    self.move_beside(*row, *to, query.descending());
                }
            }
        }
    }

    /// Puts a row just before or after another, by the key that its list is usually sorted by.
    fn move_beside(&mut self, row: Row, other: Row, before: bool) {
        if row.kind == Kind::Creator {
            let name = &self.creators[other.place as usize].name;
            let name = if before { format!(" {name}") } else { format!("{name} ~") };
            self.creators[row.place as usize].name = name;
            return;
        }
        let place = other.place as usize;
        let at = match row.kind {
            Kind::Account => self.accounts[place].added_at,
            Kind::Video => self.videos[place].added_at,
            _ => self.posts[place].growth.published,
        };
        self.move_to(row, at.plus(if before { -1_000 } else { 1_000 }));
    }

    /// A row that comes from elsewhere, as if a colleague had added it on the dashboard.
    pub(super) fn insert_any(&mut self, kind: Kind) {
        let platform = Platform::ALL[self.videos.len() % 2];
        match kind {
            Kind::Account => {
                let name = words::username(self.accounts.len() as u64 + 1);
                self.track_account(platform, name);
            }
            Kind::Creator => {
                let n = self.creators.len() as u64;
                self.add_creator(words::display_name(self.seed ^ (n * 7_919)));
            }
            Kind::Video => {
                let external_id = self.draw_external_id(platform);
                self.track_video(platform, external_id);
            }
            _ => {
                let owners = (0u32..).zip(&self.accounts);
                let owner = owners.filter_map(|(n, a)| Some((a.schedule.last()?, n))).max();
                if let Some((last, account)) = owner {
                    self.add_post(account, last);
                }
            }
        }
    }
}
