//! ◇ The files in a task's state directory, by which agent and shim know what the other did.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::driver::container::plan::ContainerPlan;
use crate::driver::context::TaskContext;
use crate::driver::handle::ExitResult;
use crate::driver::plan::ProcessPlan;
use crate::driver::process::ProcessId;

/// What to run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::driver) enum Workload {
    Process(ProcessPlan),
    Container(Box<ContainerPlan>),
}

/// `task.json`, written by the agent before the shim exists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::driver) struct Task {
    pub context: TaskContext,
    pub workload: Workload,
}

/// `run.json`, written by the shim when the task runs, and again by a shim that adopts it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::driver) struct Running {
    pub task: ProcessId,
    pub shim: ProcessId,
    /// Of the machine: after a reboot the pids mean nothing.
    pub boot_id: String,
    /// Unix nanoseconds.
    pub started_at: i64,
}

/// What a shim says on its standard output, once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::driver) enum Report {
    Running(Running),
    Failed { reason: String },
}

/// The files of one task.
#[derive(Debug, Clone)]
pub(in crate::driver) struct Records {
    dir: PathBuf,
}

impl Records {
    pub(in crate::driver) fn at(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    pub(in crate::driver) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    pub(in crate::driver) fn task(&self) -> io::Result<Task> {
        self.read("task.json")
    }

    pub(in crate::driver) fn running(&self) -> io::Result<Running> {
        self.read("run.json")
    }

    pub(in crate::driver) fn exited(&self) -> io::Result<ExitResult> {
        self.read("exit.json")
    }

    pub(in crate::driver) fn write_task(&self, task: &Task) -> io::Result<()> {
        self.replace("task.json", task)
    }

    pub(in crate::driver) fn write_running(&self, running: &Running) -> io::Result<()> {
        self.replace("run.json", running)
    }

    /// Durable: an exit code that was learnt survives a power cut.
    pub(in crate::driver) fn write_exited(&self, exited: &ExitResult) -> io::Result<()> {
        let bytes = serde_json::to_vec(exited).map_err(io::Error::other)?;
        crate::sys::fs::write_atomic(&self.path("exit.json"), &bytes, 0o600)
    }

    /// Claims the directory for the calling shim, for as long as it lives. At most one shim serves a task.
    pub(super) fn claim(&self) -> io::Result<Flock<File>> {
        Flock::lock(File::open(&self.dir)?, FlockArg::LockExclusiveNonblock)
            .map_err(|(_, errno)| errno.into())
    }

    /// Whether a shim lives in the directory.
    pub(in crate::driver) fn has_shim(&self) -> bool {
        let Ok(dir) = File::open(&self.dir) else { return false };
        Flock::lock(dir, FlockArg::LockSharedNonblock).is_err()
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> io::Result<T> {
        let bytes = fs::read(self.path(name))?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    /// Whole or not at all for every reader, but not flushed: after a power cut the processes this tells of
    /// are gone too, and a start must not wait for the disk.
    fn replace(&self, name: &str, value: &impl Serialize) -> io::Result<()> {
        let bytes = serde_json::to_vec(value).map_err(io::Error::other)?;
        let temporary = self.path(&format!("{name}.tmp"));
        write_private(&temporary, &bytes)?;
        fs::rename(&temporary, self.path(name))
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}
