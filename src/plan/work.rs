//! What a pass does for a kind. Pure: where the kind stands in, the work out.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::model::due::{DueFeed, DueRow};
use crate::model::named::named;
use crate::model::{Kind, instant};
use crate::plan::cover::{self, Choice, Cover};
use crate::plan::sweep::Sweep;

/// Clocks are set by this much without anybody noticing.
const SWEPT_AHEAD_MAX: TimeDelta = TimeDelta::seconds(60);

/// What to do for a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// It is not due.
    Nothing,
    /// The server does not have it.
    Unavailable,
    /// An interrupted walk goes on.
    Resume,
    /// A walk from the first page, or reading the document.
    Walk(Reason),
    /// Reading again what is due.
    Poll(Cover),
    /// Looking at the accounts, newest scrape first, for those that are due.
    Follow(Vec<DueRow>),
    /// Reading the videos of accounts that were scraped.
    Feeds(Vec<DueFeed>),
}

impl Work {
    /// Whether it reads what is due, and nothing else.
    pub const fn is_for_dues(&self) -> bool {
        matches!(self, Self::Poll(_) | Self::Follow(_) | Self::Feeds(_))
    }
}

named! {
    /// Why a walk is due, as `sync_log.trigger` names it.
    pub enum Reason {
        /// The user asked for everything.
        Full = "full",
        /// There has never been one.
        First = "first",
        /// The last one is not complete.
        Unfinished = "unfinished",
        /// Removals are held back, and the user accepts them now.
        HeldRemovals = "accept_removals",
        /// Its cron time has come.
        Sweep = "full_sync",
        /// So much is due that a walk is the cheapest way to see it.
        Dues = "due",
    }
}

/// Where a kind stands.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// A cron time after this makes the kind due, microseconds.
    pub full_sync_due_after: Option<i64>,
    /// Whether removals are held back.
    pub holds_removals: bool,
    /// Whether an interrupted walk waits.
    pub has_open_walk: bool,
    /// Whether the last turn left something undone.
    pub is_unfinished: bool,
    /// Whether the server refused the endpoint lately.
    pub is_refused: bool,
    /// When the first due row has waited long enough for others, Unix seconds.
    pub ripe_at: Option<i64>,
    /// Rows that are due and have waited for each other.
    pub due: Vec<DueRow>,
    /// Accounts whose videos have news.
    pub feeds: Vec<DueFeed>,
    /// Whether the server cannot sort accounts by their last scrape.
    pub cannot_follow: bool,
    /// Whether the server cannot list the videos of one account.
    pub cannot_feed: bool,
    /// Pages of its list.
    pub pages: i64,
    /// When its list may be read again after failures, microseconds; `None` when it may.
    pub listing_retry_at: Option<i64>,
    /// When what is due may be read again after failures, microseconds; `None` when it may.
    pub polls_retry_at: Option<i64>,
}

impl Standing {
    /// What reading the whole list costs in requests; more than anything while that is paused.
    fn listing_pages(&self) -> i64 {
        self.listing_retry_at.map_or(self.pages, |_| i64::MAX)
    }
}

/// What the user or the daemon wants of this pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// New walks of everything.
    pub full: bool,
    /// Removals beyond the ceiling are right.
    pub accept_removals: bool,
}

/// What a run does for a kind: it reads what is due, and then its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Reading what is due, where that is worth requests of its own.
    pub polls: Option<Work>,
    /// Reading the list, or the document.
    pub listing: Work,
    /// Those that wait longest are listed first: [`Standing::full_sync_due_after`].
    pub waits_since: Option<i64>,
}

impl Decision {
    /// Whether there is anything to do.
    pub fn is_any(&self) -> bool {
        self.polls.is_some() || !matches!(self.listing, Work::Nothing | Work::Unavailable)
    }
}

