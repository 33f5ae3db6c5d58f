//! Changes to the world: what clients may do to it, and what may happen behind the API's back.

use crate::model::Kind;
use crate::sandbox::growth::{Counts, Platform, hours};
use crate::sandbox::moment::{HOUR, Moment};
use crate::sandbox::world::{Metadata, Row, World};

/// Posts found in the feed of an account that is tracked later.
const POSTS_OF_NEW_ACCOUNT: i64 = 6;

impl World {
    /// Begins to track an account: its first scrape comes within seconds and finds posts.
    pub fn track_account(&mut self, platform: Platform, username: String) -> Row {
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
    pub fn track_video(&mut self, platform: Platform, external_id: u64) -> Row {
        let row = Row { kind: Kind::Video, place: self.add_video(platform, external_id, self.now) };
        self.set_active(row, true);
        row
    }

    /// Pauses a row or activates it. Pausing a creator pauses its accounts.
    pub fn set_active(&mut self, row: Row, active: bool) {
        if row.kind == Kind::Creator {
            let creator = &mut self.creators[row.place as usize];
            creator.is_active = active;
            for place in creator.accounts.clone().into_iter().filter(|_| !active) {
                self.set_active(Row { kind: Kind::Account, place }, false);
            }
        }
        let now = self.now;
        let Some(tracked) = self.tracked_mut(row) else { return };
        tracked.is_active = active;
        if !active {
            tracked.schedule.stop();
        } else if tracked.schedule.next().is_none() {
            tracked.schedule.run(now, hours(tracked.interval_hours));
        }
        self.reschedule(row);
    }

    /// Changes how often a row is scraped.
    pub fn set_interval(&mut self, row: Row, interval: u32) {
        let now = self.now;
        let Some(tracked) = self.tracked_mut(row) else { return };
        if tracked.interval_hours != interval {
            tracked.interval_hours = interval;
            if tracked.schedule.next().is_some() {
                tracked.schedule.run(now, hours(interval));
            }
            self.reschedule(row);
        }
    }

    /// Replaces the client's tags of a row.
    pub(super) fn set_metadata(&mut self, row: Row, metadata: Metadata) {
        if row.kind == Kind::Creator {
            self.creators[row.place as usize].metadata = metadata;
        } else if let Some(tracked) = self.tracked_mut(row) {
            tracked.metadata = metadata;
        }
    }

    /// Makes an account or video unreachable on its platform: no more scrapes.
    pub fn make_unavailable(&mut self, row: Row) {
        if let Some(tracked) = self.tracked_mut(row) {
            tracked.is_unavailable = true;
            tracked.schedule.stop();
        }
    }

    /// Deletes a row, and with an account its posts, with a creator its links.
    pub fn delete(&mut self, row: Row) {
        let place = row.place as usize;
        *self.is_deleted(row) = true;
        if let Some(tracked) = self.tracked_mut(row) {
            tracked.schedule.stop();
        }
        match row.kind {
            Kind::Account => {
                self.unlink(row.place);
                for video in self.videos.iter_mut().filter(|v| v.account == Some(row.place)) {
                    video.account = None;
                }
            }
            Kind::Creator => {
                for account in std::mem::take(&mut self.creators[place].accounts) {
                    self.accounts[account as usize].creator = None;
                }
            }
            Kind::Video => {
                let video = &self.videos[place];
                self.video_by_post.remove(&(video.tracked.platform, video.external_id));
            }
            _ => {}
        }
    }

    /// Takes a deletion back. Links stay undone.
    pub fn restore(&mut self, row: Row) {
        if std::mem::replace(self.is_deleted(row), false) {
            if row.kind == Kind::Video {
                let video = &self.videos[row.place as usize];
                self.video_by_post.insert((video.tracked.platform, video.external_id), row.place);
            }
            if self.is_active(row) {
                self.set_active(row, true);
            }
        }
    }

    fn is_deleted(&mut self, row: Row) -> &mut bool {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => &mut self.accounts[place].tracked.deleted,
            Kind::Creator => &mut self.creators[place].deleted,
            Kind::Video => &mut self.videos[place].tracked.deleted,
            _ => &mut self.posts[place].deleted,
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
    pub fn move_to(&mut self, row: Row, at: Moment) {
        if row.kind == Kind::Creator {
            return;
        }
        let before = self.position(row);
        self.order.entry(row.kind).or_default().remove(&before);
        match self.tracked_mut(row) {
            Some(tracked) => tracked.added_at = at,
            None => self.posts[row.place as usize].growth.published = at,
        }
        self.put_in_order(row);
    }

    /// Changes the counts of the last scrape without moving `last_scrape_time`. From then on they
    /// are what that scrape counted.
    pub fn revise(&mut self, row: Row, change: impl FnOnce(&mut Counts)) {
        if let Some(at) = self.last_scrape(row) {
            let mut counts = self.counts_at(row, at);
            change(&mut counts);
            self.revised.insert((row, at), counts);
        }
    }
}
