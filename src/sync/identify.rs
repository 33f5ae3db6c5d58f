//! Checks, before anything is written, that the API key belongs to the organization of the database.

use std::borrow::Cow;

use rusqlite::Transaction;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::api::{Answer, Failure, Request, decode};
use crate::fetch::context::SyncContext;
use crate::model::shown::printable;
use crate::store::instance;
use crate::sync::run_error::RunError;

/// Longest accepted organization id and longest kept key name, characters.
const CHARS_MAX: usize = 200;

/// The organization and name of an API key, from `GET /whoami`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whoami {
    /// The organization's id: opaque text, a UUID in most of the API's examples.
    pub organization_id: String,
    /// The key's name.
    pub api_key_name: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    data: Members<'a>,
}

#[derive(Debug, Deserialize)]
struct Members<'a> {
    organization_id: String,
    #[serde(borrow, default)]
    api_key_name: Option<&'a RawValue>,
}

/// The request `GET /whoami`.
pub fn request() -> Request {
    Request::get("/whoami")
}

/// Reads the answer to `GET /whoami`.
pub fn read(answer: &Answer) -> Result<Whoami, Failure> {
    let members = answer.json::<Envelope<'_>>()?.data;
    let organization_id = members.organization_id;
    if organization_id.is_empty() {
        return Err(Failure::malformed("organization_id is empty"));
    }
    if printable(&organization_id, CHARS_MAX) != organization_id {
        return Err(Failure::malformed("organization_id is too long or has control characters"));
    }
    let name: Option<Cow<'_, str>> = members.api_key_name.and_then(decode::text);
    let api_key_name = name.map(|name| printable(&name, CHARS_MAX));
    Ok(Whoami { organization_id, api_key_name })
}

/// Fails if the key belongs to another organization than `bound`, that of the database.
pub fn compare(bound: Option<&str>, whoami: &Whoami) -> Result<(), RunError> {
    match bound {
        Some(bound) if bound != whoami.organization_id => Err(RunError::OtherOrganization {
            bound: bound.to_owned(),
            found: whoami.organization_id.clone(),
            key_name: whoami.api_key_name.clone(),
        }),
        _ => Ok(()),
    }
}

/// Requests `GET /whoami`, and binds the database to the organization.
pub async fn identify(ctx: &mut SyncContext) -> Result<(), RunError> {
    let whoami = ctx.fetcher.fetch(&request(), read).await?.value;
    let bound = ctx.store.read(instance::identity).await?.organization_id;
    compare(bound.as_deref(), &whoami)?;
    let bind = move |tx: &Transaction<'_>| {
        instance::bind(tx, &whoami.organization_id, whoami.api_key_name.as_deref())
    };
    Ok(ctx.store.write(bind).await?)
}
