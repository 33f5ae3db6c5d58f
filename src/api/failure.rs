//! A failed request: a verdict to act on, and a description.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use chrono::{DateTime, Utc};
use http::StatusCode;

use crate::api::headers::{Head, RateHeaders};
use crate::api::problem::{FieldError, Problem, TEXT_CHARS_MAX};
use crate::api::scrub::Scrubber;
use crate::model::named::named;
use crate::model::shown::printable;
use crate::retry::RetryCause;

named! {
    /// Classification of a failure by what the caller does about it.
    pub enum Verdict {
        /// Nothing reached the server: DNS, connection or TLS failed. A write may be
        /// repeated without a check.
        Unreachable = "unreachable",
        /// Sent, but no answer arrived. Whether the server acted on it is unknown.
        Lost = "lost",
        /// A success arrived in part. The server acted; its answer is unknown.
        Cut = "cut",
        /// The server asks to wait: 429, or 503 with Retry-After. Starts a cooldown.
        Limited = "limited",
        /// The server cannot serve at the moment: 503 without Retry-After, and similar.
        Unavailable = "unavailable",
        /// The server failed: any other 5xx.
        ServerError = "server_error",
        /// The key is not accepted.
        KeyRefused = "key_refused",
        /// The key lacks the scope for this request.
        ScopeMissing = "scope_missing",
        /// The organization's quota is reached.
        QuotaExceeded = "quota_exceeded",
        /// The resource or the endpoint does not exist.
        NotFound = "not_found",
        /// The request conflicts with the state of the server, for example a duplicate.
        Conflict = "conflict",
        /// The server rejects a value; the fields say which.
        Invalid = "invalid",
        /// The server rejects the request.
        BadRequest = "bad_request",
        /// A redirect, which is not followed with the key.
        Redirected = "redirected",
        /// An error page that the API did not write: a block page, a proxy, another server.
        Foreign = "foreign",
        /// A success longer than the bound. Fewer rows may fit.
        TooLarge = "too_large",
        /// A success of another shape than documented.
        Malformed = "malformed",
    }
}

impl Verdict {
    /// Whether the verdict is about the key, the resource or the request, which only the API itself
    /// can judge; a proxy with the same status cannot.
    const fn is_for_the_api_to_say(self) -> bool {
        matches!(
            self,
            Self::KeyRefused
                | Self::ScopeMissing
                | Self::QuotaExceeded
                | Self::NotFound
                | Self::Conflict
                | Self::Invalid
                | Self::BadRequest
        )
    }
}

/// A failed request; see [`Report`]. Never contains the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(Box<Report>);

/// Everything known about a failed request. All texts are short and escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The classification.
    pub verdict: Verdict,
    /// HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The API's error code; an open set.
    pub code: Option<String>,
    /// Title: the kind of failure.
    pub title: String,
    /// Detail of this failure; may be empty.
    pub detail: String,
    /// Errors of single fields.
    pub fields: Vec<FieldError>,
    /// The API's request id.
    pub request_id: Option<String>,
    /// `Retry-After`, counted from the answer.
    pub retry_after: Option<Duration>,
    /// The rate-limit headers.
    pub rate: RateHeaders,
    /// The server's `Date`.
    pub server_date: Option<DateTime<Utc>>,
    /// Whether the body was the API's problem document, rather than a proxy's.
    pub is_problem: bool,
}

impl Failure {
    /// A failure found by us, not reported by the server.
    pub(super) fn found(verdict: Verdict, title: &str, detail: &str) -> Self {
        Self(Box::new(Report {
            verdict,
            status: None,
            code: None,
            title: title.to_owned(),
            detail: printable(detail, TEXT_CHARS_MAX),
            fields: Vec::new(),
            request_id: None,
            retry_after: None,
            rate: RateHeaders::default(),
            server_date: None,
            is_problem: false,
        }))
    }

    /// An answer of another shape than documented.
    pub fn malformed(reason: impl AsRef<str>) -> Self {
        Self::found(Verdict::Malformed, "the answer is not what is documented", reason.as_ref())
    }

