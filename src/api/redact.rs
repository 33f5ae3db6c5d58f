//! Redaction: finds the key in text in any spelling: plain, with JSON escapes, percent-encoded, nested
//! quotes, or mixed.

use std::ops::Range;

use memchr::memchr2;
use memchr::memmem::Finder;
use secrecy::zeroize::Zeroizing;

/// Longest run of backslashes that is considered. JSON quoted three times has 15 before a quotation mark.
const BACKSLASHES_MAX: usize = 64;
/// Nesting of `%25` that is considered.
const PERCENTS_MAX: usize = 4;

/// A key to be found. Not shown by Debug.
#[derive(Clone)]
pub(super) struct Needle {
    key: Zeroizing<Vec<u8>>,
    plain: Finder<'static>,
}

impl Needle {
    pub(super) fn new(key: &str) -> Self {
        let key = Zeroizing::new(key.as_bytes().to_vec());
        Self { plain: Finder::new(key.as_slice()).into_owned(), key }
    }

    /// The first range at or after `from` that contains the key, whole escapes included: JSON without it
    /// is still JSON.
    pub(super) fn find(&self, text: &[u8], from: usize) -> Option<Range<usize>> {
        let rest = text.get(from..)?;
        let plain = self.plain.find(rest).map(|at| from.saturating_add(at));
        let spelled = self.find_spelled(text, from, plain.unwrap_or(text.len()));
        spelled.or_else(|| {
            let start = plain?;
            // The escape whose last character is the key's first one.
            let is_escaped = backslashes_before(text.get(from..start)?) % 2 == 1;
            let start = start.saturating_sub(usize::from(is_escaped));
            Some(start..self.end(text, &[plain?], 0)?)
        })
    }

    /// The first range in which the key is spelled with at least one escape, beginning before `until`.
    fn find_spelled(&self, text: &[u8], from: usize, until: usize) -> Option<Range<usize>> {
        let mut at = from;
        loop {
            let rest = text.get(at..)?;
            let escape = at.saturating_add(memchr2(b'\\', b'%', rest)?);
            let run = backslashes(text, escape);
            let after = escape.saturating_add(run.max(1));
            // Of a run of backslashes the last ones count; the others are pairs.
            let skipped = run.saturating_sub(BACKSLASHES_MAX).next_multiple_of(2);
            let escape = escape.saturating_add(skipped);
            if self.may_contain(text, escape, after)
                && let Some(range) = self.spelled_around(text, from, escape)
            {
                return (range.start < until).then_some(range);
            }
            // An escape this far behind a plain key belongs to another occurrence.
            if escape > until.saturating_add(self.key.len()) {
                return None;
            }
            at = after;
        }
    }

    /// Whether the escape at `escape`, up to a run of backslashes that ends at `after`, is a
    /// character of the key.
    fn may_contain(&self, text: &[u8], escape: usize, after: usize) -> bool {
        if text.get(escape) == Some(&b'%') {
            let byte = hex(text, escape.saturating_add(1), 2);
            return byte.is_some_and(|byte| byte == b'%' || self.key.contains(&byte));
        }
        match text.get(after) {
            _ if self.key.contains(&b'\\') => true,
            Some(b'u') => {
                hex(text, after.saturating_add(1), 4).is_some_and(|code| self.key.contains(&code))
            }
            Some(escaped) => !escaped.is_ascii_alphanumeric() && self.key.contains(escaped),
            None => false,
        }
    }

    /// The range of the key if this is its first escape.
    fn spelled_around(&self, text: &[u8], from: usize, escape: usize) -> Option<Range<usize>> {
        let before = text.get(from..escape)?;
        (0..self.key.len()).rev().find_map(|literal| {
            let head = self.key.get(..literal)?;
            let is_head = before.ends_with(head);
            let end = is_head.then(|| self.end(text, &[escape], literal)).flatten()?;
            Some(escape.saturating_sub(literal)..end)
        })
    }

    /// Where the key ends, if its characters from number `first` on are spelled from one of these
    /// offsets on.
    fn end(&self, text: &[u8], places: &[usize], first: usize) -> Option<usize> {
        let mut places = places.to_vec();
        let mut next = Vec::new();
        for character in self.key.get(first..)? {
            next.clear();
            for place in &places {
                spellings(text, *place, *character, &mut next);
            }
            next.sort_unstable();
            next.dedup();
            if next.is_empty() {
                return None;
            }
            std::mem::swap(&mut places, &mut next);
        }
        // Half an escape must not be left behind at any depth of quoting: each level doubles the
        // backslashes.
        let evenness = |end: &&usize| {
            let head = text.get(..**end).unwrap_or_default();
            (backslashes_before(head).trailing_zeros(), **end)
        };
        places.iter().max_by_key(evenness).copied()
    }
}

/// Adds the offsets after this character, one for each spelling found here.
fn spellings(text: &[u8], at: usize, character: u8, ends: &mut Vec<usize>) {
    let run = backslashes(text, at);
    let after = at.saturating_add(run);
    if character == b'\\' {
        ends.extend((1..=run.min(BACKSLASHES_MAX)).map(|taken| at.saturating_add(taken)));
    } else if text.get(after) == Some(&character)
        && (run == 0 || !character.is_ascii_alphanumeric())
    {
        ends.push(after.saturating_add(1));
    }
    if run > 0
        && text.get(after) == Some(&b'u')
        && hex(text, after.saturating_add(1), 4) == Some(character)
    {
        ends.push(after.saturating_add(5));
    }
    if text.get(at) == Some(&b'%') {
        let mut digits = at.saturating_add(1);
        for _ in 0..PERCENTS_MAX {
            let byte = hex(text, digits, 2);
            if byte == Some(character) {
                ends.push(digits.saturating_add(2));
            }
            if byte != Some(b'%') {
                break;
            }
            digits = digits.saturating_add(2);
        }
    }
}

/// The byte given by so many hexadecimal digits.
fn hex(text: &[u8], at: usize, digits: usize) -> Option<u8> {
    let digits = text.get(at..at.checked_add(digits)?)?;
    let is_hex = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = is_hex.then(|| std::str::from_utf8(digits).ok()).flatten()?;
    u8::try_from(u16::from_str_radix(digits, 16).ok()?).ok()
}

/// Number of backslashes from here on.
fn backslashes(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|byte| **byte == b'\\').count()
}

/// Number of backslashes at the end of the text.
fn backslashes_before(text: &[u8]) -> usize {
    text.iter().rev().take_while(|byte| **byte == b'\\').count()
}
