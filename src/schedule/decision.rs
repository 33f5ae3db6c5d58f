//! The scheduler's decision: what a run does for a kind. Pure: the kind's state in, its work out.

use std::mem;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::due::{DueAccountList, DueRow};
use crate::model::named::named;
use crate::model::{Kind, Zone, instant};
use crate::schedule::full_sync::FullSyncSchedule;
use crate::schedule::request_plan::{self, RequestPlan};

/// How far the time of the last full sync may lie ahead; beyond this, the clock was wrong then.
const CLOCK_STEP_MAX: TimeDelta = TimeDelta::seconds(60);

/// What to do for a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Nothing is due.
    Nothing,
    /// The server does not support the endpoint.
    Unavailable,
    /// Continue an interrupted listing.
    Resume,
    /// List from the first page, or read the document.
    Listing(Reason),
    /// Read due rows again.
    Poll(RequestPlan),
    /// Read accounts, newest scrape first, until no due one can follow.
    RecentAccounts(Vec<DueRow>),
    /// Read the videos of accounts that were scraped.
    AccountLists(Vec<DueAccountList>),
}

impl Work {
    /// Whether it only reads due rows.
    pub const fn is_poll(&self) -> bool {
        matches!(self, Self::Poll(_) | Self::RecentAccounts(_) | Self::AccountLists(_))
    }
}

named! {
    /// Why a listing is due, as stored in `sync_log.trigger`.
    pub enum Reason {
        /// `--full` was given.
        Full = "full",
        /// The kind was never listed.
        First = "first",
        /// The last listing is not complete.
        Unfinished = "unfinished",
        /// Removals are held back and `--accept-removals` was given.
        HeldRemovals = "accept_removals",
        /// Its cron time has come.
        FullSync = "full_sync",
        /// So many rows are due that a listing costs the fewest requests.
        DueRows = "due",
    }
}

/// The state of a kind's schedule.
#[derive(Debug, Clone, Default)]
pub struct ScheduleState {
    /// A cron time after this instant makes a full sync due, microseconds; `None` before the first listing.
    pub full_sync_due_after: Option<i64>,
    /// Whether removals are held back.
    pub holds_removals: bool,
    /// Whether an interrupted listing can be continued.
    pub has_open_listing: bool,
    /// Whether the last listing is not complete.
    pub is_unfinished: bool,
    /// Whether the server does not support the endpoint.
    pub is_refused: bool,
    /// When the first due row has waited for the batch delay, Unix seconds.
    pub ready_at: Option<i64>,
    /// Due rows that have waited for the batch delay, the most overdue first.
    pub due: Vec<DueRow>,
    /// Accounts whose videos are to be read.
    pub account_lists: Vec<DueAccountList>,
    /// Whether the server cannot sort accounts by their last scrape.
    pub cannot_sort_accounts: bool,
    /// Whether the server cannot list the videos of one account.
    pub cannot_filter_by_account: bool,
    /// Pages of the list.
    pub pages: i64,
    /// End of the backoff after failed listings, microseconds; `None` when there is none.
    pub listing_retry_at: Option<i64>,
    /// End of the backoff after failed polls, microseconds; `None` when there is none.
    pub polls_retry_at: Option<i64>,
}

impl ScheduleState {
    /// Requests of a listing; the maximum during its backoff, so that anything else is cheaper.
    fn listing_requests(&self) -> i64 {
        self.listing_retry_at.map_or(self.pages, |_| i64::MAX)
    }
}

/// What the user or the daemon wants of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunScope {
    /// List everything anew (`--full`).
    pub full: bool,
    /// Apply removals beyond `max_removals` (`--accept-removals`).
    pub accept_removals: bool,
}

/// What a run does for a kind: first the polls, then the listing.
#[derive(Debug, Clone)]
pub struct Decision {
    /// Reading due rows, where that is worth requests of its own.
    pub polls: Option<Work>,
    /// Reading the list or the document.
    pub listing: Work,
    /// What was decided on, without its due rows.
    pub state: ScheduleState,
}

impl Decision {
    /// Whether there is anything to do.
    pub fn is_any(&self) -> bool {
        self.polls.is_some() || !matches!(self.listing, Work::Nothing | Work::Unavailable)
    }
}

