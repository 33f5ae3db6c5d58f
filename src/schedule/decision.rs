//! What a run does for a kind. Pure: where the kind stands in, the work out.

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::model::due::{DueAccountList, DueRow};
use crate::model::named::named;
use crate::model::{Kind, instant};
use crate::schedule::full_sync::FullSyncSchedule;
use crate::schedule::request_plan::{self, Choice, RequestPlan};

/// Clocks are set by this much without anybody noticing.
const SYNCED_AHEAD_MAX: TimeDelta = TimeDelta::seconds(60);

/// What to do for a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// It is not due.
    Nothing,
    /// The server does not have it.
    Unavailable,
    /// An interrupted listing goes on.
    Resume,
    /// A listing from the first page, or reading the document.
    Listing(Reason),
    /// Reading again what is due.
    Poll(RequestPlan),
    /// Looking at the accounts, newest scrape first, for those that are due.
    RecentAccounts(Vec<DueRow>),
    /// Reading the videos of accounts that were scraped.
    AccountLists(Vec<DueAccountList>),
}

impl Work {
    /// Whether it reads what is due, and nothing else.
    pub const fn is_for_dues(&self) -> bool {
        matches!(self, Self::Poll(_) | Self::RecentAccounts(_) | Self::AccountLists(_))
    }
}

named! {
    /// Why a listing is due, as `sync_log.trigger` names it.
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
        FullSync = "full_sync",
        /// So much is due that a listing is the cheapest way to see it.
        Dues = "due",
    }
}

/// Where a kind stands.
#[derive(Debug, Clone, Default)]
pub struct ScheduleState {
    /// A cron time after this makes the kind due, microseconds.
    pub full_sync_due_after: Option<i64>,
    /// Whether removals are held back.
    pub holds_removals: bool,
    /// Whether an interrupted listing waits.
    pub has_open_listing: bool,
    /// Whether the last turn left something undone.
    pub is_unfinished: bool,
    /// Whether the server refused the endpoint lately.
    pub is_refused: bool,
    /// When the first due row has waited long enough for others, Unix seconds.
    pub ready_at: Option<i64>,
    /// Rows that are due and have waited for each other.
    pub due: Vec<DueRow>,
    /// Accounts whose videos have news.
    pub account_lists: Vec<DueAccountList>,
    /// Whether the server cannot sort accounts by their last scrape.
    pub cannot_sort_accounts: bool,
    /// Whether the server cannot list the videos of one account.
    pub cannot_filter_by_account: bool,
    /// Pages of its list.
    pub pages: i64,
    /// When its list may be read again after failures, microseconds; `None` when it may.
    pub listing_retry_at: Option<i64>,
    /// When what is due may be read again after failures, microseconds; `None` when it may.
    pub polls_retry_at: Option<i64>,
}

impl ScheduleState {
    /// What reading the whole list costs in requests; more than anything while that is paused.
    fn listing_pages(&self) -> i64 {
        self.listing_retry_at.map_or(self.pages, |_| i64::MAX)
    }
}

/// What the user or the daemon wants of this run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunScope {
    /// New listings of everything.
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
    /// Those that wait longest are listed first: [`ScheduleState::full_sync_due_after`].
    pub waits_since: Option<i64>,
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
    schedule_state: &ScheduleState,
    scope: RunScope,
    full_sync: Option<&FullSyncSchedule>,
    now: DateTime<Utc>,
    timezone: Tz,
) -> Decision {
    let listing = listing(schedule_state, scope, full_sync, now, timezone);
    let dues = match (&listing, schedule_state.polls_retry_at) {
        (Work::Unavailable | Work::Listing(Reason::Full), _) | (_, Some(_)) => Work::Nothing,
        _ => dues(kind, schedule_state),
    };
    let (polls, listing) = match (dues.is_for_dues(), listing) {
        (false, Work::Nothing) => (None, dues),
        (true, Work::Nothing) => (Some(dues), Work::Nothing),
        (true, listing) if goes_before_listing(&dues, schedule_state) => (Some(dues), listing),
        (_, listing) => (None, listing),
    };
    Decision { polls, listing, waits_since: schedule_state.full_sync_due_after }
}

