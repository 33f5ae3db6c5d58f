//! Validates the body of a write, by kind and action. Pure. What the API is known to refuse is rejected before
//! it is queued; the API checks more.

use serde_json::{Map, Value};
use unicode_normalization::UnicodeNormalization;

use crate::model::Kind;
use crate::model::outbox::Action;
use crate::model::shown::printable;

/// The most entries of a metadata map.
const METADATA_KEYS_MAX: usize = 20;
/// The longest name, metadata key or metadata value, characters.
const TEXT_CHARS_MAX: usize = 255;

/// The longest identifier of a post, which may be a URL, characters.
const IDENTIFIER_CHARS_MAX: usize = 2_048;
/// The longest part of a value that a message quotes, characters.
const QUOTED_CHARS_MAX: usize = 120;

/// Quotes a value in a message: in backticks, on one line, of bounded length.
pub fn quoted(text: &str) -> String {
    format!("`{}`", printable(text, QUOTED_CHARS_MAX))
}

/// The members of a creation, the required ones first. Platform, identifier and user name cannot be changed.
const VIDEO: &[&str] =
    &["platform", "identifier", "metadata", "is_active", "scrape_interval_hours"];
const ACCOUNT: &[&str] = &[
    "platform",
    "username",
    "category",
    "metadata",
    "is_active",
    "scrape_interval_hours",
    "max_recent_posts_per_account",
    "post_lookback_days",
];
const CREATOR: &[&str] = &["name", "is_active", "metadata"];

/// The members that a body may have.
pub const fn members(kind: Kind, action: Action) -> &'static [&'static str] {
    match (kind, action) {
        (Kind::Video, Action::Track) => VIDEO,
        (Kind::Video, Action::Set) => VIDEO.split_at(2).1,
        (Kind::Account, Action::Track) => ACCOUNT,
        (Kind::Account, Action::Set) => ACCOUNT.split_at(2).1,
        (Kind::Creator, Action::Track | Action::Set) => CREATOR,
        _ => &[],
    }
}

/// Checks a body; the error says what is wrong.
pub fn check(kind: Kind, action: Action, body: &Map<String, Value>) -> Result<(), String> {
    let known = members(kind, action);
    for (name, value) in body {
        if !known.contains(&name.as_str()) {
            return Err(format!("unknown member {}; known are {}", quoted(name), known.join(", ")));
        }
        check_member(name, value).map_err(|why| format!("{name} {why}"))?;
    }
    let required = match (kind, action) {
        (Kind::Video | Kind::Account, Action::Track) => 2,
        (Kind::Creator, Action::Track) => 1,
        _ => 0,
    };
    if let Some(missing) = known.iter().take(required).find(|name| !body.contains_key(**name)) {
        return Err(format!("{missing} is missing"));
    }
    if action == Action::Set && body.is_empty() {
        return Err(format!("nothing to change; known members are {}", known.join(", ")));
    }
    Ok(())
}

fn check_member(name: &str, value: &Value) -> Result<(), String> {
    match name {
        "scrape_interval_hours" | "max_recent_posts_per_account" | "post_lookback_days" => {
            let may_be_null = name != "scrape_interval_hours" && value.is_null();
            match value.as_i64().is_some_and(|number| number >= 1) || may_be_null {
                true => Ok(()),
                false => Err("must be a whole number of at least 1".to_owned()),
            }
        }
        "is_active" if value.is_boolean() => Ok(()),
        "is_active" => Err("must be true or false".to_owned()),
        "category" if value.is_null() => Ok(()),
        "metadata" => metadata(value),
        _ => match value.as_str().map(|text| text.trim().chars().count()) {
            None => Err("must be a string".to_owned()),
            Some(0) => Err("must not be empty".to_owned()),
            Some(length) if length > chars_max(name) => {
                Err(format!("has {length} characters; the most are {}", chars_max(name)))
            }
            Some(_) => Ok(()),
        },
    }
}

