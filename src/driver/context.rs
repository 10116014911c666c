//! ◆ Everything a driver is told about one task: all choices made, plain data, no look-ups left to do.
//!
//! The client fills it; the driver writes it into the task's state directory, where the shim reads it and
//! where it stays until the task is destroyed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// One task, ready to be started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskContext {
    /// The allocation the task belongs to.
    pub alloc_id: String,
    /// The task's name in its group.
    pub task: String,
    /// The whole environment, interpolated. Images add what is missing here.
    pub env: BTreeMap<String, String>,
    /// `user` of the jobspec: a name, a number, or `user:group`. `None` is the driver's default.
    pub user: Option<String>,
    /// Where the task's files are, as the host sees them.
    pub dirs: TaskDirs,
    /// What is kept of the task's output.
    pub logs: LogPolicy,
    /// What the task may use.
    pub resources: Resources,
    /// A network namespace to join, as a path. `None` is the host's.
    pub netns: Option<PathBuf>,
    /// The name the task sees as its host's, where the driver gives it one of its own.
    pub hostname: Option<String>,
    /// Files shown as /etc/hosts and /etc/resolv.conf to tasks with a root of their own.
    pub etc: EtcFiles,
    /// Further mounts, such as volumes.
    pub mounts: Vec<Mount>,
    /// Device nodes given to the task.
    pub devices: Vec<Device>,
    /// The unpacked image, for drivers that run one.
    pub image: Option<ImageRoot>,
    /// The cgroup under which the task's own is made, as `/stead.slice`.
    pub cgroup_parent: String,
}

/// Directories of one task on the host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TaskDirs {
    /// `<alloc>/<task>`, where a task without a root of its own starts.
    pub task: PathBuf,
    /// `<alloc>/alloc`, shared by the tasks of the group; `/alloc` inside.
    pub shared: PathBuf,
    /// `<alloc>/<task>/local`; `/local` inside.
    pub local: PathBuf,
    /// `<alloc>/<task>/secrets`; `/secrets` inside.
    pub secrets: PathBuf,
    /// Where the rotated output goes.
    pub logs: PathBuf,
    /// The driver's own, for this task alone; made by `start`, removed by `destroy`. Only root reads it.
    pub state: PathBuf,
}

/// Nomad's `logs` block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPolicy {
    /// Files kept of each stream.
    pub max_files: u32,
    /// Size at which a file is full.
    pub max_file_size_mb: u32,
    /// Output is thrown away.
    pub disabled: bool,
}

impl Default for LogPolicy {
    fn default() -> Self {
        Self { max_files: 10, max_file_size_mb: 10, disabled: false }
    }
}

/// Nomad's `resources`, as the kernel needs them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resources {
    /// Relative weight: the task's MHz.
    pub cpu_shares: u64,
    /// The task's part of all cores of the node, 0 to 1. What a hard CPU limit is made of.
    pub cpu_fraction: f64,
    /// Reserved cores as a list (`0-2,5`).
    pub cores: Option<String>,
    /// Memory in MiB. Also the limit when `memory_max_mb` is not set. 0 is no limit.
    pub memory_mb: u64,
    /// The limit in MiB when the task may use more than it reserved.
    pub memory_max_mb: Option<u64>,
    /// How many processes and threads the task may have.
    pub pids_limit: Option<u64>,
}

impl Resources {
    const MIB: u64 = 1024 * 1024;

    /// Bytes above which the kernel kills. `None` is no limit.
    pub fn memory_limit(&self) -> Option<u64> {
        let mib = self.memory_max_mb.unwrap_or(self.memory_mb).max(self.memory_mb);
        (mib > 0).then(|| mib.saturating_mul(Self::MIB))
    }

    /// Bytes the kernel tries to leave to the task when that is less than its limit.
    pub fn memory_reservation(&self) -> Option<u64> {
        let reserved = self.memory_mb.saturating_mul(Self::MIB);
        self.memory_limit().filter(|limit| reserved > 0 && reserved < *limit).map(|_| reserved)
    }
}

/// Files of the group's network, as the host sees them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct EtcFiles {
    /// Shown as /etc/hosts.
    pub hosts: Option<PathBuf>,
    /// Shown as /etc/resolv.conf.
    pub resolv_conf: Option<PathBuf>,
}

/// A host path shown inside the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// On the host.
    pub source: PathBuf,
    /// Inside, absolute.
    pub target: PathBuf,
    /// The task may not write through it.
    pub read_only: bool,
    /// `private`, `rprivate`, `rslave` … as mount(2) names them. `None` is `rprivate`.
    pub propagation: Option<String>,
}

/// A device node of the host shown inside the task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// On the host.
    pub host_path: PathBuf,
    /// Inside, absolute.
    pub container_path: PathBuf,
    /// Any of `r`, `w`, `m`.
    pub permissions: String,
}

/// An unpacked image: directories to lay over each other, and what its author wants run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct ImageRoot {
    /// Layer directories, the lowest (base) first.
    pub layers: Vec<PathBuf>,
    /// `KEY=value`.
    pub env: Vec<String>,
    /// Runs when the task names no command; the command's first words otherwise.
    pub entrypoint: Vec<String>,
    /// Default arguments.
    pub cmd: Vec<String>,
    /// `user`, `uid`, `user:group` or empty.
    pub user: String,
    /// Empty is `/`.
    pub work_dir: String,
    /// As `SIGQUIT` or `3`; `None` is SIGTERM.
    pub stop_signal: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_max_is_the_limit_and_memory_the_reservation() {
        let plain = Resources { memory_mb: 64, ..Resources::default() };
        assert_eq!(plain.memory_limit(), Some(64 << 20));
        assert_eq!(plain.memory_reservation(), None);
        let burst = Resources { memory_mb: 64, memory_max_mb: Some(128), ..Resources::default() };
        assert_eq!(burst.memory_limit(), Some(128 << 20));
        assert_eq!(burst.memory_reservation(), Some(64 << 20));
        assert_eq!(Resources::default().memory_limit(), None);
    }
}