/// Why the list is read now, if it is; what is due aside.
fn listing(
    schedule_state: &ScheduleState,
    scope: RunScope,
    full_sync: Option<&FullSyncSchedule>,
    now: DateTime<Utc>,
    timezone: Tz,
) -> Work {
    if schedule_state.is_refused {
        return Work::Unavailable;
    }
    if scope.full {
        return Work::Listing(Reason::Full);
    }
    let is_paused = schedule_state.listing_retry_at.is_some();
    if schedule_state.has_open_listing && !is_paused {
        return Work::Resume;
    }
    if scope.accept_removals && schedule_state.holds_removals {
        return Work::Listing(Reason::HeldRemovals);
    }
    if is_paused {
        return Work::Nothing;
    }
    if schedule_state.is_unfinished {
        return Work::Listing(Reason::Unfinished);
    }
    let Some(full_sync) = full_sync else { return Work::Nothing };
    let Some(full_sync_due_after) = schedule_state.full_sync_due_after.map(instant::from_micros)
    else {
        return Work::Listing(Reason::First);
    };
    // A full sync of the future was noted by a clock that was wrong.
    let is_nonsense = full_sync_due_after.signed_duration_since(now) > SYNCED_AHEAD_MAX;
    match is_nonsense || full_sync.fires_between(full_sync_due_after, now, timezone) {
        true => Work::Listing(Reason::FullSync),
        false => Work::Nothing,
    }
}

/// The cheapest way to see what is due.
fn dues(kind: Kind, schedule_state: &ScheduleState) -> Work {
    match kind {
        Kind::Account => recent_accounts_or_poll(schedule_state),
        Kind::Video => poll_or_list(schedule_state),
        Kind::AccountVideo => account_lists_or_list(schedule_state),
        Kind::Creator | Kind::Overview | Kind::Meta => Work::Nothing,
    }
}

/// A listing shows what is due as well, but a long one may take hours of a small budget. What is due
/// does not wait for it where it costs less.
fn goes_before_listing(dues: &Work, schedule_state: &ScheduleState) -> bool {
    let requests = match dues {
        Work::Poll(request_plan) => {
            request_plan.pages.len().saturating_add(request_plan.items.len())
        }
        Work::AccountLists(account_lists) => account_lists.len(),
        _ => 1,
    };
    i64::try_from(requests).is_ok_and(|requests| requests < schedule_state.pages)
}

fn poll_or_list(schedule_state: &ScheduleState) -> Work {
    match request_plan::choose(&schedule_state.due, schedule_state.listing_pages()) {
        Choice::Nothing => Work::Nothing,
        Choice::Polls(request_plan) => Work::Poll(request_plan),
        Choice::Listing => Work::Listing(Reason::Dues),
    }
}

/// A single page is read again, since its validator may spare its body; for more than one it is
/// cheaper to look at what moved last.
fn recent_accounts_or_poll(schedule_state: &ScheduleState) -> Work {
    match poll_or_list(schedule_state) {
        Work::Poll(request_plan)
            if request_plan.pages.len().saturating_add(request_plan.items.len()) == 1 =>
        {
            Work::Poll(request_plan)
        }
        Work::Nothing => Work::Nothing,
        other if schedule_state.cannot_sort_accounts => other,
        _ => Work::RecentAccounts(schedule_state.due.clone()),
    }
}

