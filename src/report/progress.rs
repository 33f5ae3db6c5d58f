//! Progress of a run: bars on a terminal, log lines elsewhere, nothing with `--quiet`. Pure functions format the lines;
//! indicatif draws them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::logging;
use crate::model::Outcome;
use crate::model::event::Wait;
use crate::model::{Event, Kind, Watcher};
use crate::report::text::{counted, span, thousands};

/// Shorter waits are not shown.
const SHOWN_WAIT_MIN: Duration = Duration::from_secs(1);

/// Log lines about the outbox appear after this many entries, those about daily metrics after this many requests.
const LOGGED_STEPS: u64 = 100;

/// Interval of the countdown of a wait.
const COUNTDOWN_TICK: Duration = Duration::from_millis(250);

/// Templates: with and without a total, a wait, a finished kind, and a single line with and without a total.
const COUNTED: &str = "{prefix:<15} [{bar:24}] {msg}";
const UNCOUNTED: &str = "{prefix:<15} {spinner} {msg}";
const WAITING: &str = "{prefix:<15} {msg}, {left}";
const FINISHED: &str = "{prefix:<15} {msg}";
const ONE: &str = "{prefix} [{bar:28}] {msg}";
const SPINNING: &str = "{spinner} {msg}";

/// Where progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// As bars on stderr, which is a terminal.
    Terminal,
    /// As lines in the log.
    Log,
    /// Nowhere.
    Silent,
}

/// Bars on a terminal: a line per kind of a run, or a single line for a shorter operation. On drop, the lines of a run
/// stay, and a single line is cleared.
#[derive(Debug)]
pub struct ProgressDisplay(Option<Arc<Mutex<Board>>>);

#[derive(Debug)]
struct Board {
    bars: MultiProgress,
    lines: BTreeMap<&'static str, ProgressBar>,
    wait: Option<ProgressBar>,
    /// Whether the lines are cleared on drop.
    is_cleared: bool,
}

/// Returns a watcher that shows the progress of a run, and the display, which must live as long as the run.
pub fn start(view: View) -> (Watcher, ProgressDisplay) {
    match view {
        View::Silent => (Watcher::silent(), ProgressDisplay(None)),
        View::Log => (Watcher::new(log), ProgressDisplay(None)),
        View::Terminal => watched(ProgressDisplay::on(logging::draw_target(), false)),
    }
}

fn watched(progress: ProgressDisplay) -> (Watcher, ProgressDisplay) {
    let board = progress.0.clone();
    let watcher = Watcher::new(move |event| {
        if let Some(board) = &board {
            locked(board).show(event);
        }
    });
    (watcher, progress)
}

