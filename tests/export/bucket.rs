//! Exports to an S3 server that checks signatures.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use tempfile::TempDir;

use super::support::{Run, TestBed, tools};
use super::{export, files, mirror};

const KEY_ID: &str = "AKIAEXPORTTEST";
const SECRET: &str = "a/secret+that/nobody+may/see";

/// An S3 server that stores buckets as folders.
struct Server {
    child: Child,
    root: TempDir,
    address: String,
}

impl Server {
    /// Starts a server with an empty bucket; `None` if the program is not installed.
    fn start() -> Option<Self> {
        let program = tools::tool("s3s-fs")?;
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("warehouse")).unwrap();
        let mut child = Command::new(program)
            .args(["--host", "127.0.0.1", "--port", "0"])
            .args(["--access-key", KEY_ID, "--secret-key", SECRET])
            .arg(root.path())
            .env("RUST_LOG", "info")
            .env("NO_COLOR", "1")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.contains("http://")));
        let line = line.unwrap().unwrap();
        let address = &line[line.find("http://").unwrap()..];
        let address = address.split_whitespace().next().unwrap().trim_end_matches('/').to_owned();
        // Keep reading, or the server blocks on its output.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { child, root, address })
    }

    fn bucket(&self) -> PathBuf {
        self.root.path().join("warehouse")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs an export to a bucket.
fn upload(bed: &TestBed, endpoint: &str, secret: &str, out: &str, more: &[&str]) -> Run {
    let arguments = [&["export", "--format", "parquet", "--out", out], more].concat();
    let mut command = bed.command(&arguments);
    command
        .env("AWS_ENDPOINT_URL", endpoint)
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("RUST_LOG", "trace");
    bed.start(command).wait()
}

fn manifest(root: &Path) -> Value {
    serde_json::from_reader(File::open(root.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn bucket_holds_the_same_files_as_a_folder() {
    let Some(server) = Server::start() else { return };
    let (bed, local) = mirror();
    let out = "s3://warehouse/some/where/";
    let run = upload(&bed, &server.address, SECRET, out, &[]).expect(0);
    assert!(!run.stderr.contains(SECRET) && !run.stderr.contains(KEY_ID), "a secret was printed");
    export(&bed, "parquet", local.path(), &[]);
    let root = server.bucket().join("some/where");
    let names = |root: &Path| files(root).into_keys().collect::<Vec<_>>();
    assert_eq!(names(&root), names(local.path()));
    let months = |root: &Path| manifest(root)["tables"]["video_growth"]["periods"].clone();
    assert_eq!(months(&root), months(local.path()));
    // Again: one month is changed, one is deleted, the others are not uploaded.
    bed.db_to_write()
        .execute_batch(
            "UPDATE post_scrape SET view_count = 5 WHERE source = 3 AND at_s >= unixepoch('2024-03-01');
             DELETE FROM account_scrape WHERE at_s < unixepoch('2024-02-01')",
        )
        .unwrap();
    let before = files(&root);
    upload(&bed, &server.address, SECRET, out, &[]).expect(0);
    let after = files(&root);
    let is_changed = |name: &&String| before.get(*name) != after.get(*name);
    let by_month = before.keys().filter(|name| name.contains("month="));
    let changed: Vec<&String> = by_month.filter(is_changed).collect();
    let month = |table: &str, month: &str| format!("{table}/month={month}/part-0.parquet");
    let expected = [
        month("account_history", "2024-01"),
        month("post_history", "2024-03"),
        month("video_daily", "2024-03"),
        month("video_growth", "2024-03"),
        month("video_history", "2024-03"),
    ];
    assert_eq!(changed, expected.iter().collect::<Vec<_>>());
    assert!(!after.contains_key(&expected[0]));
}

#[test]
fn uploads_large_files_in_parts() {
    let Some(server) = Server::start() else { return };
    let (bed, _) = mirror();
    // Incompressible text, longer than a part.
    bed.db_to_write()
        .execute_batch("UPDATE video SET description = hex(randomblob(180000)) WHERE row_id < 60")
        .unwrap();
    upload(&bed, &server.address, SECRET, "s3://warehouse", &["videos"]).expect(0);
    let path = server.bucket().join("videos/part-0.parquet");
    let bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 9 << 20, "{} bytes are one part", bytes.len());
    assert_eq!(manifest(&server.bucket())["tables"]["videos"]["files"][0]["bytes"], bytes.len());
    // The parts are in order if the file can be read.
    let reader = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    let mut characters = 0;
    for row in reader.get_row_iter(None).unwrap() {
        for (name, field) in row.unwrap().get_column_iter() {
            match field {
                Field::Str(text) if name == "description" => characters += text.chars().count(),
                _ => {}
            }
        }
    }
    let held = bed.number("SELECT sum(length(description)) FROM videos");
    assert_eq!(i64::try_from(characters).unwrap(), held);
}

#[test]
fn bucket_errors_do_not_print_secrets() {
    let Some(server) = Server::start() else { return };
    let (bed, _) = mirror();
    let wrong = "another/secret+that/nobody+sees";
    let run = upload(&bed, &server.address, wrong, "s3://warehouse/x", &["videos"]).expect(74);
    assert!(!run.stderr.contains(wrong) && !run.stderr.contains(SECRET), "{run:#?}");
    let run = upload(&bed, &server.address, SECRET, "s3://nowhere/x", &["videos"]).expect(74);
    run.says("s3://nowhere/x");
    assert_eq!(files(&server.bucket()).len(), 0);
    // A foreign object at the target path.
    std::fs::create_dir_all(server.bucket().join("x/videos")).unwrap();
    let mine = server.bucket().join("x/videos/part-0.parquet");
    File::create(&mine).unwrap().write_all(b"mine").unwrap();
    let run = upload(&bed, &server.address, SECRET, "s3://warehouse/x", &["videos"]).expect(2);
    run.says("already exists");
    assert_eq!(std::fs::read(&mine).unwrap(), b"mine");
}

#[test]
fn rejects_unsupported_addresses() {
    let (bed, _) = mirror();
    for out in ["gs://bucket/x", "s3://", "https://bucket/x"] {
        upload(&bed, "http://127.0.0.1:1", SECRET, out, &["videos"]).expect(78).says(out);
    }
}

#[test]
fn unreachable_server_exits_74() {
    let (bed, _) = mirror();
    // A port that was just released.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let run = upload(&bed, &endpoint, SECRET, "s3://warehouse/x", &["videos"]).expect(74);
    assert!(!run.stderr.contains(SECRET), "{run:#?}");
}
