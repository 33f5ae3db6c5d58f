//! The files in `deploy` agree with the program: settings, hardening, metrics.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use creatormirror::config::{Config, Environment, Flags, Setting};

/// The highest exposure of a unit, in tenths of the points of `systemd-analyze security`.
const EXPOSURE_TENTHS_MAX: &str = "15";

/// Marks the directives of a unit that need an explanation.
const HARDENING: &str = "# --- hardening";

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(deploy().join(name)).unwrap()
}

fn services() -> Vec<String> {
    let names = deploy().read_dir().unwrap().map(|entry| entry.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap());
    let mut services: Vec<_> = names.filter(|name| name.ends_with(".service")).collect();
    services.sort();
    assert_eq!(services.len(), 6);
    services
}

fn load(text: &str) -> Config {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let flags = Flags { config: Some(path), ..Flags::default() };
    Config::load(&flags, &Environment::new([("HOME", "/home/a")])).unwrap()
}

#[test]
fn packaged_config_lists_every_setting_with_its_default() {
    let text = read("config.toml");
    let config = load(&text);
    assert_eq!(config.database, Path::new("/var/lib/creatormirror/creatormirror.db"));
    assert!(config.key().unwrap_err().to_string().contains("/api_key"));
    for setting in Setting::ALL {
        let name = setting.name();
        let lines: Vec<_> = text
            .lines()
            .filter(|line| line.trim_start_matches("# ").starts_with(&format!("{name} = ")))
            .collect();
        assert_eq!(lines.len(), 1, "{name}: {lines:?}");
        if let Some(default) = setting.default_text() {
            let shown = lines[0].split(" = ").nth(1).unwrap().trim_matches('"');
            assert_eq!((shown, lines[0].starts_with('#')), (default, true), "{name}");
        }
    }
}

#[test]
fn documentation_names_the_oldest_sqlite_that_reads_the_file() {
    let root = deploy().join("..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    for name in ["README.md", "deploy/queries/README.md"] {
        assert!(read(name).contains("SQLite 3.37 or later"), "{name}");
    }
    assert!(read("deploy/queries/README.md").contains("\"STRICT\": syntax error"));
    // Features of SQLite 3.38 and later.
    for name in ["migrations/V1__tables.sql", "migrations/V2__views.sql"] {
        let sql = read(name).to_lowercase();
        let code: Vec<_> = sql.lines().map(|line| line.split("--").next().unwrap()).collect();
        for newer in [
            "->",
            "unixepoch(",
            "format(",
            "full join",
            "right join",
            "distinct from",
            "octet_length",
            "concat(",
            "string_agg",
            "timediff",
            "'subsec",
            "jsonb",
            "unhex(",
        ] {
            let found = code.iter().find(|line| line.contains(newer));
            assert!(found.is_none(), "{name}: {newer}: {found:?}");
        }
    }
}

#[test]
fn change_log_has_an_entry_for_this_version() {
    let numbers = |version: &str| -> Vec<u32> {
        version.split('.').map(|number| number.parse().unwrap()).collect()
    };
    let text = read("debian/changelog");
    let first = text.strip_prefix("creatormirror (").unwrap().split(')').next().unwrap();
    // The entry of a release is written before its version is raised.
    assert!(numbers(first) >= numbers(env!("CARGO_PKG_VERSION")), "{first}");
}

#[test]
fn packaged_settings_can_be_uncommented() {
    let names = Setting::ALL.map(Setting::name);
    let is_setting = |line: &str| names.iter().any(|name| line.starts_with(&format!("{name} = ")));
    let text = read("config.toml");
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(bare) if is_setting(bare) && !bare.starts_with("ca_file") => bare,
        _ => line,
    });
    let config = load(&lines.collect::<Vec<_>>().join("\n"));
    assert_eq!(config.listen, None);
}

#[test]
fn units_that_call_the_api_limit_memory() {
    for name in services().iter().filter(|name| !name.contains("-key")) {
        assert!(read(name).contains("\nMemoryMax=256M\n"), "{name}");
    }
}

