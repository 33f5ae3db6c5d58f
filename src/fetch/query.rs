//! Query parameters of each list endpoint, without those the server does not support.

use std::collections::BTreeSet;

use crate::api::{Failure, Request};
use crate::model::Kind;

/// Parameters of a request, in order.
pub type Parameters = Vec<(String, String)>;

/// Page sizes to try: the largest the API allows, then smaller ones for pages that are too heavy.
const PAGE_SIZES: [u32; 8] = [200, 100, 50, 25, 12, 6, 3, 1];

/// Parameters that the API may refuse on some list. A listing also works without them.
/// without them is still a page.
const OPTIONAL: [&str; 4] = ["include_total", "order_by", "order_direction", "limit"];

/// Returns the parameters of a listing, cursor aside. Sorted by an immutable column, so that pages are
/// stable blocks and new rows come at the end.
pub fn parameters(kind: Kind, refused: &BTreeSet<String>) -> Parameters {
    let order: &[(&str, &str)] = match kind {
        Kind::Account | Kind::Video => &[("order_by", "added_at"), ("order_direction", "asc")],
        Kind::Creator => &[("order_by", "name"), ("order_direction", "asc")],
        // The order of this list is not documented.
        Kind::AccountVideo | Kind::Overview | Kind::Meta => &[],
    };
    let is_light = |size: &&u32| !refused.contains(&page_size_feature(kind, **size));
    let size = PAGE_SIZES.iter().find(is_light).unwrap_or(&1).to_string();
    let all = [("limit", size.as_str()), ("include_total", "true")];
    all.iter()
        .chain(order)
        .filter(|(name, _)| !refused.contains(&feature(kind, name)))
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// Builds the request for a page: the parameters and the cursor that opens it.
pub fn page(kind: Kind, parameters: &[(String, String)], cursor: Option<&str>) -> Request {
    let mut request = Request::get(kind.path());
    request.query = parameters.to_vec();
    if let Some(cursor) = cursor {
        request.query.push(("cursor".to_owned(), cursor.to_owned()));
    }
    request
}

/// The parameters as one line, stored with the listing.
pub fn line(parameters: &[(String, String)]) -> String {
    parameters.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Name of an unsupported parameter in `unsupported_feature`.
pub fn feature(kind: Kind, parameter: &str) -> String {
    format!("{} {parameter}", endpoint(kind))
}

/// Name of a page size that is too heavy.
pub fn page_size_feature(kind: Kind, size: u32) -> String {
    feature(kind, &format!("limit={size}"))
}

/// The requested page size and the smaller ones, largest first; empty if none is requested.
pub fn page_sizes(parameters: &[(String, String)]) -> Vec<u32> {
    let asked = parameters.iter().find(|(name, _)| name == "limit");
    let asked: Option<u32> = asked.and_then(|(_, value)| value.parse().ok());
    PAGE_SIZES.into_iter().filter(|size| asked.is_some_and(|asked| *size <= asked)).collect()
}

/// The same parameters with another page size.
pub fn with_limit(parameters: &[(String, String)], size: u32) -> Parameters {
    let value = |name: &String, value: &String| match name.as_str() {
        "limit" => size.to_string(),
        _ => value.clone(),
    };
    parameters.iter().map(|(name, old)| (name.clone(), value(name, old))).collect()
}

/// Whether two URLs request pages of the same size, so that a cursor opens the same rows in both.
pub fn is_same_size(one: &str, other: &str) -> bool {
    let size = |url: &str| {
        let query = url.split_once('?').map_or("", |(_, query)| query);
        query.split('&').find_map(|pair| pair.strip_prefix("limit=")).map(str::to_owned)
    };
    size(one) == size(other)
}

/// Name of the missing sort of accounts by `last_scrape_time`.
pub fn account_sort_feature() -> String {
    feature(Kind::Account, "order_by=last_scrape_time")
}

/// Name of the missing filter of account videos by account.
pub fn account_filter_feature() -> String {
    feature(Kind::AccountVideo, "account_id")
}

/// Name of an unsupported list endpoint.
pub fn endpoint(kind: Kind) -> String {
    format!("GET {}", kind.path())
}

/// Returns the parameters that a 422 is about; if it does not say, the least certain one.
pub fn blamed(parameters: &[(String, String)], failure: &Failure) -> Vec<String> {
    let named = named(parameters, failure);
    if !named.is_empty() || !failure.fields.is_empty() {
        return named;
    }
    let is_asked = |name: &&str| parameters.iter().any(|(asked, _)| asked == name);
    OPTIONAL.into_iter().find(is_asked).map(str::to_owned).into_iter().collect()
}

/// Returns the parameters that a refusal names.
pub fn named(parameters: &[(String, String)], failure: &Failure) -> Vec<String> {
    let mut asked =
        OPTIONAL.into_iter().filter(|name| parameters.iter().any(|(asked, _)| asked == name));
    let is_named = |name: &&str| failure.fields.iter().any(|error| names(&error.field, name));
    match failure.fields.is_empty() {
        true => asked
            .find(|name| failure.detail.contains(name))
            .map(str::to_owned)
            .into_iter()
            .collect(),
        false => asked.filter(is_named).map(str::to_owned).collect(),
    }
}

/// Whether a refusal is about the cursor, or may be.
pub fn blames_cursor(failure: &Failure) -> bool {
    failure.fields.is_empty() || failure.fields.iter().any(|error| names(&error.field, "cursor"))
}

/// Servers write a field as `cursor`, `query.cursor` or `query/cursor`.
fn names(field: &str, name: &str) -> bool {
    field.rsplit(['.', '/', ' ']).next() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_is_left_out() {
        let refused = BTreeSet::from(["GET /videos include_total".to_owned()]);
        assert_eq!(
            line(&parameters(Kind::Video, &refused)),
            "limit=200&order_by=added_at&order_direction=asc"
        );
        assert!(line(&parameters(Kind::Account, &refused)).contains("include_total=true"));
    }

    #[test]
    fn pages_that_are_too_heavy_are_asked_for_with_fewer_rows() {
        let refused = BTreeSet::from([
            page_size_feature(Kind::Video, 200),
            page_size_feature(Kind::Video, 100),
        ]);
        let asked = parameters(Kind::Video, &refused);
        assert!(line(&asked).starts_with("limit=50&"));
        assert_eq!(page_sizes(&asked), [50, 25, 12, 6, 3, 1]);
        assert!(line(&with_limit(&asked, 3)).starts_with("limit=3&include_total=true"));
        assert!(line(&parameters(Kind::Account, &refused)).starts_with("limit=200&"));
        assert!(is_same_size("/videos?limit=50&cursor=a", "/videos?order_by=x&limit=50"));
        assert!(!is_same_size("/videos?limit=50", "/videos?limit=5"));
    }

    #[test]
    fn a_cursor_is_passed_on_as_it_came() {
        let request = page(Kind::Creator, &[], Some("a+b/=="));
        assert_eq!(request.query, [("cursor".to_owned(), "a+b/==".to_owned())]);
    }
}
