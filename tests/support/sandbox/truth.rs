//! The sandbox's actual data, and changes to them without API requests.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use creatormirror::model::Kind;
use creatormirror::sandbox as product;
use creatormirror::sandbox::{Row, World};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::control::Control;
use super::members::RawRow;
use super::{Counts, Moment, Platform, Totals};

/// One scrape that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Scrape {
    /// `last_scrape_time` as the API showed it.
    pub scraped_at: String,
    /// Followers, for accounts.
    pub follower_count: Option<i64>,
    pub view_count: i64,
    pub like_count: i64,
    pub comment_count: i64,
    pub share_count: i64,
    pub play_count: i64,
    /// Instagram only.
    pub saved_count: Option<i64>,
}

impl From<product::Scrape> for Scrape {
    fn from(scrape: product::Scrape) -> Self {
        Self {
            scraped_at: scrape.at.to_string(),
            follower_count: scrape.followers,
            view_count: scrape.counts.view,
            like_count: scrape.counts.like,
            comment_count: scrape.counts.comment,
            share_count: scrape.counts.share,
            play_count: scrape.counts.play,
            saved_count: scrape.counts.saved,
        }
    }
}

/// Actual data. Rows are named by kind and id; an account video's id is `platform:id`.
impl Control {
    /// The server's time.
    pub fn now(&self) -> Moment {
        self.sandbox.world(|world| world.now())
    }

    /// Every row of a kind exactly as the API would show it now, in no particular order.
    pub fn rows(&self, kind: Kind) -> Vec<Value> {
        self.listed(kind, raw).into_iter().map(|row| self.shown(kind, row)).collect()
    }

    /// The number of rows of a kind that the API would list now.
    pub fn count(&self, kind: Kind) -> usize {
        self.listed(kind, |_, _| ()).len()
    }

    /// The ids of all rows that the API would list now.
    pub fn ids(&self, kind: Kind) -> Vec<String> {
        self.listed(kind, World::id_text)
    }

    /// One row as the API would show it now.
    pub fn row(&self, kind: Kind, id: &str) -> Option<Value> {
        Some(self.shown(kind, self.raw_row(kind, id)?))
    }

    /// Every scrape of a row, oldest first, also of deleted rows.
    pub fn scrapes(&self, kind: Kind, id: &str) -> Vec<Scrape> {
        let scrapes = |world: &mut World| Some(world.scrapes(world.find(kind, id)?));
        let scrapes = self.sandbox.world(scrapes).unwrap_or_default();
        scrapes.into_iter().map(Scrape::from).collect()
    }

    /// Every scrape of every row of a kind, by id, also of deleted rows.
    pub fn all_scrapes(&self, kind: Kind) -> BTreeMap<String, Vec<Scrape>> {
        self.sandbox.world(|world| {
            let scrapes = |row| world.scrapes(row).into_iter().map(Scrape::from).collect();
            world.all(kind).map(|row| (world.id_text(row), scrapes(row))).collect()
        })
    }

    /// The daily gains of every row of a kind that the API would list now, by id.
    pub fn daily(&self, kind: Kind, day: NaiveDate) -> BTreeMap<String, Totals> {
        let daily =
            self.listed(kind, |world, row| (world.id_text(row), world.totals(row, day, day)));
        daily.into_iter().collect()
    }

    fn listed<T>(&self, kind: Kind, of: impl Fn(&World, Row) -> T) -> Vec<T> {
        self.sandbox.world(|world| {
            let listed = world.all(kind).filter(|row| world.is_listed(*row));
            listed.map(|row| of(world, row)).collect()
        })
    }

    /// A row without what tests have replaced.
    fn raw_row(&self, kind: Kind, id: &str) -> Option<RawRow> {
        self.sandbox.world(|world| {
            let row = world.find(kind, id).filter(|row| world.is_listed(*row))?;
            Some(raw(world, row))
        })
    }

    fn shown(&self, kind: Kind, mut row: RawRow) -> Value {
        let today = self.now().date().to_string();
        let mut state = self.hook.state();
        state.members.signed_on = state.signed_urls.then_some(today);
        state.members.patch(kind, &mut row);
        serde_json::to_value(row).unwrap()
    }
}

/// Changes without API requests. Changing a row that does not exist returns `false`.
impl Control {
    /// Tracks an account, as another user might on the dashboard.
    pub fn add_account(&self, platform: Platform, username: &str) -> String {
        self.sandbox.world(|world| {
            let row = world.track_account(platform, username.to_owned());
            world.id_text(row)
        })
    }

    /// Creates a creator.
    pub fn add_creator(&self, name: &str) -> String {
        self.sandbox.world(|world| {
            let place = world.add_creator(name.to_owned());
            world.id_text(Row { kind: Kind::Creator, place })
        })
    }

