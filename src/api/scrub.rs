//! Removes the key, and passwords in URLs, from everything received from a server.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::Bytes;

use crate::api::redact::Needle;
use crate::model::shown::printable;

/// Replacement of the key.
const REDACTED: &str = "[redacted]";

/// A shorter key is not a secret, and replacing it would damage other words.
const KEY_CHARS_MIN: usize = 8;

/// Removes one key from bytes and text in any spelling. Not shown by Debug.
#[derive(Clone)]
pub struct Scrubber(Option<Needle>);

impl Scrubber {
    /// Creates a scrubber for `key`.
    pub fn new(key: &str) -> Self {
        Self((key.len() >= KEY_CHARS_MIN).then(|| Needle::new(key)))
    }

    /// Returns the bytes without the key; copied only if it is there.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Some(needle) = &self.0 else { return Cow::Borrowed(bytes) };
        let mut found = needle.find(bytes, 0);
        if found.is_none() {
            return Cow::Borrowed(bytes);
        }
        let mut clean = Vec::with_capacity(bytes.len());
        let mut from = 0;
        while let Some(place) = found {
            clean.extend_from_slice(bytes.get(from..place.start).unwrap_or_default());
            clean.extend_from_slice(REDACTED.as_bytes());
            from = place.end;
            found = needle.find(bytes, from);
        }
        clean.extend_from_slice(bytes.get(from..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Returns a body without the key; copied only if it is there.
    pub(super) fn body(&self, body: Bytes) -> Bytes {
        match self.bytes(&body) {
            Cow::Borrowed(_) => body,
            Cow::Owned(clean) => clean.into(),
        }
    }

    /// Returns the text without the key.
    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        }
    }

    /// Returns text from a server for display: without the key and control characters, shortened.
    pub(super) fn shown(&self, text: &str, chars_max: usize) -> String {
        printable(&self.text(text), chars_max)
    }

    /// Returns an error and its causes on one line, without the key or a URL's password.
    pub(super) fn chain(&self, error: &(dyn Error + 'static), chars_max: usize) -> String {
        let mut line = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Some errors repeat their cause in their own text.
            if !line.contains(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            cause = error.source();
        }
        self.shown(&without_userinfo(&line), chars_max)
    }
}

impl fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrubber")
    }
}

