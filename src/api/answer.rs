//! A success: a 2xx with its body, or the 304 that was asked for.

use bytes::Bytes;
use serde::Deserialize;

use crate::api::failure::Failure;
use crate::api::headers::Head;
use crate::api::repair::{Repair, repair};

/// What the server answered. The key cannot be in it, even if the server repeated it.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What the headers say; the status is a 2xx or 304.
    pub head: Head,
    /// The body as received, decompressed; empty for a 304.
    pub body: Bytes,
}

impl Answer {
    /// Whether the server confirmed what we hold.
    pub fn is_not_modified(&self) -> bool {
        self.head.status == 304
    }

    /// What `read` makes of it; `None` for a 304.
    pub fn if_modified<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        if self.is_not_modified() { Ok(None) } else { read(self).map(Some) }
    }

    /// Reads the body as a JSON document. Content types are not looked at, since they lie.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| self.blame(Failure::malformed(error.to_string())))
    }

    /// Parses the body, or what it becomes when single bad values of its JSON are repaired.
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

    /// The failure with what is known about this answer, so that its request can be found.
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
