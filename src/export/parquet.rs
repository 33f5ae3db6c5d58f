//! Parquet files: typed, nullable columns, compressed with zstd. Row groups are collected in memory.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::sync::Arc;

use chrono::NaiveDate;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::model::{Instant, Value};
use crate::store::public_tables::Column;
use crate::store::schema_docs::ValueType;

/// Rows of a full row group. Readers parallelize by row group.
const GROUP_ROWS_MAX: usize = 122_880;

/// 1970-01-01 in chrono's days from the common era.
const EPOCH_DAY: i32 = 719_163;

/// Approximate memory of a value, without the bytes of a text.
const VALUE_BYTES: usize = 10;
const TEXT_BYTES: usize = 42;

/// A Parquet file that is being written.
pub struct ParquetFile {
    writer: SerializedFileWriter<File>,
    buffers: Vec<Buffer>,
    group_rows: usize,
    group_bytes: usize,
    mismatched: u64,
}

/// A column of the current row group.
struct Buffer {
    value_type: ValueType,
    /// 1 for a value, 0 for NULL.
    levels: Vec<i16>,
    values: Values,
}

enum Values {
    Texts(Vec<ByteArray>),
    Longs(Vec<i64>),
    Days(Vec<i32>),
    Doubles(Vec<f64>),
    Booleans(Vec<bool>),
}

impl ParquetFile {
    /// Creates a file. `notes` are added to its metadata, under `creatormirror.<name>`.
    pub fn create(
        file: File,
        table: &str,
        columns: &[Column],
        notes: &[(&str, String)],
    ) -> io::Result<Self> {
        let notes = notes
            .iter()
            .map(|(name, note)| KeyValue::new(format!("creatormirror.{name}"), Some(note.clone())));
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by(concat!("creatormirror ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_key_value_metadata(Some(notes.collect()))
            .build();
        let schema = schema(table, columns).map_err(io_error)?;
        let writer =
            SerializedFileWriter::new(file, schema, Arc::new(properties)).map_err(io_error)?;
        let buffers = columns.iter().map(|column| Buffer::new(column.value_type)).collect();
        Ok(Self { writer, buffers, group_rows: 0, group_bytes: 0, mismatched: 0 })
    }

    /// Adds a row.
    pub fn push(&mut self, row: &[Value<'_>]) -> io::Result<()> {
        for (buffer, value) in self.buffers.iter_mut().zip(row) {
            let (bytes, matches) = buffer.push(value);
            self.group_bytes += bytes;
            self.mismatched += u64::from(!matches);
        }
        self.group_rows += 1;
        if self.group_rows >= GROUP_ROWS_MAX {
            self.flush()?;
        }
        Ok(())
    }

    /// Returns the approximate memory of the current row group.
    pub fn buffered_bytes(&self) -> usize {
        self.group_bytes
    }

    /// Writes the current row group.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.group_rows > 0 {
            self.write_group().map_err(io_error)?;
        }
        (self.group_rows, self.group_bytes) = (0, 0);
        Ok(())
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for buffer in &mut self.buffers {
            if let Some(mut column) = group.next_column()? {
                buffer.write(&mut column)?;
                column.close()?;
            }
        }
        group.close()?;
        Ok(())
    }

    /// Completes the file. Returns it, with the number of values that are NULL because they do not have their column's
    /// type.
    pub fn finish(mut self) -> io::Result<(File, u64)> {
        self.flush()?;
        Ok((self.writer.into_inner().map_err(io_error)?, self.mismatched))
    }
}

impl Buffer {
    fn new(value_type: ValueType) -> Self {
        let values = match value_type {
            ValueType::Text | ValueType::Json | ValueType::Any => Values::Texts(Vec::new()),
            ValueType::Integer | ValueType::Instant => Values::Longs(Vec::new()),
            ValueType::Date => Values::Days(Vec::new()),
            ValueType::Real => Values::Doubles(Vec::new()),
            ValueType::Boolean => Values::Booleans(Vec::new()),
        };
        Self { value_type, levels: Vec::new(), values }
    }

