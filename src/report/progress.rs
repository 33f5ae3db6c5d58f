//! Progress as it happens: bars on a terminal, log lines elsewhere, nothing when silence was asked
//! for. What a line says is decided by pure functions; indicatif only draws it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::logging;
use crate::model::Outcome;
use crate::model::event::Wait;
use crate::model::{Event, Kind, Watcher};
use crate::report::text::{span, thousands};

/// Shorter waits are over before they are read.
const SHOWN_WAIT_MIN: Duration = Duration::from_secs(1);

/// In the log, progress of the outbox is told after so many entries, and of days after so many requests.
const LOGGED_ENTRIES: u64 = 100;

/// How often the time that is left is drawn again.
const COUNTDOWN_TICK: Duration = Duration::from_millis(250);

/// The lines: with a total and without, a wait, what is done, and one alone.
const COUNTED: &str = "{prefix:<15} [{bar:24}] {msg}";
const UNCOUNTED: &str = "{prefix:<15} {spinner} {msg}";
const WAITING: &str = "{prefix:<15} {msg}, {left}";
const FINISHED: &str = "{prefix:<15} {msg}";
const ONE: &str = "{prefix} [{bar:28}] {msg}";
const SPINNING: &str = "{spinner} {msg}";

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Bars on the terminal that stderr is.
    Terminal,
    /// Lines in the log.
    Log,
    /// Nothing.
    Silent,
}

/// Keeps bars on the terminal: a line for each kind that is at work and for the rest of a run, or one line
/// for something shorter. When it is dropped, what is done stays, and one line goes.
#[derive(Debug)]
pub struct Progress(Option<Arc<Mutex<Board>>>);

#[derive(Debug)]
struct Board {
    bars: MultiProgress,
    lines: BTreeMap<&'static str, ProgressBar>,
    wait: Option<ProgressBar>,
    /// Whether nothing is left on the terminal at the end.
    is_cleared: bool,
}

/// A watcher that shows a run in this way, and what keeps it on the terminal.
pub fn start(view: View) -> (Watcher, Progress) {
    match view {
        View::Silent => (Watcher::silent(), Progress(None)),
        View::Log => (Watcher::new(log), Progress(None)),
        View::Terminal => watched(Progress::on(logging::draw_target(), false)),
    }
}

fn watched(progress: Progress) -> (Watcher, Progress) {
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

impl Progress {
    /// Shows one line on a terminal, and nothing elsewhere.
    pub fn of_one(view: View) -> Self {
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

    /// Says how far the one thing is.
    pub fn tell(&self, name: &'static str, done: u64, total: u64, message: String) {
        if let Some(board) = &self.0 {
            count(&locked(board).line(name, ONE), done, total, message);
        }
    }

    /// Says what is being done, where nobody knows how much there is.
    pub fn spin(&self, message: String) {
        if let Some(board) = &self.0 {
            let bar = locked(board).line("", SPINNING);
            bar.set_message(message);
            bar.tick();
        }
    }
}

impl Drop for Progress {
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
                finish(&self.line("days", COUNTED), asked(*done, *total));
            }
            Event::Days { done, total, .. } => {
                count(&self.line("days", COUNTED), *done, *total, asked(*done, *total));
            }
            Event::Waiting { reason, length } => self.begin_wait(*reason, *length),
            Event::Answered { .. } => {}
            Event::Finished { kind, outcome, pages, rows } => {
                let bar = self.line(kind.plural(), UNCOUNTED);
                finish(&bar, finished(*outcome, *pages, *rows));
            }
        }
    }

    /// The line of this name. It is made with this template where it is not there yet.
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
            // A line that cannot be drawn is no reason to stop.
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

/// The templates are our own constants, and a test reads them all.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_spinner())
        .progress_chars("=> ")
}

