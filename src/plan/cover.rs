//! Which requests show all due videos at the least cost.
//!
//! A page of the last walk can be read again by the cursor that opened it, and shows up to 200
//! videos at once. A video that stands on no known page is read by its id. When that would cost as
//! much as walking the whole list, the walk is better: it also sees what is new.

use std::collections::BTreeSet;

use crate::store::due::DueVideo;

/// The requests that cover a set of due videos.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cover {
    /// Keys of pages to read again.
    pub pages: BTreeSet<i64>,
    /// Videos to read one by one: our key and the API's id.
    pub items: Vec<(i64, String)>,
}

/// What to do about the due videos.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Nothing is due.
    Nothing,
    /// These requests.
    Polls(Cover),
    /// The whole list.
    Walk,
}

/// Chooses for `due`, when a walk costs `walk_pages` requests.
pub fn choose(due: &[DueVideo], walk_pages: i64) -> Choice {
    let mut cover = Cover::default();
    for video in due {
        match video.page {
            Some(page) => {
                cover.pages.insert(page);
            }
            None => cover.items.push((video.key, video.id.clone())),
        }
    }
    let requests = cover.pages.len().saturating_add(cover.items.len());
    let walk = usize::try_from(walk_pages.max(1)).unwrap_or(usize::MAX);
    match requests {
        0 => Choice::Nothing,
        n if n > walk || (n == walk && !cover.items.is_empty()) => Choice::Walk,
        _ => Choice::Polls(cover),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::due::Due;

    fn video(key: i64, page: Option<i64>) -> DueVideo {
        DueVideo {
            key,
            id: format!("v{key}"),
            page,
            due: Due { due_at: 0, gap_s: 0 },
            interval_hours: None,
            last_scrape_time: None,
            added_at: None,
        }
    }

    #[test]
    fn one_page_covers_all_its_videos() {
        let due = [video(1, Some(7)), video(2, Some(7)), video(3, None)];
        let Choice::Polls(cover) = choose(&due, 100) else { panic!() };
        assert_eq!(cover.pages, BTreeSet::from([7]));
        assert_eq!(cover.items, [(3, "v3".to_owned())]);
    }

    #[test]
    fn the_walk_is_taken_when_it_costs_no_more() {
        let due: Vec<_> = (0..5).map(|key| video(key, None)).collect();
        assert_eq!(choose(&due, 4), Choice::Walk);
        assert_eq!(choose(&due, 5), Choice::Walk);
        assert!(matches!(choose(&due, 6), Choice::Polls(_)));
        assert_eq!(choose(&[], 6), Choice::Nothing);
    }

    #[test]
    fn all_pages_due_are_read_by_their_validators_rather_than_walked() {
        let due: Vec<_> = (0..5).map(|key| video(key, Some(key))).collect();
        assert!(matches!(choose(&due, 5), Choice::Polls(_)));
    }
}
