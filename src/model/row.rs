//! A resource decoded from an answer: typed values, members without a column (`extra`), and a fingerprint of the content.

use std::borrow::Cow;
use std::ops::Range;

use bytestring::ByteString;

use crate::model::columns;
use crate::model::instant::Instant;
use crate::model::kind::Kind;

/// Version of the decoder. A raise invalidates stored fingerprints and ETags, so that every page is read anew once.
pub const DECODER_VERSION: i64 = 1;

/// Fingerprint of an invalidated row: the next answer rewrites it.
pub const NO_FINGERPRINT: i64 = 0;

/// A column's value.
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
    /// Copies borrowed text.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Integer(number) => Value::Integer(number),
            Self::Real(number) => Value::Real(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
        }
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The text, if it is one, consuming the value.
    pub fn into_text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A decoded resource. It owns the JSON it was read from; most texts are ranges of that.
#[derive(Debug, Clone)]
pub struct Row {
    json: ByteString,
    /// Texts that needed unescaping.
    unescaped: String,
    id: Cell,
    /// One per column of the kind, in order.
    cells: Vec<Cell>,
    /// A JSON object of the members that have no column or an undocumented type.
    pub extra: Option<String>,
    /// Whether a member had another type than the documented one.
    pub is_type_mismatch: bool,
    /// Hash of everything but the query strings of URL members. Equal means unchanged.
    pub fingerprint: i64,
    /// `last_scrape_time`, if it can be read.
    pub scraped_at: Option<Instant>,
    /// Whether `last_scrape_time` is present but cannot be read: the row gets no history.
    pub has_unreadable_scrape: bool,
}

/// A [`Value`] whose text is a byte range of `json` or `unescaped`.
#[derive(Debug, Clone)]
enum Cell {
    Null,
    Integer(i64),
    Real(f64),
    Json(Range<u32>),
    Unescaped(Range<u32>),
}

impl Row {
    /// Builds a row from one value per column. Texts that point into `json` are not copied.
    pub fn new(json: ByteString, id: &str, values: &[Value<'_>]) -> Self {
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
        let (whole, range) = match cell {
            Cell::Null => return Value::Null,
            Cell::Integer(number) => return Value::Integer(*number),
            Cell::Real(number) => return Value::Real(*number),
            Cell::Json(range) => (&self.json[..], range),
            Cell::Unescaped(range) => (&self.unescaped[..], range),
        };
        let text = whole.get(range.start as usize..range.end as usize).unwrap_or_default();
        Value::Text(Cow::Borrowed(text))
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

    /// The value of the column at this index, `Null` if there is none.
    pub fn value_at(&self, place: usize) -> Value<'_> {
        self.cells.get(place).map_or(Value::Null, |cell| self.read(cell))
    }

    /// The value of the column of this name, `Null` if the kind has no such column.
    pub fn value(&self, kind: Kind, name: &str) -> Value<'_> {
        columns::position(kind, name).map_or(Value::Null, |at| self.value_at(at))
    }
}

/// A row that could not be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its id, shortened, if it has one.
    pub id: Option<String>,
    /// Why it could not be decoded.
    pub reason: &'static str,
}