    /// Classifies an error status of the server.
    pub(super) fn refused(head: &Head, body: &[u8], scrubber: &Scrubber) -> Self {
        let problem = Problem::read(head, body, scrubber);
        let is_problem = problem.is_some();
        let problem = problem.unwrap_or_default();
        let verdict = match judge(head, problem.code.as_deref()) {
            verdict if !is_problem && verdict.is_for_the_api_to_say() => Verdict::Foreign,
            verdict => verdict,
        };
        let title = problem.title.unwrap_or_else(|| status_title(head.status));
        let detail = match (problem.detail, verdict) {
            (Some(detail), _) => detail,
            (None, Verdict::Redirected) => redirect_hint(head),
            (None, _) if is_problem => String::new(),
            (None, Verdict::Foreign) => foreign_body(head, body),
            (None, _) if body.is_empty() => String::new(),
            (None, _) => foreign_body(head, body),
        };
        let mut failure = Self::found(verdict, &title, &detail).with_head(head);
        failure.0.code = problem.code;
        failure.0.fields = problem.fields;
        failure.0.request_id = head.request_id.clone().or(problem.request_id);
        failure.0.is_problem = is_problem;
        failure
    }

    /// Adds status and headers.
    #[must_use]
    pub fn with_head(mut self, head: &Head) -> Self {
        self.0.status = Some(head.status);
        self.0.request_id.clone_from(&head.request_id);
        self.0.retry_after = head.retry_after;
        self.0.rate = head.rate;
        self.0.server_date = head.server_date;
        self
    }

    /// Cause of a retry, for requests that may be repeated.
    pub fn cause(&self) -> RetryCause {
        match self.verdict {
            Verdict::Unreachable | Verdict::Lost => RetryCause::NoAnswer,
            // Repeating a request that is too large for a proxy would fail again.
            Verdict::Foreign if matches!(self.status, Some(413 | 414 | 431)) => RetryCause::Final,
            Verdict::Unavailable | Verdict::ServerError | Verdict::Foreign => RetryCause::Failing,
            Verdict::Cut | Verdict::Malformed => RetryCause::WrongAnswer,
            Verdict::Limited => RetryCause::Limited(self.retry_after),
            Verdict::KeyRefused
            | Verdict::ScopeMissing
            | Verdict::QuotaExceeded
            | Verdict::NotFound
            | Verdict::Conflict
            | Verdict::Invalid
            | Verdict::BadRequest
            | Verdict::Redirected
            | Verdict::TooLarge => RetryCause::Final,
        }
    }

    /// Whether the server rejects the request or a value in it.
    pub fn is_refusal(&self) -> bool {
        matches!(self.verdict, Verdict::Invalid | Verdict::BadRequest)
    }

    /// The same, or a 404, as for an expired cursor.
    pub fn is_refusal_or_not_found(&self) -> bool {
        self.is_refusal() || self.verdict == Verdict::NotFound
    }

    /// The same, or a missing scope: this key cannot use the endpoint.
    pub fn is_unsupported(&self) -> bool {
        self.is_refusal_or_not_found() || self.verdict == Verdict::ScopeMissing
    }

    /// Whether the answer may have been too large for the server or for us, so that fewer rows may
    /// work.
    pub fn is_heavy(&self) -> bool {
        self.verdict == Verdict::TooLarge || matches!(self.status, Some(500 | 504))
    }
}

impl Deref for Failure {
    type Target = Report;

    fn deref(&self) -> &Report {
        &self.0
    }
}

impl std::error::Error for Failure {}

/// The failure without its verdict, for a sentence that names it.
#[derive(Debug, Clone, Copy)]
pub struct Story<'a>(&'a Failure);

impl Failure {
    /// See [`Failure::story`].
    pub const fn story(&self) -> Story<'_> {
        Story(self)
    }
}

/// One line: status, code, detail or title, fields, request id.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.status.is_none() && self.code.is_none() {
            write!(f, "{}: ", self.verdict)?;
        }
        self.story().fmt(f)
    }
}

impl fmt::Display for Story<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { status, code, title, detail, fields, request_id, .. } = &*self.0.0;
        if let Some(status) = status {
            write!(f, "{status} ")?;
        }
        if let Some(code) = code {
            write!(f, "{code}: ")?;
        }
        // The title of a problem document is the phrase of its status.
        match self.0.is_problem && !detail.is_empty() {
            true => f.write_str(detail)?,
            false if detail.is_empty() || detail == title => f.write_str(title)?,
            false => write!(f, "{title}: {detail}")?,
        }
        for FieldError { field, message } in fields {
            write!(f, "; {field}: {message}")?;
        }
        if let Some(request_id) = request_id {
            write!(f, " (request id {request_id})")?;
        }
        Ok(())
    }
}

