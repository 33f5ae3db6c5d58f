//! JSON that strict readers take: one value that they refuse makes a whole file unreadable to them.

use std::borrow::Cow;

/// The length of `\uXXXX`.
const UNIT: usize = 6;

/// JSON with a replacement character for each half of a surrogate pair that stands alone, as in a
/// caption that somebody has cut within an emoji. Its grammar allows them; DuckDB, for one, does not.
pub fn paired(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let (length, is_half) = match (unit(escape), escape.get(UNIT..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (2 * UNIT, false),
            (Some(0xD800..=0xDFFF), _) => (UNIT, true),
            (Some(_), _) => (UNIT, false),
            // A backslash and what it escapes.
            (None, _) => (escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end), false),
        };
        let (kept, after) = escape.split_at(length);
        out.push_str(if is_half { "\\ufffd" } else { kept });
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The UTF-16 unit that is escaped here.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_are_replaced_and_nothing_else() {
        for (text, expected) in [
            (r#"{"a":"cut \ud83d"}"#, r#"{"a":"cut \ufffd"}"#),
            (r#"["\ude00\ud83d\uD83D\uDE00"]"#, r#"["\ufffd\ufffd\uD83D\uDE00"]"#),
            (r#"["\\ud83d", "\u00e9\n\"", "é"]"#, r#"["\\ud83d", "\u00e9\n\"", "é"]"#),
            (r#"["\\\ud83dx"]"#, r#"["\\\ufffdx"]"#),
            (r#"{"n":1e400}"#, r#"{"n":1e400}"#),
        ] {
            assert_eq!(paired(text), expected);
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_of_it_has_no_half(parts in prop::collection::vec(
            prop::sample::select(vec!["\\ud83d", "\\uDE00", "\\\\", "\\n", "u", "é", "\\u0041"]), 0..12,
        )) {
            let text = format!("\"{}\"", parts.concat());
            let paired = paired(&text);
            prop_assert!(serde_json::from_str::<String>(&paired).is_ok(), "{}", paired);
        }

        #[test]
        fn what_is_no_json_panics_nothing(text in "(\\\\|u|[0-9a-fA-F]|é|\"){0,20}") {
            paired(&text);
        }
    }
}