    /// Adds a value. Returns its memory, and whether it has the column's type.
    fn push(&mut self, value: &Value<'_>) -> (usize, bool) {
        let bytes = match value {
            Value::Null => None,
            value => self.push_value(value),
        };
        self.levels.push(i16::from(bytes.is_some()));
        (bytes.unwrap_or(2), bytes.is_some() || *value == Value::Null)
    }

    fn push_value(&mut self, value: &Value<'_>) -> Option<usize> {
        match &mut self.values {
            Values::Texts(texts) => {
                return Some(push_text(texts, value));
            }
            Values::Longs(longs) if self.value_type == ValueType::Instant => {
                longs.push(micros(value)?)
            }
            Values::Longs(longs) => longs.push(value.as_integer()?),
            Values::Days(days) => days.push(day(value)?),
            Values::Doubles(doubles) => doubles.push(match value {
                Value::Real(number) => *number,
                // SQLite may store a whole number as an integer.
                value => value.as_integer()? as f64,
            }),
            Values::Booleans(booleans) => booleans.push(match value.as_integer()? {
                0 => false,
                1 => true,
                _ => return None,
            }),
        }
        Some(VALUE_BYTES)
    }

    /// Writes the values and frees their memory, which other open files may need.
    fn write(&mut self, column: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let buffer = std::mem::replace(self, Self::new(self.value_type));
        let levels = Some(buffer.levels.as_slice());
        match &buffer.values {
            Values::Texts(texts) => {
                column.typed::<ByteArrayType>().write_batch(texts, levels, None)
            }
            Values::Longs(longs) => column.typed::<Int64Type>().write_batch(longs, levels, None),
            Values::Days(days) => column.typed::<Int32Type>().write_batch(days, levels, None),
            Values::Doubles(doubles) => {
                column.typed::<DoubleType>().write_batch(doubles, levels, None)
            }
            Values::Booleans(booleans) => {
                column.typed::<BoolType>().write_batch(booleans, levels, None)
            }
        }?;
        Ok(())
    }
}

/// Adds a text. A repetition of the previous text, such as the id in a history, shares its memory.
fn push_text(texts: &mut Vec<ByteArray>, value: &Value<'_>) -> usize {
    let text: Cow<'_, str> = match value {
        Value::Text(text) => text.as_ref().into(),
        Value::Integer(number) => number.to_string().into(),
        Value::Real(number) => format!("{number:?}").into(),
        Value::Null => "".into(),
    };
    match texts.last() {
        Some(last) if last.data() == text.as_bytes() => {
            let last = last.clone();
            texts.push(last);
            TEXT_BYTES
        }
        _ => {
            texts.push(ByteArray::from(text.as_bytes().to_vec()));
            TEXT_BYTES + text.len()
        }
    }
}

/// Parquet instants have microseconds.
fn micros(value: &Value<'_>) -> Option<i64> {
    let at = Instant::parse(value.as_text()?)?;
    at.seconds.checked_mul(1_000_000)?.checked_add(i64::from(at.nanos / 1_000))
}

fn day(value: &Value<'_>) -> Option<i32> {
    use chrono::Datelike;
    let day: NaiveDate = value.as_text()?.parse().ok()?;
    Some(day.num_days_from_ce() - EPOCH_DAY)
}

fn schema(table: &str, columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match column.value_type {
            // Readers disagree on the type for JSON: binary, an extension, or refused.
            ValueType::Text | ValueType::Any | ValueType::Json => {
                (Physical::BYTE_ARRAY, Some(LogicalType::String))
            }
            ValueType::Integer => (Physical::INT64, None),
            ValueType::Real => (Physical::DOUBLE, None),
            ValueType::Boolean => (Physical::BOOLEAN, None),
            ValueType::Date => (Physical::INT32, Some(LogicalType::Date)),
            ValueType::Instant => {
                (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS)))
            }
        };
        let field = Type::primitive_type_builder(column.name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical)
            .build()?;
        Ok(Arc::new(field))
    });
    let fields = fields.collect::<Result<_, ParquetError>>()?;
    Ok(Arc::new(Type::group_type_builder(table).with_fields(fields).build()?))
}

/// Unwraps the I/O error, which is the usual cause.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(cause) => match cause.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(cause) => io::Error::other(cause),
        },
        error => io::Error::other(error),
    }
}
