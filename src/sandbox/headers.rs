//! What every answer carries besides its body, and what is asked of every request's headers.

use xxhash_rust::xxh3::xxh3_64;

use crate::sandbox::accident::Accident;
use crate::sandbox::call::Call;
use crate::sandbox::limits::Budget;
use crate::sandbox::moment::Moment;
use crate::sandbox::replies::{Answer, Problem};

/// What is known about a request while it is being answered.
#[derive(Debug)]
pub struct Progress {
    /// The server's time when it came in.
    pub now: Moment,
    /// The process that answers it.
    pub replica: usize,
    /// What is left of its key's budget, once it was counted.
    pub budget: Option<Budget>,
    /// What struck it.
    pub accident: Option<Accident>,
}

/// Adds what every answer carries, and answers 304 where the client has it already.
pub fn finish(mut answer: Answer, call: &Call, progress: &Progress, request_id: &str) -> Answer {
    let is_html = matches!(progress.accident, Some(Accident::Html));
    let is_cut = matches!(progress.accident, Some(Accident::Truncated));
    if call.method == "GET" && answer.status == 200 && !is_html {
        let etag = format!("\"{:016x}\"", xxh3_64(&answer.body));
        let is_held = call.header("if-none-match").is_some_and(|held| holds(held, &etag));
        if is_held && !is_cut {
            answer = Answer { headers: answer.headers, ..Answer::empty(304) };
        }
        answer = answer.with("etag", etag);
    }
    answer = answer.with("date", http_date(progress.now));
    if is_html {
        // The API never saw this request.
        return answer;
    }
    if let Some(budget) = progress.budget {
        answer = answer
            .with("x-ratelimit-limit", budget.limit.to_string())
            .with("x-ratelimit-remaining", budget.remaining.to_string())
            .with("x-ratelimit-reset", budget.reset.to_string());
    }
    if answer.headers.iter().any(|(name, _)| name == "x-request-id") {
        return answer;
    }
    answer.with("x-request-id", request_id)
}

/// An instant as HTTP writes it.
pub fn http_date(at: Moment) -> String {
    httpdate::fmt_http_date(at.to_utc().into())
}

fn holds(if_none_match: &str, etag: &str) -> bool {
    let strong = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    if_none_match.split(',').any(|tag| strong(tag) == etag || tag.trim() == "*")
}

/// Refuses clients that do not want JSON.
pub fn check_accept(call: &Call) -> Result<(), Problem> {
    let Some(accept) = call.header("accept") else { return Ok(()) };
    let fits = accept.split(',').any(|range| {
        let range = range.split(';').next().unwrap_or_default().trim().to_lowercase();
        matches!(range.as_str(), "*/*" | "application/*" | "application/json" | "")
    });
    if fits { Ok(()) } else { Err(Problem::new(406, "Only application/json can be had here")) }
}
