//! ◇ A server's settings.

use super::gc::Thresholds;
use super::heartbeats::Pace;
use crate::model::Nanos;

/// A server's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// How many evaluations are worked on at once. They wait for the disk most of the time, so more than the cores.
    pub workers: usize,
    /// How often nodes must be heard of.
    pub pace: Pace,
    /// For how long things that are over are kept.
    pub keep: Thresholds,
    /// How often the server looks for what is over.
    pub collect_every: Nanos,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            workers: 32,
            pace: Pace::default(),
            keep: Thresholds::default(),
            collect_every: Nanos::from_secs(300),
        }
    }
}