/// Classifies by status, then by code.
fn judge(head: &Head, code: Option<&str>) -> Verdict {
    match head.status {
        300..=399 => Verdict::Redirected,
        401 => Verdict::KeyRefused,
        403 => match code {
            Some("INSUFFICIENT_SCOPE") => Verdict::ScopeMissing,
            Some("QUOTA_EXCEEDED") => Verdict::QuotaExceeded,
            _ => Verdict::KeyRefused,
        },
        404 | 410 => Verdict::NotFound,
        // 408 and 425: the server or a proxy asks to send the request again.
        408 | 425 => Verdict::Unavailable,
        409 => Verdict::Conflict,
        422 => Verdict::Invalid,
        429 => Verdict::Limited,
        400..=499 => Verdict::BadRequest,
        503 if head.retry_after.is_some() => Verdict::Limited,
        503 => Verdict::Unavailable,
        500..=599 => Verdict::ServerError,
        _ => Verdict::Malformed,
    }
}

fn status_title(status: u16) -> String {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("unknown status")
        .to_owned()
}

fn redirect_hint(head: &Head) -> String {
    let target = head.location.as_deref().unwrap_or("an unnamed place");
    format!(
        "the server points to {target}; redirects are not followed with the key, check base_url"
    )
}

/// Bodies are not shown; content type and length help to recognize a proxy.
fn foreign_body(head: &Head, body: &[u8]) -> String {
    let kind = if head.content_type.is_empty() { "no content type" } else { &head.content_type };
    format!("the body is not a problem document ({kind}, {} bytes)", body.len())
}

