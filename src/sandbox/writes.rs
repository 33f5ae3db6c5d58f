//! Creating, changing, deleting and linking, with the checks that the API is known to make.

use serde_json::json;

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::fields::{Fields, members};
use crate::sandbox::growth::Platform;
use crate::sandbox::identifier;
use crate::sandbox::replies::{Answer, Problem};
use crate::sandbox::settings::Duplicates;
use crate::sandbox::world::{Metadata, Row, World};

/// Largest cap of a single account.
const OWN_CAP_MAX: i64 = 10_000;

/// `POST` to a list.
pub fn create(world: &mut World, kind: Kind, call: &Call) -> Result<Answer, Problem> {
    let mut fields = Fields::new(members(call)?);
    match kind {
        Kind::Account => create_account(world, &mut fields),
        Kind::Video => create_video(world, &mut fields),
        _ => create_creator(world, &mut fields),
    }
}

/// The members by which any row is created or changed, as far as its kind has them. An explicit null
/// clears what the organization has a default for, or no need of.
struct Change {
    category: Option<Option<String>>,
    max_posts: Option<Option<u32>>,
    lookback_days: Option<Option<u32>>,
    interval: Option<u32>,
    active: Option<bool>,
    metadata: Option<Metadata>,
}

impl Change {
    fn read(fields: &mut Fields) -> Self {
        let mut own_cap = |name| fields.has(name).then(|| fields.number(name, OWN_CAP_MAX));
        Self {
            max_posts: own_cap("max_recent_posts_per_account"),
            lookback_days: own_cap("post_lookback_days"),
            category: fields.has("category").then(|| fields.text("category")),
            interval: fields.interval(),
            active: fields.flag("is_active"),
            metadata: fields.metadata(),
        }
    }

    fn apply(self, world: &mut World, row: Row) {
        if row.kind == Kind::Account {
            let account = &mut world.accounts[row.place as usize];
            account.category = self.category.unwrap_or(account.category.take());
            account.max_posts = self.max_posts.unwrap_or(account.max_posts);
            account.lookback_days = self.lookback_days.unwrap_or(account.lookback_days);
        }
        if let Some(metadata) = self.metadata {
            world.set_metadata(row, metadata);
        }
        if let Some(interval) = self.interval {
            world.set_interval(row, interval);
        }
        if let Some(active) = self.active.filter(|active| *active != world.is_active(row)) {
            world.set_active(row, active);
        }
    }
}

fn create_account(world: &mut World, fields: &mut Fields) -> Result<Answer, Problem> {
    let platform = fields.platform();
    let username = fields.needed_text("username");
    let username = username.map(|name| name.trim().trim_start_matches('@').to_lowercase());
    if username.as_ref().is_some_and(|name| !is_username(name)) {
        fields.complain("username", "is not a user name");
    }
    let change = Change::read(fields);
    let creator = fields.text("creator_id").map(|id| living(world, Kind::Creator, &id));
    if creator == Some(None) {
        fields.complain("creator_id", "is not a creator of this organization");
    }
    fields.check()?;
    let (Some(platform), Some(username)) = (platform, username) else {
        return Err(Problem::new(422, "Invalid input"));
    };
    if let Some(row) = account_named(world, platform, &username) {
        return duplicate(world, row, "This account is tracked already");
    }
    let row = world.track_account(platform, username);
    change.apply(world, row);
    if let Some(creator) = creator.flatten() {
        world.link(creator.place, row.place);
    }
    Ok(created(world, row))
}

fn create_video(world: &mut World, fields: &mut Fields) -> Result<Answer, Problem> {
    let platform = fields.platform();
    let pasted = fields.needed_text("identifier");
    let post = match (platform, pasted) {
        (Some(platform), Some(pasted)) => match identifier::resolve(platform, &pasted) {
            Ok(post) => Some(post),
            Err(why) => {
                fields.complain("identifier", why);
                None
            }
        },
        _ => None,
    };
    let change = Change::read(fields);
    fields.check()?;
    let (Some(platform), Some(post)) = (platform, post) else {
        return Err(Problem::new(422, "Invalid input"));
    };
    if let Some(place) = world.video_by_post.get(&(platform, post.external_id)).copied() {
        return duplicate(world, Row { kind: Kind::Video, place }, "This post is tracked already");
    }
    let row = world.track_video(platform, post.external_id);
    let owner = post.username.as_ref().and_then(|name| account_named(world, platform, name));
    let video = &mut world.videos[row.place as usize];
    video.account = owner.map(|owner| owner.place);
    video.username = post.username;
    change.apply(world, row);
    Ok(created(world, row))
}

