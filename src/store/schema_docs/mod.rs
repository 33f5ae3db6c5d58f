//! The documentation of the schema: every view and column that users query, declared once. `schema`
//! prints it, exports take their types from it, and tests hold it against the database.

mod fact;
mod facts;

pub use fact::{ColumnFact, Unit, ValueType, ViewFact};
pub use facts::{TABLES, VIEWS};