fn account_lists_or_list(schedule_state: &ScheduleState) -> Work {
    if schedule_state.account_lists.is_empty() {
        return Work::Nothing;
    }
    let is_cheaper = request_plan::account_lists_are_cheaper(
        &schedule_state.account_lists,
        schedule_state.listing_pages(),
    );
    match (schedule_state.cannot_filter_by_account, schedule_state.listing_retry_at) {
        (false, _) if is_cheaper => Work::AccountLists(schedule_state.account_lists.clone()),
        (_, None) => Work::Listing(Reason::Dues),
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

    fn decide_for(schedule_state: &ScheduleState, scope: RunScope) -> Work {
        decide(Kind::Account, schedule_state, scope, Some(&hourly()), now(), Tz::UTC).listing
    }

    #[test]
    fn the_first_run_listings_and_the_next_waits_for_its_full_sync() {
        let none = RunScope::default();
        assert_eq!(decide_for(&ScheduleState::default(), none), Work::Listing(Reason::First));
        // 1,800,000,000 is a full hour, so a full sync fires at this very second.
        assert_eq!(decide_for(&fully_synced(60), none), Work::Listing(Reason::FullSync));
        assert_eq!(decide_for(&fully_synced(0), none), Work::Nothing);
    }

    #[test]
    fn an_interrupted_listing_goes_on_unless_everything_is_wanted_anew() {
        let schedule_state =
            ScheduleState { has_open_listing: true, is_unfinished: true, ..fully_synced(0) };
        assert_eq!(decide_for(&schedule_state, RunScope::default()), Work::Resume);
        let full = RunScope { full: true, ..RunScope::default() };
        assert_eq!(decide_for(&schedule_state, full), Work::Listing(Reason::Full));
    }

    #[test]
    fn what_is_due_does_not_wait_for_a_long_listing() {
        let of = |pages, has_open_listing| {
            let schedule_state = ScheduleState {
                due: vec![due_video()],
                pages,
                has_open_listing,
                ..fully_synced(60)
            };
            decide(
                Kind::Video,
                &schedule_state,
                RunScope::default(),
                Some(&hourly()),
                now(),
                Tz::UTC,
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
    fn accepting_removals_lists_kinds_that_hold_some() {
        let mut schedule_state = fully_synced(0);
        let scope = RunScope { accept_removals: true, ..RunScope::default() };
        assert_eq!(decide_for(&schedule_state, scope), Work::Nothing);
        schedule_state.holds_removals = true;
        assert_eq!(decide_for(&schedule_state, scope), Work::Listing(Reason::HeldRemovals));
    }

    #[test]
    fn a_listing_that_is_paused_waits_and_what_is_due_does_not() {
        let paused =
            ScheduleState { listing_retry_at: Some(1), is_unfinished: true, ..fully_synced(9_000) };
        let none = RunScope::default();
        let of = |schedule_state: &ScheduleState, scope| {
            decide(Kind::Video, schedule_state, scope, Some(&hourly()), now(), Tz::UTC)
        };
        let listing = |schedule_state: &ScheduleState, scope| of(schedule_state, scope).listing;
        assert_eq!(listing(&paused, none), Work::Nothing);
        assert_eq!(
            listing(&ScheduleState { has_open_listing: true, ..paused.clone() }, none),
            Work::Nothing
        );
        let all_due = ScheduleState { due: vec![due_video()], pages: 1, ..paused.clone() };
        assert!(matches!(of(&all_due, none).polls, Some(Work::Poll(_))));
        let resting = ScheduleState { polls_retry_at: Some(1), ..all_due.clone() };
        assert!(!of(&resting, none).is_any());
        // Polls that are paused hold up no listing, and whoever wants everything gets it.
        let polls = ScheduleState { listing_retry_at: None, ..resting.clone() };
        assert_eq!(listing(&polls, none), Work::Listing(Reason::Unfinished));
        let full = RunScope { full: true, ..none };
        assert_eq!(listing(&resting, full), Work::Listing(Reason::Full));
    }

    #[test]
    fn full_syncs_that_are_off_leave_the_kind_alone() {
        let schedule_state = ScheduleState::default();
        let work =
            decide(Kind::Account, &schedule_state, RunScope::default(), None, now(), Tz::UTC);
        assert!(!work.is_any());
    }
}
