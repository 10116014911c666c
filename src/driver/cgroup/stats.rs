//! ◇ What a task uses, read from its cgroup.

use std::fs;
use std::path::Path;

use super::Cgroup;
use super::limits::Version;

/// One reading of a task's counters. Rates are the difference of two readings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskStats {
    /// Wall clock of the reading, Unix nanoseconds.
    pub at: i64,
    /// CPU time since the start, nanoseconds.
    pub cpu_total: u64,
    /// Of it in user mode, nanoseconds.
    pub cpu_user: u64,
    /// Of it in the kernel, nanoseconds.
    pub cpu_system: u64,
    /// Periods in which the task hit its CPU quota.
    pub throttled_periods: u64,
    /// Time it was held back for that, nanoseconds.
    pub throttled_time: u64,
    /// Bytes charged, page cache included.
    pub memory_usage: u64,
    /// The most that was ever charged.
    pub memory_max_usage: u64,
    /// Anonymous memory, bytes.
    pub memory_rss: u64,
    /// Page cache, bytes.
    pub memory_cache: u64,
    /// Swapped out, bytes.
    pub memory_swap: u64,
    /// Kernel memory, bytes.
    pub memory_kernel: u64,
    /// Processes of the task.
    pub pids: Vec<i32>,
}

/// The number after `name` in a text of `name number` lines.
pub(super) fn field(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn number(dir: &Path, file: &str) -> u64 {
    fs::read_to_string(dir.join(file)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn text(dir: &Path, file: &str) -> String {
    fs::read_to_string(dir.join(file)).unwrap_or_default()
}

/// Reads the counters. What the kernel does not offer is 0.
pub(in crate::driver) fn read(cgroup: &Cgroup) -> TaskStats {
    let mut stats = match cgroup.version() {
        Version::V1 => read_v1(cgroup),
        Version::V2 => cgroup.dir("cgroup").map(|dir| read_v2(&dir)).unwrap_or_default(),
    };
    stats.at = crate::sys::clock::unix_nanos();
    stats.pids = cgroup.pids();
    stats
}

fn read_v1(cgroup: &Cgroup) -> TaskStats {
    let mut stats = TaskStats::default();
    if let Some(dir) = cgroup.dir("cpuacct") {
        stats.cpu_total = number(&dir, "cpuacct.usage");
        stats.cpu_user = number(&dir, "cpuacct.usage_user");
        stats.cpu_system = number(&dir, "cpuacct.usage_sys");
    }
    if let Some(dir) = cgroup.dir("cpu") {
        let text = text(&dir, "cpu.stat");
        stats.throttled_periods = field(&text, "nr_throttled").unwrap_or(0);
        stats.throttled_time = field(&text, "throttled_time").unwrap_or(0);
    }
    if let Some(dir) = cgroup.dir("memory") {
        let text = text(&dir, "memory.stat");
        stats.memory_usage = number(&dir, "memory.usage_in_bytes");
        stats.memory_max_usage = number(&dir, "memory.max_usage_in_bytes");
        stats.memory_kernel = number(&dir, "memory.kmem.usage_in_bytes");
        stats.memory_rss = field(&text, "total_rss").unwrap_or(0);
        stats.memory_cache = field(&text, "total_cache").unwrap_or(0);
        stats.memory_swap = field(&text, "total_swap").unwrap_or(0);
    }
    stats
}

fn read_v2(dir: &Path) -> TaskStats {
    let cpu = text(dir, "cpu.stat");
    let memory = text(dir, "memory.stat");
    let nanos = |name: &str| field(&cpu, name).unwrap_or(0).saturating_mul(1000);
    TaskStats {
        cpu_total: nanos("usage_usec"),
        cpu_user: nanos("user_usec"),
        cpu_system: nanos("system_usec"),
        throttled_periods: field(&cpu, "nr_throttled").unwrap_or(0),
        throttled_time: nanos("throttled_usec"),
        memory_usage: number(dir, "memory.current"),
        memory_max_usage: number(dir, "memory.peak"),
        memory_rss: field(&memory, "anon").unwrap_or(0),
        memory_cache: field(&memory, "file").unwrap_or(0),
        memory_kernel: field(&memory, "kernel").unwrap_or(0),
        memory_swap: number(dir, "memory.swap.current"),
        ..TaskStats::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_whole_word() {
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(field(text, "oom_kill"), Some(3));
        assert_eq!(field(text, "oom"), None);
    }

    #[test]
    fn v2_counters_become_nanoseconds_and_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("cpu.stat", "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_throttled 2\n");
        write("memory.current", "4096\n");
        write("memory.stat", "anon 1024\nfile 2048\n");
        let stats = read_v2(dir.path());
        assert_eq!(
            (stats.cpu_total, stats.cpu_user, stats.cpu_system),
            (1_500_000, 1_000_000, 500_000)
        );
        assert_eq!((stats.memory_usage, stats.memory_rss, stats.memory_cache), (4096, 1024, 2048));
        assert_eq!(stats.throttled_periods, 2);
    }
}
