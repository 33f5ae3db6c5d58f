//! Repairs JSON that a strict parser rejects because of single bad values, so that they cost themselves and
//! not the whole page.
//!
//! One scan over the bytes: a byte order mark is dropped, invalid UTF-8 becomes U+FFFD, raw control characters
//! and unknown escapes in strings are escaped, and a bare `NaN` or `Infinity` becomes a string. If that is not
//! enough, elements of `data` that are not valid JSON become `null`.

use std::ops::Range;

use serde_json::value::RawValue;

/// Most rows of a page. At most 200 are requested; a server may ignore that.
pub(super) const ROWS_MAX: usize = 1_000;
/// Most repairs of one body; with more it is not JSON with bad values but something else.
const MENDS_MAX: usize = 10_000;
/// Most bytes that repairs may add.
const GROWTH_BYTES_MAX: usize = 256 << 10;
/// Number tokens of other languages that JSON does not have.
const FOREIGN_NUMBERS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
/// Longest id that is searched in an invalid element, bytes.
const ID_BYTES_MAX: usize = 80;

/// A repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// Offset in the repaired body.
    pub at: usize,
    /// What was repaired.
    pub what: Damage,
}

/// Kind of a repair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// A value repaired in place.
    Repaired(&'static str),
    /// An invalid element and its id, if one was found. It became `null`.
    Lost(Option<String>),
}

/// Returns the repaired body; `None` if there is nothing to repair or it remains invalid.
pub fn repair(body: &[u8]) -> Option<(Vec<u8>, Vec<Repair>)> {
    let mut pass =
        Pass { out: Vec::with_capacity(body.len()), mends: Vec::new(), in_string: false };
    let text = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    for chunk in text.utf8_chunks() {
        pass.text(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            pass.put("\u{fffd}".as_bytes(), "a byte that is not UTF-8");
        }
        if pass.mends.len() > MENDS_MAX || pass.out.len() > body.len() + GROWTH_BYTES_MAX {
            return None;
        }
    }
    let Pass { out, mends, .. } = pass;
    if is_valid(&out) {
        return (text.len() < body.len() || !mends.is_empty()).then_some((out, mends));
    }
    let (out, mends) = without_broken_elements(&out, &mends)?;
    is_valid(&out).then_some((out, mends))
}

fn is_valid(json: &[u8]) -> bool {
    serde_json::from_slice::<&RawValue>(json).is_ok()
}

struct Pass {
    out: Vec<u8>,
    mends: Vec<Repair>,
    in_string: bool,
}

impl Pass {
    fn put(&mut self, bytes: &[u8], what: &'static str) {
        if self.mends.len() <= MENDS_MAX {
            self.mends.push(Repair { at: self.out.len(), what: Damage::Repaired(what) });
            self.out.extend_from_slice(bytes);
        }
    }

