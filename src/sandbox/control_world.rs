//! What a test may do to the world behind the API's back.

use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::model::Kind;
use crate::sandbox::control::Control;
use crate::sandbox::growth::{Counts, Platform};
use crate::sandbox::moment::Moment;
use crate::sandbox::world::{Row, World};

/// Rows are named by kind and id; an account video's id is `platform:id`. A change of a row that
/// does not exist does nothing and returns `false`.
impl Control {
    /// Begins to track an account, as a colleague might on the dashboard.
    pub fn add_account(&self, platform: Platform, username: &str) -> String {
        self.with(|state| {
            let row = state.world.track_account(platform, username.to_owned());
            state.world.id_text(row)
        })
    }

    /// Creates a creator.
    pub fn add_creator(&self, name: &str) -> String {
        self.with(|state| {
            let place = state.world.add_creator(name.to_owned());
            state.world.id_text(Row { kind: Kind::Creator, place })
        })
    }

    /// Begins to track some post.
    pub fn add_video(&self, platform: Platform) -> String {
        self.with(|state| {
            let external_id = state.world.draw_external_id(platform);
            let row = state.world.track_video(platform, external_id);
            state.world.id_text(row)
        })
    }

    /// Lets a post be found in an account's feed, published at `published`. It shows from the
    /// account's next scrape after that.
    pub fn add_account_video(&self, account: &str, published: Moment) -> Option<String> {
        self.with(|state| {
            let owner = state.world.find(Kind::Account, account)?;
            let place = state.world.add_post(owner.place, published);
            Some(state.world.id_text(Row { kind: Kind::AccountVideo, place }))
        })
    }

    /// Deletes a row; with an account its posts, with a creator its links.
    pub fn delete(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, World::delete)
    }

    /// Takes a deletion back.
    pub fn restore(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, World::restore)
    }

    /// Pauses a row; with a creator its accounts.
    pub fn pause(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, |world, row| world.set_active(row, false))
    }

    /// Lets a paused row go on.
    pub fn resume(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, |world, row| world.set_active(row, true))
    }

    /// Changes how often an account or video is scraped.
    pub fn set_interval(&self, kind: Kind, id: &str, hours: u32) -> bool {
        self.edit(kind, id, |world, row| world.set_interval(row, hours))
    }

    /// Makes an account or video unreachable on its platform: no more scrapes.
    pub fn make_unavailable(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, |world, row| {
            let place = row.place as usize;
            match row.kind {
                Kind::Account => {
                    world.accounts[place].is_unavailable = true;
                    world.accounts[place].schedule.stop();
                }
                Kind::Video => {
                    world.videos[place].is_unavailable = true;
                    world.videos[place].schedule.stop();
                }
                _ => {}
            }
        })
    }

    /// Replaces a member of the row as shown, whatever it is. A foreign name adds a member.
    pub fn set_member(&self, kind: Kind, id: &str, name: &str, value: &Value) -> bool {
        let Ok(value) = to_raw_value(value) else { return false };
        self.replace(kind, id, name, Some(value))
    }

    /// The same with a JSON text, for numbers beyond any type.
    pub fn set_member_raw(&self, kind: Kind, id: &str, name: &str, json: &str) -> bool {
        let Ok(value) = RawValue::from_string(json.to_owned()) else { return false };
        self.replace(kind, id, name, Some(value))
    }

    /// Leaves a member of the row out.
    pub fn remove_member(&self, kind: Kind, id: &str, name: &str) -> bool {
        self.replace(kind, id, name, None)
    }

    /// Shows all members of the row as they are again.
    pub fn reset_members(&self, kind: Kind, id: &str) -> bool {
        self.edit(kind, id, |world, row| drop(world.overrides.remove(&row)))
    }

    fn replace(&self, kind: Kind, id: &str, name: &str, value: Option<Box<RawValue>>) -> bool {
        self.edit(kind, id, |world, row| {
            world.overrides.entry(row).or_default().insert(name.to_owned(), value);
        })
    }

    /// Changes the counts of the last scrape without moving `last_scrape_time`. The truth counts
    /// the changed ones as those of that scrape.
    pub fn revise(&self, kind: Kind, id: &str, change: impl FnOnce(&mut Counts)) -> bool {
        self.edit(kind, id, |world, row| {
            if let Some(at) = world.true_last_scrape(row) {
                let mut counts = world.counts_at(row, at);
                change(&mut counts);
                world.revised.insert((row, at), counts);
            }
        })
    }

    /// Shows an earlier `last_scrape_time` until the next scrape; the counts stay.
    pub fn rewind(&self, kind: Kind, id: &str, to: Moment) -> bool {
        self.edit(kind, id, |world, row| {
            world.rewound.insert(row, to);
        })
    }

    fn edit(&self, kind: Kind, id: &str, change: impl FnOnce(&mut World, Row)) -> bool {
        self.with(|state| match state.world.find(kind, id) {
            Some(row) => {
                change(&mut state.world, row);
                true
            }
            None => false,
        })
    }
}
