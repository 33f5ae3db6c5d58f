//! Parses JSON objects of request bodies. A member that comes twice is an error: serde_json keeps the
//! last of them without a word.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::model::shown::printable;
use crate::outbox::body::quoted;

/// The longest reason, characters.
const REASON_CHARS_MAX: usize = 200;

/// Parses an object; the error says what is wrong.
pub fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    match serde_json::from_slice(text) {
        Ok(Distinct(Value::Object(members))) => Ok(members),
        Ok(_) => Err("not a JSON object".to_owned()),
        // Every value can be decoded, except an object with a member twice.
        Err(error) if error.is_data() => Err(printable(&error.to_string(), REASON_CHARS_MAX)),
        Err(error) => Err(format!("not a JSON object: {}", quoted(&error.to_string()))),
    }
}

/// A value in which no object has a member twice.
struct Distinct(Value);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(DistinctVisitor).map(Distinct)
    }
}

struct DistinctVisitor;

impl<'de> Visitor<'de> for DistinctVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Distinct(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some((name, Distinct(value))) = map.next_entry::<String, _>()? {
            if members.contains_key(&name) {
                return Err(A::Error::custom(format!("member {} comes twice", quoted(&name))));
            }
            members.insert(name, value);
        }
        Ok(members.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_comes_twice_is_refused_at_any_depth() {
        for text in [
            r#"{"name":"Ada","name":"Bob"}"#,
            r#"{"name":"Ada","metadata":{"k":"1","k":"2"}}"#,
            r#"{"a":[{"k":1,"k":1}]}"#,
        ] {
            let error = object(text.as_bytes()).unwrap_err();
            assert!(error.contains("comes twice"), "{text}: {error}");
        }
        assert!(object(b"[1]").is_err() && object(b"{} {}").is_err());
        assert!(object("{\"a\":".repeat(100_000).as_bytes()).is_err());
        let text = r#"{"a":null,"b":[true,-1,2.5,18446744073709551615],"c":{"d":"\n"}}"#;
        let expected: Map<String, Value> = serde_json::from_str(text).unwrap();
        assert_eq!(object(text.as_bytes()), Ok(expected));
    }
}
