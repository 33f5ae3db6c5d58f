//! The shape of an answer: names of members, JSON types, and values of documented enums. Nothing else of the answer
//! is kept, so that a shape can be shown to others.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::contract::document::type_name;
use crate::contract::used;

/// Longest name of a member that is kept, bytes.
const NAME_BYTES_MAX: usize = 64;
/// Most digits in a name that is kept: a name with more may be an id.
const NAME_DIGITS_MAX: usize = 3;
/// Most members of an object that are kept.
const MEMBERS_MAX: usize = 500;

/// The objects whose members the API names. In all others, such as `metadata`, the names may be the user's.
const OBJECTS: &[&str] = &[
    "",
    "data",
    "pagination",
    "filters",
    "meta",
    "accounts_summary",
    "current",
    "previous",
    "changes",
    "errors",
];

/// What is known of the values in one place of an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Names of the JSON types.
    pub types: BTreeSet<String>,
    /// Values, if documented ones were among them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub values: BTreeSet<String>,
    /// Members of objects.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub members: BTreeMap<String, Shape>,
    /// Elements of arrays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elements: Option<Box<Shape>>,
    /// Values of a map, whose keys are not kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_values: Option<Box<Shape>>,
}

/// Whether `data` is a resource, a document or a list of them, or a map by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Data {
    /// Members or elements.
    Resources,
    /// Keys are ids.
    ById,
}

impl Shape {
    /// The shape of an answer.
    pub fn of(answer: &Value, data: Data) -> Self {
        let mut shape = Self::default();
        shape.add("", answer, data);
        shape
    }

    fn add(&mut self, name: &str, value: &Value, data: Data) {
        self.types.insert(type_name(value).to_owned());
        match value {
            Value::String(text) if is_documented(name, text) => {
                self.values.insert(text.clone());
            }
            Value::Array(values) => {
                let elements = self.elements.get_or_insert_default();
                values.iter().for_each(|value| elements.add(name, value, data));
            }
            Value::Object(map) if name == "data" && data == Data::ById => {
                let values = self.map_values.get_or_insert_default();
                map.values().for_each(|value| values.add(name, value, Data::Resources));
            }
            Value::Object(members) if OBJECTS.contains(&name) => {
                for (name, value) in members.iter().filter(|(name, _)| is_identifier(name)) {
                    if self.members.len() < MEMBERS_MAX || self.members.contains_key(name) {
                        self.members.entry(name.clone()).or_default().add(name, value, data);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Whether the documentation shows this value of a member.
fn is_documented(name: &str, value: &str) -> bool {
    let has = |(known, values): &(&str, &[&str])| *known == name && values.contains(&value);
    let orders = || used::ORDERS.iter().any(|(_, values)| values.contains(&value));
    used::VALUES.iter().any(has) || (name == "order_by" && orders())
}

fn is_identifier(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    name.len() <= NAME_BYTES_MAX
        && digits <= NAME_DIGITS_MAX
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn types_of_all_rows_are_merged() {
        let shape = Shape::of(
            &json!({ "data": [
                { "platform": "tiktok", "n": 1, "duration": 1.5, "metadata": { "secret": "x" } },
                { "platform": "vimeo", "n": null, "later": { "secret": 1 }, "not a name": 1, "x12345": 1 },
            ] }),
            Data::Resources,
        );
        assert_eq!(
            serde_json::to_value(shape).unwrap(),
            json!({ "types": ["object"], "members": { "data": { "types": ["array"], "elements": {
                "types": ["object"],
                "members": {
                    "platform": { "types": ["string"], "values": ["tiktok"] },
                    "n": { "types": ["integer", "null"] },
                    "duration": { "types": ["number"] },
                    "metadata": { "types": ["object"] },
                    "later": { "types": ["object"] },
                },
            } } } })
        );
    }

    #[test]
    fn ids_that_are_keys_are_not_kept() {
        let answer = json!({ "data": { "ab-1": { "views": 5 }, "secret": { "views": null } } });
        let shape = Shape::of(&answer, Data::ById);
        let values = shape.members["data"].map_values.as_ref().unwrap();
        assert_eq!(values.members["views"].types.len(), 2);
        assert!(!serde_json::to_string(&shape).unwrap().contains("secret"));
    }

    proptest! {
        #[test]
        fn no_value_is_kept(text in "[ -~]{1,30}", number in any::<u32>()) {
            let text = format!("\u{2603}{text}");
            let answer = json!({
                "data": [{ "name": text, "type": text, "platform": text, "count": number }],
                "filters": { "q": text, "order_by": text }, &text: text, "metadata": { &text: text },
            });
            let shape = serde_json::to_string(&Shape::of(&answer, Data::Resources)).unwrap();
            let is_of_a_value = |c: char| c == '\u{2603}' || c.is_ascii_digit();
            prop_assert!(!shape.contains(is_of_a_value), "{}", shape);
        }
    }
}