fn create_creator(world: &mut World, fields: &mut Fields) -> Result<Answer, Problem> {
    let name = fields.needed_text("name").map(|name| name.trim().to_owned());
    let change = Change::read(fields);
    fields.check()?;
    let place = world.add_creator(name.unwrap_or_default());
    let row = Row { kind: Kind::Creator, place };
    change.apply(world, row);
    Ok(created(world, row))
}

/// `PATCH` of a row.
pub fn update(world: &mut World, kind: Kind, id: &str, call: &Call) -> Result<Answer, Problem> {
    let row = need(world, kind, id)?;
    let mut fields = Fields::new(members(call)?);
    fields.need_some()?;
    let name = fields.text("name").filter(|_| kind == Kind::Creator);
    let change = Change::read(&mut fields);
    fields.check()?;
    let (now, place) = (world.now, row.place as usize);
    if kind == Kind::Video {
        world.videos[place].updated_at = Some(now);
    } else if let Some(name) = name {
        world.creators[place].name = name;
    }
    change.apply(world, row);
    Ok(Answer::data(200, &world.view(row)))
}

/// `DELETE` of a row.
pub fn delete(world: &mut World, kind: Kind, id: &str) -> Result<Answer, Problem> {
    let row = need(world, kind, id)?;
    world.delete(row);
    Ok(Answer::empty(204))
}

/// `PUT` of a link.
pub fn link(world: &mut World, creator: &str, account: &str, url: &str) -> Result<Answer, Problem> {
    let (creator, account) = linked_rows(world, creator, account)?;
    let conflict = || Problem::new(409, "The account belongs to another creator; unlink it first");
    let is_new = world.link(creator.place, account.place).ok_or_else(conflict)?;
    let record = json!({
        "type": "creator_account_link",
        "creator_id": world.id_text(creator),
        "account_id": world.id_text(account),
    });
    if is_new {
        return Ok(Answer::data(201, &record).with("location", url));
    }
    Ok(Answer::data(200, &record))
}

/// `DELETE` of a link.
pub fn unlink(world: &mut World, creator: &str, account: &str) -> Result<Answer, Problem> {
    let (creator, account) = linked_rows(world, creator, account)?;
    if world.accounts[account.place as usize].creator != Some(creator.place) {
        return Err(Problem::not_found("Link"));
    }
    world.unlink(account.place);
    Ok(Answer::empty(204))
}

fn linked_rows(world: &World, creator: &str, account: &str) -> Result<(Row, Row), Problem> {
    Ok((need(world, Kind::Creator, creator)?, need(world, Kind::Account, account)?))
}

fn account_named(world: &World, platform: Platform, username: &str) -> Option<Row> {
    world.all(Kind::Account).filter(|row| world.is_listed(*row)).find(|row| {
        let account = &world.accounts[row.place as usize];
        account.tracked.platform == platform && account.username == username
    })
}

fn living(world: &World, kind: Kind, id: &str) -> Option<Row> {
    world.find(kind, id).filter(|row| world.is_listed(*row))
}

/// The row, or 404.
pub fn need(world: &World, kind: Kind, id: &str) -> Result<Row, Problem> {
    living(world, kind, id).ok_or_else(|| Problem::not_found(kind.name()))
}

fn created(world: &World, row: Row) -> Answer {
    Answer::data(201, &world.view(row))
}

fn duplicate(world: &World, row: Row, detail: &str) -> Result<Answer, Problem> {
    match world.settings.duplicates {
        Duplicates::Conflict => Err(Problem::new(409, detail)),
        Duplicates::Existing => Ok(Answer::data(200, &world.view(row))),
    }
}

fn is_username(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 64 && name.bytes().all(fits)
}
