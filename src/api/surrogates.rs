//! Handles text truncated within an emoji: JSON in which half of a surrogate pair stands alone. The JSON grammar
//! allows it, but parsers reject it.

/// Length of `\uXXXX`.
const UNIT: usize = 6;
/// U+FFFD, the replacement character.
const REPLACEMENT: &[u8; UNIT] = b"\\ufffd";

/// Replaces each lone escaped surrogate by the replacement character. The length of the text does not
/// change.
pub(super) fn replace_lone_surrogates(json: &mut [u8]) {
    let mut at = 0;
    while let Some(distance) = memchr::memchr(b'\\', json.get(at..).unwrap_or_default()) {
        at += distance;
        at += match (unit(json, at), unit(json, at + UNIT)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => 2 * UNIT,
            (Some(0xD800..=0xDFFF), _) => {
                if let Some(half) = json.get_mut(at..at + UNIT) {
                    half.copy_from_slice(REPLACEMENT);
                }
                UNIT
            }
            (Some(_), _) => UNIT,
            // A backslash and the escaped character.
            (None, _) => 2,
        };
    }
}

/// The UTF-16 unit escaped here.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + UNIT)?.strip_prefix(b"\\u")?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    u16::from_str_radix(str::from_utf8(digits).ok()?, 16).ok().filter(|_| is_hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn replaced(json: &str) -> String {
        let mut json = json.as_bytes().to_vec();
        replace_lone_surrogates(&mut json);
        String::from_utf8(json).unwrap()
    }

    #[test]
    fn halves_are_replaced_and_nothing_else() {
        for (json, expected) in [
            (r#"{"a":"cut \ud83d"}"#, r#"{"a":"cut \ufffd"}"#),
            (r#"["\ude00\ud83d\uD83D\uDE00"]"#, r#"["\ufffd\ufffd\uD83D\uDE00"]"#),
            (r#"["\\ud83d", "\u00e9\n\"", "é"]"#, r#"["\\ud83d", "\u00e9\n\"", "é"]"#),
            (r#"["\\\ud83dx"]"#, r#"["\\\ufffdx"]"#),
            (r#"["\u+d83"]"#, r#"["\u+d83"]"#),
            (r#"["\ud83d"#, r#"["\ufffd"#),
            (r#"["\ud83"#, r#"["\ud83"#),
        ] {
            assert_eq!(replaced(json), expected);
        }
    }

    proptest! {
        #[test]
        fn text_cut_anywhere_keeps_all_but_the_half(
            units in prop::collection::vec(
                prop_oneof![0..0x80_u16, 0xD800..0xDC00_u16, 0xDC00..0xE000_u16, any::<u16>()], 0..12,
            ),
        ) {
            let escape = |unit: &u16| match u8::try_from(*unit) {
                Ok(b'\\') => "\\\\".to_owned(),
                Ok(b'a'..=b'z') => char::from(*unit as u8).to_string(),
                _ => format!("\\u{unit:04x}"),
            };
            let json = format!("\"{}\"", units.iter().map(escape).collect::<String>());
            let text: String = serde_json::from_str(&replaced(&json)).unwrap();
            prop_assert_eq!(text, String::from_utf16_lossy(&units));
        }

        #[test]
        fn what_is_no_json_panics_nothing(mut json in prop::collection::vec(any::<u8>(), 0..20)) {
            replace_lone_surrogates(&mut json);
        }
    }
}
