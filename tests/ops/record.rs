//! `check --record`: the shapes of answers contain no value of theirs, and are enough to mirror.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creatormirror::clock::Clock;
use creatormirror::contract::shape::Shape;
use creatormirror::sandbox::{self, Answer, Call, Hook, Moment, Sandbox};
use rusqlite::Connection;
use serde_json::{Map, Value, json};
use tokio::runtime::Runtime;

use super::fixture::Fixture;
use crate::support::sandbox::{SandboxSettings, Switch};

/// A text that must be in no file.
const MARKER: &str = "SECRETMARKER";

/// A sandbox with a hook of this test.
struct Server {
    sandbox: Sandbox,
    _runtime: Runtime,
}

impl Server {
    fn new(hook: impl Hook + 'static) -> Self {
        let runtime = Runtime::new().unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let settings = SandboxSettings::default();
        let started = sandbox::start_with(settings, Clock::System, listen, Arc::new(hook));
        Self { sandbox: runtime.block_on(started).unwrap(), _runtime: runtime }
    }
}

fn folder(fixture: &Fixture) -> PathBuf {
    fixture.folder.path().join("shapes")
}

/// Records from this address, or from the fixture's own sandbox.
fn record(fixture: &Fixture, base_url: &str) -> super::fixture::Output {
    let folder = folder(fixture);
    let variables = [("CREATORAUDIT_BASE_URL", base_url)];
    let variables = if base_url.is_empty() { &[][..] } else { &variables[..] };
    fixture.run_with(variables, &["check", "--record", folder.to_str().unwrap()])
}

/// The files by name.
fn files(folder: &Path) -> BTreeMap<String, Value> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let read = |entry: std::fs::DirEntry| {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600, "{entry:?}");
        let text = std::fs::read_to_string(entry.path()).unwrap();
        (entry.file_name().into_string().unwrap(), serde_json::from_str(&text).unwrap())
    };
    entries.map(read).collect()
}

#[test]
fn every_endpoint_has_a_file_with_names_and_types() {
    let fixture = Fixture::new();
    let ran = record(&fixture, "");
    assert_eq!((ran.code, ran.level("record")), (Some(0), "ok"), "{ran:?}");
    let folder = folder(&fixture);
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o700);
    let files = files(&folder);
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "account_videos-metrics.json",
            "account_videos.json",
            "accounts-item.json",
            "accounts-metrics.json",
            "accounts.json",
            "creators-item.json",
            "creators.json",
            "index.json",
            "meta.json",
            "overview.json",
            "videos-item.json",
            "videos-metrics.json",
            "videos.json",
            "whoami.json"
        ]
    );
    let row = &files["videos.json"]["shape"]["members"]["data"]["elements"]["members"];
    assert_eq!(row["saved_count"]["types"], json!(["integer", "null"]));
    assert_eq!(row["platform"]["values"], json!(["instagram", "tiktok"]));
    assert_eq!(row["metadata"], json!({ "types": ["object"] }));
    let metrics = &files["videos-metrics.json"]["shape"]["members"]["data"];
    assert_eq!(metrics["map_values"]["members"]["views"]["types"], json!(["integer"]));
    // Replaces its own files.
    assert_eq!(record(&fixture, "").code, Some(0));
}

