//! Reads RFC 9457 problem documents from the bodies of errors.

use serde_json::{Map, Value};

use crate::api::headers::Head;
use crate::api::scrub::Scrubber;

/// Longest code that is kept, characters.
const CODE_CHARS_MAX: usize = 64;
/// Longest title, detail or message that is kept, characters.
pub(super) const TEXT_CHARS_MAX: usize = 500;
/// Prefix of the type of the API's problem documents.
const TYPE_PREFIX: &str = "urn:creatoraudit:error:";
/// Most field errors that are kept.
const FIELDS_MAX: usize = 20;

/// An error of one field of a rejected request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// The field; empty if the server did not name one.
    pub field: String,
    /// What is wrong with it.
    pub message: String,
}

/// The useful members of a problem document. Each may be missing or of a wrong type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    pub code: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
    pub request_id: Option<String>,
    pub fields: Vec<FieldError>,
}

impl Problem {
    /// Reads a problem document of the API. `None` for everything else: HTML, truncated JSON, other JSON, and
    /// problem documents of proxies.
    pub(super) fn read(head: &Head, body: &[u8], scrubber: &Scrubber) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
        if !is_of_the_api(head, &members) {
            return None;
        }
        let text = |name: &str, chars_max| member(&members, name, scrubber, chars_max);
        Some(Self {
            code: text("code", CODE_CHARS_MAX),
            title: text("title", TEXT_CHARS_MAX),
            detail: text("detail", TEXT_CHARS_MAX),
            request_id: text("request_id", CODE_CHARS_MAX * 2),
            fields: fields(members.get("errors"), scrubber),
        })
    }
}

/// Whether the API wrote this document: its type is one of the API's URNs, or it has a code in the API's
/// spelling and is a problem document by content type or status. Proxies send problem documents with the same
/// content type and status, but without such a code.
fn is_of_the_api(head: &Head, members: &Map<String, Value>) -> bool {
    let status = members.get("status").and_then(Value::as_u64);
    if status.is_some_and(|status| status != u64::from(head.status)) {
        return false;
    }
    let text = |name| members.get(name).and_then(Value::as_str);
    if text("type").is_some_and(|kind| kind.starts_with(TYPE_PREFIX)) {
        return true;
    }
    let is_spelled = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let has_code =
        text("code").is_some_and(|code| !code.is_empty() && code.chars().all(is_spelled));
    has_code && (status.is_some() || head.content_type.starts_with("application/problem+json"))
}

fn member(
    members: &Map<String, Value>,
    name: &str,
    scrubber: &Scrubber,
    chars_max: usize,
) -> Option<String> {
    let text = scrubber.shown(members.get(name)?.as_str()?, chars_max);
    (!text.is_empty()).then_some(text)
}

fn fields(errors: Option<&Value>, scrubber: &Scrubber) -> Vec<FieldError> {
    let Some(Value::Array(errors)) = errors else { return Vec::new() };
    let read = |error: &Value| {
        let error = error.as_object()?;
        Some(FieldError {
            field: member(error, "field", scrubber, CODE_CHARS_MAX).unwrap_or_default(),
            message: member(error, "message", scrubber, TEXT_CHARS_MAX).unwrap_or_default(),
        })
    };
    errors.iter().filter_map(read).take(FIELDS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(status: u16) -> Head {
        let mut headers = http::HeaderMap::new();
        headers.insert("content-type", "application/problem+json".parse().unwrap());
        let scrubber = Scrubber::new("ca_live_0123456789");
        Head::read(status, &headers, &scrubber, chrono::DateTime::UNIX_EPOCH)
    }

    fn read(body: &str) -> Option<Problem> {
        Problem::read(&head(422), body.as_bytes(), &Scrubber::new("ca_live_0123456789"))
    }

    #[test]
    fn a_documented_problem_is_read_whole() {
        let body = r#"{"type":"urn:creatoraudit:error:validation-error","title":"Validation failed",
            "status":422,"detail":"limit","code":"VALIDATION_ERROR","request_id":"req_1",
            "errors":[{"field":"limit","message":"too large"}]}"#;
        let problem = read(body).unwrap();
        assert_eq!(problem.code.as_deref(), Some("VALIDATION_ERROR"));
        assert_eq!(problem.request_id.as_deref(), Some("req_1"));
        assert_eq!(
            problem.fields,
            [FieldError { field: "limit".into(), message: "too large".into() }]
        );
    }

    #[test]
    fn members_of_a_wrong_type_are_passed_over() {
        let body = r#"{"code":"CONFLICT","title":7,"detail":{"a":1},"request_id":[],"status":"409",
            "errors":[1,"x",{"field":3,"message":"m"},null]}"#;
        let problem = read(body).unwrap();
        assert_eq!(problem.code.as_deref(), Some("CONFLICT"));
        assert_eq!((problem.title, problem.detail, problem.request_id), (None, None, None));
        assert_eq!(problem.fields, [FieldError { field: String::new(), message: "m".into() }]);
        assert!(read(r#"{"code":"X","errors":{"a":1}}"#).unwrap().fields.is_empty());
    }

    #[test]
    fn what_is_no_problem_document_is_none() {
        for body in ["", "<html>", "{\"code\":\"CONF", "[]", "null", "{}", r#"{"code":""}"#, "3"] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    #[test]
    fn a_key_written_in_escapes_is_cut_out_too() {
        let problem = read(r#"{"code":"X","detail":"\u0063a_live_0123456789"}"#).unwrap();
        assert_eq!(problem.detail.as_deref(), Some("[redacted]"));
    }

    proptest! {
        #[test]
        fn any_body_is_survived(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Problem::read(&head(500), &body, &Scrubber::new("ca_live_0123456789"));
        }
    }
}
