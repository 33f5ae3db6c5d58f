//! One request as the sandbox sees it, and the questions that are asked about its query.

use axum::http::HeaderMap;
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::sandbox::growth::Platform;
use crate::sandbox::replies::Problem;

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Counted from 1 since the sandbox started.
    pub number: u64,
    /// `GET`, `POST` and so on.
    pub method: String,
    /// The whole path.
    pub full_path: String,
    /// The path below the base, `/videos` for instance.
    pub path: String,
    /// Decoded query pairs in the order sent.
    pub query: Vec<(String, String)>,
    /// Headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Call {
    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a query parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A whole number between bounds.
    pub fn number_param(&self, name: &str, default: usize, max: usize) -> Result<usize, Problem> {
        let Some(text) = self.param(name) else { return Ok(default) };
        match text.parse() {
            Ok(number) if (1..=max).contains(&number) => Ok(number),
            _ => Err(Problem::field(name, format!("must be an integer from 1 to {max}"))),
        }
    }

    /// `true` or `false`.
    pub fn bool_param(&self, name: &str) -> Result<Option<bool>, Problem> {
        match self.param(name) {
            None => Ok(None),
            Some("true" | "1") => Ok(Some(true)),
            Some("false" | "0") => Ok(Some(false)),
            Some(_) => Err(Problem::field(name, "must be true or false")),
        }
    }

    /// A platform.
    pub fn platform_param(&self) -> Result<Option<Platform>, Problem> {
        let Some(text) = self.param("platform") else { return Ok(None) };
        Platform::from_name(text).map(Some).ok_or_else(bad_platform)
    }

    /// A UUID.
    pub fn uuid_param(&self, name: &str) -> Result<Option<uuid::Uuid>, Problem> {
        let Some(text) = self.param(name) else { return Ok(None) };
        let uuid = uuid::Uuid::try_parse(text);
        uuid.map(Some).map_err(|_| Problem::field(name, "must be a UUID"))
    }

    /// The body as JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        let kind = self.header("content-type").unwrap_or_default();
        if !kind.to_lowercase().starts_with("application/json") {
            return Err(Problem::new(415, "The body must be application/json"));
        }
        serde_json::from_slice(&self.body).map_err(|error| {
            // Well-formed JSON of another shape is invalid input, all else is malformed.
            if error.is_data() {
                Problem::field("body", error.to_string())
            } else {
                Problem::new(400, format!("The body is not JSON: {error}"))
            }
        })
    }
}

/// What is said about any other platform.
pub fn bad_platform() -> Problem {
    Problem::field("platform", "must be instagram or tiktok")
}
