//! Reads: pages, headers, ETags, errors, keys and the rate limit.

use std::time::Duration;

use creatormirror::model::Kind;
use serde_json::json;

use crate::client::Bench;
use crate::support::sandbox::{SandboxKey, SandboxSettings, Scope, Switch};

#[tokio::test]
async fn lists_have_data_pagination_filters_and_links() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let path = "/accounts?platform=tiktok&is_active=true&limit=2&include_total=true";
    let reply = bench.get(path).await;
    let page = reply.json();
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    assert_eq!(page["pagination"]["limit"], 2);
    assert_eq!(page["pagination"]["has_next"], true);
    assert!(page["pagination"]["total_count"].as_u64().unwrap() > 2);
    // The default sort is not shown.
    assert_eq!(page["filters"], json!({ "platform": "tiktok", "is_active": true }));
    let sorted = bench.get("/accounts?order_by=username").await.json();
    let filters = json!({ "order_by": "username", "order_direction": "desc" });
    assert_eq!(sorted["filters"], filters);
    let link = reply.header("link");
    let base = bench.sandbox.base_url();
    assert!(link.starts_with(&format!("<{base}{path}>; rel=\"first\"")), "{link}");
    assert!(link.contains(page["pagination"]["next_cursor"].as_str().unwrap()));
    let default = bench.get("/videos").await.json();
    assert_eq!(default["pagination"]["limit"], 50);
    assert!(default["pagination"].get("total_count").is_none());
}

#[tokio::test]
async fn cursors_are_bound_to_filter_and_sort() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let page = bench.get("/videos?limit=5&order_direction=asc&order_by=added_at").await.json();
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    let path = |more: &str| format!("/videos?limit=5&cursor={cursor}{more}");
    let same = path("&order_by=added_at&order_direction=asc");
    let before = bench.get(&same).await;
    assert_eq!(before.status, 200);
    for other in ["", "&order_by=view_count", "&sort=added_at&platform=tiktok"] {
        let refused = bench.get(&path(other)).await;
        assert_eq!((refused.status, refused.code()), (422, "VALIDATION_ERROR".to_owned()));
        assert_eq!(refused.fields(), ["cursor"]);
    }
    let more_rows = same.replace("limit=5", "limit=6");
    assert_eq!(bench.get(&more_rows).await.status, 200);
    bench.control.delete(Kind::Video, page["data"][4]["id"].as_str().unwrap());
    assert_eq!(bench.get(&same).await.json()["data"], before.json()["data"]);
    bench.control.expire_cursors();
    assert_eq!(bench.get(&same).await.fields(), ["cursor"]);
    assert_eq!(bench.get("/videos?cursor=nonsense").await.fields(), ["cursor"]);
}

