//! Injected faults, as clients see them.

use std::time::Duration;

use creatormirror::clock::Clock;
use creatormirror::model::Kind;
use serde_json::{Value, json};

use crate::client::Bench;
use crate::support::sandbox::{
    BadRow, Fault, FaultBody, FaultKind, Mutation, Repeat, RetryAfter, SandboxSettings, Shape,
};

const GET_VIDEOS: &str = "GET /v2/videos?limit=5 HTTP/1.1\r\nAuthorization: Bearer sandbox-key\r\n";

async fn bench_with(path: &str, fault_kind: FaultKind) -> Bench {
    let bench = Bench::new(SandboxSettings::default()).await;
    bench.control.fault(Fault::on("GET", path, fault_kind));
    bench
}

#[tokio::test]
async fn answers_with_a_scripted_status_and_body() {
    let bench = bench_with("/videos", FaultKind::status(502)).await;
    assert_eq!(bench.get("/accounts").await.status, 200);
    let reply = bench.get("/videos").await;
    assert_eq!((reply.status, reply.code()), (502, "UPSTREAM_ERROR".to_owned()));
    assert!(!reply.header("x-ratelimit-remaining").is_empty());
    assert_eq!((bench.get("/videos").await.status, bench.control.faults_waiting()), (200, 0));
    let body = FaultBody::Raw("text/plain", "upstream connect error");
    let headers = vec![("X-Odd".to_owned(), "yes".to_owned())];
    let fault = Fault::on("*", "/vid*", FaultKind::Status { code: 503, body, headers });
    bench.control.fault(fault.query("limit=5").after(1).times(2));
    let mut statuses = Vec::new();
    for path in
        ["/videos", "/videos?limit=5", "/videos?limit=5", "/videos?limit=5", "/videos?limit=5"]
    {
        statuses.push(bench.get(path).await.status);
    }
    assert_eq!(statuses, [200, 200, 503, 503, 200]);
    let log = bench.control.log();
    assert_eq!(log.iter().filter(|entry| entry.fault == Some("status")).count(), 3);
}

#[tokio::test]
async fn sends_every_form_of_retry_after() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let forms = [
        (RetryAfter::Absent, ""),
        (RetryAfter::Seconds(7), "7"),
        (RetryAfter::Date(Duration::from_secs(20)), "Sun, 15 Jun 2025 15:07:00 GMT"),
        (RetryAfter::Raw("soon".to_owned()), "soon"),
    ];
    for (retry_after, header) in forms {
        for code in [429, 503] {
            let fault_kind = FaultKind::Refuse { code, retry_after: retry_after.clone() };
            bench.control.fault(Fault::on("*", "*", fault_kind));
            let reply = bench.get("/videos").await;
            assert_eq!((reply.status, reply.header("retry-after")), (code, header));
        }
    }
}

#[tokio::test]
async fn breaks_connections_before_and_within_the_answer() {
    let bench = bench_with("/videos", FaultKind::ResetBefore).await;
    let reset = bench.raw(GET_VIDEOS, "").await.unwrap_err();
    assert_eq!(reset.kind(), std::io::ErrorKind::ConnectionReset);
    bench.control.fault(Fault::on("GET", "/videos", FaultKind::Truncated));
    let bytes = bench.raw(GET_VIDEOS, "").await.unwrap();
    let cut = crate::client::parse(&bytes);
    let promised: usize = cut.header("content-length").parse().unwrap();
    assert_eq!((cut.status, cut.body.len()), (200, promised / 2));
    bench.control.fault(Fault::on("GET", "/videos", FaultKind::TruncatedJson));
    let short = bench.get("/videos?limit=5").await;
    assert_eq!(short.header("content-length"), short.body.len().to_string());
    assert!(serde_json::from_slice::<Value>(&short.body).is_err());
    let whole = bench.get("/videos?limit=5").await;
    assert_eq!(whole.body.len(), promised);
}