/// Decides what to do for `kind` at `now`. `sweep` is `None` when its sweeps are off.
pub fn decide(
    kind: Kind,
    standing: &Standing,
    wish: Wish,
    sweep: Option<&Sweep>,
    now: DateTime<Utc>,
    timezone: Tz,
) -> Decision {
    let listing = listing(standing, wish, sweep, now, timezone);
    let dues = match (&listing, standing.polls_retry_at) {
        (Work::Unavailable | Work::Walk(Reason::Full), _) | (_, Some(_)) => Work::Nothing,
        _ => dues(kind, standing),
    };
    let (polls, listing) = match (dues.is_for_dues(), listing) {
        (false, Work::Nothing) => (None, dues),
        (true, Work::Nothing) => (Some(dues), Work::Nothing),
        (true, listing) if goes_before_walks(&dues, standing) => (Some(dues), listing),
        (_, listing) => (None, listing),
    };
    Decision { polls, listing, waits_since: standing.full_sync_due_after }
}

/// Why the list is read now, if it is; what is due aside.
fn listing(
    standing: &Standing,
    wish: Wish,
    sweep: Option<&Sweep>,
    now: DateTime<Utc>,
    timezone: Tz,
) -> Work {
    if standing.is_refused {
        return Work::Unavailable;
    }
    if wish.full {
        return Work::Walk(Reason::Full);
    }
    let is_paused = standing.listing_retry_at.is_some();
    if standing.has_open_walk && !is_paused {
        return Work::Resume;
    }
    if wish.accept_removals && standing.holds_removals {
        return Work::Walk(Reason::HeldRemovals);
    }
    if is_paused {
        return Work::Nothing;
    }
    if standing.is_unfinished {
        return Work::Walk(Reason::Unfinished);
    }
    let Some(sweep) = sweep else { return Work::Nothing };
    let Some(full_sync_due_after) = standing.full_sync_due_after.map(instant::from_micros) else {
        return Work::Walk(Reason::First);
    };
    // A sweep of the future was noted by a clock that was wrong.
    let is_nonsense = full_sync_due_after.signed_duration_since(now) > SWEPT_AHEAD_MAX;
    match is_nonsense || sweep.fires_between(full_sync_due_after, now, timezone) {
        true => Work::Walk(Reason::Sweep),
        false => Work::Nothing,
    }
}

/// The cheapest way to see what is due.
fn dues(kind: Kind, standing: &Standing) -> Work {
    match kind {
        Kind::Account => follow_or_poll(standing),
        Kind::Video => poll_or_walk(standing),
        Kind::AccountVideo => feed_or_walk(standing),
        Kind::Creator | Kind::Overview | Kind::Meta => Work::Nothing,
    }
}

/// A walk shows what is due as well, but a long one may take hours of a small budget. What is due
/// does not wait for it where it costs less.
fn goes_before_walks(dues: &Work, standing: &Standing) -> bool {
    let requests = match dues {
        Work::Poll(cover) => cover.pages.len().saturating_add(cover.items.len()),
        Work::Feeds(feeds) => feeds.len(),
        _ => 1,
    };
    i64::try_from(requests).is_ok_and(|requests| requests < standing.pages)
}

fn poll_or_walk(standing: &Standing) -> Work {
    match cover::choose(&standing.due, standing.listing_pages()) {
        Choice::Nothing => Work::Nothing,
        Choice::Polls(cover) => Work::Poll(cover),
        Choice::Walk => Work::Walk(Reason::Dues),
    }
}

/// A single page is read again, since its validator may spare its body; for more than one it is
/// cheaper to look at what moved last.
fn follow_or_poll(standing: &Standing) -> Work {
    match poll_or_walk(standing) {
        Work::Poll(cover) if cover.pages.len().saturating_add(cover.items.len()) == 1 => {
            Work::Poll(cover)
        }
        Work::Nothing => Work::Nothing,
        other if standing.cannot_follow => other,
        _ => Work::Follow(standing.due.clone()),
    }
}

