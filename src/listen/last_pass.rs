//! The end of the last pass: a number that is not there until there was one. A gauge would show zero,
//! which is an instant like any other.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

/// When the last pass ended, Unix seconds; zero before the first. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct LastPass(Arc<AtomicI64>);

impl LastPass {
    /// A pass has ended.
    pub fn set(&self, at: i64) {
        self.0.store(at, Ordering::Relaxed);
    }
}

impl Collector for LastPass {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let at = self.0.load(Ordering::Relaxed);
        if at == 0 {
            return Ok(());
        }
        let (name, help) = ("last_pass_timestamp_seconds", "End of the last pass, Unix seconds.");
        let gauge = ConstGauge::new(at);
        gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
    }
}
