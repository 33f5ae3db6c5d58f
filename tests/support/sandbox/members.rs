//! Members of rows that tests replace, add or omit.

use std::collections::BTreeMap;

use creatormirror::model::Kind;
use creatormirror::sandbox::{Answer, Call};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::damage::{RawPage, bytes};

/// A row with raw members.
pub type RawRow = BTreeMap<String, Box<RawValue>>;

/// Kind, and id; `platform:id` for account videos.
type Key = (Kind, String);

/// Changes of rows as shown.
#[derive(Debug, Default)]
pub struct Members {
    /// Replaced members; those without a value are omitted.
    replaced: BTreeMap<Key, BTreeMap<String, Option<Box<RawValue>>>>,
    /// The real `last_scrape_time`, and the one shown until the next scrape.
    rewound: BTreeMap<Key, (String, Box<RawValue>)>,
    /// The day in the signatures of media URLs, if they are signed.
    pub signed_on: Option<String>,
}

impl Members {
    /// Replaces or omits a member of a row.
    pub fn replace(&mut self, kind: Kind, id: &str, name: &str, value: Option<Box<RawValue>>) {
        let key = (kind, id.to_owned());
        self.replaced.entry(key).or_default().insert(name.to_owned(), value);
    }

    /// Shows all members of the row unchanged again.
    pub fn reset(&mut self, kind: Kind, id: &str) {
        self.replaced.remove(&(kind, id.to_owned()));
    }

    /// Shows another `last_scrape_time` until the one in `row` changes.
    pub fn rewind(&mut self, kind: Kind, id: &str, row: &RawRow, to: String) {
        if let (Some(from), Ok(to)) = (row.get("last_scrape_time"), to_raw_value(&to)) {
            self.rewound.insert((kind, id.to_owned()), (from.get().to_owned(), to));
        }
    }

    fn is_empty(&self) -> bool {
        self.replaced.is_empty() && self.rewound.is_empty() && self.signed_on.is_none()
    }

    /// Changes a row. Returns whether it had changes.
    pub fn patch(&self, kind: Kind, row: &mut RawRow) -> bool {
        let key = (kind, id_of(kind, row));
        let mut is_changed = false;
        if let Some((from, to)) = self.rewound.get(&key)
            && let Some(shown) = row.get_mut("last_scrape_time")
            && shown.get() == from
        {
            *shown = to.clone();
            is_changed = true;
        }
        if let Some(day) = &self.signed_on {
            for value in row.values_mut().filter(|value| value.get().contains(".cdn.example/")) {
                let signed = format!("{}?sig={day}\"", value.get().trim_end_matches('"'));
                *value = RawValue::from_string(signed).unwrap();
                is_changed = true;
            }
        }
        for (name, value) in self.replaced.get(&key).into_iter().flatten() {
            match value {
                Some(value) => row.insert(name.clone(), value.clone()),
                None => row.remove(name),
            };
            is_changed = true;
        }
        is_changed
    }

    /// Changes the rows of an answer, if any have changes.
    pub fn patch_answer(&self, call: &Call, answer: &mut Answer) {
        let mut path = call.path.split('/').skip(1);
        let kind = path.next().and_then(|first| {
            Kind::LISTS.into_iter().find(|kind| kind.path().trim_start_matches('/') == first)
        });
        let (Some(kind), rest) = (kind, path.collect::<Vec<_>>()) else { return };
        let is_rows = !matches!(rest.as_slice(), ["metrics"] | [_, _, ..]);
        if self.is_empty() || !is_rows || !matches!(answer.status, 200 | 201) {
            return;
        }
        if let Ok(mut page) = serde_json::from_slice::<RawPage>(&answer.body) {
            let rows = page.data.iter_mut().map(|row| self.patch_raw(kind, row));
            if rows.fold(false, |any, one| any | one) {
                answer.body = bytes(&page);
            }
        } else if let Ok(mut item) = serde_json::from_slice::<RawRow>(&answer.body)
            && item.get_mut("data").is_some_and(|row| self.patch_raw(kind, row))
        {
            answer.body = bytes(&item);
        }
    }

    fn patch_raw(&self, kind: Kind, raw: &mut Box<RawValue>) -> bool {
        let mut row: RawRow = serde_json::from_str(raw.get()).unwrap();
        let is_changed = self.patch(kind, &mut row);
        if is_changed {
            *raw = to_raw_value(&row).unwrap();
        }
        is_changed
    }
}

/// The id of a row; `platform:id` for account videos.
fn id_of(kind: Kind, row: &RawRow) -> String {
    let text = |name: &str| row.get(name).map_or("", |value| value.get()).trim_matches('"');
    match kind {
        Kind::AccountVideo => format!("{}:{}", text("platform"), text("id")),
        _ => text("id").to_owned(),
    }
}

/// As `id_of`, for a parsed row.
pub fn id_text(kind: Kind, row: &Value) -> String {
    let id = row["id"].as_str().map_or_else(|| row["id"].to_string(), str::to_owned);
    match kind {
        Kind::AccountVideo => format!("{}:{id}", row["platform"].as_str().unwrap()),
        _ => id,
    }
}
