//! Before anything is written: whose key is this, and is it the one this database belongs to?

use serde::Deserialize;

use super::report::Stop;
use crate::api::{Failure, Request};
use crate::poll::Desk;
use crate::store::instance;

#[derive(Debug, Deserialize)]
struct Envelope {
    data: Whoami,
}

/// `GET /whoami`. The organization's id is opaque: a UUID in most of the API's examples.
#[derive(Debug, Deserialize)]
struct Whoami {
    organization_id: String,
    #[serde(default)]
    api_key_name: serde_json::Value,
}

/// Asks who we are, and binds the database to the organization or refuses to mix two.
pub async fn identify(desk: &mut Desk) -> Result<(), Stop> {
    let request = Request::get("/whoami");
    let fetched = desk.fetcher.fetch(&request, |answer| {
        let whoami = answer.json::<Envelope>()?.data;
        match whoami.organization_id.is_empty() {
            true => Err(Failure::malformed("an empty organization_id")),
            false => Ok(whoami),
        }
    });
    let whoami = fetched.await.map_err(Stop::at_start)?.checked;
    let key_name = whoami.api_key_name.as_str().map(str::to_owned);
    let bound = desk.store.read(instance::identity)?.organization_id;
    match bound {
        Some(bound) if bound != whoami.organization_id => {
            Err(Stop::OtherOrganization { bound, found: whoami.organization_id, key_name })
        }
        _ => {
            let organization = whoami.organization_id;
            Ok(desk.store.write(|tx| instance::bind(tx, &organization, key_name.as_deref()))?)
        }
    }
}
