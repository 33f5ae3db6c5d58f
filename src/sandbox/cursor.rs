//! Cursors: where the next page begins, sealed to the filter and sort that they were made for.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Bytes before the place: its digest.
const DIGEST_BYTES: usize = 8;

/// A sort key's value. The order of variants is of no meaning; nulls are placed by a setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum SortValue {
    /// The row has none.
    Null,
    /// A count or an instant.
    Integer(i64),
    /// A name.
    Text(String),
}

/// The place of a row in a sorted list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The value of the sort key.
    pub value: SortValue,
    /// Breaks ties.
    pub id: u128,
}

/// What seals a cursor.
#[derive(Debug, Clone, Copy)]
pub struct Seal {
    /// Makes the cursors of one sandbox unreadable for another.
    pub seed: u64,
    /// Digest of list, filter and sort.
    pub binding: u64,
}

impl Seal {
    /// A digest of whatever a cursor is bound to.
    pub fn binding(text: &str) -> u64 {
        xxh3_64(text.as_bytes())
    }

    /// The cursor of the page that begins after `place`. The same place gives the same cursor.
    pub fn write(&self, place: &Place) -> String {
        let place = serde_json::to_vec(place).unwrap_or_default();
        let bytes = [&self.digest(&place).to_be_bytes()[..], &place].concat();
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The place that a cursor stands for; none if it was not made with this very seal.
    pub fn read(&self, cursor: &str) -> Option<Place> {
        let bytes = (0..cursor.len() / 2)
            .map(|n| u8::from_str_radix(cursor.get(2 * n..2 * n + 2)?, 16).ok());
        let sealed = bytes.collect::<Option<Vec<u8>>>()?;
        let place = serde_json::from_slice(sealed.get(DIGEST_BYTES..)?).ok()?;
        // Another seal writes another digest.
        (self.write(&place) == cursor).then_some(place)
    }

    fn digest(&self, bytes: &[u8]) -> u64 {
        let seed = self.seed ^ self.binding.rotate_left(13);
        xxh3_64_with_seed(bytes, seed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value() -> impl Strategy<Value = SortValue> {
        prop_oneof![
            Just(SortValue::Null),
            any::<i64>().prop_map(SortValue::Integer),
            any::<String>().prop_map(SortValue::Text),
        ]
    }

    proptest! {
        #[test]
        fn a_cursor_opens_only_with_its_own_seal(value in value(), id: u128, seed: u64) {
            let seal = Seal { seed, binding: Seal::binding("/videos added_at") };
            let place = Place { value, id };
            let cursor = seal.write(&place);
            prop_assert_eq!(seal.read(&cursor), Some(place));
            prop_assert_eq!(seal.read(&format!("{cursor}0")), None);
            prop_assert_eq!(seal.read(&cursor.to_uppercase()), None);
            let other = Seal { binding: Seal::binding("/videos view_count"), ..seal };
            prop_assert_eq!(other.read(&cursor), None);
        }

        #[test]
        fn nonsense_is_refused(text: String) {
            let seal = Seal { seed: 1, binding: 2 };
            prop_assert_eq!(seal.read(&text), None);
        }
    }
}
