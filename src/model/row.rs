//! A resource as it was decoded from an answer: typed values, the members without a column, and a
//! fingerprint that tells whether anything changed.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::model::columns;
use crate::model::instant::Instant;
use crate::model::kind::Kind;

/// Raised whenever decoding changes in a way that makes an old fingerprint or a stored ETag
/// meaningless, so that every page is read anew once.
pub const DECODER_VERSION: i64 = 1;

/// The fingerprint of no content: a row that carries it is written anew by the next answer.
pub const NO_FINGERPRINT: i64 = 0;

/// A value on its way into a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value<'a> {
    /// Absent, null, or kept in `extra` because its type was not the documented one.
    Null,
    /// Counts, and booleans as 0 or 1.
    Integer(i64),
    /// Numbers with a fraction.
    Real(f64),
    /// Text, instants in the mirror's form, objects as JSON.
    Text(Cow<'a, str>),
}

impl<'a> Value<'a> {
    /// The same without the text it was read from.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(number),
            Self::Real(number) => Value::Real(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        }
    }

    /// The whole number, where there is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, where there is one, as long-lived as the value.
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, where there is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A decoded resource. It owns the JSON that it was read from, and most of its texts are parts of that.
#[derive(Debug, Clone)]
pub struct Row {
    json: Bytes,
    /// The texts that are not in the JSON as they are.
    unescaped: String,
    id: Cell,
    /// One for each column of the kind, in their order.
    cells: Vec<Cell>,
    /// A JSON object of the members that have no column or an undocumented type.
    pub extra: Option<String>,
    /// Whether a member had another type than the documented one.
    pub is_type_mismatch: bool,
    /// Hash of everything but the query strings of URL members. Equal means unchanged.
    pub fingerprint: i64,
    /// `last_scrape_time`, where there is one.
    pub scraped_at: Option<Instant>,
    /// Whether there is a `last_scrape_time` that cannot be read: history stops for this row.
    pub has_unreadable_scrape: bool,
}

/// A [`Value`] whose text is given by its place.
#[derive(Debug, Clone)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Json(Range<u32>),
    Unescaped(Range<u32>),
}

impl Row {
    /// A row of these values, one for each column of its kind. Texts that are parts of `json` are not copied.
    pub fn new(json: Bytes, id: &str, values: &[Value<'_>]) -> Self {
        let mut row = Self {
            json,
            unescaped: String::new(),
            id: Cell::Null,
            cells: Vec::with_capacity(values.len()),
            extra: None,
            is_type_mismatch: false,
            fingerprint: NO_FINGERPRINT,
            scraped_at: None,
            has_unreadable_scrape: false,
        };
        row.id = row.text_cell(id);
        for value in values {
            let cell = match value {
                Value::Null => Cell::Null,
                Value::Integer(number) => Cell::Integer(*number),
                Value::Real(number) => Cell::Real(*number),
                Value::Text(text) => row.text_cell(text),
            };
            row.cells.push(cell);
        }
        row
    }

    fn text_cell(&mut self, text: &str) -> Cell {
        let range = |start: usize| {
            let end = start.checked_add(text.len())?;
            Some(u32::try_from(start).ok()?..u32::try_from(end).ok()?)
        };
        let start = (text.as_ptr() as usize).checked_sub(self.json.as_ptr() as usize);
        let start = start.filter(|start| start + text.len() <= self.json.len());
        if let Some(range) = start.and_then(range) {
            return Cell::Json(range);
        }
        let range = range(self.unescaped.len());
        self.unescaped.push_str(text);
        range.map_or(Cell::Null, Cell::Unescaped)
    }

    fn read(&self, cell: &Cell) -> Value<'_> {
        let (bytes, range) = match cell {
            Cell::Null => return Value::Null,
            Cell::Integer(number) => return Value::Integer(*number),
            Cell::Real(number) => return Value::Real(*number),
            Cell::Json(range) => (&self.json[..], range),
            Cell::Unescaped(range) => (self.unescaped.as_bytes(), range),
        };
        let text = bytes.get(range.start as usize..range.end as usize).unwrap_or_default();
        Value::Text(String::from_utf8_lossy(text))
    }

    /// The API's id.
    pub fn id(&self) -> Cow<'_, str> {
        match self.read(&self.id) {
            Value::Text(id) => id,
            _ => Cow::default(),
        }
    }

    /// One value per column of the kind, in their order.
    pub fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.cells.iter().map(|cell| self.read(cell))
    }

    /// The value of the column at this place, `Null` if there is none.
    pub fn value_at(&self, place: usize) -> Value<'_> {
        self.cells.get(place).map_or(Value::Null, |cell| self.read(cell))
    }

    /// The value of the column of this name, `Null` if the kind has none such.
    pub fn value(&self, kind: Kind, name: &str) -> Value<'_> {
        columns::position(kind, name).map_or(Value::Null, |at| self.value_at(at))
    }
}

/// A row that could not be kept, and what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// The id as received, shortened, where one could be made out.
    pub id: Option<String>,
    /// What was wrong.
    pub reason: &'static str,
}