fn feed_or_walk(standing: &Standing) -> Work {
    if standing.feeds.is_empty() {
        return Work::Nothing;
    }
    let is_cheaper = cover::feeds_are_cheaper(&standing.feeds, standing.listing_pages());
    match (standing.cannot_feed, standing.listing_retry_at) {
        (false, _) if is_cheaper => Work::Feeds(standing.feeds.clone()),
        (_, None) => Work::Walk(Reason::Dues),
        (_, Some(_)) => Work::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::due::{Due, Facts};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn hourly() -> Sweep {
        Sweep::parse("0 * * * *", 0).unwrap().unwrap()
    }

    fn swept(ago_s: i64) -> Standing {
        let full_sync_due_after = Some((now().timestamp() - ago_s) * 1_000_000);
        Standing { full_sync_due_after, ..Standing::default() }
    }

    fn due_video() -> DueRow {
        DueRow {
            key: 1,
            id: "v1".to_owned(),
            page: Some(7),
            due: Due { due_at: 0, gap_s: 0 },
            as_of: 0,
            facts: Facts::default(),
        }
    }

    fn decide_for(standing: &Standing, wish: Wish) -> Work {
        decide(Kind::Account, standing, wish, Some(&hourly()), now(), Tz::UTC).listing
    }

    #[test]
    fn the_first_pass_walks_and_the_next_waits_for_its_sweep() {
        let none = Wish::default();
        assert_eq!(decide_for(&Standing::default(), none), Work::Walk(Reason::First));
        // 1,800,000,000 is a full hour, so a sweep fires at this very second.
        assert_eq!(decide_for(&swept(60), none), Work::Walk(Reason::Sweep));
        assert_eq!(decide_for(&swept(0), none), Work::Nothing);
    }

    #[test]
    fn an_interrupted_walk_goes_on_unless_everything_is_wanted_anew() {
        let standing = Standing { has_open_walk: true, is_unfinished: true, ..swept(0) };
        assert_eq!(decide_for(&standing, Wish::default()), Work::Resume);
        let full = Wish { full: true, ..Wish::default() };
        assert_eq!(decide_for(&standing, full), Work::Walk(Reason::Full));
    }

    #[test]
    fn what_is_due_does_not_wait_for_a_long_walk() {
        let of = |pages, has_open_walk| {
            let standing = Standing { due: vec![due_video()], pages, has_open_walk, ..swept(60) };
            decide(Kind::Video, &standing, Wish::default(), Some(&hourly()), now(), Tz::UTC)
        };
        let sweep = Work::Walk(Reason::Sweep);
        let both = of(2, true);
        assert_eq!((both.polls.is_some(), both.listing), (true, Work::Resume));
        let both = of(2, false);
        assert_eq!((both.polls.is_some(), both.listing), (true, sweep.clone()));
        // The walk costs no more.
        assert_eq!((of(1, true).polls, of(1, true).listing), (None, Work::Resume));
        assert_eq!((of(1, false).polls, of(1, false).listing), (None, sweep));
    }

    #[test]
    fn accepting_removals_walks_what_holds_some() {
        let mut standing = swept(0);
        let wish = Wish { accept_removals: true, ..Wish::default() };
        assert_eq!(decide_for(&standing, wish), Work::Nothing);
        standing.holds_removals = true;
        assert_eq!(decide_for(&standing, wish), Work::Walk(Reason::HeldRemovals));
    }

    #[test]
    fn a_listing_that_is_paused_waits_and_what_is_due_does_not() {
        let paused = Standing { listing_retry_at: Some(1), is_unfinished: true, ..swept(9_000) };
        let none = Wish::default();
        let of = |standing: &Standing, wish| {
            decide(Kind::Video, standing, wish, Some(&hourly()), now(), Tz::UTC)
        };
        let listing = |standing: &Standing, wish| of(standing, wish).listing;
        assert_eq!(listing(&paused, none), Work::Nothing);
        assert_eq!(
            listing(&Standing { has_open_walk: true, ..paused.clone() }, none),
            Work::Nothing
        );
        let all_due = Standing { due: vec![due_video()], pages: 1, ..paused.clone() };
        assert!(matches!(of(&all_due, none).polls, Some(Work::Poll(_))));
        let resting = Standing { polls_retry_at: Some(1), ..all_due.clone() };
        assert!(!of(&resting, none).is_any());
        // Polls that are paused hold up no listing, and whoever wants everything gets it.
        let polls = Standing { listing_retry_at: None, ..resting.clone() };
        assert_eq!(listing(&polls, none), Work::Walk(Reason::Unfinished));
        let full = Wish { full: true, ..none };
        assert_eq!(listing(&resting, full), Work::Walk(Reason::Full));
    }

    #[test]
    fn sweeps_that_are_off_leave_the_kind_alone() {
        let standing = Standing::default();
        let work = decide(Kind::Account, &standing, Wish::default(), None, now(), Tz::UTC);
        assert!(!work.is_any());
    }
}
