//! RFC 9457 problem documents, read from whatever a failing server sent.

use serde_json::{Map, Value};

use super::failure::FieldError;
use super::scrub::Scrubber;

/// Longest code that is kept; the documented ones are shorter by far.
const CODE_CHARS_MAX: usize = 64;
/// Longest title, detail or message that is kept.
pub(super) const TEXT_CHARS_MAX: usize = 500;
/// Most field errors that are kept.
const FIELDS_MAX: usize = 20;

/// The members of a problem document that are of use. Each may be missing or of a wrong type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Problem {
    pub code: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
    pub request_id: Option<String>,
    pub fields: Vec<FieldError>,
}

impl Problem {
    /// Reads a problem document, or nothing where the body is none: HTML, cut JSON, other JSON.
    pub(super) fn read(body: &[u8], scrubber: &Scrubber) -> Option<Self> {
        let members: Map<String, Value> = serde_json::from_slice(body).ok()?;
        let text = |name: &str, chars_max| member(&members, name, scrubber, chars_max);
        let problem = Self {
            code: text("code", CODE_CHARS_MAX),
            title: text("title", TEXT_CHARS_MAX),
            detail: text("detail", TEXT_CHARS_MAX),
            request_id: text("request_id", CODE_CHARS_MAX * 2),
            fields: fields(members.get("errors"), scrubber),
        };
        (problem.code.is_some() || problem.title.is_some()).then_some(problem)
    }
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

    fn read(body: &str) -> Option<Problem> {
        Problem::read(body.as_bytes(), &Scrubber::new("ca_live_0123456789"))
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
            let _ = Problem::read(&body, &Scrubber::new("ca_live_0123456789"));
        }
    }
}
