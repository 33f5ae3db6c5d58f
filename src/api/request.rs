//! A request as plain data, before key and base URL are added.

use std::fmt;

use bytes::Bytes;
use http::Method;
use url::Url;
use url::form_urlencoded::Serializer;

/// A request to the API. The path is below the base URL and percent-encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// HTTP method.
    pub method: Method,
    /// For example `/videos` or `/videos/ID`; ids are added by [`Request::segment`].
    pub path: String,
    /// Query parameters in order, not yet encoded.
    pub query: Vec<(String, String)>,
    /// An ETag, strong or weak: the answer may then be a 304.
    pub if_none_match: Option<String>,
    /// A JSON body.
    pub body: Option<Bytes>,
    /// The idempotency key, by which the server recognizes a repeat.
    pub idempotency_key: Option<String>,
    /// Whether the key is sent. Only public documents go without.
    pub authenticated: bool,
    /// Whether the request is a guess: its answer then takes no memory from others.
    pub is_guess: bool,
}

impl Request {
    /// A request with a method and a path that is already percent-encoded.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            if_none_match: None,
            body: None,
            idempotency_key: None,
            authenticated: true,
            is_guess: false,
        }
    }

    /// A GET of a path that is already percent-encoded.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A POST of a JSON body.
    pub fn post(path: impl Into<String>, body: impl Into<Bytes>) -> Self {
        Self { body: Some(body.into()), ..Self::new(Method::POST, path) }
    }

    /// Adds a path segment, such as an id; any characters are allowed.
    #[must_use]
    pub fn segment(mut self, segment: &str) -> Self {
        self.path.push('/');
        self.path.push_str(&encode_segment(segment));
        self
    }

    /// Adds a query parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: impl Into<String>) -> Self {
        self.query.push((name.to_owned(), value.into()));
        self
    }

    /// Makes the request conditional (`If-None-Match`).
    #[must_use]
    pub fn if_none_match(mut self, etag: Option<String>) -> Self {
        self.if_none_match = etag;
        self
    }

    /// Adds an idempotency key.
    #[must_use]
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Marks a request as a guess.
    #[must_use]
    pub fn as_guess(mut self) -> Self {
        self.is_guess = true;
        self
    }

    /// Sends the request without the key.
    #[must_use]
    pub fn without_key(mut self) -> Self {
        self.authenticated = false;
        self
    }

    /// The URL below `base`; `None` if the path would be normalized on the way: with an empty or a dot segment,
    /// or if it is not a path.
    pub(super) fn url(&self, base: &Url) -> Option<Url> {
        let path = format!("{}{}", base.path().trim_end_matches('/'), self.path);
        if !self.path.starts_with('/') || path.split('/').skip(1).any(str::is_empty) {
            return None;
        }
        let mut url = base.clone();
        url.set_path(&path);
        if url.path() != path {
            return None;
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Some(url)
    }
}

/// Path and query as sent, for logs.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path.escape_debug())?;
        if self.query.is_empty() {
            return Ok(());
        }
        let query = Serializer::new(String::new()).extend_pairs(&self.query).finish();
        write!(f, "?{query}")
    }
}

/// Encodes everything but unreserved characters, so that a segment stays one segment.
fn encode_segment(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base() -> Url {
        Url::parse("https://api.example.com/v2/").unwrap()
    }

    #[test]
    fn it_shows_itself_as_it_is_sent() {
        let request = Request::get("/videos").query("limit", "200").query("cursor", "a b&c");
        assert_eq!(request.to_string(), "GET /videos?limit=200&cursor=a+b%26c");
        assert_eq!(
            request.url(&base()).unwrap().as_str(),
            "https://api.example.com/v2/videos?limit=200&cursor=a+b%26c"
        );
    }

    #[test]
    fn a_path_that_would_not_arrive_as_written_is_refused() {
        for id in ["", ".", ".."] {
            assert_eq!(Request::get("/videos").segment(id).url(&base()), None, "{id:?}");
        }
        for path in
            ["", "videos", "/videos/", "//evil", "/a?b", "/a#b", "/a b", "/%2e%2e/x", "/\\x"]
        {
            assert_eq!(Request::get(path).url(&base()), None, "{path:?}");
        }
    }

    #[test]
    fn a_base_without_a_path_works_too() {
        let base = Url::parse("http://127.0.0.1:8080").unwrap();
        let url = Request::get("/meta").url(&base).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:8080/meta");
    }

    proptest! {
        #[test]
        fn an_id_stays_one_segment_on_the_same_host(id in ".{1,40}") {
            prop_assume!(id != "." && id != "..");
            let url = Request::get("/videos").segment(&id).url(&base()).unwrap();
            prop_assert_eq!(url.host_str(), Some("api.example.com"));
            prop_assert_eq!(url.path_segments().unwrap().count(), 3);
            prop_assert_eq!(url.query(), None);
            prop_assert_eq!(url.fragment(), None);
        }

        #[test]
        fn a_cursor_arrives_unchanged(cursor in ".*") {
            let url = Request::get("/videos").query("cursor", cursor.as_str()).url(&base()).unwrap();
            let (name, value) = url.query_pairs().next().unwrap();
            prop_assert_eq!(name, "cursor");
            prop_assert_eq!(value, cursor);
        }
    }
}
