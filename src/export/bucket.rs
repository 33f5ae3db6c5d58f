//! Export to a bucket of S3 or an S3-compatible service. Files are staged in a local folder ([`StagingFolder`]), so that the
//! read transaction does not last as long as the upload, and then uploaded. An upload replaces an object atomically.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload, RetryConfig, WriteMultipart};
use tokio::runtime::Runtime;

use crate::export::destination::{Changes, Destination, StagedFile};
use crate::export::error::{ExportError, at};
use crate::export::manifest::NAME;
use crate::export::staging_folder::StagingFolder;

/// Scheme of an S3 address.
const S3: &str = "s3://";

/// Size of a part of a multipart upload, bytes. S3 allows 10,000 parts.
const PART_BYTES: usize = 8 << 20;

/// Maximum number of concurrent part uploads.
const PARTS_MAX: usize = 3;

/// Bounds of the retries of one request.
const RETRY_TIME_MAX: Duration = Duration::from_secs(60);
const RETRIES_MAX: usize = 5;

/// Prefix of the environment variables that configure S3.
pub const VARIABLES: &str = "AWS_";

/// An export below a prefix in a bucket.
pub struct Bucket {
    address: String,
    prefix: String,
    store: Arc<AmazonS3>,
    recorded: Option<Vec<u8>>,
    lengths: BTreeMap<String, u64>,
    staging: StagingFolder,
    runtime: Runtime,
}

impl Bucket {
    /// Whether the address is a URL rather than a folder.
    pub fn is_address(address: &str) -> bool {
        address.contains("://")
    }

    /// Reads the manifest and lists the objects. `variables` are `AWS_ACCESS_KEY_ID` and the other usual ones; unknown
    /// variables are ignored.
    pub fn open(
        address: &str,
        variables: impl IntoIterator<Item = (String, String)>,
        staging: StagingFolder,
        runtime: Runtime,
    ) -> Result<Self, ExportError> {
        let invalid = |reason: String| ExportError::Address { address: address.to_owned(), reason };
        let Some(path) = address.strip_prefix(S3) else {
            return Err(invalid("use a folder or s3://".to_owned()));
        };
        let (name, prefix) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() {
            return Err(invalid("the bucket's name is missing".to_owned()));
        }
        // Fails if a provider is already installed, which then is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let retry = RetryConfig {
            max_retries: RETRIES_MAX,
            retry_timeout: RETRY_TIME_MAX,
            ..RetryConfig::default()
        };
        let mut builder = AmazonS3Builder::new().with_retry(retry);
        for (name, value) in variables {
            if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
                builder = builder.with_config(key, value);
            }
        }
        let store = builder.with_bucket_name(name).build();
        let store = store.map_err(|error| invalid(error.to_string()))?;
        let mut bucket = Self {
            address: address.trim_end_matches('/').to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            store: Arc::new(store),
            recorded: None,
            lengths: BTreeMap::new(),
            staging,
            runtime,
        };
        (bucket.recorded, bucket.lengths) = bucket.runtime.block_on(bucket.read_existing())?;
        Ok(bucket)
    }

    /// Reads the manifest, and the lengths of all objects.
    async fn read_existing(&self) -> Result<(Option<Vec<u8>>, BTreeMap<String, u64>), ExportError> {
        let failed = |error| self.failed(NAME, error);
        let recorded = match self.store.get(&self.key(NAME)).await {
            Ok(found) => Some(found.bytes().await.map_err(failed)?.to_vec()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(failed(error)),
        };
        let prefix = match self.prefix.as_str() {
            "" => String::new(),
            prefix => format!("{prefix}/"),
        };
        let (mut lengths, mut page_token) = (BTreeMap::new(), None);
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page = self.store.list_paginated(Some(&prefix), options).await;
            let page = page.map_err(|error| self.failed("", error))?;
            for object in page.result.objects {
                if let Some(path) = object.location.as_ref().strip_prefix(&prefix) {
                    lengths.insert(path.to_owned(), object.size);
                }
            }
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok((recorded, lengths));
            }
        }
    }

    async fn publish_all(&self, changes: Changes) -> Result<(), ExportError> {
        self.put_bytes(NAME, changes.before.into()).await?;
        for file in &changes.files {
            self.upload(file).await?;
        }
        for path in changes.removed.iter().filter(|path| self.lengths.contains_key(*path)) {
            let removed = self.store.delete(&self.key(path)).await;
            removed.map_err(|error| self.failed(path, error))?;
        }
        self.put_bytes(NAME, changes.after.into()).await
    }

    async fn upload(&self, staged: &StagedFile) -> Result<(), ExportError> {
        let file = std::fs::File::open(&staged.staged).map_err(at(&staged.staged))?;
        self.upload_from(file, staged).await
    }

    async fn upload_from(
        &self,
        mut file: impl Read,
        staged: &StagedFile,
    ) -> Result<(), ExportError> {
        let failed = |error| self.failed(&staged.path, error);
        let mut read_part = || -> Result<Bytes, ExportError> {
            let mut bytes = Vec::new();
            let read = (&mut file).take(PART_BYTES as u64).read_to_end(&mut bytes);
            read.map_err(at(&staged.staged))?;
            Ok(bytes.into())
        };
        let mut part = read_part()?;
        if part.len() < PART_BYTES {
            return self.put_bytes(&staged.path, part).await;
        }
        let upload = self.store.put_multipart(&self.key(&staged.path)).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
        let sent: Result<(), ExportError> = async {
            while !part.is_empty() {
                upload.wait_for_capacity(PARTS_MAX).await.map_err(failed)?;
                upload.put(part);
                part = read_part()?;
            }
            Ok(())
        }
        .await;
        if let Err(error) = sent {
            // Parts that are not removed cost money.
            let _ = upload.abort().await;
            return Err(error);
        }
        // Aborts the upload on failure.
        upload.finish().await.map_err(failed)?;
        Ok(())
    }

    async fn put_bytes(&self, path: &str, bytes: Bytes) -> Result<(), ExportError> {
        let put = self.store.put(&self.key(path), PutPayload::from_bytes(bytes)).await;
        put.map_err(|error| self.failed(path, error))?;
        Ok(())
    }

    fn key(&self, path: &str) -> Key {
        match self.prefix.as_str() {
            "" => Key::from(path),
            prefix => Key::from(format!("{prefix}/{path}")),
        }
    }

    fn failed(&self, path: &str, source: object_store::Error) -> ExportError {
        let address = format!("{}/{path}", self.address);
        ExportError::Bucket { address, source }
    }
}