fn chars_max(name: &str) -> usize {
    match name {
        "identifier" => IDENTIFIER_CHARS_MAX,
        _ => TEXT_CHARS_MAX,
    }
}

fn metadata(value: &Value) -> Result<(), String> {
    let Some(map) = value.as_object() else {
        return Err("must be an object of strings".to_owned());
    };
    if map.len() > METADATA_KEYS_MAX {
        return Err(format!("has {} keys; the most are {METADATA_KEYS_MAX}", map.len()));
    }
    let is_long = |text: &str| text.chars().count() > TEXT_CHARS_MAX;
    for (key, value) in map {
        let Some(text) = value.as_str() else {
            return Err(format!("{} must be a string", quoted(key)));
        };
        if is_long(key) || is_long(text) {
            return Err(format!("has more than {TEXT_CHARS_MAX} characters in {}", quoted(key)));
        }
    }
    Ok(())
}

/// Whether the API may have made one text of the other: it may trim texts, and write white space and
/// composed characters its own way.
pub fn is_same_text(one: &str, other: &str) -> bool {
    let words = |text: &str| {
        text.nfc().collect::<String>().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    words(one) == words(other)
}

/// Normalizes a user name as the platforms write it; the error says why it cannot be one.
pub fn username(text: &str) -> Result<String, String> {
    let name = text.trim().trim_start_matches('@').to_lowercase();
    let is_invalid = |c: char| c.is_whitespace() || c.is_control() || "/:?#@\\\"'".contains(c);
    if name.is_empty() {
        return Err("the user name is empty".to_owned());
    }
    if name.contains(is_invalid) {
        return Err(format!("{} is not a user name", quoted(text)));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(kind: Kind, action: Action, body: Value) -> String {
        check(kind, action, body.as_object().unwrap()).unwrap_err()
    }

    #[test]
    fn rejects_bodies_that_the_api_refuses() {
        use Action::{Set, Track};
        let long = "x".repeat(256);
        for (kind, action, body, reason) in [
            (Kind::Video, Track, json!({"platform": "tiktok"}), "identifier is missing"),
            (Kind::Creator, Track, json!({"name": ""}), "name must not be empty"),
            (Kind::Creator, Track, json!({"name": long}), "name has 256 characters"),
            (Kind::Creator, Set, json!({"category": "x"}), "unknown member `category`"),
            (Kind::Video, Set, json!({}), "nothing to change"),
            (Kind::Video, Set, json!({"scrape_interval_hours": 0}), "at least 1"),
            (Kind::Video, Set, json!({"is_active": "no"}), "true or false"),
            (Kind::Account, Set, json!({"metadata": {"k": 1}}), "`k` must be a string"),
        ] {
            let error = wrong(kind, action, body.clone());
            assert!(error.contains(reason), "{body}: {error}");
        }
        let fine = json!({"category": null, "metadata": {}, "post_lookback_days": null});
        assert_eq!(check(Kind::Account, Set, fine.as_object().unwrap()), Ok(()));
    }

    #[test]
    fn a_name_that_the_api_normalized_is_the_same() {
        for (one, other) in
            [(" Ada ", "Ada"), ("Jose\u{301}", "Jos\u{e9}"), ("A \u{a0} B\n", "A B"), ("", " ")]
        {
            assert!(is_same_text(one, other) && is_same_text(other, one), "{one:?} {other:?}");
        }
        for (one, other) in [("Ada", "ada"), ("AB", "A B"), ("Jose", "Jos\u{e9}")] {
            assert!(!is_same_text(one, other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn normalizes_user_names_and_rejects_others() {
        assert_eq!(username(" @Ada.Bakes ").as_deref(), Ok("ada.bakes"));
        for text in ["", "@", "https://www.tiktok.com/@ada", "a b", "a/b"] {
            assert!(username(text).is_err(), "{text}");
        }
    }
}
