//! Answers and problem documents, before they meet the wire.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use serde::Serialize;
use serde_json::json;

use crate::sandbox::call::Call;
use crate::sandbox::moment::Moment;

/// An answer, complete but for the headers that every answer carries.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`; none without a body.
    pub content_type: Option<&'static str>,
    /// The body.
    pub body: Bytes,
    /// Headers of this answer alone.
    pub headers: Vec<(Cow<'static, str>, String)>,
    /// Whether it did not come from the API, and carries none of its headers.
    pub is_foreign: bool,
    /// Real time to let pass before it is sent.
    pub delay: Duration,
    /// What happens to the connection.
    pub ending: Ending,
}

/// What happens to a connection while its answer is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Nothing.
    Whole,
    /// It is reset, and nothing is sent.
    Reset,
    /// It is closed in the middle of the body.
    Truncated,
}

impl Answer {
    /// A JSON answer.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).unwrap_or_default().into();
        Self { content_type: Some("application/json"), body, ..Self::empty(status) }
    }

    /// `{"data": …}`.
    pub fn data(status: u16, data: &impl Serialize) -> Self {
        Self::json(status, &BTreeMap::from([("data", data)]))
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            content_type: None,
            body: Bytes::new(),
            headers: Vec::new(),
            is_foreign: false,
            delay: Duration::ZERO,
            ending: Ending::Whole,
        }
    }

    /// An answer with status 200 that did not come from the API.
    pub fn foreign(content_type: &'static str, text: &'static str) -> Self {
        let content_type = Some(content_type);
        Self { content_type, body: text.into(), is_foreign: true, ..Self::empty(200) }
    }

    /// Adds a header.
    pub fn add(&mut self, name: &'static str, value: impl Into<String>) {
        self.headers.push((name.into(), value.into()));
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.add(name, value);
        self
    }
}

/// A refusal.
#[derive(Debug, Clone)]
pub struct Problem {
    /// HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: &'static str,
    /// What a person may read.
    pub detail: String,
    /// With a 422: fields and what is wrong with them.
    pub errors: Vec<(String, String)>,
    /// Headers of this answer alone.
    pub headers: Vec<(Cow<'static, str>, String)>,
}

impl Problem {
    /// A refusal with this status, its usual code and a text.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        let code = usual_code(status);
        Self { status, code, detail: detail.into(), errors: Vec::new(), headers: Vec::new() }
    }

    /// A refusal with a code that is not the usual one of its status.
    pub fn coded(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self { code, ..Self::new(status, detail) }
    }

    /// 422 about one field.
    pub fn field(name: &str, message: impl Into<String>) -> Self {
        Self::fields(vec![(name.to_owned(), message.into())])
    }

    /// 422 about some fields.
    pub fn fields(errors: Vec<(String, String)>) -> Self {
        let said = errors.first().map(|(field, message)| format!("{field}: {message}"));
        Self { errors, ..Self::new(422, said.unwrap_or_else(|| "Invalid input".to_owned())) }
    }

    /// 422 about a cursor that cannot be used.
    pub fn refused_cursor() -> Self {
        Self::field("cursor", "is not valid for this filter and sort, or has expired")
    }

    /// 404.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, format!("{what} not found in this organization"))
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The document of RFC 9457.
    pub fn answer(self, call: &Call) -> Answer {
        let kebab = self.code.to_lowercase().replace('_', "-");
        let mut document = json!({
            "type": format!("urn:creatoraudit:error:{kebab}"),
            "title": title(self.status),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "instance": call.full_path,
            "request_id": call.request_id,
        });
        if self.status == 422 {
            let errors = self.errors.iter();
            document["errors"] = errors
                .map(|(field, message)| json!({ "field": field, "message": message }))
                .collect();
        }
        let mut answer = Answer::json(self.status, &document);
        answer.content_type = Some("application/problem+json");
        answer.headers = self.headers;
        answer
    }
}

/// An instant as HTTP writes it.
pub fn http_date(at: Moment) -> String {
    httpdate::fmt_http_date(at.to_utc().into())
}

/// The code that a status usually has.
fn usual_code(status: u16) -> &'static str {
    match status {
        400 => "BAD_REQUEST",
        401 => "UNAUTHORIZED",
        403 => "FORBIDDEN",
        404 => "NOT_FOUND",
        405 => "METHOD_NOT_ALLOWED",
        406 => "NOT_ACCEPTABLE",
        409 => "CONFLICT",
        415 => "UNSUPPORTED_MEDIA_TYPE",
        422 => "VALIDATION_ERROR",
        429 => "RATE_LIMITED",
        502 => "UPSTREAM_ERROR",
        503 => "SERVICE_UNAVAILABLE",
        _ => "INTERNAL_ERROR",
    }
}

/// The phrase of a status, whatever the code.
fn title(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason()).unwrap_or("Error")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_problem_is_an_rfc_9457_document() {
        let call = Call { request_id: "req_1".to_owned(), ..Call::get("/videos") };
        let answer = Problem::field("cursor", "unknown").answer(&call);
        let document: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(answer.content_type, Some("application/problem+json"));
        assert_eq!(document["type"], "urn:creatoraudit:error:validation-error");
        assert_eq!(document["title"], "Unprocessable Entity");
        assert_eq!(document["errors"][0]["field"], "cursor");
        assert_eq!(document["request_id"], "req_1");
    }
}