impl Destination for Bucket {
    fn recorded(&self) -> Option<&[u8]> {
        self.recorded.as_deref()
    }

    fn length(&self, path: &str) -> Option<u64> {
        self.lengths.get(path).copied()
    }

    fn staging(&self) -> &Path {
        self.staging.path()
    }

    fn publish(&self, changes: Changes) -> Result<(), ExportError> {
        self.runtime.block_on(self.publish_all(changes))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::TcpListener;
    use std::sync::{Mutex, PoisonError};

    use axum::Router;
    use axum::extract::{Request, State};
    use axum::http::{StatusCode, header};
    use axum::response::{IntoResponse, Response};

    use super::*;

    type RequestLog = Arc<Mutex<Vec<String>>>;

    /// An empty bucket that accepts all uploads, and logs methods and queries.
    async fn answer(State(log): State<RequestLog>, request: Request) -> Response {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let method = request.method().to_string();
        log.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{method} {query}"));
        let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
        match method.as_str() {
            "GET" if query.contains("list-type") => "<ListBucketResult/>".into_response(),
            "GET" => StatusCode::NOT_FOUND.into_response(),
            "POST" => "<InitiateMultipartUploadResult><UploadId>u</UploadId>\
                       </InitiateMultipartUploadResult>"
                .into_response(),
            "DELETE" => StatusCode::NO_CONTENT.into_response(),
            _ => [(header::ETAG, "\"e\"")].into_response(),
        }
    }

    fn serve(log: RequestLog) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            Runtime::new().unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let app = Router::new().fallback(answer).with_state(log);
                axum::serve(listener, app).await
            })
        });
        format!("http://{address}")
    }

    /// A reader that fails, as a defective disk does.
    struct FailingReader;

    impl Read for FailingReader {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("input/output error"))
        }
    }

    #[test]
    fn read_error_aborts_the_multipart_upload() {
        let log = RequestLog::default();
        let folder = tempfile::tempdir().unwrap();
        let variables = [
            ("AWS_ENDPOINT_URL", serve(Arc::clone(&log))),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_ACCESS_KEY_ID", "id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let staging = StagingFolder::create(&folder.path().join("m.db"), folder.path()).unwrap();
        let bucket = Bucket::open("s3://b/x", variables, staging, Runtime::new().unwrap()).unwrap();
        let source = io::repeat(b'x').take(PART_BYTES as u64 * 2 + 1).chain(FailingReader);
        let staged = StagedFile { path: "a.csv".to_owned(), staged: bucket.staging().join("1") };
        let failed = bucket.runtime.block_on(bucket.upload_from(source, &staged)).unwrap_err();
        assert!(matches!(failed, ExportError::Io { .. }), "{failed}");
        let log = log.lock().unwrap();
        assert!(log.iter().any(|request| request.starts_with("POST uploads")), "{log:?}");
        assert!(log.iter().any(|request| request == "DELETE uploadId=u"), "{log:?}");
    }
}
