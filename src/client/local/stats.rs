//! ◇ What an allocation and this machine use, in the shape of Nomad's API.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::client::alloc::order::AllocLine;
use crate::client::site;
use crate::driver::TaskStats;
use crate::model::Timestamp;

/// What an allocation uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct AllocUsage {
    /// Of all tasks together.
    pub resource_usage: Usage,
    /// Of each.
    pub tasks: BTreeMap<String, TaskUsage>,
    /// When it was measured.
    pub timestamp: Timestamp,
}

/// What a task uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct TaskUsage {
    /// Of all its processes.
    pub resource_usage: Usage,
    /// When it was measured.
    pub timestamp: Timestamp,
    /// Of each process: nothing but the number is known.
    pub pids: Option<BTreeMap<String, Usage>>,
}

/// Processor and memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Usage {
    /// Memory.
    pub memory_stats: MemoryStats,
    /// Processor.
    pub cpu_stats: CpuStats,
    /// Devices.
    pub device_stats: Vec<serde_json::Value>,
}

/// Bytes of memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are Nomad's")]
pub struct MemoryStats {
    #[serde(rename = "RSS")]
    pub rss: u64,
    pub cache: u64,
    pub swap: u64,
    pub mapped_file: u64,
    pub usage: u64,
    pub max_usage: u64,
    pub kernel_usage: u64,
    pub kernel_max_usage: u64,
    pub measured: Option<Vec<&'static str>>,
}

/// Processor time, as a share of one core in percent and in MHz.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are Nomad's")]
pub struct CpuStats {
    pub system_mode: f64,
    pub user_mode: f64,
    pub total_ticks: f64,
    pub throttled_periods: u64,
    pub throttled_time: u64,
    pub percent: f64,
    pub measured: Option<Vec<&'static str>>,
}

/// Measures the tasks of an allocation, or one of them. The share of the processor is the mean since the task began:
/// nobody measures while nobody asks.
pub(super) fn alloc(line: &AllocLine, task: Option<&str>, core_mhz: i64) -> AllocUsage {
    let timestamp = site::now();
    let mut usage = AllocUsage { timestamp, ..AllocUsage::default() };
    for (name, line) in line.tasks.iter().filter(|(name, _)| task.is_none_or(|t| t == *name)) {
        let view = line.view.borrow().clone();
        let Some(stats) = view.handle.and_then(|handle| handle.stats().ok()) else { continue };
        let lived = timestamp.since(view.state.started_at).0.max(1);
        let own = of_task(&stats, lived, core_mhz);
        add(&mut usage.resource_usage, &own);
        let pids = stats.pids.iter().map(|pid| (pid.to_string(), Usage::default())).collect();
        let told = TaskUsage { resource_usage: own, timestamp, pids: Some(pids) };
        usage.tasks.insert(name.clone(), told);
    }
    usage
}

#[expect(clippy::cast_precision_loss, reason = "percentages need no 53 bits")]
fn of_task(stats: &TaskStats, lived_nanos: i64, core_mhz: i64) -> Usage {
    let share = |nanos: u64| nanos as f64 / lived_nanos as f64 * 100.0;
    Usage {
        memory_stats: MemoryStats {
            rss: stats.memory_rss,
            cache: stats.memory_cache,
            swap: stats.memory_swap,
            usage: stats.memory_usage,
            max_usage: stats.memory_max_usage,
            kernel_usage: stats.memory_kernel,
            measured: Some(vec!["RSS", "Cache", "Swap", "Usage", "Max Usage", "Kernel Usage"]),
            ..MemoryStats::default()
        },
        cpu_stats: CpuStats {
            system_mode: share(stats.cpu_system),
            user_mode: share(stats.cpu_user),
            percent: share(stats.cpu_total),
            total_ticks: share(stats.cpu_total) / 100.0 * core_mhz as f64,
            throttled_periods: stats.throttled_periods,
            throttled_time: stats.throttled_time,
            measured: Some(vec![
                "System Mode",
                "User Mode",
                "Percent",
                "Throttled Periods",
                "Throttled Time",
            ]),
        },
        device_stats: Vec::new(),
    }
}

