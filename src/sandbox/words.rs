//! Names, captions and ids that look as if people had made them, all derived from numbers.

use uuid::{Builder, Uuid};

const FIRST: &str = "luna|milo|nora|kai|zoe|theo|ivy|omar|mina|jonas|yara|felix|amara|leo|sofia|nils|aya|bruno|\
    clara|dario|emi|finn|greta|hugo";
const TOPIC: &str = "bakes|runs|travels|paints|cooks|lifts|codes|dances|knits|surfs|gardens|skates|sings|\
    builds|reads|climbs|films|sews|cycles|laughs";
const OPENING: &str = "Wait for the end|Day one of|Nobody told me about|POV: you found|My honest take on|\
    Three things about|Trying|I can't believe|The easiest|Stop scrolling for|How I learned|\
    Part two of";
const SUBJECT: &str = "sourdough at home|a 5 am routine|thrifted outfits|the perfect flat white|moving abroad|\
    tiny kitchens|film cameras|cold plunges|night markets|learning guitar|vegan ramen|\
    a studio makeover";
const ENDING: &str = "✨|😂|#fyp|#reels|🔥🔥|(save this)|— part 1|🎧";
/// The alphabet in which Instagram writes media ids as shortcodes.
const SHORTCODE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A user name; distinct for distinct numbers below a few million.
pub fn username(n: u64) -> String {
    let mixed = n.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(17);
    let dot = if mixed.is_multiple_of(3) { "." } else { "_" };
    format!("{}{dot}{}{}", pick(FIRST, mixed), pick(TOPIC, mixed >> 9), n)
}

/// A person's display name.
pub fn display_name(n: u64) -> String {
    format!("{} {}", capital(pick(FIRST, n)), capital(pick(TOPIC, n >> 11)))
}

/// The words under a post. Now and then with characters outside ASCII, quotes and line breaks.
pub fn caption(n: u64) -> String {
    let gap = if n.is_multiple_of(7) { "\n" } else { " " };
    format!("{} {}{gap}{}", pick(OPENING, n), pick(SUBJECT, n >> 8), pick(ENDING, n >> 16))
}

/// The words under a profile.
pub fn bio(n: u64) -> String {
    format!("{} • \"{}\" • hello@example.com", pick(SUBJECT, n), pick(TOPIC, n >> 8))
}

/// A random-looking UUID of version 4 made from two numbers.
pub fn uuid(high: u64, low: u64) -> Uuid {
    let bits = (u128::from(high) << 64) | u128::from(low);
    Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
}

/// How Instagram writes a media id in its URLs.
pub fn shortcode(media_id: u64) -> String {
    let mut left = media_id;
    let mut letters = Vec::new();
    while left > 0 {
        letters.push(char::from(SHORTCODE[(left % 64) as usize]));
        left /= 64;
    }
    letters.iter().rev().collect()
}

/// The media id that a shortcode stands for.
pub fn media_id(shortcode: &str) -> Option<u64> {
    let mut id = 0u64;
    for letter in shortcode.bytes() {
        let digit = SHORTCODE.iter().position(|known| *known == letter)?;
        id = id.checked_mul(64)?.checked_add(digit as u64)?;
    }
    (id > 0).then_some(id)
}

/// One of the words, which are divided by bars.
fn pick(words: &'static str, n: u64) -> &'static str {
    let count = words.split('|').count() as u64;
    words.split('|').nth((n % count) as usize).unwrap_or_default()
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shortcodes_and_media_ids_are_two_spellings_of_one_thing() {
        for id in [1, 63, 64, 3_141_592_653_589_793_238] {
            assert_eq!(media_id(&shortcode(id)), Some(id));
        }
        assert_eq!(media_id("no such!"), None);
        assert_eq!(media_id("zzzzzzzzzzzzzzzzzz"), None);
    }

    #[test]
    fn user_names_do_not_repeat() {
        let names: BTreeSet<_> = (0..10_000).map(username).collect();
        assert_eq!(names.len(), 10_000);
    }
}
