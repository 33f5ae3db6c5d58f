//! A resource as it was decoded from an answer: typed values, the members without a column, and a
//! fingerprint that tells whether anything changed.

use std::borrow::Cow;

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

impl Value<'_> {
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

    /// The text, where there is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A decoded resource.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<'a> {
    /// The API's id.
    pub id: Cow<'a, str>,
    /// One value per column of the kind, in their order.
    pub values: Vec<Value<'a>>,
    /// A JSON object of the members that have no column or an undocumented type.
    pub extra: Option<String>,
    /// Whether a member had another type than the documented one.
    pub is_odd: bool,
    /// Hash of everything but the query strings of URL members. Equal means unchanged.
    pub fingerprint: i64,
    /// `last_scrape_time`, where there is one.
    pub scraped_at: Option<Instant>,
    /// Whether there is a `last_scrape_time` that cannot be read: history stops for this row.
    pub has_unreadable_scrape: bool,
}

impl Row<'_> {
    /// The same without the JSON it was read from.
    pub fn into_owned(self) -> Row<'static> {
        Row {
            id: Cow::Owned(self.id.into_owned()),
            values: self.values.into_iter().map(Value::into_owned).collect(),
            extra: self.extra,
            is_odd: self.is_odd,
            fingerprint: self.fingerprint,
            scraped_at: self.scraped_at,
            has_unreadable_scrape: self.has_unreadable_scrape,
        }
    }

    /// The value of the column of this name, `Null` if the kind has none such.
    pub fn value(&self, kind: Kind, name: &str) -> &Value<'_> {
        columns::position(kind, name).and_then(|at| self.values.get(at)).unwrap_or(&Value::Null)
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
