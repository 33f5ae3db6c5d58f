//! Creating, changing, deleting and linking, with the checks that the API is known to make.

use serde_json::json;

use crate::model::Kind;
use crate::sandbox::call::Call;
use crate::sandbox::fields::Fields;
use crate::sandbox::identifier;
use crate::sandbox::replies::{Answer, Problem};
use crate::sandbox::settings::Duplicates;
use crate::sandbox::world::{Row, World};

/// Bound of the caps that an account may have of its own.
const OWN_CAP_MAX: i64 = 10_000;

/// `POST` to a list.
pub fn create(world: &mut World, kind: Kind, call: &Call) -> Result<Answer, Problem> {
    let mut fields = Fields::new(call.json()?);
    match kind {
        Kind::Account => create_account(world, &mut fields),
        Kind::Video => create_video(world, &mut fields),
        _ => create_creator(world, &mut fields),
    }
}

fn create_account(world: &mut World, fields: &mut Fields) -> Result<Answer, Problem> {
    let platform = fields.platform();
    let username = fields.needed_text("username");
    let username = username.map(|name| name.trim().trim_start_matches('@').to_lowercase());
    if username.as_ref().is_some_and(|name| !is_username(name)) {
        fields.complain("username", "is not a user name");
    }
    let category = fields.text("category");
    let interval = fields.interval();
    let active = fields.flag("is_active").unwrap_or(true);
    let metadata = fields.metadata();
    let max_posts = fields.number("max_recent_posts_per_account", OWN_CAP_MAX);
    let lookback = fields.number("post_lookback_days", OWN_CAP_MAX);
    let creator = fields.text("creator_id").map(|id| living(world, Kind::Creator, &id));
    if creator == Some(None) {
        fields.complain("creator_id", "is no creator of this organization");
    }
    fields.check()?;
    let (Some(platform), Some(username)) = (platform, username) else {
        return Err(Problem::new(422, "Invalid input"));
    };
    let same = |row: &Row| {
        let account = &world.accounts[row.place as usize];
        account.platform == platform && account.username == username
    };
    let existing = world.all(Kind::Account).filter(|r| world.is_listed(*r)).find(same);
    if let Some(row) = existing {
        return duplicate(world, row, "This account is tracked already");
    }
    let tracked = world.account_order.len();
    if world.settings.account_cap.is_some_and(|cap| tracked >= cap) {
        let detail = format!("The cap of {tracked} tracked accounts is reached");
        return Err(Problem::coded(403, "QUOTA_EXCEEDED", detail));
    }
    let row = world.track_account(platform, username);
    let account = &mut world.accounts[row.place as usize];
    account.category = category;
    account.metadata = metadata.unwrap_or_default();
    account.max_posts = max_posts;
    account.lookback_days = lookback;
    world.set_interval(row, interval.unwrap_or(24));
    if !active {
        world.set_active(row, false);
    }
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
    let interval = fields.interval();
    let active = fields.flag("is_active").unwrap_or(true);
    let metadata = fields.metadata();
    fields.check()?;
    let (Some(platform), Some(post)) = (platform, post) else {
        return Err(Problem::new(422, "Invalid input"));
    };
    if let Some(place) = world.video_by_post.get(&(platform, post.external_id)).copied() {
        return duplicate(world, Row { kind: Kind::Video, place }, "This post is tracked already");
    }
    let row = world.track_video(platform, post.external_id);
    let owner = (0u32..).zip(&world.accounts).find(|(_, account)| {
        !account.deleted
            && account.platform == platform
            && Some(&account.username) == post.username.as_ref()
    });
    let owner = owner.map(|(place, _)| place);
    let video = &mut world.videos[row.place as usize];
    video.account = owner;
    video.username = post.username;
    video.metadata = metadata.unwrap_or_default();
    world.set_interval(row, interval.unwrap_or(24));
    if !active {
        world.set_active(row, false);
    }
    Ok(created(world, row))
}

fn create_creator(world: &mut World, fields: &mut Fields) -> Result<Answer, Problem> {
    let name = fields.needed_text("name");
    let active = fields.flag("is_active").unwrap_or(true);
    let metadata = fields.metadata();
    fields.check()?;
    let place = world.add_creator(name.unwrap_or_default());
    world.creators[place as usize].is_active = active;
    world.creators[place as usize].metadata = metadata.unwrap_or_default();
    Ok(created(world, Row { kind: Kind::Creator, place }))
}

/// `PATCH` of a row.
pub fn update(world: &mut World, kind: Kind, id: &str, call: &Call) -> Result<Answer, Problem> {
    let row = need(world, kind, id)?;
    let mut fields = Fields::new(call.json()?);
    fields.need_some()?;
    let name = fields.text("name").filter(|_| kind == Kind::Creator);
    let category = fields.text("category");
    let active = fields.flag("is_active");
    let interval = fields.interval();
    let metadata = fields.metadata();
    let max_posts = fields.number("max_recent_posts_per_account", OWN_CAP_MAX);
    let lookback = fields.number("post_lookback_days", OWN_CAP_MAX);
    fields.check()?;
    let (now, place) = (world.now, row.place as usize);
    match kind {
        Kind::Account => {
            let account = &mut world.accounts[place];
            // An explicit null clears what the organization has a default for, or no need of.
            if fields.has("category") {
                account.category = category;
            }
            if fields.has("max_recent_posts_per_account") {
                account.max_posts = max_posts;
            }
            if fields.has("post_lookback_days") {
                account.lookback_days = lookback;
            }
            account.metadata = metadata.unwrap_or_else(|| account.metadata.clone());
        }
        Kind::Video => {
            let video = &mut world.videos[place];
            video.metadata = metadata.unwrap_or_else(|| video.metadata.clone());
            video.updated_at = Some(now);
        }
        _ => {
            let creator = &mut world.creators[place];
            creator.metadata = metadata.unwrap_or_else(|| creator.metadata.clone());
            creator.name = name.unwrap_or_else(|| creator.name.clone());
        }
    }
    if let Some(interval) = interval {
        world.set_interval(row, interval);
    }
    if let Some(active) = active.filter(|active| *active != world.is_active(row)) {
        world.set_active(row, active);
    }
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
