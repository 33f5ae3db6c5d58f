//! A success: a 2xx with its body, or the 304 that was asked for.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use crate::api::failure::Failure;
use crate::api::headers::{Head, RateHeaders};
use crate::api::mend::{Mend, mend};
use crate::api::page::{ListPage, item};
use crate::api::windowed::Windowed;

/// What the server answered. The key cannot be in it, even if the server repeated it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// A 2xx, or 304.
    pub status: u16,
    /// The strong validator of the body.
    pub etag: Option<String>,
    /// The server's name for the request.
    pub request_id: Option<String>,
    /// The body as received, decompressed; empty for a 304.
    pub body: Bytes,
    /// Whether the server confirmed what we hold.
    pub not_modified: bool,
    /// The server's clock.
    pub server_date: Option<DateTime<Utc>>,
    /// The rate-limit headers.
    pub rate: RateHeaders,
    /// Where a created resource is.
    pub location: Option<String>,
    /// Which places of the body were repaired; see [`Answer::mended`].
    pub mends: Vec<Mend>,
}

impl Answer {
    pub(super) fn new(head: Head, body: Bytes) -> Self {
        Self {
            status: head.status,
            etag: head.etag,
            request_id: head.request_id,
            body,
            not_modified: head.status == 304,
            server_date: head.server_date,
            rate: head.rate,
            location: head.location,
            mends: Vec::new(),
        }
    }

    /// The same answer with single bad values of its JSON repaired; `None` where that does not help.
    pub fn mended(&self) -> Option<Self> {
        let (body, mends) = mend(&self.body)?;
        Some(Self { body: body.into(), mends, ..self.clone() })
    }

    /// Reads the body as a JSON document. Content types are not looked at, since they lie.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.blame(Failure::malformed(error.to_string())))
    }

    /// Reads the body as a page of a list.
    pub fn page(&self) -> Result<ListPage, Failure> {
        ListPage::parse(&self.body, &self.mends).map_err(|failure| self.blame(failure))
    }

    /// Reads the body as the sums of one UTC day, `YYYY-MM-DD`.
    pub fn windowed(&self, day: &str) -> Result<Windowed, Failure> {
        Windowed::parse(&self.body, day).map_err(|failure| self.blame(failure))
    }

    /// Reads the body as one resource in its envelope.
    pub fn item(&self) -> Result<&serde_json::value::RawValue, Failure> {
        item(&self.body).map_err(|failure| self.blame(failure))
    }

    /// The failure with what is known about this answer, so that its request can be found.
    pub fn blame(&self, failure: Failure) -> Failure {
        failure.with_head(&Head {
            status: self.status,
            request_id: self.request_id.clone(),
            etag: None,
            location: None,
            content_type: String::new(),
            server_date: self.server_date,
            retry_after: None,
            rate: self.rate,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;
    use crate::api::Verdict;
    use crate::api::scrub::Scrubber;

    fn answer(body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", "req_1".parse().unwrap());
        let head = Head::read(200, &headers, &Scrubber::new(""), DateTime::UNIX_EPOCH);
        Answer::new(head, Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn a_body_that_is_no_json_is_malformed_and_names_its_request() {
        for body in ["", "<html></html>", "{\"data\":"] {
            let failure = answer(body).json::<serde_json::Value>().unwrap_err();
            assert_eq!(failure.verdict, Verdict::Malformed);
            assert_eq!((failure.status, failure.request_id.as_deref()), (Some(200), Some("req_1")));
        }
        assert_eq!(answer("<html>").page().unwrap_err().verdict, Verdict::Malformed);
        assert_eq!(answer("<html>").item().unwrap_err().verdict, Verdict::Malformed);
    }

    #[test]
    fn json_may_borrow_from_the_body() {
        #[derive(Deserialize)]
        struct Named<'a> {
            name: &'a str,
        }
        let answer = answer(r#"{"name":"x","more":1}"#);
        assert_eq!(answer.json::<Named<'_>>().unwrap().name, "x");
    }
}
