//! The API client against real sockets: a server that sends canned bytes, then closes, resets or stalls.

#![allow(clippy::unwrap_used, reason = "tests panic on errors")]

use std::io::Write as _;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use creatormirror::api::{Answer, BuildError, Client, Failure, Page, Request, Verdict, document};
use creatormirror::model::Kind;
use creatormirror::model::settings::ApiSettings;
use flate2::Compression;
use flate2::write::GzEncoder;
use secrecy::SecretString;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

const KEY: &str = "ca_live_5ecret0123456789";

/// What the server does after it has read a request.
#[derive(Clone)]
enum Reaction {
    /// Sends these bytes and closes.
    Send(Vec<u8>),
    /// Sends these bytes and resets the connection.
    SendAndReset(Vec<u8>),
    /// Sends these bytes and keeps the connection open.
    SendAndStall(Vec<u8>),
}

/// A server on a free port that treats every request alike and records it.
struct Server {
    base: String,
    received: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start(reaction: Reaction) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/v2", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&received);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, reaction.clone(), Arc::clone(&sink)));
            }
        });
        Self { base, received }
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(mut socket: TcpStream, reaction: Reaction, received: Arc<Mutex<Vec<String>>>) {
    let request = read_request(&mut socket).await;
    received.lock().unwrap().push(request);
    match reaction {
        Reaction::Send(bytes) => {
            socket.write_all(&bytes).await.unwrap();
            socket.shutdown().await.unwrap();
        }
        Reaction::SendAndReset(bytes) => {
            socket.write_all(&bytes).await.unwrap();
            // Gives the client time to read: a reset discards unread bytes.
            tokio::time::sleep(Duration::from_millis(50)).await;
            socket.set_zero_linger().unwrap();
        }
        Reaction::SendAndStall(bytes) => {
            socket.write_all(&bytes).await.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}

/// Head and body of one request.
async fn read_request(socket: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0);
            if body.len() >= length {
                return text;
            }
        }
        match socket.read(&mut buffer).await.unwrap() {
            0 => return text,
            read => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}

fn settings(base: &str) -> ApiSettings {
    ApiSettings {
        base_url: Url::parse(base).unwrap(),
        key: SecretString::from(KEY),
        ca_file: None,
        connect_timeout: Duration::from_secs(2),
        request_timeout: Duration::from_secs(5),
    }
}

/// A canned answer with a right content length.
fn canned(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

async fn send_with(reaction: Reaction, request: Request) -> Result<Answer, Failure> {
    let server = Server::start(reaction).await;
    let outcome = Client::new(&settings(&server.base)).unwrap().send(&request).await;
    assert!(!format!("{outcome:?}").contains(KEY), "{outcome:?}");
    if let Err(failure) = &outcome {
        assert!(!failure.to_string().contains(KEY), "{failure}");
    }
    // Exactly one attempt, whatever its outcome.
    assert_eq!(server.received().len(), 1);
    outcome
}

async fn get(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Result<Answer, Failure> {
    send_with(Reaction::Send(canned(status, headers, body)), Request::get("/videos")).await
}

async fn failure(reaction: Reaction) -> Failure {
    send_with(reaction, Request::get("/videos")).await.unwrap_err()
}

#[tokio::test]
async fn returns_a_documented_answer() {
    let headers = "x-request-id: req_1\r\netag: \"e1\"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        x-ratelimit-limit: 600\r\nx-ratelimit-remaining: 599\r\nx-ratelimit-reset: 784111800\r\n";
    let answer =
        get("200 OK", headers, r#"{"data":[],"pagination":{"has_next":false}}"#).await.unwrap();
    assert_eq!((answer.head.status, answer.is_not_modified()), (200, false));
    assert_eq!(answer.head.etag.as_deref(), Some("\"e1\""));
    assert_eq!(answer.head.request_id.as_deref(), Some("req_1"));
    assert_eq!(answer.head.server_date.unwrap().timestamp(), 784_111_777);
    assert_eq!(answer.head.rate.remaining, Some(599));
    assert_eq!(Page::read(Kind::Video, &[], &answer).unwrap().next_cursor, None);
}

#[tokio::test]
async fn sends_the_request_as_described() {
    let server =
        Server::start(Reaction::Send(canned("201 Created", "location: /v2/videos/1\r\n", "{}")))
            .await;
    let client = Client::new(&settings(&server.base)).unwrap();
    let post = Request::post("/videos", r#"{"platform":"tiktok"}"#).idempotency_key("k1");
    assert_eq!(client.send(&post).await.unwrap().head.location.unwrap(), "/v2/videos/1");
    let get = Request::get("/videos")
        .segment("a/b")
        .query("cursor", "x=y&z")
        .if_none_match(Some("\"e1\"".to_owned()));
    client.send(&get).await.unwrap();
    client.send(&Request::get("/meta").without_key()).await.unwrap();

    let received: Vec<String> = server.received().iter().map(|text| text.to_lowercase()).collect();
    assert!(received[0].starts_with("post /v2/videos http/1.1\r\n"), "{}", received[0]);
    for line in [
        &format!("authorization: bearer {KEY}"),
        &format!("user-agent: creatormirror/{}", env!("CARGO_PKG_VERSION")),
        "accept: application/json",
        "accept-encoding: gzip",
        "content-type: application/json",
        "idempotency-key: k1",
    ] {
        assert!(received[0].contains(&format!("\r\n{line}\r\n")), "{line}: {}", received[0]);
    }
    assert!(received[0].ends_with("\r\n\r\n{\"platform\":\"tiktok\"}"));
    assert!(received[1].starts_with("get /v2/videos/a%2fb?cursor=x%3dy%26z http/1.1\r\n"));
    assert!(received[1].contains("\r\nif-none-match: \"e1\"\r\n"));
    assert!(!received[1].contains("content-type"));
    assert!(!received[2].contains("authorization"));
}

#[tokio::test]
async fn accepts_304_only_for_conditional_requests() {
    let reaction = Reaction::Send(b"HTTP/1.1 304 Not Modified\r\nx-request-id: r\r\n\r\n".to_vec());
    let conditional = Request::get("/videos").if_none_match(Some("\"e1\"".to_owned()));
    let answer = send_with(reaction.clone(), conditional).await.unwrap();
    assert!(answer.is_not_modified() && answer.body.is_empty());
    let failure = failure(reaction).await;
    assert_eq!((failure.verdict, failure.status), (Verdict::Malformed, Some(304)));
    assert_eq!(failure.request_id.as_deref(), Some("r"));
}

#[tokio::test]
async fn decodes_gzip_body() {
    let packed = gzip(br#"{"data":{"id":"v1"}}"#);
    let answer = get("200 OK", "content-encoding: gzip\r\n", packed).await.unwrap();
    assert_eq!(document(&answer).unwrap().get(), r#"{"id":"v1"}"#);
}

#[tokio::test]
async fn decodes_x_gzip_and_multi_member_gzip() {
    let members = [gzip(br#"{"data":"#), gzip(b""), gzip(br#"{"id":"v1"}}"#)].concat();
    for coding in ["gzip", "GZIP", "x-gzip", "identity, gzip"] {
        for packed in [&members, &gzip(br#"{"data":{"id":"v1"}}"#)] {
            let headers = format!("content-encoding: {coding}\r\n");
            let answer = get("200 OK", &headers, packed).await.unwrap();
            assert_eq!(document(&answer).unwrap().get(), r#"{"id":"v1"}"#, "{coding}");
        }
    }
    let problem = gzip(br#"{"type":"urn:creatoraudit:error:x","code":"QUOTA_EXCEEDED"}"#);
    let failure = get("403 Forbidden", "content-encoding: X-GZIP\r\n", problem).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::QuotaExceeded);
    // A proxy may add the header to an answer without a body.
    let empty = get("204 No Content", "content-encoding: gzip\r\n", "").await.unwrap();
    assert!(empty.body.is_empty());
}

#[tokio::test]
async fn damaged_gzip_counts_as_truncated_answer() {
    let packed = gzip(&b"{\"data\":[]}".repeat(100));
    let cut = &packed[..packed.len() - 12];
    for body in [cut, b"not gzip at all"] {
        let failure = get("200 OK", "content-encoding: gzip\r\n", body).await.unwrap_err();
        assert_eq!(failure.verdict, Verdict::Cut, "{failure}");
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Maximum length of a body.
const BODY_BYTES_MAX: usize = 4 << 20;

#[tokio::test]
async fn stops_reading_a_body_over_the_limit() {
    let bomb = gzip(&vec![b' '; 16 << 20]);
    let plain = vec![b' '; BODY_BYTES_MAX + 1];
    for (headers, body) in [("content-encoding: gzip\r\n", bomb), ("", plain)] {
        let server = Server::start(Reaction::Send(canned("200 OK", headers, body))).await;
        let client = Client::new(&settings(&server.base)).unwrap();
        let failure = client.send(&Request::get("/videos")).await.unwrap_err();
        assert_eq!((failure.verdict, failure.status), (Verdict::TooLarge, Some(200)));
        assert!(failure.to_string().contains("over 4194304 bytes"), "{failure}");
    }
}

#[tokio::test]
async fn reads_a_body_of_exactly_the_limit() {
    let server =
        Server::start(Reaction::Send(canned("200 OK", "", vec![b' '; BODY_BYTES_MAX]))).await;
    let client = Client::new(&settings(&server.base)).unwrap();
    assert_eq!(client.send(&Request::get("/videos")).await.unwrap().body.len(), BODY_BYTES_MAX);
}

#[tokio::test]
async fn maps_each_error_status_to_a_verdict() {
    let cases = [
        ("400 Bad Request", "", "BAD_REQUEST", Verdict::BadRequest),
        ("401 Unauthorized", "", "UNAUTHORIZED", Verdict::KeyRefused),
        ("403 Forbidden", "", "FORBIDDEN", Verdict::KeyRefused),
        ("403 Forbidden", "", "INSUFFICIENT_SCOPE", Verdict::ScopeMissing),
        ("403 Forbidden", "", "QUOTA_EXCEEDED", Verdict::QuotaExceeded),
        ("404 Not Found", "", "NOT_FOUND", Verdict::NotFound),
        ("409 Conflict", "", "CONFLICT", Verdict::Conflict),
        ("422 Unprocessable", "", "VALIDATION_ERROR", Verdict::Invalid),
        ("429 Too Many", "retry-after: 3\r\n", "RATE_LIMITED", Verdict::Limited),
        ("500 Oops", "", "INTERNAL_ERROR", Verdict::ServerError),
        ("502 Bad Gateway", "", "UPSTREAM_ERROR", Verdict::ServerError),
        ("503 Unavailable", "", "SERVICE_UNAVAILABLE", Verdict::Unavailable),
        ("503 Unavailable", "retry-after: 3\r\n", "SERVICE_UNAVAILABLE", Verdict::Limited),
    ];
    for (status, headers, code, verdict) in cases {
        let body = format!(
            r#"{{"type":"urn:creatoraudit:error:x","title":"T","code":"{code}","detail":"D {KEY}",
                "request_id":"req_b","errors":[{{"field":"f","message":"m {KEY}"}}]}}"#
        );
        let failure = get(status, headers, body).await.unwrap_err();
        assert_eq!(failure.verdict, verdict, "{status}");
        assert!(failure.is_problem);
        assert_eq!(failure.code.as_deref(), Some(code));
        assert_eq!(failure.detail, "D [redacted]");
        assert_eq!(failure.fields[0].message, "m [redacted]");
        assert_eq!(failure.request_id.as_deref(), Some("req_b"));
        assert_eq!(failure.retry_after.is_some(), !headers.is_empty());
    }
}

#[tokio::test]
async fn unreadable_error_body_leaves_only_the_status() {
    let html = get("502 Bad Gateway", "content-type: text/html\r\n", "<html>").await.unwrap_err();
    assert_eq!((html.verdict, html.is_problem), (Verdict::ServerError, false));

    let head = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 9\r\ncontent-length: 900\r\n\r\n";
    let cut = failure(Reaction::Send(format!("{head}{{\"code\":").into_bytes())).await;
    let reset = failure(Reaction::SendAndReset(head.as_bytes().to_vec())).await;
    for failure in [cut, reset] {
        assert_eq!(failure.verdict, Verdict::Limited);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(9)));
    }

    let long = get("404 Not Found", "", vec![b'x'; 1 << 20]).await.unwrap_err();
    assert_eq!((long.verdict, long.is_problem), (Verdict::Foreign, false));
}

#[tokio::test]
async fn parses_both_forms_of_retry_after() {
    let date = "date: Sun, 06 Nov 1994 08:49:30 GMT\r\n";
    for (form, wait) in [("7", 7), ("Sun, 06 Nov 1994 08:49:37 GMT", 7)] {
        let failure =
            get("429 No", &format!("{date}retry-after: {form}\r\n"), "").await.unwrap_err();
        assert_eq!(failure.retry_after, Some(Duration::from_secs(wait)), "{form}");
    }
}

#[tokio::test]
async fn connection_closed_before_the_status_line_is_lost() {
    for reaction in [Reaction::SendAndReset(Vec::new()), Reaction::Send(Vec::new())] {
        let failure = failure(reaction).await;
        assert_eq!((failure.verdict, failure.status), (Verdict::Lost, None), "{failure}");
    }
    let failure = failure(Reaction::Send(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec())).await;
    assert_eq!((failure.verdict, failure.status), (Verdict::Lost, None), "{failure}");
}

#[tokio::test]
async fn connection_closed_within_the_answer_is_cut() {
    let sized = "HTTP/1.1 200 OK\r\nx-request-id: r\r\ncontent-length: 100\r\n\r\n{\"data\":";
    let chunked = "HTTP/1.1 200 OK\r\nx-request-id: r\r\ntransfer-encoding: chunked\r\n\r\n\
        8\r\n{\"data\":\r\n";
    for bytes in [sized, chunked] {
        for reaction in [Reaction::Send(bytes.into()), Reaction::SendAndReset(bytes.into())] {
            let failure = failure(reaction).await;
            assert_eq!((failure.verdict, failure.status), (Verdict::Cut, Some(200)), "{failure}");
            assert_eq!(failure.request_id.as_deref(), Some("r"));
        }
    }
}

#[tokio::test]
async fn stalled_answer_hits_the_request_timeout() {
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{";
    for (bytes, verdict) in [("", Verdict::Lost), (body, Verdict::Cut)] {
        let server = Server::start(Reaction::SendAndStall(bytes.into())).await;
        let settings =
            ApiSettings { request_timeout: Duration::from_millis(300), ..settings(&server.base) };
        let client = Client::new(&settings).unwrap();
        let failure = client.send(&Request::get("/videos")).await.unwrap_err();
        assert_eq!(failure.verdict, verdict, "{failure}");
    }
}

#[tokio::test]
async fn refused_connection_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&settings(&base)).unwrap();
    let failure = client.send(&Request::get("/videos")).await.unwrap_err();
    assert_eq!((failure.verdict, failure.status), (Verdict::Unreachable, None), "{failure}");
    assert!(failure.to_string().contains("refused"), "the cause is missing: {failure}");
}

#[tokio::test]
async fn does_not_follow_redirects() {
    let target = Server::start(Reaction::Send(canned("200 OK", "", "{}"))).await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let headers = format!("location: {}/videos?key={KEY}\r\n", target.base);
        let failure = get(status, &headers, "").await.unwrap_err();
        assert_eq!(failure.verdict, Verdict::Redirected);
        assert!(failure.to_string().contains("check base_url"), "{failure}");
    }
    assert_eq!(target.received(), Vec::<String>::new());
}

#[tokio::test]
async fn rejects_html_with_status_200() {
    let answer =
        get("200 OK", "content-type: text/html\r\n", "<!doctype html><p>login").await.unwrap();
    assert_eq!(Page::read(Kind::Video, &[], &answer).unwrap_err().verdict, Verdict::Malformed);
    assert_eq!(document(&answer).unwrap_err().verdict, Verdict::Malformed);
    assert_eq!(answer.json::<serde_json::Value>().unwrap_err().verdict, Verdict::Malformed);
}

#[tokio::test]
async fn redacts_the_key_in_answers() {
    let headers = format!("x-request-id: {KEY}\r\netag: \"{KEY}\"\r\nlocation: /{KEY}\r\n");
    let body = format!(r#"{{"data":{{"id":"a","note":"Bearer {KEY}"}}}}"#);
    let plain = get("200 OK", &headers, &body).await.unwrap();
    let packed = format!("{headers}content-encoding: gzip\r\n");
    let unpacked = get("200 OK", &packed, gzip(body.as_bytes())).await.unwrap();
    for answer in [plain, unpacked] {
        assert_eq!(document(&answer).unwrap().get(), r#"{"id":"a","note":"Bearer [redacted]"}"#);
        assert_eq!(answer.head.request_id.as_deref(), Some("[redacted]"));
    }
}

/// Captures the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn trace_log_shows_the_request_but_not_the_key() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let body = format!(r#"{{"code":"X","title":"{KEY}"}}"#);
    get("500 Oops", &format!("x-request-id: req_1 {KEY}\r\n"), body).await.unwrap_err();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("GET /videos") && log.contains("server_error"), "{log}");
    assert!(log.contains("req_1 [redacted]"), "{log}");
    assert!(!log.contains(KEY), "{log}");
}

/// A private certificate authority and a TLS server with one of its certificates.
mod tls {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;
    use tokio_rustls::rustls::{ServerConfig, crypto::ring};

    use super::*;

    /// Starts the server. Returns its base URL and the PEM of its authority.
    pub async fn start(answer: Vec<u8>) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
        let private = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("https://localhost:{}/v2", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(mut socket) = acceptor.accept(socket).await else { continue };
                read_request(&mut socket).await;
                socket.write_all(&answer).await.unwrap();
                let _ = socket.shutdown().await;
            }
        });
        (base, ca.pem())
    }
}

#[tokio::test]
async fn rejects_certificate_of_unknown_authority() {
    let (base, _) = tls::start(canned("200 OK", "", "{}")).await;
    let client = Client::new(&settings(&base)).unwrap();
    let failure = client.send(&Request::get("/videos")).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Unreachable, "{failure}");
    assert!(failure.to_string().contains("UnknownIssuer"), "the cause is missing: {failure}");
    assert!(!format!("{failure} {failure:?} {client:?}").contains(KEY));
}

#[tokio::test]
async fn accepts_certificate_of_added_authority() {
    let (base, pem) = tls::start(canned("200 OK", "", r#"{"data":{}}"#)).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pem).unwrap();
    let client = Client::new(&ApiSettings { ca_file: Some(ca_file), ..settings(&base) }).unwrap();
    let answer = client.send(&Request::get("/videos")).await.unwrap();
    assert_eq!(document(&answer).unwrap().get(), "{}");
}

#[tokio::test]
async fn added_authority_does_not_cover_other_issuers() {
    let (base, _) = tls::start(canned("200 OK", "", "{}")).await;
    let (_, other_pem) = tls::start(Vec::new()).await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, other_pem).unwrap();
    let client = Client::new(&ApiSettings { ca_file: Some(ca_file), ..settings(&base) }).unwrap();
    let failure = client.send(&Request::get("/videos")).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Unreachable, "{failure}");
}

#[tokio::test]
async fn key_is_not_sent_to_a_server_without_tls() {
    let server = Server::start(Reaction::Send(canned("200 OK", "", "{}"))).await;
    let base = server.base.replace("http://", "https://");
    let client = Client::new(&settings(&base)).unwrap();
    let failure = client.send(&Request::get("/videos")).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Unreachable, "{failure}");
    assert!(!server.received().concat().contains(KEY));
}

#[tokio::test]
async fn stalled_handshake_hits_the_connect_timeout() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("https://{}", listener.local_addr().unwrap());
    let settings = ApiSettings { connect_timeout: Duration::from_millis(200), ..settings(&base) };
    let client = Client::new(&settings).unwrap();
    let failure = client.send(&Request::get("/videos")).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Unreachable, "{failure}");
}

