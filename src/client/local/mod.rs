//! ◇ What people ask of this node: files, signals, restarts, commands, numbers, removal. http is the one who asks.

mod control;
mod files;
mod mode;
mod stats;

use std::sync::Arc;

use tokio::sync::watch;

pub use files::{FileInfo, OpenedFile};
pub use stats::{
    AllocUsage, CpuStats, DiskUsage, HostMemory, HostUsage, MemoryStats, TaskUsage, Usage,
};

use super::alloc::dir::AllocDir;
use super::alloc::order::AllocLine;
use super::error::ClientError;
use super::run::Lines;
use super::site::Site;
use super::task::order::TaskLine;
use crate::driver::{ExecRequest, ExecSession, TaskHandle};
use crate::image::{Digest, Store};
use crate::model::{AllocId, Allocation, Node};

/// The client of this agent, for those who ask it something. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Local {
    pub(super) site: Arc<Site>,
    pub(super) lines: watch::Receiver<Lines>,
    pub(super) registered: watch::Receiver<u64>,
    /// A change goes to the servers.
    pub(super) node: watch::Sender<Arc<Node>>,
}

/// A task that an image is kept for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUser {
    /// The image.
    pub image: Digest,
    /// The allocation.
    pub alloc: AllocId,
    /// Its job.
    pub job: String,
    /// The task.
    pub task: String,
}

impl Local {
    /// The node as it was last told to the servers.
    pub fn node(&self) -> Arc<Node> {
        Arc::clone(&self.node.borrow())
    }

    /// Completes when the servers know the node.
    pub async fn registered(&self) {
        // The sender lives as long as the loops; without them nobody will register.
        drop(self.registered.clone().wait_for(|times| *times > 0).await);
    }

    /// An allocation of this node, as the servers gave it.
    pub fn alloc(&self, id: &str) -> Result<Arc<Allocation>, ClientError> {
        Ok(Arc::clone(&self.line(id)?.view.borrow().alloc))
    }

    /// The images of this node; none on a node that runs no containers.
    pub fn images(&self) -> Option<&Store> {
        self.site.images.as_ref()
    }

    /// Which tasks images are kept for.
    pub fn image_users(&self) -> Vec<ImageUser> {
        let lines = self.lines.borrow();
        let of_line = |line: &AllocLine| -> Vec<ImageUser> {
            let alloc = Arc::clone(&line.view.borrow().alloc);
            let user = |(task, line): (&String, &TaskLine)| {
                let image = line.view.borrow().image?;
                let (alloc, job) = (alloc.id.clone(), alloc.job_id.clone());
                Some(ImageUser { image, alloc, job, task: task.clone() })
            };
            line.tasks.iter().filter_map(user).collect()
        };
        lines.values().flat_map(of_line).collect()
    }

    fn line(&self, id: &str) -> Result<AllocLine, ClientError> {
        self.lines.borrow().get(id).cloned().ok_or_else(|| ClientError::UnknownAlloc(id.to_owned()))
    }

    fn dir(&self, id: &str) -> Result<AllocDir, ClientError> {
        let line = self.line(id)?;
        let alloc = Arc::clone(&line.view.borrow().alloc);
        Ok(AllocDir::new(&self.site.settings.alloc_dir, &alloc.id))
    }

    /// What is in a directory of an allocation.
    pub async fn list(&self, alloc: &str, path: &str) -> Result<Vec<FileInfo>, ClientError> {
        let (dir, path) = (self.dir(alloc)?, path.to_owned());
        blocking(move || files::list(&dir, &path)).await
    }

    /// What a path of an allocation is.
    pub async fn stat(&self, alloc: &str, path: &str) -> Result<FileInfo, ClientError> {
        let (dir, path) = (self.dir(alloc)?, path.to_owned());
        blocking(move || files::stat(&dir, &path)).await
    }

    /// Opens a regular file of an allocation. Secrets are refused.
    pub async fn open(&self, alloc: &str, path: &str) -> Result<OpenedFile, ClientError> {
        let (dir, path) = (self.dir(alloc)?, path.to_owned());
        blocking(move || files::open_file(&dir, &path)).await
    }

    /// Where the output of the tasks of an allocation is kept.
    pub fn log_dir(&self, alloc: &str) -> Result<std::path::PathBuf, ClientError> {
        Ok(self.dir(alloc)?.logs())
    }

    /// The tasks of an allocation.
    pub fn tasks(&self, alloc: &str) -> Result<Vec<String>, ClientError> {
        Ok(self.line(alloc)?.tasks.keys().cloned().collect())
    }

    /// What an allocation uses, or one task of it.
    pub async fn stats(&self, alloc: &str, task: Option<&str>) -> Result<AllocUsage, ClientError> {
        let (line, task) = (self.line(alloc)?, task.map(str::to_owned));
        let mhz = self.core_mhz();
        blocking(move || Ok(stats::alloc(&line, task.as_deref(), mhz))).await
    }

    /// What the machine uses.
    pub async fn host_stats(&self) -> Result<HostUsage, ClientError> {
        let (dir, mhz) = (self.site.settings.alloc_dir.clone(), self.core_mhz());
        blocking(move || Ok(stats::host(&dir, mhz))).await
    }

    fn core_mhz(&self) -> i64 {
        let node = self.node();
        let cores = i64::from(node.node_resources.cpu.total_cpu_cores).max(1);
        node.node_resources.cpu.cpu_shares / cores
    }

    /// Runs a command in a task.
    pub async fn exec(
        &self,
        alloc: &str,
        task: &str,
        request: &ExecRequest,
    ) -> Result<ExecSession, ClientError> {
        let handle = self.running(alloc, task)?;
        handle.exec(request).await.map_err(|source| ClientError::Driver {
            task: task.to_owned(),
            doing: "exec",
            source,
        })
    }

    /// A task that runs.
    fn running(&self, alloc: &str, task: &str) -> Result<TaskHandle, ClientError> {
        let line = self.line(alloc)?;
        let line = line.tasks.get(task).ok_or_else(|| ClientError::UnknownTask(task.to_owned()))?;
        let view = line.view.borrow().clone();
        view.handle.filter(|_| view.running).ok_or(ClientError::NotRunning)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        let text = format!("unexpected end of a worker: {error}");
        Err(ClientError::File { text, missing: false })
    })
}
