//! Settings of a sandbox: size, limits, keys and quirks.

use std::time::Duration;

/// Settings of a sandbox. The default is a small, believable organization on a calm day.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// Tracked accounts at the start.
    pub accounts: usize,
    /// Creators at the start; most own one or two of the accounts.
    pub creators: usize,
    /// Individually tracked videos at the start.
    pub videos: usize,
    /// Posts already found in the accounts' feeds at the start. None without accounts.
    pub account_videos: usize,
    /// For how many days the organization has been adding accounts and videos at the start. Posts of
    /// a young one are young too, and grow.
    pub past_days: u32,
    /// Posts that each active account publishes per day from then on.
    pub new_posts_per_day: f64,
    /// The same seed, settings and clock give the same world and the same chaos.
    pub seed: u64,
    /// Requests per key and window.
    pub rate_limit: u32,
    /// Length of the fixed rate-limit window.
    pub rate_window: Duration,
    /// Real time that every answer takes at least.
    pub latency: Duration,
    /// Chance, from 0 to 1, that a request meets one of the accidents of an ordinary bad day.
    pub chaos: f64,
    /// Keys that are let in. The world belongs to all of them.
    pub keys: Vec<SandboxKey>,
    /// How ids of account videos are written.
    pub account_video_ids: IdStyle,
    /// Whether rows without the sort key come first; they come last otherwise.
    pub null_sort_first: bool,
    /// What a second POST of the same account or video gets.
    pub duplicates: Duplicates,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            accounts: 12,
            creators: 5,
            videos: 60,
            account_videos: 150,
            past_days: 180,
            new_posts_per_day: 0.0,
            seed: 1,
            rate_limit: 6_000,
            rate_window: Duration::from_secs(60),
            latency: Duration::ZERO,
            chaos: 0.0,
            keys: vec![SandboxKey::default()],
            account_video_ids: IdStyle::Integer,
            null_sort_first: false,
            duplicates: Duplicates::Conflict,
        }
    }
}

/// A key of the sandbox's organization.
#[derive(Debug, Clone)]
pub struct SandboxKey {
    /// The secret, as sent after `Bearer`.
    pub key: String,
    /// The name that `/whoami` tells.
    pub name: String,
    /// The organization that `/whoami` tells.
    pub organization_id: String,
    /// What the key may do; each scope implies the lower ones.
    pub scope: Scope,
    /// A disabled key is answered with 403 FORBIDDEN.
    pub enabled: bool,
}

impl Default for SandboxKey {
    fn default() -> Self {
        Self {
            key: "sandbox-key".to_owned(),
            name: "sandbox".to_owned(),
            organization_id: "0197a1b2-7c3d-7e4f-8a5b-000000000001".to_owned(),
            scope: Scope::Admin,
            enabled: true,
        }
    }
}

/// What a key may do. The order is that of implication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Reads alone.
    Read,
    /// Reads and writes.
    Write,
    /// Everything.
    Admin,
}

/// How ids of account videos are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdStyle {
    /// `1001`, counted separately on each platform.
    Integer,
    /// `"1001"`.
    Text,
    /// A UUID.
    Uuid,
}

/// What a POST of something already tracked gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// 409 CONFLICT.
    Conflict,
    /// 200 and the row that is there.
    Existing,
}
