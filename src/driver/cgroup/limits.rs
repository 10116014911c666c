//! ◆ What is written into which control file so that a task stays within its resources.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::driver::context::Resources;

/// Which interface the controllers have. The hybrid layout is v1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::driver) enum Version {
    V1,
    V2,
}

/// A task's limits: its resources and what its driver's config adds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) struct Limits {
    pub cpu_shares: u64,
    /// Microseconds of CPU time per period, and the period.
    pub cpu_quota: Option<(u64, u64)>,
    pub cores: Option<String>,
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes the kernel leaves to the task as long as it can.
    pub reservation: Option<u64>,
    pub pids: Option<u64>,
}

impl Limits {
    pub(in crate::driver) fn of(resources: &Resources) -> Self {
        Self {
            cpu_shares: resources.cpu_shares,
            cpu_quota: None,
            cores: resources.cores.clone(),
            memory: resources.memory_limit(),
            reservation: resources.memory_reservation(),
            pids: resources.pids_limit,
        }
    }
}

/// One write into one control file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub controller: &'static str,
    pub file: &'static str,
    pub value: String,
    /// Without it the limit would not bind. The others are refinements that not every kernel offers.
    pub required: bool,
}

/// The writes, in order.
pub(super) fn settings(version: Version, limits: &Limits) -> Vec<Setting> {
    match version {
        Version::V1 => v1(limits),
        Version::V2 => v2(limits),
    }
}

fn must(controller: &'static str, file: &'static str, value: impl Display) -> Setting {
    Setting { controller, file, value: format!("{value}"), required: true }
}

fn may(controller: &'static str, file: &'static str, value: impl Display) -> Setting {
    Setting { controller, file, value: format!("{value}"), required: false }
}

fn v1(limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    if limits.cpu_shares > 0 {
        settings.push(must("cpu", "cpu.shares", limits.cpu_shares.clamp(2, 262_144)));
    }
    if let Some((quota, period)) = limits.cpu_quota {
        settings.push(must("cpu", "cpu.cfs_period_us", period));
        settings.push(must("cpu", "cpu.cfs_quota_us", quota));
    }
    if let Some(cores) = &limits.cores {
        settings.push(must("cpuset", "cpuset.cpus", cores));
    }
    if let Some(memory) = limits.memory {
        settings.push(must("memory", "memory.limit_in_bytes", memory));
        // Memory and swap together: no swap beyond the limit. Absent where swap is not accounted.
        settings.push(may("memory", "memory.memsw.limit_in_bytes", memory));
        settings.push(may("memory", "memory.swappiness", 0));
    }
    if let Some(reservation) = limits.reservation {
        settings.push(may("memory", "memory.soft_limit_in_bytes", reservation));
    }
    if let Some(pids) = limits.pids {
        settings.push(must("pids", "pids.max", pids));
    }
    settings
}

fn v2(limits: &Limits) -> Vec<Setting> {
    let mut settings = Vec::new();
    if limits.cpu_shares > 0 {
        settings.push(must("cpu", "cpu.weight", weight(limits.cpu_shares)));
    }
    if let Some((quota, period)) = limits.cpu_quota {
        settings.push(must("cpu", "cpu.max", format!("{quota} {period}")));
    }
    if let Some(cores) = &limits.cores {
        settings.push(must("cpuset", "cpuset.cpus", cores));
    }
    if let Some(memory) = limits.memory {
        settings.push(must("memory", "memory.max", memory));
        settings.push(may("memory", "memory.swap.max", 0));
    }
    if let Some(reservation) = limits.reservation {
        settings.push(may("memory", "memory.low", reservation));
    }
    if let Some(pids) = limits.pids {
        settings.push(must("pids", "pids.max", pids));
    }
    settings
}

/// The weight (1 to 10000) that stands to others as the shares (2 to 262144) do; runc and crun use the same line.
fn weight(shares: u64) -> u64 {
    1 + ((shares.clamp(2, 262_144) - 2) * 9999) / 262_142
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits {
            cpu_shares: 1000,
            cpu_quota: Some((50_000, 100_000)),
            cores: Some("0-1".into()),
            memory: Some(64 << 20),
            reservation: Some(32 << 20),
            pids: Some(100),
        }
    }

    fn value(settings: &[Setting], file: &str) -> Option<String> {
        settings.iter().find(|s| s.file == file).map(|s| s.value.clone())
    }

    #[test]
    fn the_same_limits_bind_on_both_versions() {
        let one = settings(Version::V1, &limits());
        assert_eq!(value(&one, "cpu.shares").as_deref(), Some("1000"));
        assert_eq!(value(&one, "cpu.cfs_quota_us").as_deref(), Some("50000"));
        assert_eq!(value(&one, "memory.limit_in_bytes").as_deref(), Some("67108864"));
        let two = settings(Version::V2, &limits());
        assert_eq!(value(&two, "cpu.weight").as_deref(), Some("39"));
        assert_eq!(value(&two, "cpu.max").as_deref(), Some("50000 100000"));
        assert_eq!(value(&two, "memory.max").as_deref(), Some("67108864"));
        assert_eq!(value(&two, "memory.swap.max").as_deref(), Some("0"));
        assert_eq!(value(&two, "pids.max").as_deref(), Some("100"));
    }

    #[test]
    fn weights_span_their_range() {
        assert_eq!(
            (weight(0), weight(2), weight(262_144), weight(u64::MAX)),
            (1, 1, 10_000, 10_000)
        );
    }

    #[test]
    fn no_limits_write_nothing() {
        assert!(settings(Version::V1, &Limits::default()).is_empty());
        assert!(settings(Version::V2, &Limits::default()).is_empty());
    }
}