#[tokio::test]
async fn answers_html_and_delays_answers() {
    let bench = bench_with("/videos", FaultKind::Html).await;
    let html = bench.get("/videos").await;
    assert_eq!((html.status, html.header("x-request-id")), (200, ""));
    assert!(html.header("content-type").starts_with("text/html"));
    bench.control.fault(Fault::on("GET", "/videos", FaultKind::Slow(Duration::from_millis(120))));
    let before = Clock::System.boot().elapsed;
    assert_eq!(bench.get("/videos").await.status, 200);
    assert!(Clock::System.boot().elapsed - before >= Duration::from_millis(120));
}

#[tokio::test]
async fn repeats_cursors_and_ends_lists_early() {
    let bench = bench_with("/videos", FaultKind::RepeatCursor(Repeat::Own)).await;
    let first = bench.get("/videos?limit=5").await.json();
    let cursor = first["pagination"]["next_cursor"].as_str().unwrap().to_owned();
    let second = bench.get(&format!("/videos?limit=5&cursor={cursor}")).await.json();
    assert_eq!(second["pagination"]["next_cursor"], cursor.as_str());
    let second = bench.get(&format!("/videos?limit=5&cursor={cursor}")).await.json();
    let next = second["pagination"]["next_cursor"].as_str().unwrap();
    assert_ne!(next, cursor);
    bench.control.fault(Fault::on("GET", "/videos", FaultKind::RepeatCursor(Repeat::First)));
    let third = bench.get(&format!("/videos?limit=5&cursor={next}")).await.json();
    assert_eq!(third["pagination"]["next_cursor"], cursor.as_str());
    bench.control.fault(Fault::on("GET", "/videos", FaultKind::EarlyEnd));
    let early = bench.get("/videos?limit=5&include_total=true").await.json();
    let pagination =
        json!({ "has_next": false, "limit": 5, "next_cursor": null, "total_count": 60 });
    assert_eq!(early["pagination"], pagination);
}

#[tokio::test]
async fn damages_shapes_types_and_rows() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let damaged = async |fault_kind| {
        bench.control.fault(Fault::on("GET", "/videos", fault_kind));
        bench.get("/videos?limit=5").await
    };
    assert!(damaged(FaultKind::WrongShape(Shape::NoData)).await.json().get("data").is_none());
    assert!(damaged(FaultKind::WrongShape(Shape::DataObject)).await.json()["data"].is_object());
    let page = damaged(FaultKind::WrongShape(Shape::NoPagination)).await.json();
    assert!(page.get("pagination").is_none());
    let page = damaged(FaultKind::WrongShape(Shape::HasNextText)).await.json();
    assert_eq!(page["pagination"]["has_next"], "true");
    let page = damaged(FaultKind::WrongShape(Shape::NextWithoutCursor)).await.json();
    assert_eq!(page["pagination"]["next_cursor"], Value::Null);
    assert!(damaged(FaultKind::WrongShape(Shape::Array)).await.json().is_array());
    assert!(damaged(FaultKind::WrongShape(Shape::Empty)).await.body.is_empty());
    let members = [("view_count", "\"12.3K\""), ("comment_count", "12.0"), ("like_count", "1e40")];
    let members = members.map(|(name, json)| (name.to_owned(), json.to_owned())).to_vec();
    let text = damaged(FaultKind::WrongTypes { row: 2, members }).await;
    let text = String::from_utf8_lossy(&text.body).into_owned();
    for part in ["\"view_count\":\"12.3K\"", "\"comment_count\":12.0", "\"like_count\":1e40"] {
        assert!(text.contains(part), "{part}");
    }
    let rows = |page: Value| page["data"].as_array().unwrap().clone();
    for (what, test) in [
        (BadRow::Null, (|row| row.is_null()) as fn(&Value) -> bool),
        (BadRow::Text, |row| row.is_string()),
        (BadRow::NoId, |row| row.is_object() && row.get("id").is_none()),
        (BadRow::IdObject, |row| row["id"].is_object()),
    ] {
        let rows = rows(damaged(FaultKind::BadRow { row: 4, what }).await.json());
        assert!(test(&rows[4]) && rows[3]["id"].is_string(), "{what:?}");
    }
}

