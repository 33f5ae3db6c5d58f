//! Columns of the views about edits and about the mirror itself, one line each, in the order of the view.

use crate::store::schema_docs::fact::{
    ANY, COUNT, ColumnFact, ID, INSTANT, NUMBER, TEXT, nullable, required,
};

#[rustfmt::skip]
pub(super) const CHANGE_LOG: &[ColumnFact] = &[
    required("change", NUMBER, "Number of the change, increasing in the order in which the mirror wrote them", "mirror"),
    required("changed_at", INSTANT, "Start of the request whose answer showed the change; of a removal, when it was found. The edit itself was made after the answer before", "mirror"),
    required("kind", TEXT, "account, creator, video or account_video", "mirror"),
    required("id", ID, "The id in accounts, creators or videos; platform:id for account_video, whose ids are unique per platform only", "GET /accounts, /creators, /videos, /account-videos"),
    required("field", TEXT, "The column in the view of the kind; removed_at for a removal (from NULL) and a return (to NULL); post_key if the key of a post changed", "mirror"),
    nullable("old_value", ANY, "The value before, as the column shows it: booleans 0 and 1, JSON as text, NULL for none", "mirror"),
    nullable("new_value", ANY, "The value after", "mirror"),
];

#[rustfmt::skip]
pub(super) const CREATOR_ACCOUNTS: &[ColumnFact] = &[
    required("creator_id", ID, "The creator", "GET /accounts, Account.creator_id"),
    required("account_id", ID, "The account", "GET /accounts, Account.id"),
    required("from_at", INSTANT, "When the mirror first saw the account with this creator: of its first creator, mostly first_mirrored_at", "mirror"),
    nullable("to_at", INSTANT, "When the account was seen with another creator or with none, or was found removed; NULL while it belongs to the creator", "mirror"),
];

#[rustfmt::skip]
pub(super) const MIRROR_INFO: &[ColumnFact] = &[
    nullable("organization_id", ID, "The organization; NULL before the first answer of the API", "GET /whoami"),
    nullable("api_key_name", TEXT, "Name of the API key", "GET /whoami"),
    required("timezone", TEXT, "The setting `timezone` of the last run; columns in local time use it", "mirror"),
    nullable("first_synced_at", INSTANT, "Start of the first run that ended without an error of the whole run; NULL before", "mirror"),
    nullable("last_run_at", INSTANT, "Start of the latest run; NULL before the first", "mirror"),
    required("schema_version", NUMBER, "Version of the schema of this file", "mirror"),
];

#[rustfmt::skip]
pub(super) const USAGE: &[ColumnFact] = &[
    nullable("platform", TEXT, "instagram or tiktok", "mirror"),
    required("account_posts", COUNT, "Posts found in the feeds of accounts: rows of account_videos that are not removed", "mirror"),
    required("tracked_posts", COUNT, "Individually tracked posts: rows of videos that are not removed", "mirror"),
    required("paused_posts", COUNT, "Those of both that are paused: videos that are not active, and posts of accounts that are not active", "mirror"),
    required("posts_total", COUNT, "account_posts + tracked_posts. A post in both counts twice, as it is billed twice", "mirror"),
];
