//! `check --record DIR`: writes the shape of one answer per endpoint, one file each and an index.

use std::fs::DirBuilder;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use chrono::NaiveDate;
use serde_json::{Value, json};

use crate::api::Request;
use crate::cli::check::probe::{Probe, ProbeError};
use crate::cli::errors;
use crate::contract::document;
use crate::contract::shape::{Data, Shape};
use crate::contract::used::VALUES;
use crate::fetch::query;
use crate::model::{Kind, SubjectKind};
use crate::report::check::Check;
use crate::report::{CliError, Exit};
use crate::store::metrics::Subject;
use crate::sync::{daily_metrics, documents, identify};

/// Name of the check.
const NAME: &str = "record";
/// Why checks that send requests with the key are skipped.
pub const NEEDS_KEY: &str = "needs an accepted key";
/// `format` of every file, by which they are recognized.
const FORMAT: &str = "creatormirror shape 1";
/// Name of the index.
const INDEX: &str = "index.json";
/// Rows of a list that are looked at.
const ROWS: u32 = 50;
/// Longest file that is looked at before it is replaced, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// What is written about an endpoint.
struct Recorded {
    /// Its entry in the index: its file, or why there is none.
    entry: Value,
    /// Name and content of its file.
    file: Option<(String, Value)>,
}

/// An endpoint and the request that is sent to it.
struct Endpoint {
    /// Name of the file, without its extension.
    name: String,
    /// Method and path, with `{}` for ids.
    operation: String,
    request: Request,
    data: Data,
}

/// Writes the shapes of the API's answers to a folder. `day` is a day with metrics.
pub async fn check(probe: &mut Probe<'_>, day: NaiveDate, folder: &Path) -> Check {
    write(folder, read(probe, day).await)
}

/// The check without an accepted key.
pub fn skipped() -> Check {
    Check::skipped(NAME, NEEDS_KEY)
}

/// Requests an answer of each endpoint that only reads.
async fn read(probe: &mut Probe<'_>, day: NaiveDate) -> Vec<Recorded> {
    let mut found = Vec::new();
    for endpoint in documents() {
        record(probe, endpoint, &mut found).await;
    }
    for kind in Kind::LISTS {
        let sent = query::with_limit(&query::parameters(kind, &Default::default()), ROWS);
        let (name, operation) = (kind.plural().to_owned(), query::endpoint(kind));
        let request = query::page(kind, &sent, None);
        let list = Endpoint { name, operation, request, data: Data::Resources };
        let page = record(probe, list, &mut found).await.unwrap_or_default();
        for endpoint in of_row(kind, &page["data"][0], day) {
            record(probe, endpoint, &mut found).await;
        }
    }
    found
}

/// The endpoints that are not lists.
fn documents() -> [Endpoint; 3] {
    [
        ("meta", Request::get(Kind::Meta.path()).without_key()),
        ("whoami", identify::request()),
        ("overview", documents::overview_request()),
    ]
    .map(|(name, request)| Endpoint {
        name: name.to_owned(),
        operation: format!("GET {}", request.path),
        request,
        data: Data::Resources,
    })
}

/// The endpoints that take the id of a row: the resource, and its metrics on a day.
fn of_row(kind: Kind, row: &Value, day: NaiveDate) -> Vec<Endpoint> {
    let id = match &row["id"] {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return Vec::new(),
    };
    let mut found = Vec::new();
    if kind != Kind::AccountVideo {
        found.push(Endpoint {
            name: format!("{}-item", kind.plural()),
            operation: format!("GET {}/{{}}", kind.path()),
            request: Request::get(kind.path()).segment(&id),
            data: Data::Resources,
        });
    }
    let is_of_row = |subject_kind: &SubjectKind| {
        subject_kind.kind() == kind
            && subject_kind.platform().is_none_or(|platform| row["platform"] == platform)
    };
    if let Some(subject_kind) = SubjectKind::ALL.into_iter().find(is_of_row) {
        let subject = Subject { row_id: 0, id, is_again: false };
        found.push(Endpoint {
            name: format!("{}-metrics", kind.plural()),
            operation: daily_metrics::endpoint(subject_kind),
            request: daily_metrics::request(subject_kind, &day.to_string(), &[subject]),
            data: Data::ById,
        });
    }
    found
}

