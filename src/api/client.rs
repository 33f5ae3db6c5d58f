//! Sends one attempt: builds the request, bounds and redacts the answer, and classifies it.

#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::error::Error;
use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use reqwest::Response;
use secrecy::ExposeSecret as _;
use tracing::field::Empty;
use tracing::{Instrument, debug, debug_span};
use url::Url;

use crate::api::answer::Answer;
use crate::api::build::{BuildError, authorization, check_base_url, transport};
use crate::api::byte_budget::{ByteBudget, FREE_BYTES, Reservation};
use crate::api::failure::{Failure, Verdict};
use crate::api::gzip::{Unpacker, is_gzip};
use crate::api::headers::Head;
use crate::api::request::Request;
use crate::api::scrub::Scrubber;
use crate::api::surrogates::replace_lone_surrogates;
use crate::clock::Clock;
use crate::model::settings::ApiSettings;

/// Longest body of a success, after decompression: 20 KiB for each row of a page of 200. A longer page is
/// requested with fewer rows.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes read of an error's body; the status alone decides, so the rest may be lost.
const PROBLEM_BYTES_MAX: usize = 256 << 10;
/// Bytes decompressed at a time.
const UNPACK_BYTES: usize = 64 << 10;
/// Longest description of a broken connection, in characters.
const CHAIN_CHARS_MAX: usize = 500;

/// Sends requests with one key to one base URL. Clones share connections.
#[derive(Clone)]
pub struct Client {
    base: Url,
    authorization: HeaderValue,
    scrubber: Scrubber,
    http: reqwest::Client,
    clock: Clock,
    room: ByteBudget,
}

impl Client {
    /// Validates the settings and builds a client. Sends nothing.
    pub fn new(settings: &ApiSettings) -> Result<Self, BuildError> {
        let scrubber = Scrubber::new(settings.key.expose_secret());
        Ok(Self {
            base: check_base_url(&settings.base_url)?,
            authorization: authorization(&settings.key)?,
            http: transport(settings, &scrubber)?,
            scrubber,
            clock: Clock::System,
            room: ByteBudget::new(),
        })
    }

    /// The clock used when an answer has no `Date`.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Makes one attempt. Neither waits for the rate limiter nor retries.
    pub async fn send(&self, request: &Request) -> Result<Answer, Failure> {
        let started = self.clock.boot().elapsed;
        let span = debug_span!("request", %request, status = Empty, request_id = Empty, duration_ms = Empty);
        let outcome = self.attempt(request).instrument(span.clone()).await;
        let (status, request_id, verdict) = match &outcome {
            Ok(answer) => (Some(answer.head.status), answer.head.request_id.as_deref(), None),
            Err(failure) => {
                (failure.status, failure.request_id.as_deref(), Some(failure.verdict.name()))
            }
        };
        let duration = self.clock.boot().elapsed.saturating_sub(started);
        span.record("status", status);
        span.record("request_id", request_id);
        span.record("duration_ms", u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        debug!(parent: &span, verdict, "request over");
        outcome
    }

    async fn attempt(&self, request: &Request) -> Result<Answer, Failure> {
        let url = request.url(&self.base).ok_or_else(|| unsendable("its path"))?;
        let headers = self.headers(request)?;
        let is_conditional = headers.contains_key(header::IF_NONE_MATCH);
        let mut attempt = self.http.request(request.method.clone(), url).headers(headers);
        if let Some(body) = &request.body {
            attempt = attempt.body(body.clone());
        }
        let response = attempt.send().await.map_err(|error| self.unanswered(error))?;
        let status = response.status();
        let head =
            Head::read(status.as_u16(), response.headers(), &self.scrubber, self.clock.now());
        if status.is_success() {
            let (body, reservation) = self.whole_body(request, response, &head).await?;
            let body = reservation.attach_to(self.scrubber.body(body));
            return Ok(Answer { head, body });
        }
        if status.as_u16() == 304 {
            return if is_conditional {
                Ok(Answer { head, body: Bytes::new() })
            } else {
                Err(Failure::malformed("304 to a request that was not conditional")
                    .with_head(&head))
            };
        }
        let body = problem_body(response).await;
        Err(Failure::refused(&head, &body, &self.scrubber))
    }

    fn headers(&self, request: &Request) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        if request.authenticated {
            headers.insert(header::AUTHORIZATION, self.authorization.clone());
        }
        if request.body.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // An ETag that cannot be sent is left out: the full answer serves as well.
        if let Some(etag) = &request.if_none_match
            && let Ok(etag) = HeaderValue::from_str(etag)
        {
            headers.insert(header::IF_NONE_MATCH, etag);
        }
        if let Some(key) = &request.idempotency_key {
            let key = HeaderValue::from_str(key).map_err(|_| unsendable("its idempotency key"))?;
            headers.insert("idempotency-key", key);
        }
        Ok(headers)
    }

