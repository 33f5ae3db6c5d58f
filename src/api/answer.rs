//! A successful answer: 2xx with its body, or 304.

use bytes::Bytes;
use serde::Deserialize;

use crate::api::failure::Failure;
use crate::api::headers::Head;
use crate::api::repair::{Repair, repair};

/// An answer of the server, redacted: it never contains the key.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Status (2xx or 304) and headers.
    pub head: Head,
    /// The decompressed body; empty for a 304.
    pub body: Bytes,
}

impl Answer {
    /// Whether the answer is a 304.
    pub fn is_not_modified(&self) -> bool {
        self.head.status == 304
    }

    /// Applies `read` to the answer; `None` for a 304.
    pub fn if_modified<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        if self.is_not_modified() { Ok(None) } else { read(self).map(Some) }
    }

    /// Parses the body as JSON, whatever its content type says.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.blame(Failure::malformed(error.to_string())))
    }

    /// Parses the body; if it is invalid JSON because of single bad values, these are repaired first.
    pub(super) fn parse<T>(
        &self,
        parse: impl Fn(&Bytes, &[Repair]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let failure = match parse(&self.body, &[]) {
            Ok(parsed) => return Ok(parsed),
            Err(failure) => self.blame(failure),
        };
        match repair(&self.body) {
            Some((body, mends)) => parse(&body.into(), &mends).map_err(|_| failure),
            None => Err(failure),
        }
    }

    /// Adds status, headers and request id of this answer to a failure.
    pub fn blame(&self, failure: Failure) -> Failure {
        failure.with_head(&self.head)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use http::HeaderMap;

    use super::*;
    use crate::api::Verdict;
    use crate::api::scrub::Scrubber;

    fn answer(body: &'static str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", "req_1".parse().unwrap());
        let head = Head::read(200, &headers, &Scrubber::new(""), DateTime::UNIX_EPOCH);
        Answer { head, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn a_body_that_is_no_json_is_malformed_and_names_its_request() {
        for body in ["", "<html></html>", "{\"data\":"] {
            let failure = answer(body).json::<serde_json::Value>().unwrap_err();
            assert_eq!(failure.verdict, Verdict::Malformed);
            assert_eq!((failure.status, failure.request_id.as_deref()), (Some(200), Some("req_1")));
        }
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