fn locked(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

impl ProgressDisplay {
    /// Returns a display with a single line on a terminal, and nothing elsewhere.
    pub fn single(view: View) -> Self {
        match view {
            View::Terminal => Self::on(logging::draw_target(), true),
            View::Log | View::Silent => Self(None),
        }
    }

    fn on(target: ProgressDrawTarget, is_cleared: bool) -> Self {
        let bars = MultiProgress::with_draw_target(target);
        logging::attach_progress(bars.clone());
        let board = Board { bars, lines: BTreeMap::new(), wait: None, is_cleared };
        Self(Some(Arc::new(Mutex::new(board))))
    }

    /// Shows the progress of an operation with a known total.
    pub fn update(&self, name: &'static str, done: u64, total: u64, message: String) {
        if let Some(board) = &self.0 {
            count(&locked(board).line(name, ONE), done, total, message);
        }
    }

    /// Shows the progress of an operation without a known total.
    pub fn spin(&self, message: String) {
        if let Some(board) = &self.0 {
            let bar = locked(board).line("", SPINNING);
            bar.set_message(message);
            bar.tick();
        }
    }
}

impl Drop for ProgressDisplay {
    fn drop(&mut self) {
        let Some(board) = &self.0 else { return };
        let mut board = locked(board);
        board.end_wait();
        for bar in board.lines.values().filter(|bar| !bar.is_finished()) {
            match board.is_cleared {
                true => bar.finish_and_clear(),
                false => bar.abandon(),
            }
        }
        logging::detach_progress();
    }
}

fn count(bar: &ProgressBar, done: u64, total: u64, message: String) {
    bar.set_length(total);
    bar.set_position(done);
    bar.set_message(message);
}

fn finish(bar: &ProgressBar, message: String) {
    bar.set_style(style(FINISHED));
    bar.finish_with_message(message);
}

impl Board {
    fn show(&mut self, event: &Event) {
        match event {
            Event::Waiting { length, .. } if *length < SHOWN_WAIT_MIN => return,
            _ => self.end_wait(),
        }
        match event {
            Event::Started { kind, resumed_pages } => {
                let bar = self.line(kind.plural(), UNCOUNTED);
                bar.reset();
                bar.set_style(style(UNCOUNTED));
                bar.set_message(started(*resumed_pages));
            }
            Event::Page { kind, pages, rows, total } => {
                let bar = self.line(kind.plural(), UNCOUNTED);
                if let Some(total) = total
                    && bar.length() != Some(*total)
                {
                    bar.set_length(*total);
                    bar.set_style(style(COUNTED));
                }
                bar.set_position(*rows);
                bar.set_message(counts(*pages, *rows, *total));
            }
            Event::Pushed { done, total } => {
                let bar = self.line("outbox", COUNTED);
                count(&bar, *done, *total, pushed(*done, *total));
                if done >= total {
                    finish(&bar, pushed(*done, *total));
                }
            }
            Event::Days { kind: Kind::Meta, done, total } => {
                finish(&self.line("days", COUNTED), requests(*done, *total));
            }
            Event::Days { done, total, .. } => {
                count(&self.line("days", COUNTED), *done, *total, requests(*done, *total));
            }
            Event::Waiting { reason, length } => self.begin_wait(*reason, *length),
            Event::Answered { .. } => {}
            Event::Finished { kind, outcome, pages, rows } => {
                let bar = self.line(kind.plural(), UNCOUNTED);
                finish(&bar, finished(*outcome, *pages, *rows));
            }
        }
    }

    /// Returns the line with this name, which is created with `template` if it does not exist yet.
    fn line(&mut self, name: &'static str, template: &str) -> ProgressBar {
        let bars = &self.bars;
        let new = || {
            let bar = ProgressBar::no_length().with_style(style(template));
            bars.add(bar.with_prefix(name))
        };
        self.lines.entry(name).or_insert_with(new).clone()
    }

    fn begin_wait(&mut self, reason: Wait, length: Duration) {
        let left = move |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            // A drawing error must not stop the run.
            let _ = out.write_str(&remaining(length, state.elapsed()));
        };
        let bar = ProgressBar::new_spinner()
            .with_style(style(WAITING).with_key("left", left))
            .with_prefix("waiting")
            .with_message(reason.to_string());
        let bar = self.bars.add(bar);
        bar.enable_steady_tick(COUNTDOWN_TICK);
        self.wait = Some(bar);
    }

    fn end_wait(&mut self) {
        if let Some(bar) = self.wait.take() {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}

/// The fallback is never used: a test parses all templates.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("=> ")
}

fn log(event: &Event) {
    match event {
        Event::Answered { .. } => {}
        Event::Started { kind, resumed_pages: 0 } => tracing::debug!(%kind, "kind started"),
        Event::Started { kind, resumed_pages } => {
            tracing::info!(%kind, resumed_pages, "listing resumed");
        }
        Event::Page { kind, pages, rows, total } => {
            tracing::debug!(%kind, pages, rows, total, "page written");
        }
        Event::Pushed { done, total } if *done >= *total || done.is_multiple_of(LOGGED_STEPS) => {
            tracing::info!(done, total, "outbox entries sent");
        }
        Event::Pushed { .. } => {}
        Event::Days { kind, done, total }
            if *kind == Kind::Meta || (*done > 0 && done.is_multiple_of(LOGGED_STEPS)) =>
        {
            tracing::info!(done, total, "daily metrics requested");
        }
        Event::Days { .. } => {}
        Event::Waiting { length, .. } if *length < SHOWN_WAIT_MIN => {}
        Event::Waiting { reason, length } => {
            tracing::info!(wait_s = length.as_secs_f64(), %reason, "waiting");
        }
        Event::Finished { kind, outcome, pages, rows } => {
            tracing::info!(%kind, %outcome, pages, rows, "kind finished");
        }
    }
}

fn started(resumed_pages: u64) -> String {
    match resumed_pages {
        0 => String::new(),
        pages => format!("resuming after page {}", thousands(pages)),
    }
}

fn counts(pages: u64, rows: u64, total: Option<u64>) -> String {
    let pages = counted(pages, "page");
    match total {
        None => format!("{pages}, {}", counted(rows, "row")),
        Some(total) => format!("{pages}, {} of {}", thousands(rows), counted(total, "row")),
    }
}

fn pushed(done: u64, total: u64) -> String {
    format!("{} of {} entries", thousands(done), thousands(total))
}

fn requests(done: u64, total: u64) -> String {
    format!("{} of {} requests", thousands(done), thousands(total))
}

fn finished(outcome: Outcome, pages: u64, rows: u64) -> String {
    format!("{outcome}: {}", counts(pages, rows, None))
}

fn remaining(length: Duration, elapsed: Duration) -> String {
    match length.checked_sub(elapsed) {
        Some(left) if left > Duration::ZERO => {
            // Rounded up, so that the last second is not shown as zero.
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            format!("{} left", span(Duration::from_secs(seconds)))
        }
        _ => "almost over".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board_after(events: &[Event]) -> Arc<Mutex<Board>> {
        let (watcher, mut progress) =
            watched(ProgressDisplay::on(ProgressDrawTarget::hidden(), false));
        for event in events {
            watcher.tell(event);
        }
        progress.0.take().unwrap()
    }

    #[test]
    fn each_kind_has_a_line_with_pages_and_rows() {
        let (kind, other) = (Kind::Video, Kind::AccountVideo);
        let board = board_after(&[
            Event::Started { kind, resumed_pages: 0 },
            Event::Page { kind, pages: 50, rows: 10_000, total: Some(20_000) },
            Event::Started { kind: other, resumed_pages: 50 },
        ]);
        let board = board.lock().unwrap();
        let (videos, others) = (&board.lines[kind.plural()], &board.lines[other.plural()]);
        assert_eq!((videos.position(), videos.length()), (10_000, Some(20_000)));
        assert_eq!(videos.message(), "50 pages, 10,000 of 20,000 rows");
        assert_eq!(others.message(), "resuming after page 50");
        assert_eq!(others.prefix(), "account_videos");
    }

    #[test]
    fn wait_is_shown_until_the_next_event() {
        let wait = Event::Waiting { reason: Wait::RateLimited, length: Duration::from_secs(60) };
        let short = Event::Waiting { reason: Wait::Pacing, length: Duration::from_millis(20) };
        let board = board_after(&[short.clone(), wait.clone(), short]);
        let shown = board.lock().unwrap().wait.as_ref().map(ProgressBar::message);
        assert_eq!(shown.as_deref(), Some("rate limited"));
        let page = Event::Page { kind: Kind::Account, pages: 1, rows: 200, total: None };
        let board = board_after(&[wait, page]);
        let board = board.lock().unwrap();
        assert!(board.wait.is_none());
        assert_eq!(board.lines[Kind::Account.plural()].message(), "1 page, 200 rows");
    }

    #[test]
    fn finished_kind_stays_and_may_start_again() {
        let kind = Kind::Creator;
        let done = Event::Finished { kind, outcome: Outcome::Complete, pages: 2, rows: 300 };
        let board = board_after(std::slice::from_ref(&done));
        let bar = board.lock().unwrap().lines[kind.plural()].clone();
        assert!(bar.is_finished());
        assert_eq!(bar.message(), "complete: 2 pages, 300 rows");
        let board = board_after(&[done, Event::Started { kind, resumed_pages: 3 }]);
        let bar = board.lock().unwrap().lines[kind.plural()].clone();
        assert!(!bar.is_finished());
        assert_eq!(bar.message(), "resuming after page 3");
    }

    #[test]
    fn time_left_is_rounded_up() {
        let length = Duration::from_secs(60);
        assert_eq!(remaining(length, Duration::from_millis(500)), "1 min left");
        assert_eq!(remaining(length, Duration::from_millis(59_900)), "1 s left");
        assert_eq!(remaining(length, length), "almost over");
    }

    #[test]
    fn outbox_line_survives_a_wait_and_stays_when_finished() {
        let pushed = |done| Event::Pushed { done, total: 1_000 };
        let wait = Event::Waiting { reason: Wait::Pacing, length: Duration::from_secs(3) };
        let board = board_after(&[pushed(1), pushed(400), wait]);
        let board = board.lock().unwrap();
        let bar = board.lines["outbox"].clone();
        assert_eq!((bar.position(), bar.length(), bar.is_finished()), (400, Some(1_000), false));
        assert_eq!(
            (bar.prefix(), bar.message()),
            ("outbox".to_owned(), "400 of 1,000 entries".to_owned())
        );
        assert!(board.wait.is_some(), "the wait is shown in another line");
        let board = board_after(&[pushed(400), pushed(1_000)]);
        let bar = board.lock().unwrap().lines["outbox"].clone();
        assert_eq!((bar.is_finished(), bar.message()), (true, "1,000 of 1,000 entries".to_owned()));
    }

    #[test]
    fn templates_are_valid() {
        for template in [COUNTED, UNCOUNTED, WAITING, FINISHED, ONE, SPINNING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