#[test]
fn every_hardening_directive_is_explained() {
    for name in services() {
        let text = read(&name);
        let (_, hardening) = text.split_once(HARDENING).unwrap();
        let lines = hardening.lines().skip(1).take_while(|line| *line != "[Install]");
        let mut is_explained = false;
        for line in lines {
            match line {
                "" => is_explained = false,
                _ if line.starts_with("# ") => is_explained = true,
                _ => assert!(is_explained, "{name}: {line}"),
            }
        }
    }
}

#[test]
fn services_with_a_key_share_their_hardening() {
    let hardening = |name: &str| {
        let text = read(name);
        let (_, hardening) = text.split_once(HARDENING).unwrap();
        hardening.split("\n[Install]").next().unwrap().trim_end().to_owned()
    };
    let one = hardening("creatormirror.service");
    assert!(one.lines().count() > 50);
    for other in
        ["creatormirror@.service", "creatormirror-sync.service", "creatormirror-sync@.service"]
    {
        assert_eq!(hardening(other), one, "{other}");
    }
    assert_eq!(hardening("creatormirror-key@.service"), hardening("creatormirror-key.service"));
}

/// The directives of a unit, without comments.
fn directives(name: &str) -> Vec<String> {
    let text = read(name);
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn template_units_differ_only_in_the_instance_name() {
    for unit in ["creatormirror.service", "creatormirror-sync.service", "creatormirror-sync.timer"]
    {
        let of_one = directives(unit);
        let of_many = directives(&unit.replace('.', "@."));
        assert_eq!(of_one.len(), of_many.len(), "{unit}");
        for (one, many) in of_one.iter().zip(&of_many).filter(|(one, many)| one != many) {
            let plain = many
                .replace(" --instance %i", "")
                .replace("/%i", "")
                .replace("the CreatorAudit organization %i", "a CreatorAudit organization")
                .replace("@%i", "");
            assert_eq!(*one, plain, "{unit}");
        }
    }
}

#[test]
fn unit_exposure_is_within_the_limit() {
    for name in services() {
        let ended = Command::new("systemd-analyze")
            .args(["security", "--offline=true", "--no-pager", "--threshold", EXPOSURE_TENTHS_MAX])
            .arg(deploy().join(&name))
            .output();
        // systemd-analyze is optional for development; packaging has it.
        let Ok(ended) = ended else { return };
        assert!(ended.status.success(), "{name}: {}", String::from_utf8_lossy(&ended.stdout));
    }
}

#[test]
fn dashboard_shows_every_metric_with_an_alert() {
    let dashboard = read("grafana.json");
    serde_json::from_str::<serde_json::Value>(&dashboard).unwrap();
    let shown = metrics(&dashboard);
    assert!(shown.len() > 12, "{shown:?}");
    // The dashboard must show failed and waiting writes.
    for metric in ["creatormirror_outbox", "creatormirror_outbox_oldest_seconds"] {
        assert!(shown.contains(metric), "{metric} in {shown:?}");
    }
    let alerts_text = read("prometheus-alerts.yml");
    for state in ["failed", "unsure"] {
        assert!(
            alerts_text.contains(&format!("creatormirror_outbox{{state=\"{state}\"}}")),
            "{state}"
        );
    }
    // Each metric with an alert is on the dashboard.
    let alerts = metrics(&read("prometheus-alerts.yml"));
    assert!(alerts.len() > 8, "{alerts:?}");
    let unseen: Vec<_> = alerts.difference(&shown).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}

/// The names of our metrics in a text, without the suffixes of histograms.
fn metrics(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("creatormirror_"));
    let ends = ["_bucket", "_count", "_sum"];
    let base = |name: &str| {
        let end = ends.into_iter().find(|end| name.ends_with(end));
        name.strip_suffix(end.unwrap_or_default()).unwrap_or(name).to_owned()
    };
    names.map(base).collect()
}
