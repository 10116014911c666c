//! ◆ A validated container config: plain data from the agent to the shim.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::driver::context::Device;

/// What the root of the container is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) enum Root {
    /// The layers of [`crate::driver::ImageRoot`].
    Image,
    /// Read-only binds of the host's system directories.
    Host,
}

/// Where a container's network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) enum Network {
    /// The group's namespace, or the host's when the group has none.
    Group,
    Host,
    /// A new one with nothing in it.
    Nothing,
}

/// A switch that is off unless the config turns it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(in crate::driver) enum Trait {
    Privileged,
    ReadonlyRootfs,
    /// No seccomp filter.
    Unconfined,
    /// Setuid and file capabilities work.
    NewPrivileges,
    Tty,
    /// Standard input stays open.
    Interactive,
    /// A process of ours is the first in the container and reaps.
    Init,
    CpuHardLimit,
    HostPid,
    HostIpc,
    HostUts,
}

/// Where a mount's content is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) enum Source {
    /// An absolute path of the host, which its owner allowed.
    Host(PathBuf),
    /// Below the task's directory; must not lead out of it.
    Task(PathBuf),
    /// Below the directory the group's tasks share; must not lead out of it.
    Shared(PathBuf),
    Tmpfs {
        size: Option<u64>,
        mode: Option<u32>,
    },
}

/// A mount the config asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) struct PlannedMount {
    pub source: Source,
    pub target: PathBuf,
    pub read_only: bool,
    pub propagation: Option<String>,
    /// Docker: `volumes` makes a missing source, `mount` does not.
    pub make_source: bool,
}

/// A limit of setrlimit(2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) struct Ulimit {
    /// `RLIMIT_NOFILE` …
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

/// Lines of the container's resolv.conf, instead of the group's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) struct Dns {
    pub servers: Vec<String>,
    pub search: Vec<String>,
    pub options: Vec<String>,
}

impl Dns {
    pub(in crate::driver) fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.search.is_empty() && self.options.is_empty()
    }
}

/// Resources beyond the jobspec's block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) struct Bounds {
    pub pids: Option<u64>,
    /// Bytes; the block's memory is then the reservation.
    pub memory: Option<u64>,
    /// Microseconds.
    pub cpu_period: Option<u64>,
    pub cores: Option<String>,
    pub shm_size: Option<u64>,
    pub oom_score_adj: Option<i64>,
    pub ulimits: Vec<Ulimit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::driver) struct ContainerPlan {
    pub root: Root,
    pub entrypoint: Option<Vec<String>>,
    pub command: Option<String>,
    pub args: Vec<String>,
    pub work_dir: Option<String>,
    pub hostname: Option<String>,
    pub network: Network,
    pub traits: BTreeSet<Trait>,
    pub capabilities: Vec<String>,
    pub bounds: Bounds,
    pub mounts: Vec<PlannedMount>,
    pub devices: Vec<Device>,
    pub group_add: Vec<String>,
    /// Name and address.
    pub extra_hosts: Vec<(String, String)>,
    pub dns: Dns,
    pub sysctl: BTreeMap<String, String>,
    pub labels: BTreeMap<String, String>,
}

impl ContainerPlan {
    pub(in crate::driver) fn is(&self, switch: Trait) -> bool {
        self.traits.contains(&switch)
    }

    /// As `exec` has it: nothing but a root.
    pub(super) fn bare(root: Root) -> Self {
        Self {
            root,
            entrypoint: None,
            command: None,
            args: Vec::new(),
            work_dir: None,
            hostname: None,
            network: Network::Group,
            traits: BTreeSet::new(),
            capabilities: Vec::new(),
            bounds: Bounds::default(),
            mounts: Vec::new(),
            devices: Vec::new(),
            group_add: Vec::new(),
            extra_hosts: Vec::new(),
            dns: Dns::default(),
            sysctl: BTreeMap::new(),
            labels: BTreeMap::new(),
        }
    }
}
