//! The columns of every mirrored resource: name, type, and whether history or the change log keeps it.
//!
//! Decoding, the statements that write rows, and the tests of the migrations all derive from these tables. Names are
//! the API's member names; a creator's `accounts_summary` is spread over three columns.

use crate::model::kind::Kind;

/// The JSON type a member must have to be stored in its column. Values of another type go to `extra`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// A JSON string.
    Text,
    /// A whole number that fits 64 bits; `12.0` counts as 12.
    Integer,
    /// Any number.
    Real,
    /// `true` or `false`, kept as 1 or 0.
    Boolean,
    /// An RFC 3339 string, kept in the mirror's one form.
    Instant,
    /// A JSON object, kept as its text.
    Object,
}

/// A column and the member it comes from.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Name of the column and, unless `within` says otherwise, of the member.
    pub name: &'static str,
    /// What the member must be.
    pub ty: ColumnType,
    /// For a member of a nested object: that object's name and the member's own.
    pub within: Option<(&'static str, &'static str)>,
    /// Whether `change_log` shows its edits: content, but no count, no time of a scrape, no address of media, which is
    /// signed anew in every answer, and no object of undocumented members, which may hold any of these.
    pub is_logged: bool,
}

const fn column(name: &'static str, ty: ColumnType) -> Column {
    Column { name, ty, within: None, is_logged: true }
}

/// A column whose edits are not logged.
pub const fn unlogged(name: &'static str, ty: ColumnType) -> Column {
    Column { is_logged: false, ..column(name, ty) }
}

const fn text(name: &'static str) -> Column {
    column(name, ColumnType::Text)
}

/// A URL of media.
const fn media(name: &'static str) -> Column {
    unlogged(name, ColumnType::Text)
}

const fn count(name: &'static str) -> Column {
    unlogged(name, ColumnType::Integer)
}

/// A number that a user sets.
const fn setting(name: &'static str) -> Column {
    column(name, ColumnType::Integer)
}

const fn flag(name: &'static str) -> Column {
    column(name, ColumnType::Boolean)
}

const fn instant(name: &'static str) -> Column {
    column(name, ColumnType::Instant)
}

/// When the API changed the row or read it from the platform.
const fn scrape_time(name: &'static str) -> Column {
    unlogged(name, ColumnType::Instant)
}

const fn object(name: &'static str) -> Column {
    column(name, ColumnType::Object)
}

const fn summary(name: &'static str, ty: ColumnType, member: &'static str) -> Column {
    Column { within: Some(("accounts_summary", member)), ..unlogged(name, ty) }
}

/// `Account` of the API, without its `id`.
const ACCOUNT: &[Column] = &[
    text("platform"),
    text("username"),
    text("type"),
    text("name"),
    text("description"),
    media("profile_pic_url"),
    media("profile_pic_url_original"),
    flag("is_verified"),
    flag("is_active"),
    flag("is_unavailable"),
    text("link_in_bio"),
    text("creator_id"),
    text("creator_name"),
    text("category"),
    object("metadata"),
    instant("added_at"),
    scrape_time("first_scrape_time"),
    scrape_time("last_scrape_time"),
    setting("scrape_interval_hours"),
    count("follower_count"),
    count("following_count"),
    count("profile_post_count"),
    count("total_post_count"),
    count("view_count"),
    count("like_count"),
    count("comment_count"),
    count("share_count"),
    count("play_count"),
    count("saved_count"),
    count("fb_play_count"),
    count("ig_play_count"),
    count("fb_like_count"),
    setting("max_recent_posts_per_account"),
    setting("post_lookback_days"),
    setting("effective_max_recent_posts_per_account"),
    setting("effective_post_lookback_days"),
];

/// `Creator` of the API, without its `id`.
const CREATOR: &[Column] = &[
    text("name"),
    text("type"),
    flag("is_active"),
    object("metadata"),
    summary("accounts_total", ColumnType::Integer, "total"),
    summary("accounts_by_platform", ColumnType::Object, "platforms"),
    summary("total_followers", ColumnType::Integer, "total_followers"),
];

