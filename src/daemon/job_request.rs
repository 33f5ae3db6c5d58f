//! Jobs as other processes submit them to the daemon, and the answers they get.

use serde::{Deserialize, Serialize};

use crate::model::Kind;
use crate::schedule::backfill::DAYS_MAX;
use crate::sync::Sampling;
use crate::sync::verify_report::ROWS_MAX as SAMPLE_ROWS_MAX;

/// Longest accepted `max_wait_s`.
const WAIT_S_MAX: u64 = 31 * 24 * 3_600;

/// A job submitted by `sync`, `backfill` or `verify`, stored as JSON.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobRequest {
    /// List everything anew.
    pub full: bool,
    /// Accept removals beyond `max_removals`.
    pub accept_removals: bool,
    /// Names of the kinds to sync; all if empty.
    pub only: Vec<String>,
    /// Instead of a run, request the daily metrics of this many days.
    pub backfill_days: Option<u32>,
    /// How long the submitting process waits for a rate limit and for the answer, seconds; at most
    /// [`WAIT_S_MAX`].
    pub max_wait_s: u64,
    /// Instead of a run, compare the mirror with the API.
    pub verify: Option<Sampling>,
}

/// What the process that submitted a job prints, and its exit code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobAnswer {
    /// The exit code.
    pub exit_code: u8,
    /// The report as one JSON document.
    pub json: serde_json::Value,
    /// The report as text.
    pub text: String,
    /// The error message for stderr.
    pub error: Option<String>,
    /// Hints to the error.
    pub hints: Vec<String>,
}

impl JobRequest {
    /// Parses a request, which another version may have written.
    ///
    /// # Errors
    ///
    /// A message, if the request asks for anything that this version does not support: doing only a part would be
    /// another job.
    pub fn read(text: &str) -> Result<Self, String> {
        // serde would also accept an array of the members.
        if !text.trim_start().starts_with('{') {
            return Err("not a JSON object".to_owned());
        }
        let mut request: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some(name) = request.only.iter().find(|name| Kind::from_name(name).is_none()) {
            return Err(format!("unknown kind `{name}`"));
        }
        if request.backfill_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err(format!("backfill_days must be from 1 to {DAYS_MAX}"));
        }
        let rows = request.verify.map(|sampling| sampling.rows);
        if rows.is_some_and(|rows| !(1..=SAMPLE_ROWS_MAX).contains(&rows)) {
            return Err(format!("rows must be from 1 to {SAMPLE_ROWS_MAX}"));
        }
        let is_sync = request.full || request.accept_removals || !request.only.is_empty();
        let jobs = [is_sync, request.backfill_days.is_some(), request.verify.is_some()];
        if jobs.into_iter().filter(|is_requested| *is_requested).count() > 1 {
            return Err("more than one of a run, backfill_days and verify".to_owned());
        }
        request.max_wait_s = request.max_wait_s.min(WAIT_S_MAX);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rejects_unknown_or_invalid_requests() {
        for text in [
            "",
            "null",
            "[]",
            "[true]",
            "7",
            "{",
            r#"{"full":"yes"}"#,
            r#"{"fulll":true}"#,
            r#"{"restore":"/x.db"}"#,
            r#"{"only":["videos","tags"]}"#,
            r#"{"only":["tag"]}"#,
            r#"{"only":"video"}"#,
            r#"{"backfill_days":0}"#,
            r#"{"backfill_days":4294967295}"#,
            r#"{"backfill_days":3,"full":true}"#,
            r#"{"max_wait_s":-1}"#,
            r#"{"max_wait_s":1e300}"#,
            r#"{"verify":{}}"#,
            r#"{"verify":{"rows":0,"seed":1}}"#,
            r#"{"verify":{"rows":5,"seed":1,"deep":true}}"#,
            r#"{"verify":{"rows":5,"seed":1},"backfill_days":3}"#,
            r#"{"full":true,"full":false}"#,
        ] {
            assert!(JobRequest::read(text).is_err(), "{text}");
        }
        let bounded = JobRequest::read(r#"{"max_wait_s":18446744073709551615}"#).unwrap();
        assert_eq!(bounded, JobRequest { max_wait_s: WAIT_S_MAX, ..JobRequest::default() });
    }

    proptest! {
        #[test]
        fn requests_survive_a_round_trip_and_truncated_ones_are_rejected(
            full: bool, accept_removals: bool, kinds in proptest::sample::subsequence(Kind::ALL.to_vec(), 0..=6),
            max_wait_s in 0..=WAIT_S_MAX,
        ) {
            let only = kinds.iter().map(|kind| kind.name().to_owned()).collect();
            let request = JobRequest { full, accept_removals, only, max_wait_s, ..JobRequest::default() };
            let text = serde_json::to_string(&request).unwrap();
            prop_assert_eq!(JobRequest::read(&text), Ok(request));
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                prop_assert!(JobRequest::read(&text[..end]).is_err());
            }
        }
    }
}