/// Removes `user:password@` from every URL in a text.
fn without_userinfo(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(|c: char| c == '/' || c.is_whitespace()).unwrap_or(part.len());
        let start = part[..end].rfind('@').map_or(0, |at| at + 1);
        clean.push_str("://");
        clean.push_str(&part[start..]);
    }
    clean
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "ca_live_0123456789";

    #[test]
    fn the_key_is_cut_out_wherever_it_stands() {
        let scrubber = Scrubber::new(KEY);
        let body = Bytes::from(format!("{{\"a\":\"{KEY}\",\"b\":\"Bearer {KEY}{KEY}\"}}"));
        assert_eq!(
            scrubber.body(body),
            r#"{"a":"[redacted]","b":"Bearer [redacted][redacted]"}"#.as_bytes()
        );
    }

    #[test]
    fn bytes_without_the_key_are_not_copied() {
        let body = Bytes::from_static(b"nothing to see");
        let clean = Scrubber::new(KEY).body(body.clone());
        assert_eq!(clean.as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_key_spelled_by_escapes_is_found() {
        let scrubber = Scrubber::new("secret-key-123");
        let spelled = br#"{"a":"\u0073ecret\u002dkey-12\u0033","b":"\\u0073\u00e9"}"#;
        let clean = scrubber.bytes(spelled);
        assert_eq!(clean.as_ref(), br#"{"a":"[redacted]","b":"\\u0073\u00e9"}"#);
    }

    #[test]
    fn a_key_of_special_characters_is_found_as_json_and_addresses_spell_it() {
        let scrubber = Scrubber::new(r#"ab/cd"ef\gh+="#);
        for spelling in [
            r#"ab/cd"ef\gh+="#,
            r#"ab/cd\"ef\\gh+="#,
            r#"ab\/cd\"ef\\gh+="#,
            "ab%2Fcd%22ef%5Cgh%2B%3D",
            "ab%2fcd%22ef%5cgh%2b%3d",
            r"ab/cd\u0022ef\u005cgh+=",
            r"\u0061b\/cd\u0022ef\u005Cgh\u002b\u003D",
            r#"ab/cd\\\"ef\\\\gh+="#,
            r"ab/cd\\u0022ef\\u005cgh+=",
            "%61%62/cd%2522ef%255Cgh+=",
        ] {
            assert_eq!(scrubber.text(spelling), REDACTED, "{spelling}");
        }
    }

    #[test]
    fn a_word_too_short_to_be_a_secret_is_left_alone() {
        assert_eq!(Scrubber::new("test").text("a test"), "a test");
    }

    #[test]
    fn an_error_chain_shows_no_password_and_no_cause_twice() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot reach http://user:hunter2@proxy:3128/x@y and https://a@b")]
        struct Inner;
        #[derive(Debug, thiserror::Error)]
        #[error("failed")]
        struct Outer(#[source] Inner);

        assert_eq!(
            Scrubber::new(KEY).chain(&Outer(Inner), 200),
            "failed: cannot reach http://proxy:3128/x@y and https://b"
        );
    }

    /// A string of JSON that says `text`, each character spelled as `chance` has it.
    fn spelled(text: &str, mut chance: impl FnMut() -> u8) -> String {
        let mut json = String::new();
        for c in text.chars() {
            let code = u32::from(c);
            json += &match chance() % 6 {
                0 => format!("\\u{code:04x}"),
                1 => format!("\\u{code:04X}"),
                2 => format!("%{code:02X}"),
                3 => format!("%{code:02x}"),
                _ if c == '"' || c == '\\' => format!("\\{c}"),
                4 if c == '/' => "\\/".to_owned(),
                _ => c.to_string(),
            };
        }
        json
    }

    fn percent_decoded(text: &str) -> String {
        url::form_urlencoded::parse(
            text.replace('+', "%2B").replace('&', "%26").replace('=', "%3D").as_bytes(),
        )
        .map(|(name, _)| name.into_owned())
        .collect()
    }

    proptest! {
        #[test]
        fn no_spelling_of_the_key_is_left_and_the_json_stays_json(
            key in "[!-~]{8,40}", before in "[ -~\u{e4}\n]{0,20}", after in "[ -~\u{e4}\n]{0,20}",
            chances in proptest::collection::vec(any::<u8>(), 40), times in 1_usize..3,
        ) {
            let outer = |text: &str| {
                let json = serde_json::to_string(text).unwrap();
                json[1..json.len() - 1].to_owned()
            };
            let mut chance = chances.iter().copied().cycle();
            let key_spelled = spelled(&key, || chance.next().unwrap()).repeat(times);
            let body = format!("{{\"a\":\"{}{key_spelled}{}\"}}", outer(&before), outer(&after));
            let read = |body: &[u8]| {
                let body: serde_json::Value = serde_json::from_slice(body).unwrap();
                body["a"].as_str().unwrap().to_owned()
            };
            let scrubber = Scrubber::new(&key);
            let clean = scrubber.bytes(body.as_bytes());
            let text = read(&clean);
            prop_assert!(!text.contains(&key), "{body} {text}");
            prop_assert!(!percent_decoded(&text).contains(&key), "{body} {text}");
            // The same once more as a string within a string.
            let quoted = serde_json::json!({ "a": body }).to_string();
            let inner = read(&scrubber.bytes(quoted.as_bytes()));
            prop_assert!(!inner.contains(&key) && !read(inner.as_bytes()).contains(&key), "{inner}");
        }

        #[test]
        fn any_bytes_are_survived(
            key in "[\\\\\"%u0a]{8,12}", text in "[\\\\\"%u025acC]{0,200}",
        ) {
            let clean = Scrubber::new(&key).bytes(text.as_bytes()).into_owned();
            prop_assert!(!String::from_utf8_lossy(&clean).contains(&key));
        }

        #[test]
        fn no_text_keeps_the_key(before in ".*", after in ".*") {
            let scrubber = Scrubber::new(KEY);
            let shown = scrubber.shown(&format!("{before}{KEY}{after}"), 1_000);
            prop_assert!(!shown.contains(KEY));
            prop_assert!(!shown.contains('\n'));
        }

        #[test]
        fn any_address_is_survived(text in "[a-z:/@ \u{e4}]*") {
            let _ = without_userinfo(&text);
        }
    }
}
