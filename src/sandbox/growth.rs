//! How posts and profiles grow: closed formulas of age, so that any scrape can be computed alone.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::model::named::named;
use crate::sandbox::moment::{DAY, HOUR, Moment};

named! {
    /// A platform that the API serves.
    pub enum Platform {
        /// Instagram.
        Instagram = "instagram",
        /// TikTok.
        Tiktok = "tiktok",
    }
}

/// The counts of one scrape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Times seen.
    pub view: i64,
    /// Likes.
    pub like: i64,
    /// Comments.
    pub comment: i64,
    /// Shares.
    pub share: i64,
    /// Times started; the same as views on TikTok.
    pub play: i64,
    /// Saves; Instagram only.
    pub saved: Option<i64>,
}

/// How one post spreads.
#[derive(Debug, Clone)]
pub struct PostGrowth {
    /// When the post was published on its platform.
    pub published: Moment,
    reach: f32,
    pace_hours: f32,
    burst: f32,
    burst_after_hours: f32,
    rates: Rates,
}

#[derive(Debug, Clone)]
struct Rates {
    like: f32,
    comment: f32,
    share: f32,
    play: f32,
    saved: f32,
}

impl Rates {
    fn draw(random: &mut ChaCha8Rng) -> Self {
        Self {
            like: random.random_range(0.02..0.12),
            comment: random.random_range(0.001..0.012),
            share: random.random_range(0.001..0.02),
            play: random.random_range(1.05..1.6),
            saved: random.random_range(0.002..0.03),
        }
    }

    fn counts(&self, platform: Platform, views: f64) -> Counts {
        let part = |rate: f32| (views * f64::from(rate)) as i64;
        Counts {
            view: views as i64,
            like: part(self.like),
            comment: part(self.comment),
            share: part(self.share),
            play: match platform {
                Platform::Instagram => part(self.play),
                Platform::Tiktok => views as i64,
            },
            saved: (platform == Platform::Instagram).then(|| part(self.saved)),
        }
    }
}

impl PostGrowth {
    /// The fate of a post: most fade within days, three in a hundred are discovered again.
    pub fn draw(random: &mut ChaCha8Rng, published: Moment) -> Self {
        let goes_viral = random.random_bool(0.03);
        Self {
            published,
            reach: 10f32.powf(random.random_range(2.6..4.8)),
            pace_hours: random.random_range(8.0..60.0),
            burst: if goes_viral { 10f32.powf(random.random_range(5.3..6.8)) } else { 0.0 },
            burst_after_hours: random.random_range(12.0..400.0),
            rates: Rates::draw(random),
        }
    }

    /// The counts that a scrape at `at` would find. They never fall.
    pub fn at(&self, platform: Platform, at: Moment) -> Counts {
        let age = at.hours_since(self.published).max(0.0);
        let reach = f64::from(self.reach);
        let faded = reach * (1.0 - (-age / f64::from(self.pace_hours)).exp());
        let tail = reach * 0.01 * (age / 24.0).ln_1p();
        let burst = match self.burst {
            0.0 => 0.0,
            size => {
                let steepness = (age - f64::from(self.burst_after_hours)) / 9.0;
                f64::from(size) / (1.0 + (-steepness).exp())
            }
        };
        self.rates.counts(platform, faded + tail + burst)
    }
}

/// How one profile grows.
#[derive(Debug, Clone)]
pub struct AccountGrowth {
    opened: Moment,
    followers_per_day: f64,
    swing: f64,
    views_per_day: f64,
    /// Profiles that this one follows.
    pub following: i64,
    /// Posts on the profile before tracking began.
    pub earlier_posts: i64,
    rates: Rates,
}

impl AccountGrowth {
    /// The fate of a profile that existed for some time before `seen`.
    pub fn draw(random: &mut ChaCha8Rng, seen: Moment) -> Self {
        let followers_per_day = 10f64.powf(random.random_range(0.3..3.2));
        Self {
            opened: seen.plus(-random.random_range(200 * DAY..2_000 * DAY)),
            followers_per_day,
            swing: followers_per_day * random.random_range(0.0..3.0),
            views_per_day: followers_per_day * random.random_range(5.0..60.0),
            following: random.random_range(12..900),
            earlier_posts: random.random_range(20..700),
            rates: Rates::draw(random),
        }
    }

    /// Followers at `at`; unlike other counts they fall now and then.
    pub fn followers(&self, at: Moment) -> i64 {
        let days = at.hours_since(self.opened) / 24.0;
        (days * self.followers_per_day + self.swing * (days / 3.0).sin()).max(0.0) as i64
    }

    /// The profile's totals at `at`.
    pub fn at(&self, platform: Platform, at: Moment) -> Counts {
        let days = at.hours_since(self.opened).max(0.0) / 24.0;
        self.rates.counts(platform, days * self.views_per_day)
    }
}

/// An interval as the API counts it.
pub fn hours(interval: u32) -> i64 {
    i64::from(interval) * HOUR
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn counts_of_a_post_never_fall_and_some_posts_go_viral() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let start = Moment(1_750_000_000_000);
        let mut viral = 0;
        for _ in 0..500 {
            let growth = PostGrowth::draw(&mut random, start);
            let mut last = Counts::default();
            for step in 0..200 {
                let counts = growth.at(Platform::Instagram, start.plus(step * 5 * HOUR));
                assert!(counts.view >= last.view && counts.saved >= last.saved.or(Some(0)));
                last = counts;
            }
            viral += usize::from(last.view > 150_000);
        }
        assert!((3..60).contains(&viral), "{viral} of 500 went viral");
    }
}
