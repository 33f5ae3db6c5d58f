//! `instr`, `replace` and `trim` in time linear in their arguments. SQLite's own compare each position of one argument
//! with all of the other, and a function call cannot be interrupted.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;
use rusqlite::ffi;
use rusqlite::Connection;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;

use crate::store::error::StoreResult;
use crate::store::readonly::limits;

/// Replaces the functions on a connection.
pub(super) fn replace_slow(connection: &Connection) -> StoreResult<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_scalar_function("instr", 2, flags, |context| Ok(instr(context)))?;
    connection.create_scalar_function("replace", 3, flags, |context| replace(context))?;
    let trims: [(&str, Trim); 3] = [
        ("trim", |text, is_trimmed| text.trim_matches(is_trimmed)),
        ("ltrim", |text, is_trimmed| text.trim_start_matches(is_trimmed)),
        ("rtrim", |text, is_trimmed| text.trim_end_matches(is_trimmed)),
    ];
    for (name, trim) in trims {
        connection.create_scalar_function(name, 2, flags, move |context| {
            let (Some(text), Some(trimmed)) = (text(context, 0), text(context, 1)) else {
                return Ok(None);
            };
            let trimmed: HashSet<char> = trimmed.chars().collect();
            Ok(Some(trim(&text, &|c| trimmed.contains(&c)).to_owned()))
        })?;
    }
    Ok(())
}

type Trim = for<'t> fn(&'t str, &dyn Fn(char) -> bool) -> &'t str;

/// The position of the first occurrence, counted from 1; 0 if there is none.
fn instr(context: &Context<'_>) -> Option<i64> {
    if let (ValueRef::Blob(bytes), ValueRef::Blob(part)) = (context.get_raw(0), context.get_raw(1))
    {
        return Some(position(memmem::find(bytes, part)));
    }
    let (text, part) = (text(context, 0)?, text(context, 1)?);
    let found = memmem::find(text.as_bytes(), part.as_bytes());
    Some(position(found.and_then(|at| text.get(..at)).map(|before| before.chars().count())))
}

/// A position counted from 1; 0 if there is none.
fn position(index: Option<usize>) -> i64 {
    index.and_then(|index| i64::try_from(index + 1).ok()).unwrap_or(0)
}

fn replace(context: &Context<'_>) -> rusqlite::Result<Option<String>> {
    let (Some(text), Some(part), Some(by)) =
        (text(context, 0), text(context, 1), text(context, 2))
    else {
        return Ok(None);
    };
    if part.is_empty() {
        return Ok(Some(text.into_owned()));
    }
    // SQLite refuses a longer result; it must not be built first.
    let count = memmem::find_iter(text.as_bytes(), part.as_bytes()).count();
    let growth = count.saturating_mul(by.len().saturating_sub(part.len()));
    match text.len().saturating_add(growth) > limits::LENGTH_MAX.unsigned_abs() as usize {
        true => Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None)),
        false => Ok(Some(text.replace(&*part, &by))),
    }
}

/// An argument as text; `None` for NULL.
fn text<'c>(context: &'c Context<'_>, index: usize) -> Option<Cow<'c, str>> {
    Some(match context.get_raw(index) {
        ValueRef::Null => return None,
        ValueRef::Integer(number) => number.to_string().into(),
        ValueRef::Real(number) => format!("{number:?}").into(),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes),
    })
}