/// Decides what to do for `kind` at `now`. `full_sync` is `None` when its full syncs are off.
pub fn decide(
    kind: Kind,
    mut state: ScheduleState,
    scope: RunScope,
    full_sync: Option<&FullSyncSchedule>,
    now: DateTime<Utc>,
    zone: &Zone,
) -> Decision {
    let listing = listing(&state, scope, full_sync, now, zone);
    let polls = match (&listing, state.polls_retry_at) {
        (Work::Unavailable | Work::Listing(Reason::Full), _) | (_, Some(_)) => Work::Nothing,
        _ => due_work(kind, &mut state),
    };
    (state.due, state.account_lists) = (Vec::new(), Vec::new());
    let (polls, listing) = match (polls.is_poll(), listing) {
        (false, Work::Nothing) => (None, polls),
        (true, Work::Nothing) => (Some(polls), Work::Nothing),
        (true, listing) if costs_less_than_listing(&polls, &state) => (Some(polls), listing),
        (_, listing) => (None, listing),
    };
    Decision { polls, listing, state }
}

/// Whether the list is read now and why, due rows aside.
fn listing(
    state: &ScheduleState,
    scope: RunScope,
    full_sync: Option<&FullSyncSchedule>,
    now: DateTime<Utc>,
    zone: &Zone,
) -> Work {
    if state.is_refused {
        return Work::Unavailable;
    }
    if scope.full {
        return Work::Listing(Reason::Full);
    }
    let is_paused = state.listing_retry_at.is_some();
    if state.has_open_listing && !is_paused {
        return Work::Resume;
    }
    if scope.accept_removals && state.holds_removals {
        return Work::Listing(Reason::HeldRemovals);
    }
    if is_paused {
        return Work::Nothing;
    }
    if state.is_unfinished {
        return Work::Listing(Reason::Unfinished);
    }
    let Some(full_sync) = full_sync else { return Work::Nothing };
    let Some(due_after) = state.full_sync_due_after.map(instant::from_micros) else {
        return Work::Listing(Reason::First);
    };
    let is_ahead = due_after.signed_duration_since(now) > CLOCK_STEP_MAX;
    match is_ahead || full_sync.fires_between(due_after, now, zone) {
        true => Work::Listing(Reason::FullSync),
        false => Work::Nothing,
    }
}

/// The way to read the due rows that costs the fewest requests.
fn due_work(kind: Kind, state: &mut ScheduleState) -> Work {
    if kind == Kind::AccountVideo {
        return due_account_lists(state);
    }
    let request_plan = RequestPlan::covering(&state.due);
    let is_cheaper = request_plan.is_cheaper_than(state.listing_requests());
    match request_plan.requests() {
        0 => Work::Nothing,
        // An ETag may save the body of a single page. Instead of several pages, the accounts
        // that were scraped last are read.
        1 if is_cheaper => Work::Poll(request_plan),
        _ if kind == Kind::Account && !state.cannot_sort_accounts => {
            Work::RecentAccounts(mem::take(&mut state.due))
        }
        _ if is_cheaper => Work::Poll(request_plan),
        _ => Work::Listing(Reason::DueRows),
    }
}

fn due_account_lists(state: &mut ScheduleState) -> Work {
    let account_lists = mem::take(&mut state.account_lists);
    if account_lists.is_empty() {
        return Work::Nothing;
    }
    let is_cheaper =
        request_plan::account_lists_are_cheaper(&account_lists, state.listing_requests());
    match (state.cannot_filter_by_account, state.listing_retry_at) {
        (false, _) if is_cheaper => Work::AccountLists(account_lists),
        (_, None) => Work::Listing(Reason::DueRows),
        (_, Some(_)) => Work::Nothing,
    }
}

