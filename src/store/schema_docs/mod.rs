//! The documentation of the schema: every view and column that users query, declared once. The command
//! `schema` prints it, exports take their column types from it, and tests compare it with the database.

mod fact;
mod facts;
mod facts_changes;
mod facts_history;
mod facts_posts;

pub use fact::{ColumnFact, Unit, ValueType, ViewFact};
pub use facts::{TABLES, VIEWS};
