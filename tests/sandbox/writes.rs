//! Writes: create, change, delete, link; idempotency keys and lost answers.

use std::time::Duration;

use creatormirror::model::Kind;
use serde_json::json;

use crate::client::Bench;
use crate::support::sandbox::{Fault, FaultKind, SandboxSettings};

#[tokio::test]
async fn idempotency_keys_last_ten_minutes_on_one_replica() {
    let bench = Bench::new(SandboxSettings::default()).await;
    bench.control.set_replicas(2);
    let post = async |key: &str| {
        let body = json!({ "name": "Ada" }).to_string();
        let reply = bench.send("POST", "/creators", &[("Idempotency-Key", key)], &body).await;
        assert_eq!(reply.status, 201);
        reply.json()["data"]["id"].as_str().unwrap().to_owned()
    };
    bench.control.pin_replica(Some(0));
    let first = post("k1").await;
    assert_eq!(post("k1").await, first);
    assert_ne!(post("k2").await, first);
    bench.control.pin_replica(Some(1));
    assert_ne!(post("k1").await, first);
    bench.control.pin_replica(Some(0));
    bench.clock.advance(Duration::from_secs(599));
    assert_eq!(post("k1").await, first);
    bench.clock.advance(Duration::from_secs(2));
    let second = post("k1").await;
    assert_ne!(second, first);
    bench.control.deploy();
    assert_ne!(post("k1").await, second);
    bench.control.pin_replica(None);
    assert_eq!(
        (post("k9").await == post("k9").await, bench.control.count(Kind::Creator)),
        (false, 12)
    );
}

#[tokio::test]
async fn only_reset_after_executes_the_write() {
    let bench = Bench::new(SandboxSettings::default()).await;
    for (fault_kind, added) in [(FaultKind::ResetAfter, 1), (FaultKind::ResetBefore, 0)] {
        let before = bench.control.count(Kind::Creator);
        bench.control.fault(Fault::on("POST", "/creators", fault_kind));
        let head = "POST /v2/creators HTTP/1.1\r\nAuthorization: Bearer sandbox-key\r\n\
                    Content-Type: application/json\r\n";
        let result = bench.raw(head, "{\"name\":\"Ada\"}").await;
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
        assert_eq!(bench.control.count(Kind::Creator), before + added);
        assert_eq!(bench.control.log().last().unwrap().status, None);
    }
}

#[tokio::test]
async fn rejects_duplicate_accounts_and_accounts_over_the_cap() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let body = json!({ "platform": "instagram", "username": "@Ada.Bakes", "category": "food",
                       "scrape_interval_hours": 6, "metadata": { "k": "v" } });
    let created = bench.post("/accounts", &body).await;
    assert_eq!(created.status, 201);
    let row = created.json()["data"].clone();
    assert_eq!((&row["username"], &row["category"]), (&json!("ada.bakes"), &json!("food")));
    assert_eq!(row["scrape_interval_hours"], 6);
    assert!(row["last_scrape_time"].is_null());
    assert_eq!(bench.post("/accounts", &body).await.code(), "CONFLICT");
    let posts = bench.control.count(Kind::AccountVideo);
    bench.clock.advance(Duration::from_secs(8));
    assert!(bench.control.count(Kind::AccountVideo) > posts);
    bench.control.set_account_cap(Some(13));
    let body = json!({ "platform": "tiktok", "username": "someone" });
    let refused = bench.post("/accounts", &body).await;
    assert_eq!((refused.status, refused.code()), (403, "QUOTA_EXCEEDED".to_owned()));
    let wrong = bench.post("/accounts", &json!({ "platform": "x", "username": "" })).await;
    assert_eq!(wrong.fields(), ["platform", "username"]);
}

#[tokio::test]
async fn every_spelling_of_a_post_is_the_same_video() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let body = json!({ "platform": "instagram", "identifier": "https://www.instagram.com/reel/C8abcDEF123/" });
    let created = bench.post("/videos", &body).await;
    assert_eq!(created.status, 201);
    let video = created.json()["data"].clone();
    for identifier in ["C8abcDEF123", video["external_id"].as_str().unwrap()] {
        let body = json!({ "platform": "instagram", "identifier": identifier });
        assert_eq!(bench.post("/videos", &body).await.status, 409);
    }
    assert_eq!(
        bench.post("/videos", &json!({ "platform": "tiktok" })).await.fields(),
        ["identifier"]
    );
    let item = format!("/videos/{}", video["id"].as_str().unwrap());
    let change = json!({ "is_active": false, "scrape_interval_hours": 3 }).to_string();
    let changed = bench.send("PATCH", &item, &[], &change).await.json()["data"].clone();
    assert_eq!(
        (&changed["is_active"], &changed["scrape_interval_hours"]),
        (&json!(false), &json!(3))
    );
    bench.clock.advance(Duration::from_secs(86_400));
    assert!(bench.get(&item).await.json()["data"]["last_scrape_time"].is_null());
    assert_eq!(bench.send("PATCH", &item, &[], "{}").await.status, 422);
    assert_eq!(bench.send("DELETE", &item, &[], "").await.status, 204);
    assert_eq!(bench.get(&item).await.status, 404);
    assert_eq!(bench.post("/videos", &body).await.status, 201);
}

#[tokio::test]
async fn creators_link_and_pause_their_accounts() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let accounts = bench.control.rows(Kind::Account);
    let free = accounts.iter().find(|row| row["creator_id"].is_null()).unwrap();
    let taken = accounts.iter().find(|row| row["creator_id"].is_string()).unwrap();
    let account = free["id"].as_str().unwrap();
    let name = json!({ "name": "Grace" });
    let creator =
        bench.post("/creators", &name).await.json()["data"]["id"].as_str().unwrap().to_owned();
    let link = format!("/creators/{creator}/accounts/{account}");
    let linked = bench.send("PUT", &link, &[], "").await;
    assert_eq!(linked.status, 201);
    assert!(linked.header("location").ends_with(&link));
    assert_eq!(bench.send("PUT", &link, &[], "").await.status, 200);
    let other = format!("/creators/{creator}/accounts/{}", taken["id"].as_str().unwrap());
    assert_eq!(bench.send("PUT", &other, &[], "").await.code(), "CONFLICT");
    let item = format!("/creators/{creator}");
    let summary = bench.get(&item).await.json()["data"]["accounts_summary"].clone();
    assert_eq!(summary["total"], 1);
    assert_eq!(bench.list(&format!("/accounts?creator_id={creator}")).await.len(), 1);
    bench.control.resume(Kind::Account, account);
    let paused = bench.send("PATCH", &item, &[], "{\"is_active\":false}").await;
    assert_eq!(paused.status, 200);
    assert_eq!(bench.control.row(Kind::Account, account).unwrap()["is_active"], false);
    assert_eq!(bench.send("DELETE", &link, &[], "").await.status, 204);
    assert_eq!(bench.send("DELETE", &link, &[], "").await.status, 404);
    assert_eq!(bench.send("DELETE", &item, &[], "").await.status, 204);
}