/// For tests of code that acts on failures.
#[cfg(test)]
impl Failure {
    /// What an answer with this status, these headers and this body comes to.
    pub fn of_answer(status: u16, lines: &[(&'static str, &str)], body: &str) -> Self {
        let scrubber = Scrubber::new("ca_live_0123456789");
        let mut headers = http::HeaderMap::new();
        for (name, value) in lines {
            headers.insert(*name, value.parse().unwrap());
        }
        let head = Head::read(status, &headers, &scrubber, DateTime::UNIX_EPOCH);
        Self::refused(&head, body.as_bytes(), &scrubber)
    }

    /// What no answer, or half of one, comes to.
    pub fn of_verdict(verdict: Verdict) -> Self {
        Self::found(verdict, "no answer", "")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, lines: &[(&'static str, &str)], body: &str) -> Failure {
        Failure::of_answer(status, lines, body)
    }

    fn problem(status: u16, code: &str) -> String {
        let kind = "urn:creatoraudit:error:x";
        format!(r#"{{"type":"{kind}","title":"T","status":{status},"detail":"D","code":"{code}"}}"#)
    }

    #[test]
    fn the_status_decides_and_then_the_code() {
        use Verdict::*;
        let cases = [
            (301, "", Redirected),
            (307, "", Redirected),
            (400, "BAD_REQUEST", BadRequest),
            (401, "UNAUTHORIZED", KeyRefused),
            (401, "QUOTA_EXCEEDED", KeyRefused),
            (403, "FORBIDDEN", KeyRefused),
            (403, "INSUFFICIENT_SCOPE", ScopeMissing),
            (403, "QUOTA_EXCEEDED", QuotaExceeded),
            (403, "SOMETHING_NEW", KeyRefused),
            (404, "NOT_FOUND", NotFound),
            (406, "NOT_ACCEPTABLE", BadRequest),
            (408, "", Unavailable),
            (409, "CONFLICT", Conflict),
            (410, "", NotFound),
            (415, "UNSUPPORTED_MEDIA_TYPE", BadRequest),
            (418, "", BadRequest),
            (422, "VALIDATION_ERROR", Invalid),
            (429, "RATE_LIMITED", Limited),
            (500, "INTERNAL_ERROR", ServerError),
            (500, "RATE_LIMITED", ServerError),
            (502, "UPSTREAM_ERROR", ServerError),
            (503, "SERVICE_UNAVAILABLE", Unavailable),
            (504, "", ServerError),
            (599, "", ServerError),
            (999, "", Malformed),
        ];
        for (status, code, verdict) in cases {
            let failure = refused(status, &[], &problem(status, code));
            assert_eq!(failure.verdict, verdict, "{status} {code}");
            assert!(failure.is_problem);
            // A proxy's page says nothing about the key, the resource or the request.
            let html = refused(status, &[("content-type", "text/html")], "<html>no</html>");
            assert!(!html.is_problem);
            let verdict = if verdict.is_for_the_api_to_say() { Foreign } else { verdict };
            assert_eq!(html.verdict, verdict, "{status} html");
        }
    }

    #[test]
    fn only_the_apis_own_problem_document_refuses_a_key() {
        let problem_json = [("content-type", "application/problem+json")];
        let json = [("content-type", "application/json")];
        let cloudflare = r#"{"type":"https://developers.cloudflare.com/1xxx/error-1020/","status":403,
            "title":"Error 1020: Access denied","detail":"blocked","error_code":1020,"error_name":"x"}"#;
        for (headers, body) in [
            (&[][..], ""),
            (&[("content-type", "text/html")], "<html>Attention required!</html>"),
            (&json, r#"{"message":"Forbidden"}"#),
            (&json, r#"{"code":"FORBIDDEN","message":"by the gateway"}"#),
            (&json, r#"{"code":"Forbidden","status":403}"#),
            (&json, r#"{"code":403,"status":403,"title":"Forbidden"}"#),
            (&json, cloudflare),
            (&problem_json, cloudflare),
            (&problem_json, r#"{"type":"about:blank","title":"Forbidden","status":403}"#),
            (&problem_json, r#"{"code":"FORBIDDEN","status":200}"#),
            (&problem_json, "<html></html>"),
        ] {
            let failure = refused(403, headers, body);
            assert_eq!((failure.verdict, failure.is_problem), (Verdict::Foreign, false), "{body}");
            assert_eq!(failure.cause(), RetryCause::Failing);
        }
        for (headers, body) in [
            (&json[..], r#"{"code":"FORBIDDEN","status":403,"title":"Forbidden"}"#),
            (&problem_json, r#"{"code":"SOMETHING_NEW","title":"x"}"#),
            (&[], r#"{"type":"urn:creatoraudit:error:forbidden","title":"Forbidden"}"#),
        ] {
            assert_eq!(refused(403, headers, body).verdict, Verdict::KeyRefused, "{body}");
        }
    }

    #[test]
    fn a_503_that_says_when_to_come_back_is_a_limit() {
        let limited = refused(503, &[("retry-after", "7")], "");
        assert_eq!(limited.verdict, Verdict::Limited);
        assert_eq!(limited.cause(), RetryCause::Limited(Some(Duration::from_secs(7))));
        assert_eq!(refused(503, &[("retry-after", "soon")], "").verdict, Verdict::Unavailable);
    }

    #[test]
    fn it_reads_as_one_line() {
        let body = r#"{"type":"urn:creatoraudit:error:validation-error","title":"Validation\nfailed",
            "code":"VALIDATION_ERROR","detail":"bad input","request_id":"from_body","errors":[{"field":"limit","message":"too large"}]}"#;
        assert_eq!(
            refused(422, &[("x-request-id", "req_9")], body).to_string(),
            "422 VALIDATION_ERROR: bad input; limit: too large (request id req_9)"
        );
        assert_eq!(refused(422, &[], body).request_id.as_deref(), Some("from_body"));
        let without_detail =
            r#"{"type":"urn:creatoraudit:error:conflict","title":"Conflict","code":"CONFLICT"}"#;
        assert_eq!(refused(409, &[], without_detail).to_string(), "409 CONFLICT: Conflict");
        assert_eq!(
            refused(502, &[("content-type", "text/html")], "<p>oops").to_string(),
            "502 Bad Gateway: the body is not a problem document (text/html, 7 bytes)"
        );
        assert_eq!(
            Failure::malformed("no data").to_string(),
            "malformed: the answer is not what is documented: no data"
        );
    }

    #[test]
    fn a_redirect_says_where_to_and_what_to_check() {
        let failure = refused(302, &[("location", "https://elsewhere.example/")], "");
        assert_eq!(
            failure.to_string(),
            "302 Found: the server points to https://elsewhere.example/; \
             redirects are not followed with the key, check base_url"
        );
    }
}