    fn text(&mut self, mut rest: &[u8]) {
        while let Some(&byte) = rest.first() {
            let taken = match self.in_string {
                true => self.in_string(byte, rest),
                false => self.between_strings(byte, rest),
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// Returns how many bytes it consumed.
    fn in_string(&mut self, byte: u8, rest: &[u8]) -> usize {
        match byte {
            b'"' => self.in_string = false,
            b'\\' => {
                let Some(escape) = escape(rest) else {
                    self.put(b"\\\\", "an unknown escape");
                    return 1;
                };
                self.out.extend_from_slice(escape);
                return escape.len();
            }
            0..0x20 => {
                self.put(format!("\\u{byte:04x}").as_bytes(), "a raw control character");
                return 1;
            }
            _ => {}
        }
        self.out.push(byte);
        1
    }

    fn between_strings(&mut self, byte: u8, rest: &[u8]) -> usize {
        if matches!(byte, b'N' | b'I' | b'-')
            && let Some(token) = FOREIGN_NUMBERS.iter().find(|token| rest.starts_with(token))
        {
            self.put(&[b"\"", *token, b"\""].concat(), "a number that JSON does not have");
            return token.len();
        }
        self.in_string = byte == b'"';
        self.out.push(byte);
        1
    }
}

/// The escape that begins here, if JSON has it.
fn escape(rest: &[u8]) -> Option<&[u8]> {
    match rest.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => rest.get(..2),
        b'u' => rest.get(..6).filter(|escape| escape[2..].iter().all(u8::is_ascii_hexdigit)),
        _ => None,
    }
}

/// The body with `null` for each invalid element of `data`.
fn without_broken_elements(json: &[u8], mends: &[Repair]) -> Option<(Vec<u8>, Vec<Repair>)> {
    let begin = data_begin(json)?;
    let (elements, end) = elements(json, begin)?;
    let mut out = json.get(..begin)?.to_vec();
    let mut kept: Vec<Repair> = mends.iter().filter(|repair| repair.at < begin).cloned().collect();
    let mut later = mends.iter().skip(kept.len()).peekable();
    let last = elements.len().saturating_sub(1);
    for (number, range) in elements.into_iter().enumerate() {
        let element = json.get(range.clone())?;
        // Nothing need follow the last comma.
        if number == last && element.trim_ascii().is_empty() {
            break;
        }
        if number > 0 {
            out.push(b',');
        }
        let is_sound = is_valid(element);
        let at = out.len();
        while let Some(repair) = later.next_if(|repair| repair.at < range.end) {
            if is_sound && repair.at >= range.start {
                kept.push(Repair { at: at + (repair.at - range.start), what: repair.what.clone() });
            }
        }
        match is_sound {
            true => out.extend_from_slice(element),
            false => {
                kept.push(Repair { at, what: Damage::Lost(id(element)) });
                out.extend_from_slice(b"null");
            }
        }
    }
    let shift = out.len();
    kept.extend(
        later
            .filter(|repair| repair.at >= end)
            .map(|repair| Repair { at: shift + (repair.at - end), what: repair.what.clone() }),
    );
    out.extend_from_slice(json.get(end..)?);
    Some((out, kept))
}

/// Offset of the elements of the outermost object's `data`.
fn data_begin(json: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match json.get(at)? {
            b'"' => {
                let end = string_end(json, at)?;
                let is_data = depth == 1 && json.get(at..end) == Some(b"\"data\"");
                at = end;
                if is_data
                    && let Some(value) = after(json, at, b':')
                    && let Some(begin) = after(json, value, b'[')
                {
                    return Some(begin);
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += 1;
    }
}

/// The ranges between the commas of an array, and its end.
fn elements(json: &[u8], begin: usize) -> Option<(Vec<Range<usize>>, usize)> {
    let (mut at, mut from, mut depth) = (begin, begin, 0_usize);
    let mut ranges = Vec::new();
    while ranges.len() <= ROWS_MAX {
        match json.get(at)? {
            b'"' => {
                at = string_end(json, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b']' if depth == 0 => {
                ranges.push(from..at);
                return Some((ranges, at));
            }
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                ranges.push(from..at);
                from = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Offset after the closing quote of the string that begins here.
fn string_end(json: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin + 1;
    loop {
        match json.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Offset after this byte, if it is the next one that is not blank.
fn after(json: &[u8], at: usize, byte: u8) -> Option<usize> {
    let rest = json.get(at..)?;
    let blank = rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    (rest.get(blank) == Some(&byte)).then_some(at + blank + 1)
}

/// What looks like the id of an invalid element.
fn id(element: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"id\"";
    let at = memchr::memmem::find(element, NAME)?;
    let begin = after(element, at + NAME.len(), b':').and_then(|at| after(element, at, b'"'))?;
    let end = string_end(element, begin - 1)? - 1;
    let id = element.get(begin..end).filter(|id| id.len() <= ID_BYTES_MAX)?;
    let id = str::from_utf8(id).ok()?;
    (!id.contains(['\\', '\u{fffd}'])).then(|| id.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mended(body: &[u8]) -> (String, Vec<Damage>) {
        let (out, mends) = repair(body).unwrap();
        (String::from_utf8(out).unwrap(), mends.into_iter().map(|repair| repair.what).collect())
    }

    fn lost(id: Option<&str>) -> Damage {
        Damage::Lost(id.map(str::to_owned))
    }

    #[test]
    fn single_bad_values_are_repaired() {
        for (body, expected) in [
            (&b"\xef\xbb\xbf{\"a\":1}"[..], r#"{"a":1}"#),
            (
                b"{\"a\":NaN,\"b\":-Infinity,\"c\":[Infinity]}",
                r#"{"a":"NaN","b":"-Infinity","c":["Infinity"]}"#,
            ),
            (b"{\"a\":\"x\xffy\xc3\"}", "{\"a\":\"x\u{fffd}y\u{fffd}\"}"),
            (b"{\"a\":\"x\ny\x01\"}", r#"{"a":"x\u000ay\u0001"}"#),
            (b"{\"a\":\"\\q\\u12\\\"NaN\"}", r#"{"a":"\\q\\u12\"NaN"}"#),
        ] {
            assert_eq!(mended(body).0, expected);
        }
    }

    #[test]
    fn an_element_that_is_no_json_is_lost_alone() {
        let body = br#"{"x":[1],"data":[{"id":"a"},{"id":"b","n":},{"n":01},{"id":"d","n":NaN},],"z":"NaN"}"#;
        let (out, damages) = mended(body);
        assert_eq!(
            out,
            r#"{"x":[1],"data":[{"id":"a"},null,null,{"id":"d","n":"NaN"}],"z":"NaN"}"#
        );
        let [b, c, Damage::Repaired(_)] = &damages[..] else { panic!("{damages:?}") };
        assert_eq!((b, c), (&lost(Some("b")), &lost(None)));
    }

    #[test]
    fn what_is_valid_or_beyond_repair_is_left() {
        for body in [
            &b"{\"a\":1}"[..],
            b"",
            b"<html>",
            b"{\"data\":[{\"id\":\"a\"",
            b"{\"data\":[{\"id\":\"a}]}",
            b"{\"data\":[{}}}",
            b"\xff\xff",
        ] {
            assert_eq!(repair(body), None, "{}", String::from_utf8_lossy(body));
        }
        let many = format!("{{\"data\":[\"{}\"]}}", "\u{1}".repeat(100_000));
        assert_eq!(repair(many.as_bytes()), None);
    }

    proptest! {
        #[test]
        fn a_repaired_body_is_json_and_its_places_are_in_it(
            before in "[a-z{}\\[\\]\":, ]{0,12}", bad in proptest::collection::vec(any::<u8>(), 0..12),
            middle in 0..40_usize,
        ) {
            let mut body = br#"{"data":[{"id":"a","n":1},{"id":"b"}],"p":{}}"#.to_vec();
            body.splice(middle..middle, before.bytes().chain(bad));
            if let Some((out, mends)) = repair(&body) {
                prop_assert!(is_valid(&out));
                prop_assert!(mends.iter().all(|repair| repair.at < out.len()));
                prop_assert!(mends.is_sorted_by_key(|repair| repair.at));
            }
        }
    }
}