/// `Video` of the API, without its `id`.
const VIDEO: &[Column] = &[
    text("external_id"),
    text("platform"),
    text("type"),
    text("shortcode"),
    flag("is_active"),
    setting("scrape_interval_hours"),
    object("metadata"),
    instant("added_at"),
    scrape_time("updated_at"),
    scrape_time("first_scrape_time"),
    scrape_time("last_scrape_time"),
    text("description"),
    instant("create_time"),
    text("media_type"),
    column("duration", ColumnType::Real),
    flag("is_unavailable"),
    media("cover_image_url"),
    media("cover_image_url_original"),
    media("video_url"),
    media("video_url_original"),
    count("view_count"),
    count("like_count"),
    count("comment_count"),
    count("share_count"),
    count("play_count"),
    count("saved_count"),
    count("total_views"),
    count("total_plays"),
    text("account_id"),
    text("account_username"),
    text("platform_account_id"),
    unlogged("platform_data", ColumnType::Object),
];

/// Members of account videos seen so far, without `id`; the API does not document them.
const ACCOUNT_VIDEO: &[Column] = &[
    text("platform"),
    text("external_id"),
    text("type"),
    text("shortcode"),
    text("account_id"),
    text("account_username"),
    text("description"),
    instant("create_time"),
    text("media_type"),
    column("duration", ColumnType::Real),
    flag("is_unavailable"),
    scrape_time("first_scrape_time"),
    scrape_time("last_scrape_time"),
    media("cover_image_url"),
    media("video_url"),
    count("view_count"),
    count("like_count"),
    count("comment_count"),
    count("share_count"),
    count("play_count"),
    count("saved_count"),
];

const ACCOUNT_HISTORY: &[&str] = &[
    "follower_count",
    "following_count",
    "total_post_count",
    "view_count",
    "like_count",
    "comment_count",
    "share_count",
    "play_count",
    "saved_count",
    "profile_post_count",
    "fb_play_count",
    "ig_play_count",
    "fb_like_count",
];

const VIDEO_HISTORY: &[&str] = &[
    "view_count",
    "like_count",
    "comment_count",
    "share_count",
    "play_count",
    "saved_count",
    "total_views",
    "total_plays",
];

/// Account videos have the first six of the counts of videos.
const ACCOUNT_VIDEO_HISTORY: &[&str] = VIDEO_HISTORY.split_at(6).0;

/// The columns of a list kind, in the order in which rows carry their values. Empty for the kinds
/// that are not lists.
pub const fn columns(kind: Kind) -> &'static [Column] {
    match kind {
        Kind::Account => ACCOUNT,
        Kind::Creator => CREATOR,
        Kind::Video => VIDEO,
        Kind::AccountVideo => ACCOUNT_VIDEO,
        Kind::Overview | Kind::Meta => &[],
    }
}

/// The counts that history keeps of each scrape; empty for kinds without scrapes.
pub const fn history_columns(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Account => ACCOUNT_HISTORY,
        Kind::Video => VIDEO_HISTORY,
        Kind::AccountVideo => ACCOUNT_VIDEO_HISTORY,
        Kind::Creator | Kind::Overview | Kind::Meta => &[],
    }
}

/// The columns of a kind whose edits `change_log` shows, each with its place in the kind's rows.
pub fn logged_columns(kind: Kind) -> impl Iterator<Item = (usize, &'static Column)> {
    columns(kind).iter().enumerate().filter(|(_, column)| column.is_logged)
}

/// Where in a kind's rows the column of this name stands.
pub fn position(kind: Kind, name: &str) -> Option<usize> {
    columns(kind).iter().position(|column| column.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn history_is_made_of_columns() {
        for kind in Kind::LISTS {
            for name in history_columns(kind) {
                let at = position(kind, name).unwrap();
                assert_eq!(columns(kind)[at].ty, ColumnType::Integer);
            }
        }
    }

    #[test]
    fn counts_scrape_times_and_media_are_not_logged() {
        for kind in Kind::LISTS {
            for (at, column) in logged_columns(kind) {
                let name = column.name;
                assert_eq!(position(kind, name), Some(at));
                let is_content = !name.ends_with("_count")
                    && !name.ends_with("_url")
                    && !name.ends_with("_url_original")
                    && !name.ends_with("scrape_time")
                    && !history_columns(kind).contains(&name);
                assert!(is_content, "{kind} {name}");
            }
        }
        let names: Vec<_> = logged_columns(Kind::Creator).map(|(_, column)| column.name).collect();
        assert_eq!(names, ["name", "type", "is_active", "metadata"]);
    }

    #[test]
    fn no_name_comes_twice() {
        for kind in Kind::LISTS {
            for (at, column) in columns(kind).iter().enumerate() {
                assert_eq!(position(kind, column.name), Some(at));
            }
        }
    }
}