/// Sends a request and adds its result. Returns the answer.
async fn record(
    probe: &mut Probe<'_>,
    endpoint: Endpoint,
    found: &mut Vec<Recorded>,
) -> Option<Value> {
    let Endpoint { name, operation, request, data } = endpoint;
    let missing = |status: Option<u16>, code: Option<&str>, reason: &str| -> Value {
        json!({ "operation": operation, "status": status, "code": code, "reason": reason })
    };
    let answer = match probe.answer(&request).await {
        Ok(answer) => document::parse(&answer.body)
            .map_err(|_| missing(Some(answer.head.status), None, "not JSON, or too large")),
        Err(ProbeError::NotSent(_)) => Err(missing(None, None, "not sent")),
        Err(ProbeError::Failed(failure)) => {
            let code = failure.code.as_deref().filter(|code| is_documented(code));
            Err(missing(failure.status, code, failure.verdict.name()))
        }
    };
    let (entry, file) = match &answer {
        Ok(answer) => {
            let parameters: Vec<&String> = request.query.iter().map(|(name, _)| name).collect();
            let document = json!({
                "format": FORMAT,
                "operation": operation,
                "parameters": parameters,
                "shape": Shape::of(answer, data),
            });
            let file = format!("{name}.json");
            (json!({ "operation": operation, "file": file }), Some((file, document)))
        }
        Err(entry) => (entry.clone(), None),
    };
    found.push(Recorded { entry, file });
    answer.ok()
}

fn is_documented(code: &str) -> bool {
    VALUES.iter().any(|(name, values)| *name == "code" && values.contains(&code))
}

/// Writes the files, and reports how many.
fn write(folder: &Path, recorded: Vec<Recorded>) -> Check {
    match try_write(folder, recorded) {
        Ok(0) => Check::warning(NAME, "nothing written: no endpoint answered"),
        Ok(shapes) => {
            let text = format!("{shapes} shapes written to {}", folder.display());
            Check::ok(NAME, text)
        }
        Err(error) => Check::failure(NAME, error),
    }
}

fn try_write(folder: &Path, recorded: Vec<Recorded>) -> Result<usize, CliError> {
    let (entries, files): (Vec<_>, Vec<_>) =
        recorded.into_iter().map(|one| (one.entry, one.file)).unzip();
    let index = json!({
        "format": FORMAT,
        "version": env!("CARGO_PKG_VERSION"),
        "endpoints": entries,
    });
    let mut files: Vec<_> = files.into_iter().flatten().collect();
    if files.is_empty() {
        return Ok(0);
    }
    files.insert(0, (INDEX.to_owned(), index));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| errors::write_error(folder, &error))?;
    let paths: Vec<_> = files.iter().map(|(name, _)| folder.join(name)).collect();
    if let Some(foreign) = paths.iter().find(|path| is_foreign(path)) {
        let message = format!("`{}` is another file; nothing was written", foreign.display());
        let error = CliError::new(Exit::Storage, message);
        return Err(error.hint("name another folder with `--record`"));
    }
    for (path, (_, document)) in paths.iter().zip(&files) {
        replace(folder, path, document).map_err(|error| errors::write_error(path, &error))?;
    }
    Ok(files.len() - 1)
}

/// Writes a file atomically, with mode 0600.
fn replace(folder: &Path, path: &Path, document: &Value) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".shape-").tempfile_in(folder)?;
    writeln!(file, "{document:#}")?;
    file.persist(path)?;
    Ok(())
}

/// Whether something is there that was not written by this command.
fn is_foreign(path: &Path) -> bool {
    let Ok(found) = std::fs::symlink_metadata(path) else { return false };
    if !found.is_file() || found.len() > FILE_BYTES_MAX {
        return true;
    }
    let document = std::fs::read(path).ok().and_then(|json| document::parse(&json).ok());
    document.is_none_or(|document| document["format"] != FORMAT)
}
