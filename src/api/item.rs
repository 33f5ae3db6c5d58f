//! One resource or document in its envelope, `{"data": {…}}`.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::answer::Answer;
use crate::api::decode;
use crate::api::failure::Failure;
use crate::api::page::read;
use crate::model::{Kind, Row};

/// Longest JSON of a single resource, bytes.
const RESOURCE_BYTES_MAX: usize = 1 << 20;

/// A resource that was read by its id.
#[derive(Debug, Clone)]
pub struct Item {
    /// The decoded row.
    pub row: Row,
    /// Its JSON as received.
    pub json: Bytes,
}

impl Item {
    /// Reads the answer to a request for one resource.
    ///
    /// # Errors
    /// `Verdict::Malformed` if the answer has another shape than documented.
    pub fn read(kind: Kind, answer: &Answer) -> Result<Self, Failure> {
        answer.parse(|body, mends| {
            let json = data(body)?;
            let damage = mends.last().map(|repair| &repair.what);
            let row = decode::listed(kind, json.clone(), damage);
            let row = row.map_err(|bad| Failure::malformed(bad.reason))?;
            Ok(Self { row, json })
        })
    }

    /// Reads the answer to a request for the resource with this id; another id is an error.
    pub fn read_of(kind: Kind, id: &str, answer: &Answer) -> Result<Self, Failure> {
        let item = Self::read(kind, answer)?;
        match item.row.id() == id {
            true => Ok(item),
            false => Err(answer.blame(Failure::malformed("the answer is about another resource"))),
        }
    }
}

/// Reads a document that is not a resource, as JSON.
pub fn document(answer: &Answer) -> Result<Box<RawValue>, Failure> {
    let read = |json: Bytes| serde_json::from_slice(&json);
    answer.parse(|body, _| read(data(body)?).map_err(|error| Failure::malformed(error.to_string())))
}

fn data(body: &Bytes) -> Result<Bytes, Failure> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let envelope: Envelope<'_> = read(body)?;
    match envelope.data.get() {
        json if !json.starts_with('{') => Err(Failure::malformed("data is not an object")),
        json if json.len() > RESOURCE_BYTES_MAX => {
            Err(Failure::malformed(format!("data is over {RESOURCE_BYTES_MAX} bytes long")))
        }
        json => Ok(body.slice_ref(json.as_bytes())),
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use http::HeaderMap;

    use super::*;
    use crate::api::headers::Head;
    use crate::api::scrub::Scrubber;

    fn answer(body: &str) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", "req_1".parse().unwrap());
        let head = Head::read(200, &headers, &Scrubber::new(""), DateTime::UNIX_EPOCH);
        Answer { head, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    #[test]
    fn an_item_is_an_object_in_an_envelope() {
        let item = Item::read(Kind::Video, &answer(r#"{"data":{"id":"a"},"x":2}"#)).unwrap();
        assert_eq!((item.row.id().as_ref(), &item.json[..]), ("a", &br#"{"id":"a"}"#[..]));
        let long = format!(r#"{{"data":{{"a":"{}"}}}}"#, "x".repeat(RESOURCE_BYTES_MAX));
        for body in ["", "{}", "[]", r#"{"data":[]}"#, r#"{"data":null}"#, "<html>", "[{}]", &long]
        {
            let failure = document(&answer(body)).unwrap_err();
            assert_eq!(failure.request_id.as_deref(), Some("req_1"), "{body}");
            assert!(Item::read(Kind::Video, &answer(body)).is_err(), "{body}");
        }
        let failure = Item::read_of(Kind::Video, "b", &answer(r#"{"data":{"id":"a"}}"#));
        assert_eq!(failure.unwrap_err().request_id.as_deref(), Some("req_1"));
    }

    #[test]
    fn an_item_may_be_repaired_but_not_its_id() {
        let read = |body| Item::read(Kind::Video, &answer(body));
        let item = read(r#"{"data":{"id":"a","view_count":NaN}}"#).unwrap();
        assert!(item.row.is_type_mismatch && item.row.extra.is_some());
        let body = Bytes::from_static(b"{\"data\":{\"id\":\"a\xff\"}}");
        let damaged = Answer { body, ..answer("") };
        assert!(Item::read(Kind::Video, &damaged).is_err());
    }
}
