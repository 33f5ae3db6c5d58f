//! What other processes ask of the daemon, and what they are answered.

use serde::{Deserialize, Serialize};

use crate::model::Kind;
use crate::schedule::backfill::DAYS_MAX;
use crate::sync::Sampling;
use crate::sync::verify_report::ROWS_MAX as SAMPLE_ROWS_MAX;

/// Nobody waits longer, seconds.
const WAIT_S_MAX: u64 = 31 * 24 * 3_600;

/// What a `sync` or `backfill` wants, as it is handed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobRequest {
    /// New listings of everything.
    pub full: bool,
    /// Removals beyond the ceiling are right.
    pub accept_removals: bool,
    /// Only these kinds, by their names.
    pub only: Vec<String>,
    /// No pass, but the daily metrics of so many days.
    pub backfill_days: Option<u32>,
    /// How long whoever asks waits for a rate limit, and for the whole, seconds; bounded by
    /// [`WAIT_S_MAX`].
    pub max_wait_s: u64,
    /// Nothing but to compare the mirror with the API.
    pub verify: Option<Sampling>,
}

/// What the process that handed a job over prints, and how it exits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Its exit code.
    pub exit_code: u8,
    /// The report as one JSON document.
    pub json: serde_json::Value,
    /// The report for people.
    pub text: String,
    /// What goes to stderr when it did not go well.
    pub error: Option<String>,
    /// Advice that goes with the error.
    pub hints: Vec<String>,
}

impl JobRequest {
    /// Reads a request as it was handed over, perhaps by another version. Says what is wrong with one
    /// that asks for anything this version does not know: a part of it would be another job.
    pub fn read(text: &str) -> Result<Self, String> {
        // An array would be taken for the members in their order.
        if !text.trim_start().starts_with('{') {
            return Err("it is no JSON object".to_owned());
        }
        let mut request: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if let Some(name) = request.only.iter().find(|name| Kind::from_name(name).is_none()) {
            return Err(format!("`{name}` is no kind"));
        }
        if request.backfill_days.is_some_and(|days| !(1..=DAYS_MAX).contains(&days)) {
            return Err(format!("backfill_days must be from 1 to {DAYS_MAX}"));
        }
        let rows = request.verify.map(|sampling| sampling.rows);
        if rows.is_some_and(|rows| !(1..=SAMPLE_ROWS_MAX).contains(&rows)) {
            return Err(format!("rows must be from 1 to {SAMPLE_ROWS_MAX}"));
        }
        let is_sync = request.full || request.accept_removals || !request.only.is_empty();
        let wants = [is_sync, request.backfill_days.is_some(), request.verify.is_some()];
        if wants.into_iter().filter(|is_wanted| *is_wanted).count() > 1 {
            return Err("it asks for more than one thing".to_owned());
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
    fn a_job_that_cannot_be_read_is_no_other_job() {
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
        let absurd = JobRequest::read(r#"{"max_wait_s":18446744073709551615}"#).unwrap();
        assert_eq!(absurd, JobRequest { max_wait_s: WAIT_S_MAX, ..JobRequest::default() });
    }

    proptest! {
        #[test]
        fn what_is_handed_over_is_what_is_read(
            full: bool, accept_removals: bool, kinds in proptest::sample::subsequence(Kind::ALL.to_vec(), 0..=6),
            max_wait_s in 0..=WAIT_S_MAX,
        ) {
            let only = kinds.iter().map(|kind| kind.name().to_owned()).collect();
            let asked = JobRequest { full, accept_removals, only, max_wait_s, ..JobRequest::default() };
            let text = serde_json::to_string(&asked).unwrap();
            prop_assert_eq!(JobRequest::read(&text), Ok(asked));
            // With any part of it missing it is either the same kind of job or none.
            for end in (0..text.len()).filter(|end| text.is_char_boundary(*end)) {
                prop_assert!(JobRequest::read(&text[..end]).is_err());
            }
        }
    }
}
