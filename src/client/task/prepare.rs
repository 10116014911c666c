//! ◇ From what the job says about a task to what the driver is given: environment, config, image, context.

use std::path::PathBuf;
use std::sync::Arc;

use super::env::{self, Dirs, Scene};
use super::event::Happening;
use super::image;
use super::interpolate::Names;
use super::signal;
use crate::client::alloc::dir::AllocDir;
use crate::client::site::Site;
use crate::driver::{
    DriverError, EtcFiles, Isolation, LogPolicy, Plan, Resources, TaskConfig, TaskContext, TaskDirs,
};
use crate::image::{Image, ImageError, PlatformError, ReferenceError};
use crate::model::allocation::AllocNetworkStatus;
use crate::model::{Allocation, Job, Node, Task, TaskGroup};
use crate::sys::report::Kind;

/// What the allocation gives to each of its tasks.
#[derive(Debug, Clone, Default)]
pub struct Attached {
    /// The network namespace; none is the host's.
    pub netns: Option<PathBuf>,
    /// The host name inside.
    pub hostname: Option<String>,
    /// Files shown in /etc.
    pub etc: EtcFiles,
    /// The addresses, as the servers are told.
    pub status: Option<AllocNetworkStatus>,
}

/// A task, ready for its driver.
#[derive(Debug)]
pub(super) struct Prepared {
    pub driver: String,
    pub plan: Plan,
    pub context: TaskContext,
    /// The signal that asks it to stop.
    pub kill_signal: i32,
    /// Keeps its image in the store.
    pub image: Option<Image>,
}

/// Why a task cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The allocation came without its job, group or task.
    #[error("task {0}: the allocation's job does not have it")]
    NoSuchTask(String),
    /// The driver refuses the config.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// The image's name is none.
    #[error("image `{image}`")]
    Reference {
        /// As the job names it.
        image: String,
        /// Why not.
        #[source]
        source: ReferenceError,
    },
    /// The platform asked for is none.
    #[error("image `{image}`")]
    Platform {
        /// As the job names it.
        image: String,
        /// Why not.
        #[source]
        source: PlatformError,
    },
    /// The image cannot be had.
    #[error(transparent)]
    Image(ImageError),
    /// Fetching it takes too long.
    #[error("image `{image}`: not fetched within {seconds} s; `image_pull_timeout` gives it more")]
    PullTimeout {
        /// As the job names it.
        image: String,
        /// How long was waited.
        seconds: u64,
    },
    /// This agent keeps no images.
    #[error("image `{0}`: this node has no image store")]
    NoStore(String),
    /// No such signal.
    #[error("kill_signal `{0}`: unknown signal")]
    UnknownSignal(String),
}

impl PrepareError {
    /// Whether trying again is useless.
    pub fn is_hopeless(&self) -> bool {
        match self {
            Self::NoSuchTask(_)
            | Self::UnknownSignal(_)
            | Self::Reference { .. }
            | Self::Platform { .. }
            | Self::NoStore(_) => true,
            Self::Image(error) => error.kind() == Kind::Invalid,
            Self::PullTimeout { .. } => false,
            Self::Driver(error) => !error.is_recoverable(),
        }
    }
}

/// A task within its allocation.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub alloc: &'a Allocation,
    pub job: &'a Job,
    pub group: &'a TaskGroup,
    pub task: &'a Task,
}

impl<'a> Place<'a> {
    pub(super) fn find(alloc: &'a Allocation, task: &str) -> Result<Self, PrepareError> {
        let missing = || PrepareError::NoSuchTask(task.to_owned());
        let job = alloc.job.as_deref().ok_or_else(missing)?;
        let group = job.group(&alloc.task_group).ok_or_else(missing)?;
        let task = group.task(task).ok_or_else(missing)?;
        Ok(Self { alloc, job, group, task })
    }
}

