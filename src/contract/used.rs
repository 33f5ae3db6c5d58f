//! What this program uses of the API: operations, query parameters with their values, members of requests and
//! answers. All but the operations is collected from the code that uses it: the columns of the views with their
//! sources, the parameters of listings and polls, and the members of queued writes.

use std::collections::BTreeSet;

use crate::fetch::query;
use crate::model::metrics::NAMES;
use crate::model::outbox::Action;
use crate::model::{Kind, SubjectKind};
use crate::outbox::body;
use crate::store::schema_docs::{self, ColumnFact, ValueType};
use crate::sync::{daily_metrics, documents, poll_accounts};

/// Whether the API's documentation shows something, or it was inferred from what it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Shown.
    Documented,
    /// Inferred.
    Inferred,
}

use Evidence::{Documented, Inferred};

/// The operations used, with `{}` for each id.
pub const OPERATIONS: &[(&str, Evidence)] = &[
    ("GET /meta", Documented),
    ("GET /whoami", Documented),
    ("GET /overview", Documented),
    ("GET /accounts", Documented),
    ("GET /creators", Documented),
    ("GET /videos", Documented),
    ("GET /account-videos", Documented),
    ("GET /accounts/{}", Documented),
    ("GET /creators/{}", Documented),
    ("GET /videos/{}", Inferred),
    ("POST /accounts", Documented),
    ("POST /creators", Documented),
    ("POST /videos", Documented),
    ("PATCH /accounts/{}", Inferred),
    ("PATCH /creators/{}", Documented),
    ("PATCH /videos/{}", Inferred),
    ("DELETE /accounts/{}", Inferred),
    ("DELETE /creators/{}", Documented),
    ("DELETE /videos/{}", Inferred),
    ("PUT /creators/{}/accounts/{}", Documented),
    ("DELETE /creators/{}/accounts/{}", Documented),
    ("POST /accounts/metrics", Documented),
    ("POST /videos/metrics", Documented),
    ("POST /account-videos/metrics", Documented),
];

/// Documented operations that are not used.
pub const UNUSED_OPERATIONS: &[&str] = &[
    "GET /health",
    "GET /docs",
    "GET /openapi.json",
    "GET /search",
    "GET /creators/top",
    "GET /creators/{}/analytics",
    "POST /videos/deltas",
];

/// Parameters of the lists that are documented and not used.
pub const UNUSED_PARAMETERS: &[&str] =
    &["sort", "platform", "q", "is_active", "category", "creator_id", "account_id"];

/// Parameters that the documentation does not show for their operation.
const INFERRED_PARAMETERS: &[(&str, &str)] = &[
    ("GET /accounts", "include_total"),
    ("GET /videos", "include_total"),
    ("GET /account-videos", "include_total"),
    ("GET /account-videos", "limit"),
    ("GET /account-videos", "account_id"),
];

/// The documented values of the parameter `order_by`.
pub const ORDERS: &[(&str, &[&str])] = &[
    (
        "GET /accounts",
        &[
            "added_at",
            "username",
            "last_scrape_time",
            "follower_count",
            "view_count",
            "like_count",
            "play_count",
        ],
    ),
    ("GET /videos", &["added_at", "create_time", "view_count", "like_count", "play_count"]),
    ("GET /creators", &["name"]),
];

/// The documented values of members of answers.
pub const VALUES: &[(&str, &[&str])] = &[
    ("platform", &["instagram", "tiktok"]),
    ("status", &["current"]),
    ("api_version", &["v2"]),
    ("type", &["account", "creator", "video", "account_video", "overview", "whoami", "api_meta"]),
    ("period", &["7d", "30d", "90d", "custom"]),
    ("order_direction", &["asc", "desc"]),
    (
        "code",
        &[
            "BAD_REQUEST",
            "UNAUTHORIZED",
            "FORBIDDEN",
            "INSUFFICIENT_SCOPE",
            "QUOTA_EXCEEDED",
            "NOT_FOUND",
            "NOT_ACCEPTABLE",
            "CONFLICT",
            "UNSUPPORTED_MEDIA_TYPE",
            "VALIDATION_ERROR",
            "RATE_LIMITED",
            "INTERNAL_ERROR",
            "UPSTREAM_ERROR",
            "SERVICE_UNAVAILABLE",
        ],
    ),
];