fn add(sum: &mut Usage, own: &Usage) {
    let (all, one) = (&mut sum.memory_stats, &own.memory_stats);
    all.rss += one.rss;
    all.cache += one.cache;
    all.swap += one.swap;
    all.usage += one.usage;
    all.max_usage += one.max_usage;
    all.kernel_usage += one.kernel_usage;
    all.measured.clone_from(&one.measured);
    let (all, one) = (&mut sum.cpu_stats, &own.cpu_stats);
    all.system_mode += one.system_mode;
    all.user_mode += one.user_mode;
    all.percent += one.percent;
    all.total_ticks += one.total_ticks;
    all.throttled_periods += one.throttled_periods;
    all.throttled_time += one.throttled_time;
    all.measured.clone_from(&one.measured);
}

/// What the machine uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are Nomad's")]
pub struct HostUsage {
    pub memory: HostMemory,
    #[serde(rename = "CPU")]
    pub cpu: Vec<serde_json::Value>,
    pub disk_stats: Vec<DiskUsage>,
    pub alloc_dir_stats: DiskUsage,
    pub device_stats: Option<Vec<serde_json::Value>>,
    pub uptime: u64,
    #[serde(rename = "CPUTicksConsumed")]
    pub cpu_ticks_consumed: f64,
    pub timestamp: Timestamp,
}

/// Bytes of memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are Nomad's")]
pub struct HostMemory {
    pub total: u64,
    pub available: u64,
    pub used: u64,
    pub free: u64,
}

/// A file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
#[expect(missing_docs, reason = "the fields are Nomad's")]
pub struct DiskUsage {
    pub device: String,
    pub mountpoint: String,
    pub size: u64,
    pub used: u64,
    pub available: u64,
    pub used_percent: f64,
    pub inodes_used_percent: f64,
}

/// Measures the machine. The processor's numbers are means since it was booted.
pub(super) fn host(alloc_dir: &Path, core_mhz: i64) -> HostUsage {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let memory_info = read("/proc/meminfo");
    let bytes = |name: &str| {
        let line = memory_info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok())
            .unwrap_or(0)
            * 1024
    };
    let (total, free) = (bytes("MemTotal"), bytes("MemFree"));
    let used =
        total.saturating_sub(free + bytes("Buffers") + bytes("Cached") + bytes("SReclaimable"));
    let (cpu, cpu_ticks_consumed) = processors(&read("/proc/stat"), core_mhz);
    let uptime = read("/proc/uptime");
    let uptime = uptime.split('.').next().and_then(|secs| secs.parse().ok()).unwrap_or(0);
    HostUsage {
        memory: HostMemory { total, available: bytes("MemAvailable"), used, free },
        cpu,
        disk_stats: vec![disk(Path::new("/"), "/")],
        alloc_dir_stats: disk(alloc_dir, ""),
        device_stats: None,
        uptime,
        cpu_ticks_consumed,
        timestamp: site::now(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "percentages need no 53 bits")]
fn processors(stat: &str, core_mhz: i64) -> (Vec<serde_json::Value>, f64) {
    let mut ticks = 0.0;
    let one = |line: &str| -> Option<serde_json::Value> {
        let mut fields = line.split_whitespace();
        let name = fields.next().filter(|name| name.starts_with("cpu") && name.len() > 3)?;
        let times: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
        let at = |n: usize| times.get(n).copied().unwrap_or(0.0);
        let all: f64 = times.iter().take(8).sum::<f64>().max(1.0);
        let percent = |time: f64| time / all * 100.0;
        let busy = percent(all - at(3) - at(4));
        let mhz = busy / 100.0 * core_mhz as f64;
        ticks += mhz;
        Some(serde_json::json!({
            "CPU": name, "User": percent(at(0)), "System": percent(at(2)), "Idle": percent(at(3)),
            "TotalPercent": busy, "TotalTicks": mhz,
        }))
    };
    let list = stat.lines().filter_map(one).collect();
    (list, ticks)
}

#[expect(clippy::cast_precision_loss, reason = "percentages need no 53 bits")]
fn disk(path: &Path, mountpoint: &str) -> DiskUsage {
    let Ok(stat) = nix::sys::statvfs::statvfs(path) else { return DiskUsage::default() };
    let bytes = |blocks: u64| blocks.saturating_mul(stat.fragment_size());
    let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64 * 100.0;
    let used = bytes(stat.blocks().saturating_sub(stat.blocks_free()));
    let (size, available) = (bytes(stat.blocks()), bytes(stat.blocks_available()));
    let inodes = stat.files().saturating_sub(stat.files_free());
    DiskUsage {
        device: String::new(),
        mountpoint: mountpoint.to_owned(),
        size,
        used,
        available,
        used_percent: share(used, used + available),
        inodes_used_percent: share(inodes, stat.files()),
    }
}