#[test]
fn a_file_of_another_program_is_not_overwritten() {
    let fixture = Fixture::new();
    let folder = folder(&fixture);
    std::fs::create_dir(&folder).unwrap();
    let file = folder.join("videos.json");
    std::fs::write(&file, r#"{"mine":1}"#).unwrap();
    let ran = record(&fixture, "");
    assert_eq!((ran.code, ran.level("record")), (Some(74), "failure"), "{ran:?}");
    assert!(ran.stderr.contains("videos.json` is another file; nothing was written"), "{ran:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), r#"{"mine":1}"#);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
}

#[test]
fn without_a_key_nothing_is_recorded_and_a_missing_endpoint_is_in_the_index() {
    let fixture = Fixture::new();
    let folder = folder(&fixture);
    let arguments = ["check", "--record", folder.to_str().unwrap()];
    let ran = fixture.run_with(&[("CREATORAUDIT_API_KEY", "")], &arguments);
    assert_eq!((ran.code, ran.level("record")), (Some(77), "warning"), "{ran:?}");
    assert!(!folder.exists());
    let path = "/account-videos".to_owned();
    fixture.control.switch_off(Switch::Endpoint { method: "*".to_owned(), path, status: 404 });
    assert_eq!(record(&fixture, "").code, Some(0));
    let index = files(&folder).remove("index.json").unwrap();
    let endpoints = index["endpoints"].as_array().unwrap();
    let missing = endpoints.iter().find(|one| one["operation"] == "GET /account-videos").unwrap();
    assert_eq!((&missing["status"], &missing["code"]), (&json!(404), &json!("NOT_FOUND")));
}

/// Puts the marker into every text and into the keys of every map.
#[derive(Debug)]
struct Marked;

impl Hook for Marked {
    fn before(&self, call: &mut Call, _: Moment) -> Option<Answer> {
        call.path = call.path.replace(MARKER, "");
        call.body = String::from_utf8_lossy(&call.body).replace(MARKER, "").into();
        for (_, value) in &mut call.query {
            *value = value.replace(MARKER, "");
        }
        None
    }

    fn after(&self, _: &Call, answer: &mut Answer) {
        let Ok(mut value) = serde_json::from_slice(&answer.body) else { return };
        mark("", &mut value);
        answer.body = serde_json::to_vec(&value).unwrap().into();
    }
}

fn mark(name: &str, value: &mut Value) {
    match value {
        Value::String(text) if name != "next_cursor" => text.insert_str(0, MARKER),
        Value::Array(values) => values.iter_mut().for_each(|value| mark(name, value)),
        Value::Object(members) => {
            members.iter_mut().for_each(|(name, value)| mark(name, value));
            let is_map = ["metadata", "platforms", "platform_data"].contains(&name);
            let keys: Vec<String> = members.keys().cloned().collect();
            for key in keys.iter().filter(|key| is_map || key.contains('-')) {
                let value = members.remove(key).unwrap();
                members.insert(format!("{MARKER}{key}"), value);
            }
            members.insert(format!("{MARKER} of a user"), json!(MARKER));
            if is_map {
                members.insert(format!("{MARKER}_key"), json!(MARKER));
            }
        }
        _ => {}
    }
}

#[test]
fn no_value_and_no_key_of_a_map_is_recorded() {
    let fixture = Fixture::new();
    let server = Server::new(Marked);
    let ran = record(&fixture, &server.sandbox.base_url());
    assert_eq!((ran.code, ran.level("record")), (Some(0), "ok"), "{ran:?}");
    let files = files(&folder(&fixture));
    assert!(files.len() > 10, "{:?}", files.keys());
    for (name, document) in &files {
        assert!(!document.to_string().contains(MARKER), "{name}: {document:#}");
        // Ids and dates have more digits than any name.
        let digits = document.to_string().bytes().filter(u8::is_ascii_digit).count();
        assert!(digits < 20, "{name}: {document:#}");
    }
}

/// Answers with made-up values of recorded shapes.
#[derive(Debug)]
struct Replay(BTreeMap<String, Shape>);

impl Replay {
    fn read(folder: &Path) -> Self {
        let files = files(folder).into_values().filter(|file| file["operation"].is_string());
        let shape = |file: Value| {
            let operation = file["operation"].as_str().unwrap().to_owned();
            (operation, serde_json::from_value(file["shape"].clone()).unwrap())
        };
        Self(files.map(shape).collect())
    }
}

impl Hook for Replay {
    fn before(&self, call: &mut Call, _: Moment) -> Option<Answer> {
        let shape = self.0.get(&format!("{} {}", call.method, call.path))?;
        Some(Answer::json(200, &made_up("", shape, 0)))
    }

    fn after(&self, _: &Call, _: &mut Answer) {}
}

fn made_up(name: &str, shape: &Shape, row: usize) -> Value {
    let value = |row| match shape.types.iter().find(|name| *name != "null").map(String::as_str) {
        Some("object") => {
            let member =
                |(name, shape): (&String, &Shape)| (name.clone(), made_up(name, shape, row));
            Value::Object(shape.members.iter().map(member).collect::<Map<_, _>>())
        }
        Some("array") => {
            let elements = shape.elements.as_deref().unwrap();
            (0..2).map(|row| made_up(name, elements, row)).collect()
        }
        Some("string") => match shape.values.first() {
            Some(value) => json!(value),
            None if name.ends_with("_at") || name.ends_with("_time") => {
                json!("2026-03-04T05:06:07Z")
            }
            None => json!(format!("{name}-{row}")),
        },
        Some("integer") => json!(row + 2),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        _ => Value::Null,
    };
    match name {
        "has_next" => json!(false),
        "next_cursor" => Value::Null,
        "total_count" => json!(2),
        "filters" => json!({}),
        _ => value(row),
    }
}

#[test]
fn answers_of_recorded_shapes_are_mirrored() {
    let fixture = Fixture::new();
    assert_eq!(record(&fixture, "").code, Some(0));
    let server = Server::new(Replay::read(&folder(&fixture)));
    let base_url = server.sandbox.base_url();
    let variables = [("CREATORAUDIT_BASE_URL", base_url.as_str())];
    let ran = fixture.run_with(&variables, &["sync"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let db = Connection::open(fixture.database()).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    for view in ["accounts", "creators", "videos", "account_videos"] {
        assert_eq!(count(&format!("SELECT count(*) FROM {view}")), 2, "{view}");
    }
    assert_eq!(count("SELECT sum(type_mismatches) FROM sync_log"), 0);
    assert_eq!(count("SELECT count(*) FROM video_history WHERE view_count > 0"), 2);
    assert_eq!(count("SELECT count(*) FROM creators WHERE total_followers > 0"), 2);
}