/// A listing reads the due rows as well, but a long one may take hours of a small rate limit. Polls
/// that cost less than the listing are made before it.
fn costs_less_than_listing(polls: &Work, state: &ScheduleState) -> bool {
    let requests = match polls {
        Work::Poll(request_plan) => request_plan.requests(),
        Work::AccountLists(account_lists) => account_lists.len(),
        _ => 1,
    };
    i64::try_from(requests).is_ok_and(|requests| requests < state.pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::due::{Due, Facts};

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn hourly() -> FullSyncSchedule {
        FullSyncSchedule::parse("0 * * * *", 0).unwrap().unwrap()
    }

    fn fully_synced(ago_s: i64) -> ScheduleState {
        let full_sync_due_after = Some((now().timestamp() - ago_s) * 1_000_000);
        ScheduleState { full_sync_due_after, ..ScheduleState::default() }
    }

    fn due_video() -> DueRow {
        DueRow {
            row_id: 1,
            id: "v1".to_owned(),
            page: Some(7),
            due: Due { due_at: 0, gap_s: 0 },
            as_of: 0,
            facts: Facts::default(),
        }
    }

    fn decide_for(state: &ScheduleState, scope: RunScope) -> Work {
        decide(Kind::Account, state.clone(), scope, Some(&hourly()), now(), &Zone::utc()).listing
    }

    #[test]
    fn first_run_lists_and_the_next_waits_for_the_full_sync() {
        let none = RunScope::default();
        assert_eq!(decide_for(&ScheduleState::default(), none), Work::Listing(Reason::First));
        // 1,800,000,000 is a full hour, so a full sync fires at this very second.
        assert_eq!(decide_for(&fully_synced(60), none), Work::Listing(Reason::FullSync));
        assert_eq!(decide_for(&fully_synced(0), none), Work::Nothing);
    }

    #[test]
    fn interrupted_listing_is_resumed_unless_a_full_one_is_wanted() {
        let schedule_state =
            ScheduleState { has_open_listing: true, is_unfinished: true, ..fully_synced(0) };
        assert_eq!(decide_for(&schedule_state, RunScope::default()), Work::Resume);
        let full = RunScope { full: true, ..RunScope::default() };
        assert_eq!(decide_for(&schedule_state, full), Work::Listing(Reason::Full));
    }

    #[test]
    fn due_rows_do_not_wait_for_a_long_listing() {
        let of = |pages, has_open_listing| {
            let schedule_state = ScheduleState {
                due: vec![due_video()],
                pages,
                has_open_listing,
                ..fully_synced(60)
            };
            decide(
                Kind::Video,
                schedule_state,
                RunScope::default(),
                Some(&hourly()),
                now(),
                &Zone::utc(),
            )
        };
        let full_sync = Work::Listing(Reason::FullSync);
        let both = of(2, true);
        assert_eq!((both.polls.is_some(), both.listing), (true, Work::Resume));
        let both = of(2, false);
        assert_eq!((both.polls.is_some(), both.listing), (true, full_sync.clone()));
        // The listing costs no more.
        assert_eq!((of(1, true).polls, of(1, true).listing), (None, Work::Resume));
        assert_eq!((of(1, false).polls, of(1, false).listing), (None, full_sync));
    }

    #[test]
    fn accepting_removals_lists_kinds_that_hold_removals() {
        let mut schedule_state = fully_synced(0);
        let scope = RunScope { accept_removals: true, ..RunScope::default() };
        assert_eq!(decide_for(&schedule_state, scope), Work::Nothing);
        schedule_state.holds_removals = true;
        assert_eq!(decide_for(&schedule_state, scope), Work::Listing(Reason::HeldRemovals));
    }

    #[test]
    fn backoff_of_a_listing_does_not_delay_polls() {
        let paused =
            ScheduleState { listing_retry_at: Some(1), is_unfinished: true, ..fully_synced(9_000) };
        let none = RunScope::default();
        let of = |schedule_state: &ScheduleState, scope| {
            decide(Kind::Video, schedule_state.clone(), scope, Some(&hourly()), now(), &Zone::utc())
        };
        let listing = |schedule_state: &ScheduleState, scope| of(schedule_state, scope).listing;
        assert_eq!(listing(&paused, none), Work::Nothing);
        assert_eq!(
            listing(&ScheduleState { has_open_listing: true, ..paused.clone() }, none),
            Work::Nothing
        );
        let all_due = ScheduleState { due: vec![due_video()], pages: 1, ..paused.clone() };
        assert!(matches!(of(&all_due, none).polls, Some(Work::Poll(_))));
        let both_paused = ScheduleState { polls_retry_at: Some(1), ..all_due.clone() };
        assert!(!of(&both_paused, none).is_any());
        // The backoff of polls does not delay a listing, and `--full` overrides both.
        let polls = ScheduleState { listing_retry_at: None, ..both_paused.clone() };
        assert_eq!(listing(&polls, none), Work::Listing(Reason::Unfinished));
        let full = RunScope { full: true, ..none };
        assert_eq!(listing(&both_paused, full), Work::Listing(Reason::Full));
    }

    #[test]
    fn kind_without_full_syncs_is_not_listed() {
        let schedule_state = ScheduleState::default();
        let work =
            decide(Kind::Account, schedule_state, RunScope::default(), None, now(), &Zone::utc());
        assert!(!work.is_any());
    }
}
