//! A request as the sandbox sees it, and its query parameters.

use axum::http::HeaderMap;
use bytes::Bytes;

/// One request.
#[derive(Debug, Clone)]
pub struct Call {
    /// Counted from 1 since the sandbox started.
    pub number: u64,
    /// `X-Request-ID` of the answer.
    pub request_id: String,
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
    /// A GET of this path without query, headers and number.
    pub fn get(path: &str) -> Self {
        Self {
            number: 0,
            request_id: String::new(),
            method: "GET".to_owned(),
            full_path: format!("/v2{path}"),
            path: path.to_owned(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The value of a query parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}
