//! Compares the requested parameters with the `filters` echo, to detect ignored parameters.

use std::collections::BTreeMap;

use serde_json::Value;

/// Documented filters of lists.
const FILTERS: [&str; 6] = ["platform", "q", "is_active", "category", "creator_id", "account_id"];

/// Parameters that neither filter nor sort.
const NOT_FILTERS: [&str; 3] = ["cursor", "include_total", "limit"];

/// Names of requested parameters that the echo shows with another value.
///
/// A parameter missing from the echo is not a mismatch; null is, because it means that none was applied. The
/// sort may also be echoed in its older form, `sort` with a sign.
pub fn filters_contradict(
    asked: &[(String, String)],
    echo: &BTreeMap<String, Value>,
) -> Vec<String> {
    let mut names: Vec<String> = asked
        .iter()
        .filter(|(name, _)| !NOT_FILTERS.contains(&name.as_str()))
        .filter(|(name, value)| shown(name, echo).is_some_and(|shown| !same(value, &shown)))
        .map(|(name, _)| name.clone())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// Names of filters in the echo that have a value and were not requested: the page is a selection, not the
/// list.
///
/// Only documented filters count; an order or a limit in the echo selects nothing.
pub fn filters_unasked(asked: &[(String, String)], echo: &BTreeMap<String, Value>) -> Vec<String> {
    let is_asked = |name: &str| asked.iter().any(|(asked, _)| asked == name);
    FILTERS
        .into_iter()
        .filter(|name| !is_asked(name))
        .filter(|name| echo.get(*name).is_some_and(selects))
        .map(str::to_owned)
        .collect()
}

/// Whether a filter with this value narrows the list.
fn selects(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(values) => !values.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The echoed value of a parameter, as text.
fn shown(name: &str, echo: &BTreeMap<String, Value>) -> Option<String> {
    let own = echo.get(name).map(text);
    let has_own = own.as_ref().is_some_and(|own| !own.is_empty());
    let sort = echo.get("sort").and_then(Value::as_str).filter(|sort| !sort.is_empty());
    match (name, sort) {
        ("order_by", Some(sort)) if !has_own => {
            Some(sort.trim_start_matches(['-', '+']).to_owned())
        }
        ("order_direction", Some(sort)) if !has_own => {
            Some(if sort.starts_with('-') { "desc" } else { "asc" }.to_owned())
        }
        _ => own,
    }
}

/// A value as written in a URL; a list of one counts as its element.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Servers may lower the case of values that they match case-insensitively.
fn same(asked: &str, shown: &str) -> bool {
    asked.to_lowercase() == shown.to_lowercase()
        || matches!((asked.parse::<f64>(), shown.parse::<f64>()), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contradictions(asked: &[(&str, &str)], echo: &str) -> Vec<String> {
        let asked: Vec<(String, String)> =
            asked.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        filters_contradict(&asked, &serde_json::from_str(echo).unwrap())
    }

    const SORTED: [(&str, &str); 2] = [("order_by", "added_at"), ("order_direction", "asc")];

    #[test]
    fn an_echo_that_agrees_or_is_silent_is_fine() {
        let asked = [
            ("limit", "200"),
            ("cursor", "c"),
            ("include_total", "true"),
            ("is_active", "true"),
            ("min", "3"),
            ("platform", "tiktok"),
        ];
        for echo in [
            "{}",
            r#"{"is_active":true,"min":3,"platform":"tiktok"}"#,
            r#"{"is_active":"true","min":3.0,"platform":["TikTok"],"limit":50,"cursor":"d"}"#,
        ] {
            assert!(contradictions(&asked, echo).is_empty(), "{echo}");
        }
    }

    #[test]
    fn another_value_is_a_contradiction_and_so_is_null() {
        let asked = [("platform", "tiktok"), ("is_active", "true")];
        assert_eq!(contradictions(&asked, r#"{"is_active":false}"#), ["is_active"]);
        assert_eq!(
            contradictions(&asked, r#"{"platform":null,"is_active":null}"#),
            ["is_active", "platform"]
        );
    }

    #[test]
    fn the_sort_may_be_echoed_in_either_form() {
        for echo in [
            r#"{"order_by":"added_at","order_direction":"asc"}"#,
            r#"{"order_by":"added_at","order_direction":"ASC","sort":null}"#,
            r#"{"sort":"added_at"}"#,
            r#"{"sort":"added_at","order_by":null,"order_direction":null}"#,
            r#"{"order_by":"added_at"}"#,
        ] {
            assert!(contradictions(&SORTED, echo).is_empty(), "{echo}");
        }
        assert_eq!(contradictions(&SORTED, r#"{"sort":"-added_at"}"#), ["order_direction"]);
        assert_eq!(
            contradictions(&SORTED, r#"{"sort":"-view_count"}"#),
            ["order_by", "order_direction"]
        );
        assert_eq!(contradictions(&SORTED, r#"{"order_by":"username"}"#), ["order_by"]);
        assert!(contradictions(&[("order_by", "added_at")], r#"{"sort":"-added_at"}"#).is_empty());
    }

    #[test]
    fn a_filter_that_was_not_asked_for_is_noticed() {
        let echo = |json: &str| serde_json::from_str::<BTreeMap<String, Value>>(json).unwrap();
        let asked = [("limit".to_owned(), "200".to_owned())];
        let unasked = |json| filters_unasked(&asked, &echo(json));
        assert_eq!(unasked(r#"{"is_active":true,"sort":"-added_at"}"#), ["is_active"]);
        assert!(unasked(r#"{"is_active":null,"q":"","order_by":"name","limit":200}"#).is_empty());
    }
}
