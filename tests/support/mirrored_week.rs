//! A mirror with a history: a small organization, mirrored every nine hours of a week that ends now.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use creatormirror::clock::Clock;
use creatormirror::model::Kind;
use rusqlite::Connection;
use serde_json::json;

use super::{TestBed, unlimited};
use crate::support::sandbox::{Platform, SandboxSettings};

/// Time between two runs. Shorter than most scrape intervals and longer than some, so that there are
/// gaps.
const STEP: Duration = Duration::from_secs(9 * 3_600);
/// Runs in the week.
const STEPS: i32 = 19;

/// Returns the test bed and the last instant of its week. A video was deleted, another is unavailable,
/// some are overdue, an account has no posts, and a write was refused.
pub fn mirrored_week() -> (TestBed, DateTime<Utc>) {
    let now = Clock::System.now();
    let clock = Clock::manual(now - TimeDelta::from_std(STEP * STEPS.unsigned_abs()).unwrap());
    let settings = SandboxSettings {
        accounts: 7,
        creators: 3,
        videos: 40,
        account_videos: 60,
        past_days: 21,
        new_posts_per_day: 1.0,
        seed: 5,
        ..unlimited()
    };
    let bed = TestBed::new(settings, clock.clone());
    for step in 0..STEPS {
        bed.sync_ok(&["--full"]);
        clock.advance(STEP);
        if step == STEPS - 4 {
            let videos = bed.control.ids(Kind::Video);
            bed.control.delete(Kind::Video, &videos[0]);
            bed.control.make_unavailable(Kind::Video, &videos[1]);
        }
    }
    bed.control.add_account(Platform::Tiktok, "silent.one");
    // Six videos become overdue.
    for id in bed.control.ids(Kind::Video).iter().skip(2).take(6) {
        bed.control.set_member(Kind::Video, id, "scrape_interval_hours", &json!(1));
    }
    let sql = "INSERT INTO outbox_requests (kind, action, target, body)
               VALUES ('video', 'set', '00000000-0000-4000-8000-000000000000', '{\"is_active\":false}')";
    Connection::open(bed.database()).unwrap().execute(sql, []).unwrap();
    bed.sync(&["--full"]).expect(1);
    (bed, now)
}