/// Members of answers that are not in a column: operation, path and type.
const DOCUMENT_MEMBERS: &[(&str, &[&str], ValueType)] = &[
    ("GET /meta", &["data", "status"], ValueType::Text),
    ("GET /meta", &["data", "deprecation"], ValueType::Text),
    ("GET /meta", &["data", "sunset"], ValueType::Text),
    ("GET /whoami", &["data", "organization_id"], ValueType::Text),
    ("GET /whoami", &["data", "api_key_name"], ValueType::Text),
];

/// Members of a page beside its rows.
const PAGE_MEMBERS: &[(&str, ValueType)] = &[
    ("has_next", ValueType::Boolean),
    ("next_cursor", ValueType::Text),
    ("total_count", ValueType::Integer),
];

/// A query parameter and a value that is sent.
#[derive(Debug, Clone)]
pub struct UsedParameter {
    /// The operation.
    pub operation: String,
    /// Its name.
    pub name: String,
    /// The value; `None` for values of the user's or the server's.
    pub value: Option<String>,
    /// Whether it is documented.
    pub evidence: Evidence,
}

/// A member of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedMember {
    /// The operation.
    pub operation: String,
    /// The names from the root; `[]` for the elements of an array, `{}` for the values of a map.
    pub path: Vec<&'static str>,
    /// JSON types that are read, as a schema names them.
    pub types: &'static [&'static str],
    /// Whether it is documented.
    pub evidence: Evidence,
}

/// A member of a request's body.
#[derive(Debug, Clone)]
pub struct UsedField {
    /// The operation.
    pub operation: String,
    /// Its name.
    pub name: &'static str,
}

/// The query parameters.
pub fn parameters() -> Vec<UsedParameter> {
    let mut found = Vec::new();
    let mut add = |operation: &str, name: &str, value: Option<&str>| {
        let is_inferred = INFERRED_PARAMETERS.contains(&(operation, name));
        found.push(UsedParameter {
            operation: operation.to_owned(),
            name: name.to_owned(),
            value: value.map(str::to_owned),
            evidence: if is_inferred { Inferred } else { Documented },
        });
    };
    for kind in Kind::LISTS {
        for (name, value) in query::parameters(kind, &BTreeSet::new()) {
            add(&query::endpoint(kind), &name, Some(&value));
        }
        add(&query::endpoint(kind), "cursor", None);
    }
    for (name, value) in poll_accounts::ORDER {
        add(&query::endpoint(Kind::Account), name, Some(value));
    }
    add(&query::endpoint(Kind::AccountVideo), poll_accounts::FILTER, None);
    for (name, value) in documents::overview_request().query {
        add(&query::endpoint(Kind::Overview), &name, Some(&value));
    }
    found
}

/// The members of answers, each once.
pub fn members() -> Vec<UsedMember> {
    let mut found: Vec<UsedMember> = Vec::new();
    let columns = schema_docs::VIEWS.iter().flat_map(|view| view.columns());
    for member in columns.filter_map(of_column) {
        if !found
            .iter()
            .any(|known| (&known.operation, &known.path) == (&member.operation, &member.path))
        {
            found.push(member);
        }
    }
    for kind in Kind::LISTS {
        for (name, value_type) in PAGE_MEMBERS {
            found.push(documented(query::endpoint(kind), vec!["pagination", name], *value_type));
        }
    }
    for (operation, path, value_type) in DOCUMENT_MEMBERS {
        found.push(documented((*operation).to_owned(), path.to_vec(), *value_type));
    }
    for operation in metrics_operations() {
        let member =
            |name| documented(operation.clone(), vec!["data", "{}", name], ValueType::Integer);
        found.extend(NAMES.map(member));
    }
    found
}

