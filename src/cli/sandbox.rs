//! `sandbox`: serves the simulated API alone.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use clap::Args;

use crate::cli::runtime;
use crate::clock::Clock;
use crate::report::{Answer, CliError, Exit, answer};
use crate::sandbox::{self, SandboxSettings};

/// Flags of `sandbox`.
#[derive(Debug, Clone, Args)]
pub struct SandboxArgs {
    /// Loopback address to listen on; port 0 selects a free port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8787", value_parser = loopback)]
    pub listen: SocketAddr,
    /// Number of accounts
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub accounts: u32,
    /// Number of individually tracked videos
    #[arg(long, value_name = "N", default_value_t = 500)]
    pub videos: u32,
    /// Number of videos in the feeds of the accounts
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub account_videos: u32,
    /// Number of creators
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub creators: u32,
    /// Seed of the generated data; the same seed gives the same data
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub seed: u64,
    /// Rate limit: requests per key and window
    #[arg(long, value_name = "N", default_value = "600")]
    pub rate_limit: NonZeroU32,
    /// Length of the rate limit window
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = crate::cli::globals::duration)]
    pub rate_window: Duration,
    /// Delay of every response
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = crate::cli::globals::duration)]
    pub latency: Duration,
    /// Share of requests that fail in a random way, from 0 to 1
    #[arg(long, value_name = "P", default_value_t = 0.0, value_parser = probability)]
    pub chaos: f64,
}

/// Runs the command: serves until a stop signal.
pub fn run(args: &SandboxArgs, clock: &Clock) -> Result<Answer, CliError> {
    let settings = args.settings();
    let key = settings.keys.first().map(|key| key.key.clone()).unwrap_or_default();
    runtime::multi_thread()?.block_on(async {
        let sandbox = sandbox::start(settings, clock.clone(), args.listen).await.map_err(|error| {
            CliError::new(Exit::Unavailable, format!("cannot listen on `{}`", args.listen)).because(&error)
        })?;
        let url = sandbox.base_url();
        answer::print(&format!(
            "serving {url}, key {key}\n\n  \
             CREATORAUDIT_API_KEY={key} creatormirror --base-url {url} --database ./sandbox.db sync\n\n\
             Press Ctrl-C to stop.\n"
        ))?;
        runtime::stop_signal().await;
        sandbox.stop().await;
        Ok(Answer::none())
    })
}

impl SandboxArgs {
    fn settings(&self) -> SandboxSettings {
        let size = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        SandboxSettings {
            accounts: size(self.accounts),
            creators: size(self.creators),
            videos: size(self.videos),
            account_videos: size(self.account_videos),
            seed: self.seed,
            rate_limit: self.rate_limit.get(),
            rate_window: self.rate_window,
            latency: self.latency,
            chaos: self.chaos,
            ..SandboxSettings::default()
        }
    }
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "expected an address and a port such as 127.0.0.1:8787")?;
    match address.ip().is_loopback() {
        true => Ok(address),
        false => Err("expected a loopback address".to_owned()),
    }
}

fn probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listens_on_loopback_only() {
        assert!(loopback("127.0.0.1:0").is_ok() && loopback("[::1]:80").is_ok());
        for wrong in ["0.0.0.0:80", "10.0.0.1:80", "localhost", "127.0.0.1"] {
            assert!(loopback(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn chaos_is_a_probability() {
        assert_eq!(probability("0.25"), Ok(0.25));
        for wrong in ["1.5", "-0.1", "NaN", "10%"] {
            assert!(probability(wrong).is_err(), "{wrong}");
        }
    }
}
