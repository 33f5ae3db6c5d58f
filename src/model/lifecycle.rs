//! Deprecation and sunset of the API version, from `GET /meta`.

use serde_json::{Map, Value};

use crate::model::shown::printable;

/// Longest text of a member that is kept.
const TEXT_CHARS_MAX: usize = 200;

/// Longer documents are ignored.
const JSON_BYTES_MAX: usize = 64 << 10;

/// The members of the lifecycle document that users are told about. The format of its dates is not documented, so
/// they are kept as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// `current` for a supported version; other values are not documented.
    pub status: Option<String>,
    /// When this version is deprecated.
    pub deprecation: Option<String>,
    /// When it is switched off.
    pub sunset: Option<String>,
}

impl Lifecycle {
    /// Reads the document. A member of another JSON type is kept as its JSON text, so that no notice is missed.
    pub fn read(json: &str) -> Option<Self> {
        if json.len() > JSON_BYTES_MAX {
            return None;
        }
        let members: Map<String, Value> = serde_json::from_str(json).ok()?;
        let text = |name: &str| match members.get(name)? {
            Value::Null | Value::Bool(false) => None,
            Value::String(text) if text.is_empty() => None,
            Value::String(text) => Some(printable(text, TEXT_CHARS_MAX)),
            other => Some(printable(&other.to_string(), TEXT_CHARS_MAX)),
        };
        Some(Self {
            status: text("status"),
            deprecation: text("deprecation"),
            sunset: text("sunset"),
        })
    }

    /// A notice for users; `None` while the version is supported.
    pub fn notice(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(status) = self.status.as_ref().filter(|status| *status != "current") {
            parts.push(format!("status {status}"));
        }
        if let Some(date) = &self.deprecation {
            parts.push(format!("deprecation {date}"));
        }
        if let Some(date) = &self.sunset {
            parts.push(format!("sunset {date}"));
        }
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_supported_version_gives_no_notice() {
        let json = r#"{"type":"api_meta","status":"current","deprecation":null,"sunset":null}"#;
        assert_eq!(Lifecycle::read(json).unwrap().notice(), None);
        assert_eq!(Lifecycle::read("{}").unwrap().notice(), None);
    }

    #[test]
    fn a_notice_is_heard_in_whatever_form() {
        for (json, notice) in [
            (r#"{"status":"deprecated"}"#, "status deprecated"),
            (r#"{"status":"current","sunset":"2027-06-30"}"#, "sunset 2027-06-30"),
            (
                r#"{"deprecation":1800000000,"sunset":{"date":"x"}}"#,
                r#"deprecation 1800000000, sunset {"date":"x"}"#,
            ),
            (r#"{"deprecation":true}"#, "deprecation true"),
        ] {
            assert_eq!(Lifecycle::read(json).unwrap().notice().as_deref(), Some(notice));
        }
    }

    #[test]
    fn what_is_no_document_is_none() {
        assert_eq!(Lifecycle::read("[]"), None);
        assert_eq!(Lifecycle::read("<html>"), None);
    }
}
