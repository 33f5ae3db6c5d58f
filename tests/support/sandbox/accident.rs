//! Everything that can go wrong with a request, as a test names it.

use std::time::Duration;

use creatormirror::sandbox::Call;

/// What goes wrong.
#[derive(Debug, Clone)]
pub enum Accident {
    /// Another status than the right one. The request is not executed.
    Status {
        /// The status.
        code: u16,
        /// What comes with it.
        body: FaultBody,
        /// Headers that come with it.
        headers: Vec<(String, String)>,
    },
    /// 429 or 503, with or without a wish how long to wait. The request is not executed.
    Refuse {
        /// The status.
        code: u16,
        /// The header Retry-After.
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
    /// A page of some proxy, with status 200. The request is not executed.
    Html,
    /// The right answer, this much later in real time.
    Slow(Duration),
    /// A page whose `next_cursor` was already used.
    RepeatCursor(Repeat),
    /// A page that says it is the last. `total_count`, if asked for, stays true.
    EarlyEnd,
    /// A page that is not of the documented shape.
    WrongShape(Shape),
    /// Members of one row of the page are replaced by these JSON texts.
    WrongTypes {
        /// Which row, from 0.
        row: usize,
        /// Name and JSON text.
        members: Vec<(String, String)>,
    },
    /// One row of the page is no row.
    BadRow {
        /// Which row, from 0.
        row: usize,
        /// What it is instead.
        what: BadRow,
    },
    /// The page is right, but the world changes before the next one.
    Mutate(Mutation),
    /// 422 about the cursor. Strikes only requests with one.
    RefuseCursor,
    /// 304 although nothing, or something else, is held.
    NotModified,
    /// An answer of a batch endpoint that is not what was asked for.
    Batch(Batch),
    /// A problem that repeats the `Authorization` header in `detail` and `X-Request-ID`.
    EchoKey(u16),
}

/// What comes with a wrong status.
#[derive(Debug, Clone)]
pub enum FaultBody {
    /// The problem document that is usual for the status.
    Problem,
    /// A problem document with this code.
    Code(&'static str),
    /// Anything else: content type and text.
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
    /// Anything else.
    Raw(String),
}

/// Which cursor is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The one that opened this very page. Strikes only pages opened by one.
    Own,
    /// The first one of this walk.
    First,
}

/// Ways of not being a page.
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

/// Ways of not being a row.
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

/// What is wrong with the answer of a batch endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// The first so many ids are neither in `data` nor in `meta.not_found`.
    Omit(usize),
    /// The first so many ids are in `meta.not_found` instead of `data`.
    NotFound(usize),
    /// It is for the 30 days that the server takes by default, and says so.
    OtherWindow,
    /// Ids are written in capitals.
    Capitals,
    /// The first id has a text for its views and no likes, the second is null.
    WrongTypes,
    /// There are ids that nobody asked for, and members that nobody knows.
    Foreign,
    /// `data` is a list.
    List,
}

/// What happens between two pages. Positions are those of the walk that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// New rows come in, each where its `added_at`, name or `create_time` of now belongs.
    Insert(usize),
    /// The first rows of the page just served are deleted.
    DeleteServed(usize),
    /// The last row of the page just served, to which the cursor points, is deleted.
    DeleteBorder,
    /// The first rows of the next page are deleted.
    DeleteAhead(usize),
    /// The first row of the next page moves to where the walk has been, and is missed.
    MoveBack,
    /// The first row of the page just served moves to the end, and is seen twice.
    MoveAhead,
}

impl Accident {
    /// A status with its usual problem document.
    pub fn status(code: u16) -> Self {
        Self::Status { code, body: FaultBody::Problem, headers: Vec::new() }
    }

    /// Its name in the log.
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

    /// Whether the accident makes sense for this request.
    pub fn can_strike(&self, call: &Call) -> bool {
        match self {
            Self::RefuseCursor | Self::RepeatCursor(Repeat::Own) => call.param("cursor").is_some(),
            _ => true,
        }
    }
}
