//! Stored daily metrics: the remaining work compared with a reference computation, and query plans
//! that use indexes.

use std::collections::BTreeMap;

use creatormirror::api::decode;
use creatormirror::model::metrics::{Metrics, day};
use creatormirror::model::{Kind, SubjectKind};
use creatormirror::store::metrics::{self, DayMetrics, Subject, Wanted};
use creatormirror::store::open::IfMissing;
use creatormirror::store::rows::{RowWriter, Source};
use creatormirror::store::{Database, StoreResult};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

struct Mirror {
    _folder: tempfile::TempDir,
    store: Database,
}

impl Mirror {
    fn new(kind: Kind, rows: &[Value]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Database::open(&folder.path().join("mirror.db"), IfMissing::Create).unwrap();
        let mirror = Self { _folder: folder, store };
        let written = mirror.store.write(|tx| {
            let mut writer = RowWriter::new(tx, kind)?;
            for (stamp, row) in rows.iter().enumerate() {
                let row = decode::row(kind, row.to_string()).unwrap();
                writer.write(&row, Source { page: None, as_of: stamp as i64 })?;
            }
            Ok(())
        });
        written.unwrap();
        mirror
    }

    fn plan(&self, sql: &str) -> String {
        let lines = self.store.read(|c| -> StoreResult<Vec<String>> {
            let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
            let lines = statement.query_map([], |row| row.get(3))?;
            Ok(lines.collect::<Result<_, _>>()?)
        });
        lines.unwrap().join("\n")
    }
}

#[test]
fn queries_by_resource_or_by_day_use_indexes() {
    let mirror = Mirror::new(Kind::Video, &[json!({"id": "v"})]);
    let one = "kind = 'video' AND id = 'v'";
    for sql in [
        &format!("SELECT * FROM daily_metrics WHERE {one}"),
        "SELECT * FROM daily_metrics WHERE id = 'tiktok:7'",
        "SELECT d.* FROM videos AS v JOIN daily_metrics AS d ON d.kind = 'video' AND d.id = v.id WHERE v.id = 'v'",
        "SELECT sum(views) FROM daily_metrics WHERE kind = 'video' AND date = '2026-11-19'",
        "SELECT sum(views) FROM daily_metrics WHERE kind = 'account' AND date >= '2026-11-19'",
    ] {
        let plan = mirror.plan(sql);
        assert!(
            plan.contains("SEARCH m USING PRIMARY KEY") && !plan.contains("SCAN"),
            "{sql}: {plan}"
        );
    }
}

/// What the API answers about a video on a day, if anything.
#[derive(Debug, Clone, Copy)]
enum DayAnswer {
    Figures(Metrics),
    NotFound,
    Nothing,
}

fn day_answer() -> impl Strategy<Value = DayAnswer> {
    let figure = prop::option::weighted(0.8, 0i64..50);
    prop_oneof![
        4 => prop::array::uniform6(figure).prop_map(DayAnswer::Figures),
        1 => Just(DayAnswer::NotFound),
        1 => Just(DayAnswer::Nothing),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 32,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(20_261_120),
        ..ProptestConfig::default()
    })]
    /// Videos of different ages, requested on some days in rounds, each round a day later.
    #[test]
    fn remaining_work_matches_a_reference_computation(
        published in prop::collection::vec(prop::option::of(0i64..6), 1..12),
        answers in prop::collection::vec(prop::collection::vec(day_answer(), 12), 5),
        limit in 1usize..5,
    ) {
        let text = |number: i64| day(20_000 + number).unwrap().to_string();
        let rows: Vec<Value> = published.iter().enumerate().map(|(n, day)| {
            json!({"id": format!("v{n}"), "create_time": day.map(|day| format!("{}T10:00:00Z", text(day)))})
        }).collect();
        let mirror = Mirror::new(Kind::Video, &rows);
        // By day and video: the figures (`None` if not found), and whether they are final.
        let mut known: BTreeMap<(i64, String), (Option<Metrics>, bool)> = BTreeMap::new();
        for (round, answers) in answers.iter().enumerate() {
            let today = 4 + round as i64;
            for number in 0..today.min(6) {
                let (date, has_settled) = (text(number), today - number > 2);
                let wanted = Wanted { subject_kind: SubjectKind::Videos, day: 20_000 + number, date, has_settled };
                let expected: Vec<String> = published.iter().enumerate()
                    .filter(|(_, day)| day.is_none_or(|day| day <= number))
                    .map(|(n, _)| format!("v{n}"))
                    .filter(|id| match known.get(&(number, id.clone())) {
                        None => true,
                        Some((_, is_final)) => has_settled && !is_final,
                    })
                    .collect();
                let count = mirror.store.read(|c| metrics::count(c, &wanted)).unwrap();
                prop_assert_eq!(count as usize, expected.len());
                let (mut found, mut after) = (Vec::new(), i64::MIN);
                loop {
                    let subjects = mirror.store.read(|c| metrics::next(c, &wanted, after, limit)).unwrap();
                    let Some(last) = subjects.last() else { break };
                    after = last.row_id;
                    found.extend(subjects.iter().map(|subject| subject.id.clone()));
                    let mut answered: Vec<(Subject, DayMetrics)> = Vec::new();
                    for subject in subjects {
                        let n: usize = subject.id[1..].parse().unwrap();
                        let is_final = has_settled || subject.is_again;
                        let entry = (number, subject.id.clone());
                        match answers[n] {
                            DayAnswer::Figures(metrics) => {
                                let before = known.get(&entry).and_then(|(before, _)| *before);
                                let before = before.unwrap_or_default();
                                let kept = std::array::from_fn(|n| metrics[n].or(before[n]));
                                known.insert(entry, (Some(kept), is_final));
                                answered.push((subject, DayMetrics::Figures { metrics, is_final }));
                            }
                            DayAnswer::NotFound => {
                                let before = known.get(&entry).and_then(|(before, _)| *before);
                                known.insert(entry, (before, true));
                                answered.push((subject, DayMetrics::NotFound));
                            }
                            DayAnswer::Nothing => {}
                        }
                    }
                    mirror.store.write(|tx| metrics::write(tx, &wanted, &answered)).unwrap();
                }
                prop_assert_eq!(found, expected);
            }
        }
        let sql = "SELECT date, id, views, plays, likes, comments, shares, engagement
                   FROM daily_metrics ORDER BY date, id";
        let shown: Vec<(String, String, Metrics)> = mirror.store.read(|c| {
            let mut statement = c.prepare(sql)?;
            let rows = statement.query_map([], |row| {
                let mut metrics = Metrics::default();
                for (n, metric) in metrics.iter_mut().enumerate() {
                    *metric = row.get(n + 2)?;
                }
                Ok((row.get(0)?, row.get(1)?, metrics))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        }).unwrap();
        let expected: Vec<_> = known.into_iter()
            .filter_map(|((number, id), (metrics, _))| Some((text(number), id, metrics?)))
            .collect();
        prop_assert_eq!(shown, expected);
    }
}