fn log(event: &Event) {
    match event {
        Event::Answered { .. } => {}
        Event::Started { kind, resumed_pages: 0 } => tracing::debug!("{}: begun", kind.plural()),
        Event::Started { kind, resumed_pages } => {
            tracing::info!("{}: {}", kind.plural(), started(*resumed_pages));
        }
        Event::Page { kind, pages, rows, total } => {
            tracing::debug!("{}: {}", kind.plural(), counts(*pages, *rows, *total));
        }
        Event::Pushed { done, total } if *done >= *total || done.is_multiple_of(LOGGED_ENTRIES) => {
            tracing::info!("outbox: {}", pushed(*done, *total));
        }
        Event::Pushed { .. } => {}
        Event::Days { kind, done, total }
            if *kind == Kind::Meta || (*done > 0 && done.is_multiple_of(LOGGED_ENTRIES)) =>
        {
            tracing::info!("days: {}", asked(*done, *total));
        }
        Event::Days { .. } => {}
        Event::Waiting { length, .. } if *length < SHOWN_WAIT_MIN => {}
        Event::Waiting { reason, length } => {
            tracing::info!("waiting {}: {reason}", span(*length));
        }
        Event::Finished { kind, outcome, pages, rows } => {
            tracing::info!("{}: {}", kind.plural(), finished(*outcome, *pages, *rows));
        }
    }
}

fn started(resumed_pages: u64) -> String {
    match resumed_pages {
        0 => String::new(),
        pages => format!("going on after page {}", thousands(pages)),
    }
}

fn counts(pages: u64, rows: u64, total: Option<u64>) -> String {
    let noun = if pages == 1 { "page" } else { "pages" };
    let mut text = format!("{} {noun}, {}", thousands(pages), thousands(rows));
    if let Some(total) = total {
        // Writing to a string cannot fail.
        let _ = write!(text, " of {}", thousands(total));
    }
    text + " rows"
}

fn pushed(done: u64, total: u64) -> String {
    format!("{} of {} entries", thousands(done), thousands(total))
}

fn asked(done: u64, total: u64) -> String {
    format!("{} of {} requests", thousands(done), thousands(total))
}

fn finished(outcome: Outcome, pages: u64, rows: u64) -> String {
    format!("{outcome}: {}", counts(pages, rows, None))
}

fn remaining(length: Duration, elapsed: Duration) -> String {
    match length.checked_sub(elapsed) {
        Some(left) if left > Duration::ZERO => {
            // Rounded up, so that the last second does not read as none.
            let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
            format!("{} left", span(Duration::from_secs(seconds)))
        }
        _ => "any moment now".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn board_after(events: &[Event]) -> Arc<Mutex<Board>> {
        let (watcher, mut progress) = watched(Progress::on(ProgressDrawTarget::hidden(), false));
        for event in events {
            watcher.tell(event);
        }
        progress.0.take().unwrap()
    }

    #[test]
    fn a_line_per_kind_with_pages_and_rows() {
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
        assert_eq!(others.message(), "going on after page 50");
        assert_eq!(others.prefix(), "account-videos");
    }

    #[test]
    fn a_wait_is_shown_with_its_reason_until_something_happens() {
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
    fn what_is_done_stays_and_may_begin_again() {
        let kind = Kind::Creator;
        let done = Event::Finished { kind, outcome: Outcome::Complete, pages: 2, rows: 300 };
        let board = board_after(std::slice::from_ref(&done));
        let bar = board.lock().unwrap().lines[kind.plural()].clone();
        assert!(bar.is_finished());
        assert_eq!(bar.message(), "complete: 2 pages, 300 rows");
        let board = board_after(&[done, Event::Started { kind, resumed_pages: 3 }]);
        let bar = board.lock().unwrap().lines[kind.plural()].clone();
        assert!(!bar.is_finished());
        assert_eq!(bar.message(), "going on after page 3");
    }

    #[test]
    fn the_time_left_is_rounded_up_and_ends() {
        let length = Duration::from_secs(60);
        assert_eq!(remaining(length, Duration::from_millis(500)), "1 min left");
        assert_eq!(remaining(length, Duration::from_millis(59_900)), "1 s left");
        assert_eq!(remaining(length, length), "any moment now");
    }

    #[test]
    fn the_outbox_has_a_line_that_stays_when_it_is_done_and_survives_a_wait() {
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
        assert!(board.wait.is_some(), "why nothing moves is shown beside it");
        let board = board_after(&[pushed(400), pushed(1_000)]);
        let bar = board.lock().unwrap().lines["outbox"].clone();
        assert_eq!((bar.is_finished(), bar.message()), (true, "1,000 of 1,000 entries".to_owned()));
    }

    #[test]
    fn every_template_is_one() {
        for template in [COUNTED, UNCOUNTED, WAITING, FINISHED, ONE, SPINNING] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