fn documented(operation: String, path: Vec<&'static str>, value_type: ValueType) -> UsedMember {
    UsedMember { operation, path, types: json_types(value_type), evidence: Documented }
}

fn metrics_operations() -> BTreeSet<String> {
    SubjectKind::ALL.into_iter().map(daily_metrics::endpoint).collect()
}

/// Reads the source of a column, such as `GET /creators, Creator.accounts_summary.total`.
fn of_column(column: &ColumnFact) -> Option<UsedMember> {
    let (operation, member) = column.source.split_once(", ")?;
    let (_, member) = member.split_once('.').filter(|_| operation.starts_with("GET "))?;
    let kind = Kind::ALL.into_iter().find(|kind| query::endpoint(*kind) == operation)?;
    let is_row = Kind::LISTS.contains(&kind);
    let mut path = vec!["data"];
    path.extend(is_row.then_some("[]"));
    path.extend(member.split('.'));
    let is_id = member == "id";
    let is_inferred = kind == Kind::AccountVideo && !is_id && member != "platform";
    Some(UsedMember {
        operation: operation.to_owned(),
        path,
        types: if is_id { &["integer", "string"] } else { json_types(column.unit.value_type) },
        evidence: if is_inferred { Inferred } else { Documented },
    })
}

/// The JSON types that fit a column. Some generators call every number `number`.
const fn json_types(value_type: ValueType) -> &'static [&'static str] {
    match value_type {
        ValueType::Text | ValueType::Instant | ValueType::Date => &["string"],
        ValueType::Integer | ValueType::Real => &["integer", "number"],
        ValueType::Boolean => &["boolean"],
        ValueType::Json => &["object"],
        ValueType::Any => &[],
    }
}

/// The members of requests' bodies.
pub fn fields() -> Vec<UsedField> {
    let mut found = Vec::new();
    for kind in [Kind::Account, Kind::Creator, Kind::Video] {
        for (action, operation) in [
            (Action::Track, format!("POST {}", kind.path())),
            (Action::Set, format!("PATCH {}/{{}}", kind.path())),
        ] {
            let names = body::members(kind, action).iter();
            found.extend(names.map(|name| UsedField { operation: operation.clone(), name }));
        }
    }
    for subject_kind in SubjectKind::ALL {
        for name in [subject_kind.member(), "period", "start_date", "end_date"] {
            found.push(UsedField { operation: daily_metrics::endpoint(subject_kind), name });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::columns::columns;

    #[test]
    fn every_mirrored_column_is_a_used_member() {
        let members = members();
        for kind in Kind::LISTS {
            let of_kind = members.iter().filter(|member| member.operation == query::endpoint(kind));
            let names: BTreeSet<&str> = of_kind
                .filter(|member| member.path.len() >= 3)
                .filter_map(|member| member.path.last().copied())
                .collect();
            for column in columns(kind) {
                let name = column.within.map_or(column.name, |(_, name)| name);
                assert!(names.contains(name), "{kind} {name}");
            }
        }
        assert!(members.iter().any(|member| member.path == ["data", "current", "total_views"]));
        assert!(members.iter().any(|member| member.path == ["data", "{}", "views"]));
    }

    #[test]
    fn whatever_is_used_belongs_to_a_used_operation() {
        let operations = members().into_iter().map(|member| member.operation);
        let operations = operations
            .chain(parameters().into_iter().map(|parameter| parameter.operation))
            .chain(fields().into_iter().map(|field| field.operation));
        for operation in operations {
            assert!(OPERATIONS.iter().any(|(name, _)| *name == operation), "{operation}");
        }
    }
}