#[tokio::test]
async fn changes_rows_between_two_pages() {
    let path = "/videos?limit=10&order_by=added_at&order_direction=asc";
    for (mutation, seen, listed) in [
        (Mutation::Insert(3), 63, 63),
        (Mutation::DeleteServed(2), 60, 58),
        (Mutation::DeleteBorder, 60, 59),
        (Mutation::DeleteAhead(2), 58, 58),
        (Mutation::MoveBack, 59, 60),
        (Mutation::MoveAhead, 61, 60),
    ] {
        let bench = bench_with("/videos", FaultKind::Mutate(mutation)).await;
        assert_eq!(bench.list(path).await.len(), seen, "{mutation:?}");
        assert_eq!(bench.control.count(Kind::Video), listed, "{mutation:?}");
    }
}

#[tokio::test]
async fn refuses_cursors_sends_unrequested_304_and_echoes_keys() {
    let bench = bench_with("/videos", FaultKind::RefuseCursor).await;
    let page = bench.get("/videos?limit=5").await.json();
    let next =
        format!("/videos?limit=5&cursor={}", page["pagination"]["next_cursor"].as_str().unwrap());
    assert_eq!(bench.get(&next).await.fields(), ["cursor"]);
    assert_eq!(bench.get(&next).await.status, 200);
    bench.control.fault(Fault::on("GET", "/videos", FaultKind::NotModified));
    let reply = bench.get("/videos").await;
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    bench.control.fault(Fault::on("GET", "/videos", FaultKind::EchoKey(403)));
    let reply = bench.get("/videos").await;
    assert!(reply.json()["detail"].as_str().unwrap().contains("sandbox-key"));
    assert_eq!(reply.header("x-request-id"), "Bearer sandbox-key");
}

#[tokio::test]
async fn chaos_depends_only_on_the_seed() {
    let run = async || {
        let bench = Bench::new(SandboxSettings { chaos: 0.4, ..Default::default() }).await;
        for _ in 0..60 {
            let _ = bench.raw(GET_VIDEOS, "").await;
        }
        let log = bench.control.log();
        log.iter().map(|entry| (entry.status, entry.fault)).collect::<Vec<_>>()
    };
    let (one, again) = (run().await, run().await);
    assert_eq!(one, again);
    let faults = one.iter().filter(|(_, fault)| fault.is_some()).count();
    assert!((10..45).contains(&faults), "{faults}");
}

#[tokio::test]
async fn log_holds_requests_but_not_the_key() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let headers = [("If-None-Match", "\"x\""), ("User-Agent", "test/1")];
    bench.send("GET", "/videos?limit=5&platform=tiktok", &headers, "").await;
    let log = bench.control.log();
    let entry = &log[0];
    assert_eq!(
        (entry.method.as_str(), entry.path.as_str(), entry.status),
        ("GET", "/videos", Some(200))
    );
    assert_eq!(entry.param("platform"), Some("tiktok"));
    assert_eq!(entry.headers["user-agent"], "test/1");
    assert!(entry.has_authorization && !format!("{entry:?}").contains("sandbox-key"));
    assert_eq!(bench.control.counters().by_route["GET /videos"], 1);
    bench.control.clear_log();
    assert_eq!(bench.control.counters().requests, 0);
}

#[tokio::test]
async fn stopped_sandbox_refuses_connections() {
    let bench = Bench::new(SandboxSettings::default()).await;
    let address = bench.sandbox.address();
    bench.sandbox.stop().await;
    let refused = tokio::net::TcpStream::connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
}
