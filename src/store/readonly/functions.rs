//! `instr`, `replace` and `trim` in time linear in their arguments. SQLite's own compare each position of one argument
//! with all of the other, and a function call cannot be interrupted.

use std::borrow::Cow;
use std::collections::HashSet;

use memchr::memmem;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ffi};

use crate::store::error::StoreResult;
use crate::store::readonly::limits;

/// Replaces the functions on a connection. They fail once `is_stopped` returns `true`: SQLite checks it between
/// instructions, of which a statement of many calls has few.
pub(super) fn replace_slow(
    connection: &Connection,
    is_stopped: &(impl Fn() -> bool + Clone + Send + 'static),
) -> StoreResult<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    let functions: [(&str, i32, Function); 5] = [
        ("instr", 2, |context| Ok(instr(context).into())),
        ("replace", 3, |context| Ok(replace(context)?.into())),
        ("trim", 2, |context| {
            Ok(trim(context, |text, set| text.trim_matches(|c| set.has(c))).into())
        }),
        ("ltrim", 2, |context| {
            Ok(trim(context, |text, set| text.trim_start_matches(|c| set.has(c))).into())
        }),
        ("rtrim", 2, |context| {
            Ok(trim(context, |text, set| text.trim_end_matches(|c| set.has(c))).into())
        }),
    ];
    for (name, arguments, function) in functions {
        let is_stopped = is_stopped.clone();
        connection.create_scalar_function(
            name,
            arguments,
            flags,
            move |context| match is_stopped() {
                true => Err(failure(ffi::SQLITE_INTERRUPT)),
                false => function(context),
            },
        )?;
    }
    Ok(())
}

type Function = fn(&Context<'_>) -> rusqlite::Result<Value>;

fn failure(code: i32) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

/// A set of characters.
struct CharSet {
    ascii: u128,
    others: HashSet<char>,
}

impl CharSet {
    fn of(text: &str) -> Self {
        let ascii = text.bytes().filter(u8::is_ascii).fold(0, |set, byte| set | 1 << byte);
        Self { ascii, others: text.chars().filter(|c| !c.is_ascii()).collect() }
    }

    fn has(&self, c: char) -> bool {
        match c.is_ascii() {
            true => self.ascii & (1 << u32::from(c)) != 0,
            false => self.others.contains(&c),
        }
    }
}

fn trim(context: &Context<'_>, trim: for<'t> fn(&'t str, &CharSet) -> &'t str) -> Option<String> {
    let (text, set) = (text(context, 0)?, text(context, 1)?);
    Some(trim(&text, &CharSet::of(&set)).to_owned())
}

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
    let (Some(text), Some(part), Some(by)) = (text(context, 0), text(context, 1), text(context, 2))
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
        true => Err(failure(ffi::SQLITE_TOOBIG)),
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