    /// Tracks a new post.
    pub fn add_video(&self, platform: Platform) -> String {
        self.sandbox.world(|world| {
            let row = track_some_video(world, platform);
            world.id_text(row)
        })
    }

    /// Adds a post to an account's feed, published at `published`. It is listed after the account's next
    /// scrape.
    pub fn add_account_video(&self, account: &str, published: Moment) -> Option<String> {
        self.sandbox.world(|world| {
            let owner = world.find(Kind::Account, account)?;
            let place = world.add_post(owner.place, published);
            Some(world.id_text(Row { kind: Kind::AccountVideo, place }))
        })
    }

    /// Deletes a row; an account with its posts, a creator with its links.
    pub fn delete(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, World::delete)
    }

    /// Undoes a deletion.
    pub fn restore(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, World::restore)
    }

    /// Pauses a row; a creator with its accounts.
    pub fn pause(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, |world, row| world.set_active(row, false))
    }

    /// Resumes a paused row.
    pub fn resume(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, |world, row| world.set_active(row, true))
    }

    /// Changes how often an account or video is scraped.
    pub fn set_interval(&self, kind: Kind, id: &str, hours: u32) -> bool {
        self.edit(kind, id, |world, row| world.set_interval(row, hours))
    }

    /// Makes an account or video unavailable on its platform: no more scrapes.
    pub fn make_unavailable(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, World::make_unavailable)
    }

    /// Changes the counts of the last scrape without changing `last_scrape_time`.
    pub fn revise(&self, kind: Kind, id: &str, change: impl FnOnce(&mut Counts)) -> bool {
        self.edit(kind, id, |world, row| world.revise(row, change))
    }

    fn edit(&self, kind: Kind, id: &str, change: impl FnOnce(&mut World, Row)) -> bool {
        self.sandbox.world(|world| {
            let found = world.find(kind, id);
            found.map(|row| change(world, row)).is_some()
        })
    }

    /// Replaces a member of the row as shown. An unknown name adds a member.
    pub fn set_member(&self, kind: Kind, id: &str, name: &str, value: &Value) -> bool {
        self.replace(kind, id, name, Some(to_raw_value(value).unwrap()))
    }

    /// As `set_member`, with a JSON text, for numbers outside the range of any type.
    pub fn set_member_raw(&self, kind: Kind, id: &str, name: &str, json: &str) -> bool {
        let value = RawValue::from_string(json.to_owned()).unwrap();
        self.replace(kind, id, name, Some(value))
    }

    /// Omits a member of the row.
    pub fn remove_member(&self, kind: Kind, id: &str, name: &str) -> bool {
        self.replace(kind, id, name, None)
    }

    fn replace(&self, kind: Kind, id: &str, name: &str, value: Option<Box<RawValue>>) -> bool {
        self.hook.state().members.replace(kind, id, name, value);
        self.edit(kind, id, |_, _| ())
    }

    /// Shows all members of the row unchanged again.
    pub fn reset_members(&self, kind: Kind, id: &str) -> bool {
        self.hook.state().members.reset(kind, id);
        self.edit(kind, id, |_, _| ())
    }

    /// Shows an earlier `last_scrape_time` until the next scrape; the counts stay.
    pub fn rewind(&self, kind: Kind, id: &str, to: Moment) -> bool {
        let Some(row) = self.raw_row(kind, id) else { return false };
        self.hook.state().members.rewind(kind, id, &row, to.to_string());
        true
    }
}

/// Adds a row, as another user might on the dashboard.
pub fn insert(sandbox: &product::Control, kind: Kind) {
    sandbox.world(|world| {
        let known = world.all(kind).count();
        let platform = Platform::ALL[known % 2];
        match kind {
            Kind::Account => drop(world.track_account(platform, format!("from.elsewhere{known}"))),
            Kind::Creator => drop(world.add_creator(format!("Elsewhere {known}"))),
            Kind::Video => drop(track_some_video(world, platform)),
            _ => {
                let scraped = |row| Some((world.scrapes(row).last()?.at, row.place));
                if let Some((last, account)) = world.all(Kind::Account).filter_map(scraped).max() {
                    world.add_post(account, last);
                }
            }
        }
    });
}

fn track_some_video(world: &mut World, platform: Platform) -> Row {
    let external_id = world.draw_external_id(platform);
    world.track_video(platform, external_id)
}

/// An instant that the API shows.
pub fn moment(shown: &Value) -> Moment {
    Moment::from(shown.as_str().unwrap().parse::<DateTime<Utc>>().unwrap())
}

fn raw(world: &World, row: Row) -> RawRow {
    serde_json::from_slice(&serde_json::to_vec(&world.view(row)).unwrap()).unwrap()
}