#[tokio::test]
async fn names_invalid_parameters() {
    let bench = Bench::new(SandboxSettings::default()).await;
    for (path, field) in [
        ("/videos?limit=0", "limit"),
        ("/videos?limit=201", "limit"),
        ("/videos?limit=many", "limit"),
        ("/videos?order_by=last_scrape_time", "order_by"),
        ("/accounts?order_by=create_time", "order_by"),
        ("/accounts?order_direction=up", "order_direction"),
        ("/accounts?sort=-name", "sort"),
        ("/creators?order_by=added_at", "order_by"),
        ("/videos?platform=youtube", "platform"),
        ("/videos?is_active=perhaps", "is_active"),
        ("/accounts?creator_id=7", "creator_id"),
        ("/overview?period=1y", "period"),
    ] {
        let reply = bench.get(path).await;
        assert_eq!((reply.status, reply.fields()), (422, vec![field.to_owned()]), "{path}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.json()["type"], "urn:creatoraudit:error:validation-error");
    }
}

#[tokio::test]
async fn etag_changes_only_with_the_answer() {
    let bench = Bench::new(SandboxSettings::default()).await;
    for path in ["/videos?limit=3", "/whoami", "/meta", "/overview", "/creators"] {
        let first = bench.get(path).await;
        let etag = first.header("etag").to_owned();
        assert!(etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        let again = bench.send("GET", path, &[("If-None-Match", &etag)], "").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(again.header("etag"), etag);
        let other = bench.send("GET", path, &[("If-None-Match", "\"x\"")], "").await;
        assert_eq!(other.status, 200);
    }
    let etag = bench.get("/videos?limit=3").await.header("etag").to_owned();
    let id = bench.get("/videos?limit=3").await.json()["data"][0]["id"].clone();
    bench.control.set_member(Kind::Video, id.as_str().unwrap(), "description", &json!("new"));
    let changed = bench.send("GET", "/videos?limit=3", &[("If-None-Match", &etag)], "").await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn signed_media_urls_change_daily() {
    let bench = Bench::new(SandboxSettings::default()).await;
    bench.control.sign_urls();
    let id = bench.control.ids(Kind::AccountVideo)[0].clone();
    let url = || bench.control.row(Kind::AccountVideo, &id).unwrap()["video_url"].to_string();
    let before = url();
    bench.clock.advance(Duration::from_secs(86_400));
    let after = url();
    assert_ne!(before, after);
    assert_eq!(before.split_once('?').unwrap().0, after.split_once('?').unwrap().0);
}

#[tokio::test]
async fn requires_a_valid_key_with_scope() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let with = async |key: &str| bench.send("GET", "/whoami", &[("Authorization", key)], "").await;
    assert_eq!(with("Bearer wrong").await.code(), "UNAUTHORIZED");
    assert_eq!(with("Basic sandbox-key").await.status, 401);
    let raw = bench.raw("GET /v2/videos HTTP/1.1\r\n", "").await.unwrap();
    assert_eq!(crate::client::parse(&raw).status, 401);
    for open in ["/meta"] {
        let reply = bench.send("GET", open, &[("Authorization", "Bearer wrong")], "").await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("x-ratelimit-limit"), "");
        assert!(reply.header("x-request-id").starts_with("req_"));
    }
    bench.control.set_key_enabled("sandbox-key", false);
    let disabled = bench.get("/whoami").await;
    assert_eq!((disabled.status, disabled.code()), (403, "FORBIDDEN".to_owned()));
    bench.control.set_key_enabled("sandbox-key", true);
    bench.control.set_key_organization("sandbox-key", "org_2a");
    assert_eq!(bench.get("/whoami").await.json()["data"]["organization_id"], "org_2a");
    bench.control.rotate_key("sandbox-key", "fresh");
    assert_eq!(bench.get("/whoami").await.status, 401);
    let reader = SandboxKey { key: "r".to_owned(), scope: Scope::Read, ..Default::default() };
    bench.control.add_key(reader);
    let body = json!({ "name": "x" }).to_string();
    let refused = bench.send("POST", "/creators", &[("Authorization", "Bearer r")], &body).await;
    assert_eq!((refused.status, refused.code()), (403, "INSUFFICIENT_SCOPE".to_owned()));
    assert_eq!(with("Bearer r").await.status, 200);
}

#[tokio::test]
async fn rate_limit_is_a_fixed_window_of_the_server_clock() {
    let bench = Bench::new(SandboxSettings { rate_limit: 3, ..Default::default() }).await;
    for left in ["2", "1", "0"] {
        let reply = bench.get("/whoami").await;
        assert_eq!((reply.status, reply.header("x-ratelimit-remaining")), (200, left));
        assert_eq!(reply.header("x-ratelimit-reset"), "1750000020");
        assert_eq!(reply.header("date"), "Sun, 15 Jun 2025 15:06:40 GMT");
    }
    let refused = bench.get("/whoami").await;
    assert_eq!((refused.status, refused.code()), (429, "RATE_LIMITED".to_owned()));
    assert_eq!(refused.header("retry-after"), "20");
    assert_eq!(bench.get("/meta").await.status, 200);
    bench.clock.advance(Duration::from_secs(20));
    assert_eq!(bench.get("/whoami").await.status, 200);
    bench.control.spend("sandbox-key", 2);
    assert_eq!(bench.get("/whoami").await.status, 429);
    bench.control.set_rate_limit(100, Duration::from_secs(60));
    assert_eq!(bench.get("/whoami").await.header("x-ratelimit-remaining"), "96");
}

#[tokio::test]
async fn rejects_wrong_paths_methods_and_types() {
    let bench = Bench::new(SandboxSettings::default()).await;
    assert_eq!(bench.get("/nonsense").await.status, 404);
    assert_eq!(bench.get("/videos/0197a1b2-7c3d-7e4f-8a5b-00000000ffff").await.code(), "NOT_FOUND");
    let method = bench.send("DELETE", "/videos", &[], "").await;
    assert_eq!((method.status, method.header("allow")), (405, "GET, POST"));
    let accept = bench.send("GET", "/videos", &[("Accept", "text/html")], "").await;
    assert_eq!((accept.status, accept.code()), (406, "NOT_ACCEPTABLE".to_owned()));
    let accept = bench.send("GET", "/videos", &[("Accept", "text/html, */*;q=0.1")], "").await;
    assert_eq!(accept.status, 200);
    let kind = bench.send("POST", "/creators", &[("Content-Type", "text/plain")], "{}").await;
    assert_eq!((kind.status, kind.code()), (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()));
    assert_eq!(bench.send("POST", "/creators", &[], "{\"name\"").await.code(), "BAD_REQUEST");
    assert_eq!(bench.send("POST", "/creators", &[], "[1]").await.code(), "VALIDATION_ERROR");
}

#[tokio::test]
async fn compresses_answers_on_request() {
    let bench = Bench::new(SandboxSettings::default()).await;
    bench.control.set_gzip(true);
    let plain = bench.get("/videos").await;
    let packed = bench.send("GET", "/videos", &[("Accept-Encoding", "gzip, br")], "").await;
    assert_eq!((plain.header("content-encoding"), packed.header("content-encoding")), ("", "gzip"));
    assert_eq!(plain.header("etag"), packed.header("etag"));
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed.body[..]);
    std::io::Read::read_to_end(&mut decoder, &mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);
}