/// Makes `task` ready. Nothing is started; what is made (a pulled image) is useful to others as well.
/// `tell` hears of what takes long.
pub(super) async fn prepare(
    site: &Site,
    alloc: &Allocation,
    task: &str,
    attached: &Attached,
    tell: impl Fn(Happening),
) -> Result<Prepared, PrepareError> {
    let place = Place::find(alloc, task)?;
    let driver = site.drivers.get(&place.task.driver)?;
    let node = Arc::clone(&site.node.borrow());
    let dirs = AllocDir::new(&site.settings.alloc_dir, &alloc.id);
    let environment = environment(site, place, &node, &dirs, driver.isolation(), attached);
    let names = Names { node: &node, region: &site.settings.region, env: &environment };
    let config = place.task.config.as_ref().map(|map| names.fill_map(map)).unwrap_or_default();
    let plan = driver.plan(&TaskConfig { config })?;
    let user = names.fill(&place.task.user);
    let image = match (&plan.image, &site.images) {
        (None, _) => None,
        (Some(need), Some(store)) => {
            let began = || tell(Happening::Driver("Downloading image".to_owned()));
            Some(image::ensure(store, need, began).await?)
        }
        (Some(need), None) => return Err(PrepareError::NoStore(need.reference.clone())),
    };
    let root = image.as_ref().map(image::root);
    let kill_signal = match place.task.kill_signal.as_str() {
        "" => root
            .as_ref()
            .and_then(|root| root.stop_signal.as_deref())
            .unwrap_or_else(|| driver.stop_signal()),
        named => named,
    };
    let kill_signal = signal::number(kill_signal)
        .ok_or_else(|| PrepareError::UnknownSignal(kill_signal.to_owned()))?;
    let context = TaskContext {
        alloc_id: alloc.id.to_string(),
        task: task.to_owned(),
        user: Some(user).filter(|user| !user.is_empty()),
        env: environment,
        dirs: task_dirs(site, &dirs, alloc, task),
        logs: log_policy(place.task),
        resources: resources(place, &node),
        netns: attached.netns.clone(),
        hostname: attached.hostname.clone(),
        etc: attached.etc.clone(),
        mounts: Vec::new(),
        devices: Vec::new(),
        image: root,
        cgroup_parent: site.settings.cgroup_parent.clone(),
    };
    Ok(Prepared { driver: place.task.driver.clone(), plan, context, kill_signal, image })
}

fn environment(
    site: &Site,
    place: Place<'_>,
    node: &Node,
    dirs: &AllocDir,
    isolation: Isolation,
    attached: &Attached,
) -> std::collections::BTreeMap<String, String> {
    let (shared, own) = (dirs.shared(), dirs.task(&place.task.name));
    let (local, secrets) = (own.join("local"), own.join("secrets"));
    let none = std::collections::BTreeMap::new();
    let (dirs, host) = match isolation {
        Isolation::None => {
            (Dirs { alloc: &shared, local: &local, secrets: &secrets }, &site.settings.host_env)
        }
        Isolation::Chroot => (Dirs::isolated(), &site.settings.host_env),
        Isolation::Image => (Dirs::isolated(), &none),
    };
    env::environment(&Scene {
        alloc: place.alloc,
        job: place.job,
        group: place.group,
        task: place.task,
        node,
        region: &site.settings.region,
        network: attached.status.as_ref(),
        dirs,
        host,
    })
}

/// Where a task's files are on the host.
pub(super) fn task_dirs(site: &Site, dirs: &AllocDir, alloc: &Allocation, task: &str) -> TaskDirs {
    let own = dirs.task(task);
    TaskDirs {
        shared: dirs.shared(),
        local: own.join("local"),
        secrets: own.join("secrets"),
        task: own,
        logs: dirs.logs(),
        state: site.task_state_dir(alloc.id.as_str(), task),
    }
}

fn log_policy(task: &Task) -> LogPolicy {
    let number = |value: i64| u32::try_from(value.max(1)).unwrap_or(u32::MAX);
    LogPolicy {
        max_files: number(task.log_config.max_files),
        max_file_size_mb: number(task.log_config.max_file_size_mb),
        disabled: task.log_config.disabled,
    }
}

fn resources(place: Place<'_>, node: &Node) -> Resources {
    let Some(given) = place.alloc.allocated_resources.tasks.get(&place.task.name) else {
        return Resources::default();
    };
    let positive = |value: i64| u64::try_from(value).unwrap_or(0);
    let cpu_shares = positive(given.cpu.cpu_shares);
    let total = positive(node.node_resources.cpu.cpu_shares).max(1);
    let cores = env::cpuset(&given.cpu.reserved_cores);
    let memory_max_mb = match given.memory.memory_max_mb {
        0 => None,
        // Nomad: −1 is "as much as the node has".
        -1 => Some(positive(node.node_resources.memory.memory_mb)),
        limit => Some(positive(limit)),
    };
    #[expect(clippy::cast_precision_loss, reason = "a share of a machine needs no 53 bits")]
    let cpu_fraction = (cpu_shares as f64 / total as f64).min(1.0);
    Resources {
        cpu_shares,
        cpu_fraction,
        cores: Some(cores).filter(|cores| !cores.is_empty()),
        memory_mb: positive(given.memory.memory_mb),
        memory_max_mb,
        pids_limit: None,
    }
}