    /// Reads the body of a success within the byte budget. A partial body would be taken for the whole, so
    /// it is all or nothing.
    async fn whole_body(
        &self,
        request: &Request,
        mut response: Response,
        head: &Head,
    ) -> Result<(Bytes, Reservation), Failure> {
        let length = response.content_length().map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        if length.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(too_large(head));
        }
        let mut reservation = Reservation::default();
        let mut body = Vec::with_capacity(length.unwrap_or(0).min(FREE_BYTES));
        while let Some(chunk) =
            response.chunk().await.map_err(|error| cut(head, &self.story(error)))?
        {
            let longer = body.len().saturating_add(chunk.len());
            if longer > BODY_BYTES_MAX {
                return Err(too_large(head));
            }
            self.make_room(request, &mut reservation, longer, head).await?;
            body.extend_from_slice(&chunk);
        }
        if is_gzip(response.headers()) && !body.is_empty() {
            body = self.unpack(request, &body, &mut reservation, head).await?;
        }
        replace_lone_surrogates(&mut body);
        Ok((body.into(), reservation))
    }

    async fn unpack(
        &self,
        request: &Request,
        packed: &[u8],
        reservation: &mut Reservation,
        head: &Head,
    ) -> Result<Vec<u8>, Failure> {
        let mut unpacker = Unpacker::new(packed);
        let mut body = Vec::new();
        loop {
            let held = packed.len().saturating_add(body.len());
            self.make_room(request, reservation, held.saturating_add(UNPACK_BYTES), head).await?;
            match unpacker.append(&mut body, UNPACK_BYTES) {
                Ok(0) => return Ok(body),
                Ok(_) if body.len() > BODY_BYTES_MAX => return Err(too_large(head)),
                Ok(_) => {}
                Err(error) => return Err(cut(head, &error.to_string())),
            }
        }
    }

    async fn make_room(
        &self,
        request: &Request,
        reservation: &mut Reservation,
        bytes: usize,
        head: &Head,
    ) -> Result<(), Failure> {
        if !request.is_guess {
            self.room.grow(reservation, bytes).await;
        } else if !self.room.try_grow(reservation, bytes) {
            let title = "not enough memory for the answer to a guessed request";
            return Err(Failure::found(Verdict::Cut, title, "").with_head(head));
        }
        Ok(())
    }

    /// Classifies an attempt that got no answer.
    fn unanswered(&self, error: reqwest::Error) -> Failure {
        if error.is_connect() {
            let cause = self.cause(error);
            return Failure::found(Verdict::Unreachable, "no connection to the API", &cause);
        }
        let (verdict, title) = if error.is_builder() {
            (Verdict::BadRequest, "the request cannot be sent")
        } else if error.is_timeout() {
            (Verdict::Lost, "no answer in time")
        } else {
            (Verdict::Lost, "the connection broke before an answer came")
        };
        Failure::found(verdict, title, &self.story(error))
    }

    /// The root cause: the unknown host name, the refused connection, the certificate. The outer errors only
    /// say that it was a connection error.
    fn cause(&self, error: reqwest::Error) -> String {
        let error = error.without_url();
        let mut cause: &dyn Error = &error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        let cause = self.scrubber.chain(cause, CHAIN_CHARS_MAX);
        // rustls' name for an answer that is not TLS.
        match cause.contains("InvalidContentType") {
            true => "the server does not speak TLS: an https address names an http port".to_owned(),
            false => cause,
        }
    }

    fn story(&self, error: reqwest::Error) -> String {
        self.scrubber.chain(&error.without_url(), CHAIN_CHARS_MAX)
    }
}

/// Shows the base URL only: everything else is the key or could show it.
impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// Reads an error's body, within bounds, as far as it arrives.
async fn problem_body(mut response: Response) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = PROBLEM_BYTES_MAX.saturating_sub(body.len());
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    if is_gzip(response.headers()) {
        let packed = std::mem::take(&mut body);
        // A truncated body is decompressed as far as possible.
        let _ = Unpacker::new(&packed).append(&mut body, PROBLEM_BYTES_MAX);
    }
    replace_lone_surrogates(&mut body);
    body
}

fn cut(head: &Head, story: &str) -> Failure {
    Failure::found(Verdict::Cut, "the answer broke off", story).with_head(head)
}

fn too_large(head: &Head) -> Failure {
    let detail = format!("the body is over {BODY_BYTES_MAX} bytes long");
    Failure::found(Verdict::TooLarge, "the answer is too large", &detail).with_head(head)
}

fn unsendable(part: &str) -> Failure {
    let title = "the request cannot be sent";
    Failure::found(Verdict::BadRequest, title, &format!("{part} holds what cannot be in one"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretString;

    use super::*;

    const KEY: &str = "ca_live_0123456789";

    fn client() -> Client {
        Client::new(&ApiSettings {
            base_url: Url::parse("http://127.0.0.1:9/v2").unwrap(),
            key: SecretString::from(KEY),
            ca_file: None,
            connect_timeout: Duration::from_secs(1),
            request_timeout: Duration::from_secs(1),
        })
        .unwrap()
    }

    #[test]
    fn it_does_not_show_the_key() {
        assert_eq!(format!("{:?}", client()), r#"Client { base: "http://127.0.0.1:9/v2", .. }"#);
    }

    #[test]
    fn the_key_goes_along_only_where_it_is_asked_for() {
        let client = client();
        let with = client.headers(&Request::get("/whoami")).unwrap();
        let without = client.headers(&Request::get("/meta").without_key()).unwrap();
        assert!(with.contains_key(header::AUTHORIZATION));
        assert!(!without.contains_key(header::AUTHORIZATION));
        assert!(!format!("{with:?}").contains(KEY));
    }

    #[test]
    fn what_cannot_be_a_header_is_left_out_or_refused() {
        let client = client();
        let stale = Request::get("/videos").if_none_match(Some("\"a\nb\"".to_owned()));
        assert!(!client.headers(&stale).unwrap().contains_key(header::IF_NONE_MATCH));
        let post = Request::post("/videos", "{}").idempotency_key("a\nb");
        assert_eq!(client.headers(&post).unwrap_err().verdict, Verdict::BadRequest);
    }

    #[tokio::test]
    async fn a_path_that_would_lead_elsewhere_is_not_sent() {
        let failure = client().send(&Request::get("/videos").segment("..")).await.unwrap_err();
        assert_eq!((failure.verdict, failure.status), (Verdict::BadRequest, None));
    }
}
