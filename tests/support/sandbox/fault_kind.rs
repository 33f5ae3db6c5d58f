//! Faults that a test can inject into a request.

use std::time::Duration;

use creatormirror::sandbox::Call;

/// A fault of one request.
#[derive(Debug, Clone)]
pub enum FaultKind {
    /// Another status. The request is not executed.
    Status {
        /// The status.
        code: u16,
        /// The body.
        body: FaultBody,
        /// The headers.
        headers: Vec<(String, String)>,
    },
    /// 429 or 503, with or without `Retry-After`. The request is not executed.
    Refuse {
        /// The status.
        code: u16,
        /// The `Retry-After` header.
        retry_after: RetryAfter,
    },
    /// The connection is reset instead of executing the request.
    ResetBefore,
    /// The request is executed, then the connection is reset: the answer is lost.
    ResetAfter,
    /// The request is executed; the connection is closed in the middle of the body.
    Truncated,
    /// The body ends in the middle, and `Content-Length` agrees.
    TruncatedJson,
    /// An HTML page of a proxy, with status 200. The request is not executed.
    Html,
    /// The correct answer, delayed by this real time.
    Slow(Duration),
    /// A page whose `next_cursor` was already used.
    RepeatCursor(Repeat),
    /// A page that claims to be the last. `total_count` stays correct.
    EarlyEnd,
    /// A page of an undocumented shape.
    WrongShape(Shape),
    /// Members of one row of the page are replaced by these JSON texts.
    WrongTypes {
        /// Which row, from 0.
        row: usize,
        /// Name and JSON text.
        members: Vec<(String, String)>,
    },
    /// One row of the page is invalid.
    BadRow {
        /// Which row, from 0.
        row: usize,
        /// The replacement.
        what: BadRow,
    },
    /// The page is correct, but the data change before the next one.
    Mutate(Mutation),
    /// 422 about the cursor. Only for requests with a cursor.
    RefuseCursor,
    /// 304 to any request, conditional or not.
    NotModified,
    /// A wrong answer of a batch endpoint.
    Batch(Batch),
    /// A problem that repeats the `Authorization` header in `detail` and `X-Request-ID`.
    EchoKey(u16),
}

/// The body of a wrong status.
#[derive(Debug, Clone)]
pub enum FaultBody {
    /// The problem document that is usual for the status.
    Problem,
    /// A problem document with this code.
    Code(&'static str),
    /// Any content type and text.
    Raw(&'static str, &'static str),
}

/// The forms of Retry-After.
#[derive(Debug, Clone)]
pub enum RetryAfter {
    /// No header.
    Absent,
    /// Seconds.
    Seconds(u64),
    /// An HTTP-date this long after the server's `Date`.
    Date(Duration),
    /// Any text.
    Raw(String),
}

/// The repeated cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The cursor of this page. Only for requests with a cursor.
    Own,
    /// The first cursor of this listing.
    First,
}

/// Undocumented shapes of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// No `data`.
    NoData,
    /// `data` is an object.
    DataObject,
    /// No `pagination`.
    NoPagination,
    /// `has_next` is a string.
    HasNextText,
    /// `has_next` is true and `next_cursor` null.
    NextWithoutCursor,
    /// The body is a JSON array.
    Array,
    /// The body is empty.
    Empty,
}

/// Invalid rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadRow {
    /// `null`.
    Null,
    /// A row without `id`.
    NoId,
    /// A row whose `id` is an object.
    IdObject,
    /// A text.
    Text,
}

/// Wrong answers of a batch endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// The first n ids are neither in `data` nor in `meta.not_found`.
    Omit(usize),
    /// The first n ids are in `meta.not_found` instead of `data`.
    NotFound(usize),
    /// The answer covers the server's default of 30 days, and says so.
    OtherWindow,
    /// Ids are in upper case.
    Capitals,
    /// The first id has a text for its views and no likes, the second is null.
    WrongTypes,
    /// Ids that were not requested, and unknown members.
    Foreign,
    /// `data` is a list.
    List,
}

/// A change between two pages. Positions are those in the current listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// New rows appear, sorted by their current `added_at`, name or `create_time`.
    Insert(usize),
    /// The first rows of the page just served are deleted.
    DeleteServed(usize),
    /// The last row of the page just served, to which the cursor points, is deleted.
    DeleteBorder,
    /// The first rows of the next page are deleted.
    DeleteAhead(usize),
    /// The first row of the next page moves to an earlier page, and is missed.
    MoveBack,
    /// The first row of the page just served moves to the last page, and is seen twice.
    MoveAhead,
}

impl FaultKind {
    /// A status with its usual problem document.
    pub fn status(code: u16) -> Self {
        Self::Status { code, body: FaultBody::Problem, headers: Vec::new() }
    }

    /// The name in the log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Status { .. } => "status",
            Self::Refuse { .. } => "refuse",
            Self::ResetBefore => "reset_before",
            Self::ResetAfter => "reset_after",
            Self::Truncated => "truncated",
            Self::TruncatedJson => "truncated_json",
            Self::Html => "html",
            Self::Slow(_) => "slow",
            Self::RepeatCursor(_) => "repeat_cursor",
            Self::EarlyEnd => "early_end",
            Self::WrongShape(_) => "wrong_shape",
            Self::WrongTypes { .. } => "wrong_types",
            Self::BadRow { .. } => "bad_row",
            Self::Mutate(_) => "mutate",
            Self::RefuseCursor => "refuse_cursor",
            Self::NotModified => "not_modified",
            Self::EchoKey(_) => "echo_key",
            Self::Batch(_) => "batch",
        }
    }

    /// Whether the fault applies to this request.
    pub fn can_strike(&self, call: &Call) -> bool {
        match self {
            Self::RefuseCursor | Self::RepeatCursor(Repeat::Own) => call.param("cursor").is_some(),
            _ => true,
        }
    }
}
