//! Small facts about rows that filters, orders and figures ask for.

use std::borrow::Cow;

use uuid::Uuid;

use crate::model::Kind;
use crate::sandbox::growth::Platform;
use crate::sandbox::words;
use crate::sandbox::world::{Row, World};

impl World {
    /// Every row of a kind, deleted ones included.
    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = Row> + use<> {
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
            Kind::Account => self.accounts[place].id.as_u128(),
            Kind::Creator => self.creators[place].id.as_u128(),
            Kind::Video => self.videos[place].id.as_u128(),
            _ => {
                let post = &self.posts[place];
                ((post.platform as u128) << 64) | u128::from(post.number)
            }
        }
    }

    pub(super) fn platform(&self, row: Row) -> Option<Platform> {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => Some(self.accounts[place].platform),
            Kind::Video => Some(self.videos[place].platform),
            Kind::AccountVideo => Some(self.posts[place].platform),
            _ => None,
        }
    }

    pub(super) fn is_active(&self, row: Row) -> bool {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => self.accounts[place].is_active,
            Kind::Creator => self.creators[place].is_active,
            Kind::Video => self.videos[place].is_active,
            _ => true,
        }
    }

    /// The text that `q` looks into.
    pub(super) fn searchable(&self, row: Row) -> Cow<'_, str> {
        let place = row.place as usize;
        match row.kind {
            Kind::Account => Cow::Borrowed(&self.accounts[place].username),
            Kind::Creator => Cow::Borrowed(&self.creators[place].name),
            Kind::Video => match self.true_last_scrape(row) {
                Some(_) => Cow::Owned(words::caption(self.videos[place].text)),
                None => Cow::Borrowed(""),
            },
            _ => Cow::Owned(words::caption(self.posts[place].text)),
        }
    }

    pub(super) fn category(&self, row: Row) -> Option<&String> {
        match row.kind {
            Kind::Account => self.accounts[row.place as usize].category.as_ref(),
            _ => None,
        }
    }

    pub(super) fn creator_of(&self, row: Row) -> Option<Uuid> {
        let account =
            self.accounts.get(row.place as usize).filter(|_| row.kind == Kind::Account)?;
        account.creator.map(|place| self.creators[place as usize].id)
    }

    pub(super) fn account_of(&self, row: Row) -> Option<Uuid> {
        let place = match row.kind {
            Kind::Video => self.videos[row.place as usize].account?,
            Kind::AccountVideo => self.posts[row.place as usize].account,
            _ => return None,
        };
        Some(self.accounts[place as usize].id)
    }
}
