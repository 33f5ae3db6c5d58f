//! The expected daily metrics, and the fewest requests that fetch them.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use creatormirror::model::Kind;
use rusqlite::types::Value as Sql;
use serde_json::Value;

use super::support::compare::truth_key;
use super::support::{Run, Running, TestBed};
use crate::support::sandbox::LoggedRequest;

/// The kinds that have daily metrics.
pub const KINDS: [Kind; 3] = [Kind::Account, Kind::Video, Kind::AccountVideo];
/// The endpoints of daily metrics.
pub const PATHS: [&str; 3] = ["/accounts/metrics", "/videos/metrics", "/account-videos/metrics"];

/// By kind, id and day: views, plays, likes, comments, shares, engagement.
pub type Figures = BTreeMap<(String, String, String), [Option<i64>; 6]>;

impl TestBed {
    /// Starts `backfill` with these arguments.
    pub fn start_backfill(&self, arguments: &[&str]) -> Running {
        self.start(self.command(&[&["backfill"], arguments].concat()))
    }

    /// Runs `backfill` with these arguments and waits for it.
    pub fn backfill(&self, arguments: &[&str]) -> Run {
        self.start_backfill(arguments).wait()
    }

    /// Runs `backfill --days --json`, expects exit code 0, and returns the document.
    #[track_caller]
    pub fn backfill_well(&self, days: usize) -> Value {
        self.backfill(&["--days", &days.to_string(), "--json"]).expect(0).json()
    }

    /// The sandbox's figures on these days, of resources published by then.
    pub fn true_figures(&self, days: &[NaiveDate]) -> Figures {
        let mut figures = self.all_figures(days);
        for kind in KINDS {
            let published: BTreeMap<String, NaiveDate> = self.published(kind);
            figures.retain(|(of, id, day), _| {
                let day: NaiveDate = day.parse().unwrap();
                of != kind.name() || published.get(id).is_none_or(|published| *published <= day)
            });
        }
        figures
    }

    /// The sandbox's figures on these days, earlier than publication included.
    pub fn all_figures(&self, days: &[NaiveDate]) -> Figures {
        let mut figures = Figures::new();
        for kind in KINDS {
            for day in days {
                for (id, t) in self.control.daily(kind, *day) {
                    let counts =
                        [t.views, t.plays, t.likes, t.comments, t.shares, t.engagement()].map(Some);
                    figures.insert((kind.name().to_owned(), id, day.to_string()), counts);
                }
            }
        }
        figures
    }

    fn published(&self, kind: Kind) -> BTreeMap<String, NaiveDate> {
        let rows = self.control.rows(kind);
        let of = |row: &Value| {
            let day = row["create_time"].as_str()?.get(..10)?.parse().ok()?;
            Some((truth_key(kind, row), day))
        };
        rows.iter().filter_map(of).collect()
    }

    /// The figures in the mirror.
    pub fn mirrored_figures(&self) -> Figures {
        let sql = "SELECT kind, id, date, views, plays, likes, comments, shares, engagement FROM daily_metrics";
        let rows = self.rows(sql);
        let (count, text) = (rows.len(), |value: &Sql| match value {
            Sql::Text(text) => text.clone(),
            other => panic!("{other:?} is not text"),
        });
        let number = |value: &Sql| match value {
            Sql::Integer(number) => Some(*number),
            Sql::Null => None,
            other => panic!("{other:?} is not a count"),
        };
        let figures: Figures = rows
            .iter()
            .map(|row| {
                let key = (text(&row[0]), text(&row[1]), text(&row[2]));
                (key, std::array::from_fn(|n| number(&row[n + 3])))
            })
            .collect();
        assert_eq!(figures.len(), count, "duplicate day");
        figures
    }

    /// Asserts that the mirror holds the figures of exactly these days. Figures from before publication
    /// may be among them.
    #[track_caller]
    pub fn compare_days(&self, days: &[NaiveDate]) {
        let (truth, all) = (self.true_figures(days), self.all_figures(days));
        let mirror = self.mirrored_figures();
        let wrong: Vec<_> =
            truth.iter().filter(|(key, figures)| mirror.get(*key) != Some(*figures)).collect();
        let more: Vec<_> =
            mirror.iter().filter(|(key, figures)| all.get(*key) != Some(*figures)).collect();
        assert!(
            wrong.is_empty() && more.is_empty(),
            "{} wrong or missing: {:#?}; {} too many: {:#?}",
            wrong.len(),
            wrong.iter().take(4).collect::<Vec<_>>(),
            more.len(),
            more.iter().take(4).collect::<Vec<_>>()
        );
    }

    /// The fewest requests for these days with at most `ids_max` ids each.
    pub fn fewest(&self, days: &[NaiveDate], ids_max: usize) -> usize {
        let mut subject_kinds: BTreeMap<(String, String, String), usize> = BTreeMap::new();
        for (kind, id, day) in self.true_figures(days).into_keys() {
            let platform = id.split_once(':').map_or(String::new(), |(name, _)| name.to_owned());
            *subject_kinds.entry((kind, platform, day)).or_default() += 1;
        }
        subject_kinds.values().map(|ids| ids.div_ceil(ids_max)).sum()
    }

    /// The requests for daily metrics, oldest first.
    pub fn metrics_requests(&self) -> Vec<LoggedRequest> {
        self.log().into_iter().filter(|entry| PATHS.contains(&entry.path.as_str())).collect()
    }

    /// The days between `from` and `to` of a document.
    pub fn days_of(document: &Value) -> Vec<NaiveDate> {
        let date = |name: &str| document[name].as_str().unwrap().parse::<NaiveDate>().unwrap();
        date("from").iter_days().take_while(|day| *day <= date("to")).collect()
    }
}

/// The day of a request.
pub fn day(entry: &LoggedRequest) -> String {
    let body: Value = serde_json::from_str(&entry.body).unwrap();
    assert_eq!(body["period"], "custom");
    assert_eq!(body["start_date"], body["end_date"]);
    body["start_date"].as_str().unwrap().to_owned()
}

/// The ids of a request, and the member that holds them. There must be exactly one such member.
pub fn ids(entry: &LoggedRequest) -> (String, Vec<Value>) {
    let body: Value = serde_json::from_str(&entry.body).unwrap();
    let mut lists = body.as_object().unwrap().iter().filter(|(_, value)| value.is_array());
    let (name, list) = lists.next().unwrap();
    assert!(lists.next().is_none(), "one platform per call: {}", entry.body);
    (name.clone(), list.as_array().unwrap().clone())
}

/// Asserts that no resource was answered twice for the same day.
#[track_caller]
pub fn expect_no_repeats(requests: &[LoggedRequest]) {
    let mut seen = std::collections::BTreeSet::new();
    for entry in requests.iter().filter(|entry| entry.status == Some(200)) {
        let (name, ids) = ids(entry);
        for id in ids {
            let what = (name.clone(), id.to_string(), day(entry));
            assert!(seen.insert(what.clone()), "{what:?} was requested again");
        }
    }
}
