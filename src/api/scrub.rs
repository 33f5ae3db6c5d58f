//! Keeping the key, and whatever else must not be shown, out of everything a server makes us see.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use bytes::Bytes;
use memchr::memmem::{self, Finder};
use url::form_urlencoded;

/// What stands where the key stood.
const REDACTED: &str = "[redacted]";

/// A shorter key is no secret, and looking for it would mangle words that are not it.
const KEY_CHARS_MIN: usize = 8;

/// Removes one key from bytes and text. Does not show it when printed.
#[derive(Clone)]
pub(super) struct Scrubber {
    needles: Vec<Finder<'static>>,
}

impl Scrubber {
    /// Looks for `key` as it is, and as JSON and addresses would spell it.
    pub(super) fn new(key: &str) -> Self {
        let mut needles = Vec::new();
        if key.len() >= KEY_CHARS_MIN {
            let in_json = key.replace('\\', "\\\\").replace('"', "\\\"");
            let in_address = form_urlencoded::byte_serialize(key.as_bytes()).collect();
            needles = vec![key.to_owned(), in_json.replace('/', "\\/"), in_json, in_address];
            needles.sort();
            needles.dedup();
        }
        Self { needles: needles.iter().map(|n| Finder::new(n.as_bytes()).into_owned()).collect() }
    }

    /// The bytes without the key. They are searched, and copied only when it is there.
    pub(super) fn bytes(&self, mut bytes: Bytes) -> Bytes {
        // JSON may spell the key by escapes, and decoding would put it together again.
        if let Some(plain) = unescaped(&bytes)
            && self.needles.iter().any(|needle| needle.find(&plain).is_some())
        {
            bytes = plain.into();
        }
        for needle in &self.needles {
            if needle.find(&bytes).is_some() {
                bytes = replace(&bytes, needle).into();
            }
        }
        bytes
    }

    /// The text without the key.
    pub(super) fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.needles.iter().all(|needle| needle.find(text.as_bytes()).is_none()) {
            return Cow::Borrowed(text);
        }
        let clean = self.bytes(Bytes::copy_from_slice(text.as_bytes()));
        Cow::Owned(String::from_utf8_lossy(&clean).into_owned())
    }

    /// Text from a server, fit to be shown: without the key, control characters or excess length.
    pub(super) fn shown(&self, text: &str, chars_max: usize) -> String {
        printable(&self.text(text), chars_max)
    }

    /// An error and all its causes on one line, without the key or an address's password.
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

/// The same JSON with escapes such as `\u0061` written as the character they stand for; `None` where
/// there are none. Quotes, backslashes and control characters stay escaped.
fn unescaped(bytes: &[u8]) -> Option<Vec<u8>> {
    const ESCAPE: &[u8] = b"\\u00";
    memmem::find(bytes, ESCAPE)?;
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            plain.push(byte);
            rest = after;
            continue;
        }
        let code = rest.strip_prefix(ESCAPE).and_then(|hex| hex.get(..2)).and_then(hex_byte);
        match code.filter(|code| code.is_ascii_graphic() && !b"\"\\".contains(code)) {
            Some(code) => {
                plain.push(code);
                rest = rest.get(ESCAPE.len() + 2..).unwrap_or_default();
            }
            // A backslash and what it escapes belong together.
            None => {
                let pair = rest.len().min(2);
                plain.extend_from_slice(rest.get(..pair).unwrap_or_default());
                rest = rest.get(pair..).unwrap_or_default();
            }
        }
    }
    Some(plain)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn replace(bytes: &[u8], needle: &Finder<'_>) -> Vec<u8> {
    let mut clean = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = needle.find(rest) {
        clean.extend_from_slice(&rest[..at]);
        clean.extend_from_slice(REDACTED.as_bytes());
        rest = &rest[at + needle.needle().len()..];
    }
    clean.extend_from_slice(rest);
    clean
}

/// One line of bounded length; what would steer a terminal or turn text around becomes a space.
pub fn printable(text: &str, chars_max: usize) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut chars = text.trim().chars().map(|c| if steers(c) { ' ' } else { c });
    let mut line: String = chars.by_ref().take(chars_max).collect();
    if chars.next().is_some() {
        line.push('…');
    }
    line
}

/// The text with `user:password@` cut out of every address in it.
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
            scrubber.bytes(body),
            r#"{"a":"[redacted]","b":"Bearer [redacted][redacted]"}"#.as_bytes()
        );
    }

    #[test]
    fn bytes_without_the_key_are_not_copied() {
        let body = Bytes::from_static(b"nothing to see");
        let clean = Scrubber::new(KEY).bytes(body.clone());
        assert_eq!(clean.as_ptr(), body.as_ptr());
    }

    #[test]
    fn a_key_spelled_by_escapes_is_found() {
        let scrubber = Scrubber::new("secret-key-123");
        let spelled = br#"{"a":"\u0073ecret\u002dkey-12\u0033","b":"\\u0073\u00e9"}"#;
        let clean = scrubber.bytes(Bytes::from_static(spelled));
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
        ] {
            assert_eq!(scrubber.text(spelling), REDACTED, "{spelling}");
        }
    }

    #[test]
    fn a_word_too_short_to_be_a_secret_is_left_alone() {
        assert_eq!(Scrubber::new("test").text("a test"), "a test");
    }

    #[test]
    fn shown_text_is_one_short_line() {
        assert_eq!(printable(" a\r\nb\u{1b}[31m\u{202e}c ", 80), "a  b [31m c");
        assert_eq!(printable("abcdef", 3), "abc…");
        assert_eq!(printable("äöü", 3), "äöü");
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

    proptest! {
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