#[test]
fn refuses_unsafe_client_settings() {
    let plain = Client::new(&settings("http://api.creatoraudit.com/v2"));
    assert!(matches!(plain, Err(BuildError::BaseUrl(_))));
    let key = SecretString::from(format!("{KEY}\n"));
    let invalid = Client::new(&ApiSettings { key, ..settings("https://api.creatoraudit.com/v2") });
    let error = invalid.unwrap_err();
    assert!(matches!(error, BuildError::Key(_)));
    assert!(!format!("{error} {error:?}").contains(KEY));
}

/// Runs one test of this file in a new process with proxy variables set.
fn run_with_proxy(test: &str, proxy: &str) -> std::process::Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--include-ignored", "--nocapture"]);
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    {
        command.env(name, proxy);
    }
    command.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap()
}

#[test]
fn plain_http_on_loopback_bypasses_the_proxy() {
    let output = run_with_proxy("returns_a_documented_answer", "http://127.0.0.1:1");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn https_proxy_does_not_see_the_key() {
    let proxy = Server::start(Reaction::Send(canned("502 Bad Gateway", "", ""))).await;
    let address = proxy.base.replace("http://", "http://user:hunter2@").replace("/v2", "");
    let output = tokio::task::spawn_blocking(move || {
        run_with_proxy("https_request_through_the_proxy", &address)
    })
    .await
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    let received = proxy.received().concat();
    assert!(received.starts_with("CONNECT api.invalid:443 HTTP/1.1\r\n"), "{received}");
    assert!(!received.contains(KEY));
}

#[tokio::test]
#[ignore = "run by https_proxy_does_not_see_the_key"]
async fn https_request_through_the_proxy() {
    let client = Client::new(&settings("https://api.invalid/v2")).unwrap();
    let failure = client.send(&Request::get("/videos")).await.unwrap_err();
    assert_eq!(failure.verdict, Verdict::Unreachable, "{failure}");
    assert!(!format!("{failure} {failure:?}").contains("hunter2"));
}
