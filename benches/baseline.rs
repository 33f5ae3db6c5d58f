//! The baseline of `first_load`: a minimal program that copies the videos of a list to SQLite. It
//! downloads page after page, parses, and upserts one flat table in one transaction per page. It keeps no
//! history, ETags or cursor, and has no rate limiter, retries or validation.
//!
//! `cargo bench --bench first_load` runs it. On its own it does nothing.

use std::error::Error;

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;

const SCHEMA: &str = "
    PRAGMA journal_mode = wal;
    PRAGMA synchronous = normal;
    CREATE TABLE IF NOT EXISTS video (
        id TEXT PRIMARY KEY, external_id TEXT, platform TEXT, type TEXT, shortcode TEXT,
        is_active INTEGER, scrape_interval_hours INTEGER, metadata TEXT, added_at TEXT,
        updated_at TEXT, first_scrape_time TEXT, last_scrape_time TEXT, description TEXT,
        create_time TEXT, media_type TEXT, duration REAL, is_unavailable INTEGER,
        cover_image_url TEXT, cover_image_url_original TEXT, video_url TEXT,
        video_url_original TEXT, view_count INTEGER, like_count INTEGER, comment_count INTEGER,
        share_count INTEGER, play_count INTEGER, saved_count INTEGER, total_views INTEGER,
        total_plays INTEGER, account_id TEXT, account_username TEXT, platform_account_id TEXT,
        platform_data TEXT
    )";

const UPSERT: &str = "
    INSERT OR REPLACE INTO video VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13,
        ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31,
        ?32, ?33)";

#[derive(Deserialize)]
struct Page {
    data: Vec<Video>,
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_cursor: Option<String>,
}

#[derive(Deserialize)]
struct Video {
    id: String,
    external_id: String,
    platform: String,
    r#type: String,
    shortcode: Option<String>,
    is_active: bool,
    scrape_interval_hours: i64,
    metadata: Box<RawValue>,
    added_at: String,
    updated_at: Option<String>,
    first_scrape_time: Option<String>,
    last_scrape_time: Option<String>,
    description: Option<String>,
    create_time: Option<String>,
    media_type: Option<String>,
    duration: Option<f64>,
    is_unavailable: Option<bool>,
    cover_image_url: Option<String>,
    cover_image_url_original: Option<String>,
    video_url: Option<String>,
    video_url_original: Option<String>,
    view_count: Option<i64>,
    like_count: Option<i64>,
    comment_count: Option<i64>,
    share_count: Option<i64>,
    play_count: Option<i64>,
    saved_count: Option<i64>,
    total_views: Option<i64>,
    total_plays: Option<i64>,
    account_id: Option<String>,
    account_username: Option<String>,
    platform_account_id: Option<String>,
    platform_data: Box<RawValue>,
}

/// Loads the list at `base_url` into `database`.
pub fn load(base_url: &str, database: &str) -> Result<(), Box<dyn Error>> {
    let mut connection = Connection::open(database)?;
    connection.execute_batch(SCHEMA)?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([]).build()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut url = format!("{base_url}/videos?limit=200");
    loop {
        let body = runtime.block_on(async { client.get(&url).send().await?.bytes().await })?;
        let page: Page = serde_json::from_slice(&body)?;
        let transaction = connection.transaction()?;
        for video in &page.data {
            upsert(&transaction, video)?;
        }
        transaction.commit()?;
        match page.pagination.next_cursor {
            Some(cursor) => url = format!("{base_url}/videos?limit=200&cursor={cursor}"),
            None => return Ok(()),
        }
    }
}

fn upsert(connection: &Connection, video: &Video) -> rusqlite::Result<()> {
    let values = params![
        video.id,
        video.external_id,
        video.platform,
        video.r#type,
        video.shortcode,
        video.is_active,
        video.scrape_interval_hours,
        video.metadata.get(),
        video.added_at,
        video.updated_at,
        video.first_scrape_time,
        video.last_scrape_time,
        video.description,
        video.create_time,
        video.media_type,
        video.duration,
        video.is_unavailable,
        video.cover_image_url,
        video.cover_image_url_original,
        video.video_url,
        video.video_url_original,
        video.view_count,
        video.like_count,
        video.comment_count,
        video.share_count,
        video.play_count,
        video.saved_count,
        video.total_views,
        video.total_plays,
        video.account_id,
        video.account_username,
        video.platform_account_id,
        video.platform_data.get(),
    ];
    connection.prepare_cached(UPSERT)?.execute(values)?;
    Ok(())
}

/// Takes a base URL and a database file. `cargo bench` passes neither; then it does nothing.
#[allow(dead_code)] // Unused where `first_load` includes this file.
fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [base_url, database] => load(base_url, database),
        _ => Ok(()),
    }
}
