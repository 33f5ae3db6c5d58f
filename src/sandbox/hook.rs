//! The one place where a request and its answer can be changed on their way.

use std::fmt::Debug;

use crate::sandbox::call::Call;
use crate::sandbox::moment::Moment;
use crate::sandbox::replies::Answer;

/// Sees the requests that key and rate limit let in, and may change them and their answers. Nothing
/// of the sandbox is locked meanwhile.
pub trait Hook: Debug + Send + Sync {
    /// Is called before the request is executed, at the server's time `now`. An answer takes the
    /// place of the execution.
    fn before(&self, call: &mut Call, now: Moment) -> Option<Answer>;

    /// Is called with the answer, before it gets the headers that depend on its body.
    fn after(&self, call: &Call, answer: &mut Answer);

    /// Is called with the complete answer to any request, also to one that was not let in.
    fn finish(&self, _call: &Call, _answer: &mut Answer) {}
}
