//! The sandbox over real sockets.

#![allow(clippy::unwrap_used, reason = "tests panic on errors")]

#[path = "sandbox/client.rs"]
mod client;
#[path = "sandbox/faults.rs"]
mod faults;
#[path = "sandbox/reads.rs"]
mod reads;
mod support;
#[path = "sandbox/writes.rs"]
mod writes;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::TimeDelta;
use client::{Bench, start_time};
use creatormirror::model::Kind;
use serde_json::{Value, json};
use support::sandbox::{IdStyle, Moment, SandboxSettings};

fn by_id(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| (row["platform"].to_string(), row["id"].to_string()));
    rows
}

#[tokio::test]
async fn lists_return_all_rows_in_every_order() {
    let bench = Bench::new(SandboxSettings { null_sort_first: true, ..Default::default() }).await;
    let lists = [
        (Kind::Account, "/accounts?limit=5"),
        (Kind::Account, "/accounts?limit=3&order_by=last_scrape_time&order_direction=desc"),
        (Kind::Account, "/accounts?limit=3&order_by=username&order_direction=asc"),
        (Kind::Creator, "/creators?limit=2"),
        (Kind::Video, "/videos?limit=7&order_by=added_at&order_direction=asc"),
        (Kind::Video, "/videos?limit=7&order_by=create_time"),
        (Kind::Video, "/videos?limit=7&sort=-view_count"),
        (Kind::AccountVideo, "/account-videos?limit=40"),
        (Kind::AccountVideo, "/account-videos?limit=33&order_by=view_count"),
    ];
    for (kind, path) in lists {
        let rows = bench.list(path).await;
        assert_eq!(by_id(rows), by_id(bench.control.rows(kind)), "{path}");
    }
    assert_eq!(bench.control.count(Kind::Video), 60);
    assert_eq!(bench.control.count(Kind::AccountVideo), 150);
    for path in ["/whoami", "/meta", "/overview"] {
        assert_eq!(bench.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn passing_time_adds_scrapes() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let before: BTreeMap<_, _> = (bench.control.ids(Kind::Video).into_iter())
        .map(|id| (id.clone(), bench.control.scrapes(Kind::Video, &id)))
        .collect();
    bench.clock.advance(Duration::from_secs(49 * 3_600));
    let mut moved = 0;
    for (id, before) in before {
        let after = bench.control.scrapes(Kind::Video, &id);
        assert_eq!(after[..before.len()], before[..]);
        let row = bench.control.row(Kind::Video, &id).unwrap();
        let shown = after.last().map(|scrape| scrape.view_count);
        assert_eq!(row["view_count"].as_i64(), shown);
        moved += usize::from(after.len() > before.len());
    }
    assert!(moved > 40, "{moved}");
}

#[tokio::test]
async fn data_depends_only_on_the_seed() {
    let world = async |seed| {
        let bench = Bench::new(SandboxSettings { seed, ..Default::default() }).await;
        bench.clock.advance(Duration::from_secs(7 * 86_400));
        Kind::LISTS.map(|kind| bench.control.rows(kind))
    };
    let (one, again, other) = (world(5).await, world(5).await, world(6).await);
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[tokio::test]
async fn default_data_is_varied() {
    let bench = Bench::new(SandboxSettings { videos: 300, ..Default::default() }).await;
    let videos = bench.control.rows(Kind::Video);
    let share = |test: &dyn Fn(&Value) -> bool| videos.iter().filter(|row| test(row)).count();
    assert!((5..60).contains(&share(&|row| row["is_active"] == false)));
    assert!((1..30).contains(&share(&|row| row["is_unavailable"] == true)));
    assert!((1..10).contains(&share(&|row| row["last_scrape_time"].is_null())));
    assert!((5..120).contains(&share(&|row| row["account_id"].is_string())));
    for hours in [1, 3, 6, 12, 24, 48] {
        assert!(share(&|row| row["scrape_interval_hours"] == hours) > 20);
    }
    for row in &videos {
        let tiktok = row["platform"] == "tiktok";
        let unscraped = row["last_scrape_time"].is_null();
        assert_eq!(row["saved_count"].is_null(), tiktok || unscraped);
        assert_eq!(row["view_count"].is_null(), unscraped);
    }
}

#[tokio::test]
async fn new_videos_are_scraped_and_new_posts_appear() {
    let settings = SandboxSettings { new_posts_per_day: 2.0, ..Default::default() };
    let bench = Bench::new(settings).await;
    let body = json!({ "platform": "tiktok", "identifier": "7300000000000000001" });
    let created = bench.post("/videos", &body).await;
    assert_eq!(created.status, 201);
    let id = created.json()["data"]["id"].as_str().unwrap().to_owned();
    assert!(created.json()["data"]["last_scrape_time"].is_null());
    bench.clock.advance(Duration::from_secs(7));
    let row = bench.get(&format!("/videos/{id}")).await.json();
    assert!(row["data"]["view_count"].as_i64().is_some_and(|views| views >= 0));
    let posts = bench.control.count(Kind::AccountVideo);
    // A scrape may be ninety seconds late.
    bench.clock.advance(Duration::from_secs(7 * 86_400 + 90));
    assert!(bench.control.count(Kind::AccountVideo) > posts + 50);
    assert_eq!(bench.control.scrapes(Kind::Video, &id).len(), 8);
}

#[tokio::test]
async fn manual_changes_are_visible_immediately() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let control = &bench.control;
    let id = control
        .ids(Kind::Video)
        .into_iter()
        .find(|id| control.scrapes(Kind::Video, id).len() > 3)
        .unwrap();
    let row = || control.row(Kind::Video, &id).unwrap();
    let scraped_at = row()["last_scrape_time"].clone();
    control.revise(Kind::Video, &id, |counts| counts.view = 7);
    assert_eq!(
        (row()["view_count"].clone(), row()["last_scrape_time"].clone()),
        (json!(7), scraped_at)
    );
    assert_eq!(control.scrapes(Kind::Video, &id).last().unwrap().view_count, 7);
    control.rewind(Kind::Video, &id, Moment::from(start_time() - TimeDelta::days(300)));
    assert_eq!(row()["last_scrape_time"], "2024-08-19T15:06:40Z");
    control.set_member_raw(Kind::Video, &id, "like_count", "98765432109876543210");
    control.set_member(Kind::Video, &id, "mood", &json!({ "a": [1] }));
    control.remove_member(Kind::Video, &id, "duration");
    let shown = bench.get(&format!("/videos/{id}")).await;
    assert!(String::from_utf8_lossy(&shown.body).contains("\"like_count\":98765432109876543210"));
    assert_eq!(row()["mood"], json!({ "a": [1] }));
    assert!(row().get("duration").is_none());
    control.reset_members(Kind::Video, &id);
    assert!(row().get("duration").is_some() && row().get("mood").is_none());
    assert!(control.delete(Kind::Video, &id) && control.row(Kind::Video, &id).is_none());
    assert_eq!(bench.get(&format!("/videos/{id}")).await.status, 404);
    assert!(control.restore(Kind::Video, &id) && control.row(Kind::Video, &id).is_some());
    assert_eq!(by_id(bench.list("/videos?limit=9").await), by_id(control.rows(Kind::Video)));
}

#[tokio::test]
async fn account_video_ids_have_three_styles() {
    for style in [IdStyle::Integer, IdStyle::Text, IdStyle::Uuid] {
        let settings = SandboxSettings { account_video_ids: style, ..Default::default() };
        let bench = Bench::new(settings).await;
        let rows = bench.control.rows(Kind::AccountVideo);
        let ids: BTreeMap<String, usize> = rows.iter().fold(BTreeMap::new(), |mut ids, row| {
            *ids.entry(row["id"].to_string()).or_default() += 1;
            ids
        });
        assert_eq!(rows.iter().all(|row| row["id"].is_u64()), style == IdStyle::Integer);
        assert_eq!(ids.values().any(|times| *times > 1), style != IdStyle::Uuid);
        for id in bench.control.ids(Kind::AccountVideo) {
            let row = bench.control.row(Kind::AccountVideo, &id).unwrap();
            let last = bench.control.scrapes(Kind::AccountVideo, &id).pop().unwrap();
            assert_eq!(row["last_scrape_time"], last.scraped_at);
        }
    }
}

#[tokio::test]
async fn serves_twenty_thousand_videos() {
    let settings = SandboxSettings { videos: 20_000, ..Default::default() };
    let bench = Bench::new(settings).await;
    let rows = bench.list("/videos?limit=200&order_by=added_at&order_direction=asc").await;
    assert_eq!(rows.len(), 20_000);
    assert!(rows.is_sorted_by_key(|row| row["added_at"].as_str().unwrap().to_owned()));
    assert_eq!(bench.control.counters().requests, 100);
}
