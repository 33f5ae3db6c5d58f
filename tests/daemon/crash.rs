//! Repeated `kill -9`.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::harness::quiet_bed;
use super::support::{unlimited, until};
use crate::support::sandbox::SandboxSettings;

#[test]
fn mirror_is_complete_after_repeated_kills() {
    let bed = quiet_bed(SandboxSettings {
        videos: 2_400,
        latency: Duration::from_millis(4),
        ..unlimited()
    });
    let mut random = ChaCha8Rng::seed_from_u64(20_261_120);
    for _ in 0..10 {
        bed.control.clear_log();
        let mut daemon = bed.start_daemon();
        let (requests, micros) = (random.random_range(1..14), random.random_range(0..9_000));
        until("the daemon has made some progress", || {
            bed.log().len() >= requests
                || daemon.notify.has("STATUS=idle until")
                || !daemon.process.is_running()
        });
        std::thread::sleep(Duration::from_micros(micros));
        assert_eq!(daemon.process.kill().code, None);
        if bed.database().exists() {
            bed.check_integrity();
        }
    }
    let daemon = bed.idle_daemon();
    bed.compare();
    bed.check_integrity();
    daemon.stop();
    let scraped = "SELECT count(*) FROM videos WHERE last_scrape_time IS NOT NULL";
    assert_eq!(bed.number("SELECT count(*) FROM video_history"), bed.number(scraped));
    assert_eq!(bed.number("SELECT count(*) FROM listing WHERE state = 'open'"), 0);
}
