//! README's first sync, as a user pastes it: in a shell, with no more than `PATH` and `HOME`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::support::{BINARY, KEY, TestBed, copy_program, unlimited};

/// The address of `creatormirror sandbox` without flags.
const ADDRESS: &str = "http://127.0.0.1:8787/v2";

/// The shell blocks of a section of README.
fn blocks(section: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, text) = text.split_once(&format!("\n## {section}\n")).unwrap();
    let text = text.split("\n## ").next().unwrap();
    let blocks = text.split("```sh\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().to_owned()).collect()
}

fn run(command: &mut Command, input: &str) -> Output {
    let output = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = output.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(output.status.success(), "{:?}\n{out}\n{err}", output.status);
    format!("{out}{err}")
}

#[test]
fn first_sync_of_readme_works_as_pasted() {
    let bed = TestBed::live(unlimited());
    let (home, programs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    symlink(BINARY, programs.path().join("creatormirror")).unwrap();
    // Keeps what would be installed.
    let script = home.path().join("crontab");
    fs::write(&script, "#!/bin/sh\n[ \"$1\" = -l ] || cat >installed\n").unwrap();
    copy_program(&script, &programs.path().join("crontab"));
    let pasted = |script: &str, input: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-euc", script]).current_dir(home.path()).env_clear().env("HOME", home.path());
        shell.env("PATH", format!("{}:/usr/bin:/bin", programs.path().display()));
        // The second block leaves this variable out, and would send to the real API.
        shell.env("CREATORAUDIT_BASE_URL", &bed.base_url);
        text(&run(&mut shell, input))
    };

    let blocks = blocks("First sync");
    let [sandbox, real, cron] = <[String; 3]>::try_from(blocks).unwrap();
    let (start, sandbox) = sandbox.split_once('\n').unwrap();
    assert!(start.starts_with("creatormirror sandbox &"), "{start}");
    assert!(
        text(&run(Command::new(BINARY).args(["sandbox", "--help"]), "")).contains("127.0.0.1:8787")
    );
    assert!(sandbox.contains(ADDRESS), "{sandbox}");
    let said = pasted(&sandbox.replace(ADDRESS, &bed.base_url), "");
    assert!(said.contains("try.db does not exist yet") && said.contains("complete"), "{said}");
    assert!(!said.contains("WARN"), "{said}");

    let real = real.replace("CREATORAUDIT_BASE_URL ", "");
    pasted(&real, &format!("{KEY}\n"));
    assert!(home.path().join("mirror.db").is_file());

    pasted(&cron, "");
    let line = fs::read_to_string(home.path().join("installed")).unwrap();
    let command = line.splitn(6, ' ').nth(5).unwrap();
    let before = bed.log().len();
    let mut cron = Command::new("sh");
    cron.args(["-c", command]).current_dir("/").env_clear().env("PATH", "/usr/bin:/bin");
    cron.env("CREATORAUDIT_BASE_URL", &bed.base_url);
    assert_eq!(text(&run(&mut cron, "")), "", "cron would send a mail");
    assert!(bed.log().len() > before, "no request was sent");
}
