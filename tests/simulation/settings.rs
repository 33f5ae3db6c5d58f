//! The API client and the default sync settings of tests that run in one process with the sandbox.

use std::time::Duration;

use creatormirror::api::Client;
use creatormirror::clock::Clock;
use creatormirror::model::settings::{ApiSettings, RemovalCeiling};
use creatormirror::model::{Kind, Zone};
use creatormirror::schedule::FullSyncSchedule;
use creatormirror::sync::SyncSettings;

/// A client with the key that the sandbox accepts.
pub fn client(base_url: &str, clock: &Clock) -> Client {
    let settings = ApiSettings {
        base_url: base_url.parse().unwrap(),
        key: "sandbox-key".into(),
        ca_file: None,
        connect_timeout: Duration::from_secs(10),
        request_timeout: Duration::from_secs(60),
    };
    Client::new(&settings).unwrap().with_clock(clock.clone())
}

/// Settings with the same full-sync schedule for every kind.
pub fn sync_settings(full_sync: impl Fn(Kind) -> &'static str) -> SyncSettings {
    let full_syncs =
        Kind::ALL.map(|kind| (kind, FullSyncSchedule::parse(full_sync(kind), 4_711).unwrap()));
    SyncSettings {
        full_syncs: full_syncs.into(),
        timezone: Zone::utc(),
        max_removals: RemovalCeiling { fraction: 0.2 },
        log_retention: Duration::from_secs(90 * 24 * 3_600),
        change_log_retention: None,
        outbox_retention: Duration::from_secs(90 * 24 * 3_600),
        reconcile_after: Duration::from_secs(5),
    }
}