#[tokio::test]
async fn endpoints_and_parameters_can_be_switched_off() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let (path, name) = ("/accounts".to_owned(), "order_by".to_owned());
    let value = Some("last_scrape_time".to_owned());
    let refused = Switch::Refused { path: path.clone(), name: name.clone(), value };
    bench.control.switch_off(refused);
    assert_eq!(bench.get("/accounts?order_by=last_scrape_time").await.fields(), ["order_by"]);
    assert_eq!(bench.get("/accounts?order_by=username").await.status, 200);
    bench.control.switch_off(Switch::Ignored { path, name, value: None });
    let page = bench.get("/accounts?order_by=username").await.json();
    assert!(page["filters"]["order_by"].is_null());
    let (method, path) = ("*".to_owned(), "/account-videos*".to_owned());
    bench.control.switch_off(Switch::Endpoint { method, path, status: 404 });
    assert_eq!(bench.get("/account-videos").await.status, 404);
    bench.control.switch_all_on();
    assert_eq!(bench.get("/account-videos").await.status, 200);
}

#[tokio::test]
async fn meta_shows_deprecation_and_sunset() {
    let bench = Bench::new(SandboxSettings::default()).await;
    assert!(bench.get("/meta").await.json()["data"]["sunset"].is_null());
    bench.control.set_lifecycle(Some("2027-01-01"), Some("2028-01-01"));
    let meta = bench.get("/meta").await.json()["data"].clone();
    assert_eq!((&meta["status"], &meta["sunset"]), (&json!("deprecated"), &json!("2028-01-01")));
}

#[tokio::test]
async fn metrics_agree_with_the_history() {
    let bench = Bench::new(SandboxSettings::default()).await;
    bench.clock.advance(Duration::from_secs(3 * 86_400));
    let id = bench.control.ids(Kind::Video)[0].clone();
    let stranger = "0197a1b2-7c3d-7e4f-8a5b-00000000ffff";
    let scrapes = bench.control.scrapes(Kind::Video, &id);
    let gained = scrapes.last().unwrap().view_count - scrapes[0].view_count;
    let body = json!({
        "video_ids": [id], "period": "custom",
        "start_date": scrapes[0].scraped_at[..10], "end_date": "2025-06-18",
    });
    let metrics = bench.post("/videos/metrics", &body).await.json();
    assert_eq!(metrics["data"][&id]["views"], gained);
    assert!(metrics["meta"]["days"].as_i64().unwrap() > 0);
    let many: Vec<&str> = vec![stranger; 201];
    let refused = bench.post("/videos/metrics", &json!({ "video_ids": many })).await;
    assert_eq!((refused.status, refused.fields()), (422, vec!["video_ids".to_owned()]));
    let body = json!({ "instagram_post_ids": [1_001, 5], "tiktok_video_ids": [] });
    let posts = bench.post("/account-videos/metrics", &body).await.json();
    assert!(posts["data"]["1001"]["views"].is_i64() || posts["data"]["1001"]["views"].is_u64());
    assert_eq!(posts["meta"]["not_found"], json!([5]));
}
