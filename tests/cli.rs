//! The command line of the real binary: help, usage errors, rejected settings, completions, man pages.

#![expect(clippy::unwrap_used, reason = "tests panic on errors")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Output and exit code of a command.
#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the binary with only HOME and these variables in its environment.
fn run_with(home: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_creatormirror"))
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(arguments: &[&str]) -> Ran {
    run_with(Path::new("/nonexistent"), &[], arguments)
}

/// Runs `check` with this configuration file.
fn run_with_file(text: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    run_with(folder.path(), &[], &["check", "--config", path.to_str().unwrap()])
}

#[test]
fn help_lists_exit_codes_and_commands() {
    for flag in ["-h", "--help"] {
        let ran = run(&[flag]);
        assert_eq!(ran.code, Some(0));
        for code in ["2", "77", "78", "74", "75", "69", "1", "0"] {
            assert!(ran.stdout.contains(&format!("\n  {code:>2}  ")), "{code}: {}", ran.stdout);
        }
        for command in [
            "sync",
            "backfill",
            "track",
            "set",
            "untrack",
            "link",
            "unlink",
            "outbox",
            "status",
            "check",
            "schema",
            "export",
            "verify",
            "backup",
            "restore",
            "report",
            "mcp",
            "sandbox",
            "demo",
            "completions",
            "man",
        ] {
            assert!(ran.stdout.contains(&format!("\n  {command} ")), "{command}: {}", ran.stdout);
        }
    }
}

#[test]
fn version_matches_the_package() {
    let ran = run(&["--version"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stdout.trim(), concat!("creatormirror ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_usage_exits_2() {
    for wrong in [
        &[][..],
        &["fly"],
        &["sync", "--only", "everything"],
        &["sync", "--max-wait", "90"],
        &["sync", "--config", "a", "--instance", "b"],
        &["sync", "--instance", "../b"],
        &["sync", "--quiet", "--log-level", "debug"],
        &["sandbox", "--listen", "0.0.0.0:80"],
        &["sandbox", "--chaos", "2"],
        &["completions", "sh"],
        &["man", "fly"],
    ] {
        let ran = run(wrong);
        assert_eq!(ran.code, Some(2), "{wrong:?}: {ran:?}");
        assert_eq!(ran.stdout, "");
    }
}

#[test]
fn unknown_setting_exits_78_and_names_its_line() {
    let ran = run_with_file("rate_share = 0.5\n\nspeed = 'fast'\n");
    assert_eq!(ran.code, Some(78));
    assert!(ran.stderr.starts_with("creatormirror: "), "{ran:?}");
    assert!(ran.stderr.contains("config.toml:3: unknown setting `speed`\nhint: "), "{ran:?}");
}

#[test]
fn invalid_value_exits_78_and_names_the_expected_type() {
    let ran = run_with_file("max_wait = 300\n");
    assert_eq!(ran.code, Some(78));
    assert!(ran.stderr.contains(":1: `max_wait` is the integer 300, expected"), "{ran:?}");
}

#[test]
fn api_key_in_settings_exits_78_and_is_not_printed() {
    let ran = run_with_file("api_key = 'ca_live_s3cret'\n");
    assert_eq!(ran.code, Some(78));
    assert!(ran.stderr.contains("`api_key` is not allowed here"), "{ran:?}");
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");

    let home = tempfile::tempdir().unwrap();
    let ran = run_with(home.path(), &[("CREATORMIRROR_API_KEY", "ca_live_s3cret")], &["check"]);
    assert_eq!(ran.code, Some(78));
    assert!(ran.stderr.contains("CREATORMIRROR_API_KEY is not supported"), "{ran:?}");
    assert!(!ran.stderr.contains("s3cret"), "{ran:?}");
}

#[test]
fn plain_http_beyond_loopback_exits_78() {
    let home = tempfile::tempdir().unwrap();
    let address = "http://api.creatoraudit.com/v2";
    let by_flag = run_with(home.path(), &[], &["check", "--base-url", address]);
    let by_variable = run_with(home.path(), &[("CREATORAUDIT_BASE_URL", address)], &["check"]);
    for ran in [by_flag, by_variable] {
        assert_eq!(ran.code, Some(78));
        assert!(ran.stderr.contains("which would send the API key unencrypted"), "{ran:?}");
    }
}

#[test]
fn missing_configuration_file_exits_78() {
    for arguments in [["--config", "/nonexistent/c.toml"], ["--instance", "no-such-instance"]] {
        let ran = run(&[&arguments[..], &["check"]].concat());
        assert_eq!(ran.code, Some(78), "{ran:?}");
        assert!(ran.stderr.contains("cannot read the configuration file"), "{ran:?}");
    }
}

#[test]
fn warns_about_an_unknown_variable_unless_quiet() {
    let home = tempfile::tempdir().unwrap();
    let variables = [("CREATORMIRROR_SPEED", "fast")];
    let ran = run_with(home.path(), &variables, &["status"]);
    assert!(ran.stderr.contains("unknown environment variable CREATORMIRROR_SPEED"), "{ran:?}");
    let ran = run_with(home.path(), &[("CREATORMIRROR_RATESHARE", "1")], &["status"]);
    let meant = "CREATORMIRROR_RATESHARE: did you mean CREATORMIRROR_RATE_SHARE?";
    assert!(ran.stderr.contains(meant), "{ran:?}");
    let ran = run_with(home.path(), &variables, &["status"]);
    assert!(!ran.stderr.contains('\x1b'), "no color on a pipe: {ran:?}");
    let ran = run_with(home.path(), &variables, &["status", "--quiet"]);
    assert!(!ran.stderr.contains("CREATORMIRROR_SPEED"), "{ran:?}");
    let ran = run_with(home.path(), &variables, &["status", "--log-format", "json"]);
    let line = ran.stderr.lines().next().unwrap_or_default();
    let event: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(event["level"], "WARN");
}

#[test]
fn completions_exist_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(ran.stdout.contains("creatormirror") && ran.stdout.contains("sandbox"), "{shell}");
        assert_eq!(ran.stderr, "");
    }
}

#[test]
fn man_prints_roff() {
    let ran = run(&["man"]);
    assert_eq!(ran.code, Some(0));
    assert!(ran.stdout.contains(".TH creatormirror 1"), "{}", ran.stdout);
    assert!(ran.stdout.contains("EXIT STATUS") && ran.stdout.contains("\\fB77\\fR"));
    let ran = run(&["man", "sync"]);
    assert!(ran.stdout.contains("accept\\-removals"), "{}", ran.stdout);
}

#[test]
fn closed_stdout_is_not_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_creatormirror"))
        .args(["completions", "bash"])
        .env_clear()
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
