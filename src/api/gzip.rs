//! Decompresses gzip bodies. The transport would only recognize one of the two names of the coding, in lower
//! case.

use std::io::{self, Read};

use flate2::bufread::MultiGzDecoder;
use http::{HeaderMap, header};

/// Whether the body is compressed with gzip alone.
pub(super) fn is_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CONTENT_ENCODING).iter();
    let codings: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
        .collect();
    match codings[..] {
        [coding] => coding.eq_ignore_ascii_case("gzip") || coding.eq_ignore_ascii_case("x-gzip"),
        _ => false,
    }
}

/// Decompresses the members of a gzip body in steps, so that the caller can bound the length.
pub(super) struct Unpacker<'a>(MultiGzDecoder<&'a [u8]>);

impl<'a> Unpacker<'a> {
    pub fn new(packed: &'a [u8]) -> Self {
        Self(MultiGzDecoder::new(packed))
    }

    /// Appends at most so many bytes; returns how many, 0 after the last one.
    pub fn append(&mut self, body: &mut Vec<u8>, bytes_max: usize) -> io::Result<usize> {
        let bytes_max = u64::try_from(bytes_max).unwrap_or(u64::MAX);
        (&mut self.0).take(bytes_max).read_to_end(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_known_by_both_names_in_any_case() {
        let is_gzip = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            super::is_gzip(&headers)
        };
        for values in [
            &["gzip"][..],
            &["GZIP"],
            &["x-gzip"],
            &["X-Gzip"],
            &["identity, gzip"],
            &["identity", "gzip"],
        ] {
            assert!(is_gzip(values), "{values:?}");
        }
        for values in
            [&[][..], &["identity"], &["br"], &["gzip, br"], &["gzip", "gzip"], &["gzipped"]]
        {
            assert!(!is_gzip(values), "{values:?}");
        }
    }
}
