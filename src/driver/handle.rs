//! ◇ A started task as the agent holds it: its end, its signals, its numbers, its removal.
//!
//! What `wait` goes through, after a start or after [`recover`]:
//!
//! ```text
//!            ┌───────────────── shim ended ◄──────────────┐
//!            ▼                                            │
//!   exit.json there? ──yes──► Ended                       │
//!            │no                                          │
//!            ├─ booted since, or never ran ──► Lost       │
//!            └─ task's process known ──► adopt: a new shim┘
//! ```

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::unix::AsyncFd;

use super::cgroup::{Cgroup, stats};
use super::context::TaskContext;
use super::error::told;
use super::process::{Ending, Process, ProcessId, boot_id};
use super::session::{self, ExecRequest, ExecSession};
use super::shim::launch::Program;
use super::shim::records::{Records, Report, Running, Task, Workload};
use super::shim::streams;
use super::{DriverError, TaskStats, mock};

/// How a task ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitResult {
    /// As a shell tells it: 128 and the signal's number for a task that a signal ended.
    pub exit_code: i32,
    /// The signal that ended it, or 0.
    pub signal: i32,
    /// The kernel killed in it for want of memory.
    pub oom_killed: bool,
    /// Why the code above is not the task's own, when it is not.
    pub err: Option<String>,
    /// Unix nanoseconds.
    pub finished_at: i64,
}

impl ExitResult {
    pub(super) fn of(ending: Option<Ending>, oom_kills: u64, finished_at: i64) -> Self {
        let (exit_code, signal, err) = match ending {
            Some(Ending::Exited(code)) => (code, 0, None),
            Some(Ending::Signaled(signal)) => (128 + signal, signal, None),
            None => (
                1,
                0,
                Some(
                    "exit status unknown: the task ended while its shim and the agent were away"
                        .into(),
                ),
            ),
        };
        // A task that lost a child to the OOM killer and still succeeded was not killed.
        Self { exit_code, signal, oom_killed: oom_kills > 0 && exit_code != 0, err, finished_at }
    }

    fn lost(why: &str) -> Self {
        let finished_at = crate::sys::clock::unix_nanos();
        Self { exit_code: 1, signal: 0, oom_killed: false, err: Some(why.to_owned()), finished_at }
    }

    /// Whether the task succeeded.
    pub fn is_successful(&self) -> bool {
        self.exit_code == 0 && self.signal == 0 && self.err.is_none()
    }
}

/// Where to find a task again. Known before it is started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredHandle {
    pub driver: String,
    pub alloc_id: String,
    pub task: String,
    /// The task's state directory.
    pub state: std::path::PathBuf,
    pub cgroup_parent: String,
}

/// A task that was started. Cheap to clone; dropping it changes nothing for the task.
#[derive(Debug, Clone)]
pub struct TaskHandle(Inner);

#[derive(Debug, Clone)]
enum Inner {
    Shim(Arc<ShimTask>),
    Mock(mock::MockTask),
}

#[derive(Debug)]
struct ShimTask {
    stored: StoredHandle,
    records: Records,
    program: Program,
    /// As last recorded. `None` when the task never ran.
    running: Option<Running>,
    /// `None` when it is gone.
    process: Option<Process>,
    /// Keeps the last output of a task that dies together with its shim.
    #[expect(dead_code, reason = "held, not used")]
    output: Vec<OwnedFd>,
    /// The one who waits for the shim; others wait for the lock and find the record.
    shim: tokio::sync::Mutex<Option<Process>>,
}

impl TaskHandle {
    pub(super) fn of_mock(task: mock::MockTask) -> Self {
        Self(Inner::Mock(task))
    }

    /// Where to find it again.
    pub fn stored(&self) -> StoredHandle {
        match &self.0 {
            Inner::Shim(task) => task.stored.clone(),
            Inner::Mock(task) => task.stored(),
        }
    }

    /// The task's first process, when it has one.
    pub fn process(&self) -> Option<ProcessId> {
        match &self.0 {
            Inner::Shim(task) => task.running.as_ref().map(|running| running.task),
            Inner::Mock(_) => None,
        }
    }

    /// When it started, Unix nanoseconds.
    pub fn started_at(&self) -> Option<i64> {
        match &self.0 {
            Inner::Shim(task) => task.running.as_ref().map(|running| running.started_at),
            Inner::Mock(task) => Some(task.started_at()),
        }
    }

    /// Waits until the task has ended. May be called again, and by several at once.
    pub async fn wait(&self) -> ExitResult {
        match &self.0 {
            Inner::Shim(task) => task.wait().await,
            Inner::Mock(task) => task.wait().await,
        }
    }

    /// Sends a signal to the task's first process.
    pub fn signal(&self, signal: i32) -> Result<(), DriverError> {
        match &self.0 {
            Inner::Shim(task) => task.signal(signal),
            Inner::Mock(task) => task.signal(signal),
        }
    }

    /// Kills every process of the task. Returns when they are gone; [`Self::wait`] tells the rest.
    pub async fn kill(&self) -> Result<(), DriverError> {
        match &self.0 {
            Inner::Shim(task) => task.kill().await,
            Inner::Mock(task) => {
                task.kill();
                Ok(())
            }
        }
    }

    /// Runs a command inside the task. Returns when it runs.
    pub async fn exec(&self, request: &ExecRequest) -> Result<ExecSession, DriverError> {
        match &self.0 {
            Inner::Shim(task) => {
                session::exec(&task.program, &task.stored.task, &task.stored.state, request).await
            }
            Inner::Mock(task) => Err(DriverError::Exec {
                task: task.stored().task,
                command: request.command.join(" "),
                reason: "a pretended task has nothing to run it in".to_owned(),
            }),
        }
    }

    /// What the task uses.
    pub fn stats(&self) -> Result<TaskStats, DriverError> {
        match &self.0 {
            Inner::Shim(task) => Ok(stats::read(&task.cgroup()?)),
            Inner::Mock(_) => Ok(TaskStats::default()),
        }
    }

    /// Kills the task if it runs and removes everything of it: processes, cgroup, mounts, state directory.
    /// Its logs stay. May be repeated.
    pub async fn destroy(&self) -> Result<(), DriverError> {
        match &self.0 {
            Inner::Shim(task) => task.destroy().await,
            Inner::Mock(task) => {
                task.kill();
                Ok(())
            }
        }
    }
}

pub(super) async fn start(
    program: &Program,
    stored: StoredHandle,
    context: TaskContext,
    workload: Workload,
) -> Result<TaskHandle, DriverError> {
    let records = Records::at(&stored.state);
    let name = stored.task.clone();
    let written =
        make_dir(&stored.state).and_then(|()| records.write_task(&Task { context, workload }));
    if let Err(source) = written {
        let path = stored.state.clone();
        return Err(DriverError::State { task: name, doing: "write", path, source });
    }
    match program.report("run", &stored.state).await {
        Ok((shim, Report::Running(running))) => {
            let process = Process::open(running.task).ok().flatten();
            let shim = tokio::sync::Mutex::new(Some(shim));
            let (program, running) = (program.clone(), Some(running));
            let output = streams::hold(&stored.state);
            let task = ShimTask { stored, records, program, running, process, output, shim };
            Ok(TaskHandle(Inner::Shim(Arc::new(task))))
        }
        Ok((shim, Report::Failed { reason })) => {
            ended(&shim).await;
            remove_dir(stored).await?;
            Err(DriverError::Start { task: name, reason })
        }
        Err(source) => {
            // Whatever the shim made before it died without a word.
            let task = found(program, stored, None);
            drop(task.destroy().await);
            Err(DriverError::Spawn { task: name, source })
        }
    }
}

pub(super) async fn recover(program: &Program, stored: StoredHandle) -> TaskHandle {
    let records = Records::at(&stored.state);
    // An agent that died while it started the task leaves a shim that is about to write its record.
    for _ in 0..500 {
        if records.running().is_ok() || !records.has_shim() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // A record that is missing, or that a power cut left empty, tells the same: nothing runs.
    let running = records.running().ok();
    TaskHandle(Inner::Shim(Arc::new(found(program, stored, running))))
}

fn found(program: &Program, stored: StoredHandle, running: Option<Running>) -> ShimTask {
    let here = running.as_ref().filter(|running| running.boot_id == boot_id());
    let open = |id| Process::open(id).ok().flatten();
    let process = here.and_then(|running| open(running.task));
    let shim = here.and_then(|running| open(running.shim));
    ShimTask {
        records: Records::at(&stored.state),
        program: program.clone(),
        process,
        output: streams::hold(&stored.state),
        shim: tokio::sync::Mutex::new(shim),
        running,
        stored,
    }
}

fn make_dir(path: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

async fn remove_dir(stored: StoredHandle) -> Result<(), DriverError> {
    let path = stored.state.clone();
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(&path))
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)));
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            let (task, path) = (stored.task, stored.state);
            Err(DriverError::State { task, doing: "remove", path, source })
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Waits for a process's end and takes it away if it is a child of ours.
#[expect(unsafe_code, reason = "registering a descriptor with the runtime trusts its owner")]
async fn ended(process: &Process) {
    let Ok(fd) = process.try_clone_fd() else { return };
    // SAFETY: the `OwnedFd` goes into the registration, so it is open as long as that lives.
    let fd = unsafe { AsyncFd::register_with_interest(fd, tokio::io::Interest::READABLE) };
    if let Ok(fd) = fd {
        drop(fd.readable().await);
    }
    process.reap();
}

impl ShimTask {
    /// Shims that die one after the other are not replaced for ever.
    const ADOPTIONS: u32 = 5;

    fn cgroup(&self) -> Result<Cgroup, DriverError> {
        Cgroup::of(&self.stored.cgroup_parent, &self.stored.alloc_id, &self.stored.task)
            .map_err(|source| self.cgroup_error("find its cgroup", source))
    }

    fn cgroup_error(&self, doing: &'static str, source: io::Error) -> DriverError {
        DriverError::Cgroup { task: self.stored.task.clone(), doing, source }
    }

    async fn wait(&self) -> ExitResult {
        let mut shim = self.shim.lock().await;
        let mut why = String::new();
        for _ in 0..=Self::ADOPTIONS {
            if let Some(process) = shim.as_ref() {
                ended(process).await;
                *shim = None;
            }
            if let Ok(exited) = self.records.exited() {
                // Not before: until here the zombie kept the exit status for a shim that adopts it.
                if let Some(task) = &self.process {
                    task.reap();
                }
                return exited;
            }
            match &self.running {
                None => {
                    return ExitResult::lost(
                        "the task was never started: the agent ended before it",
                    );
                }
                Some(running) if running.boot_id != boot_id() => {
                    return ExitResult::lost("the machine was restarted while the task ran");
                }
                Some(_) => {}
            }
            match self.program.report("adopt", &self.stored.state).await {
                Ok((process, Report::Running(_))) => *shim = Some(process),
                Ok((process, Report::Failed { reason })) => {
                    why = reason;
                    *shim = Some(process);
                }
                Err(error) => why = told(&error),
            }
        }
        ExitResult::lost(&format!("its shims keep dying: {why}"))
    }

    fn signal(&self, signal: i32) -> Result<(), DriverError> {
        let name = || self.stored.task.clone();
        let process = self.process.as_ref().filter(|process| process.is_alive());
        let process = process.ok_or_else(|| DriverError::NotRunning { task: name() })?;
        process.signal(signal).map_err(|source| DriverError::Signal {
            task: name(),
            signal,
            source,
        })
    }

    async fn kill(&self) -> Result<(), DriverError> {
        if let Some(process) = &self.process {
            // A container's first process takes all others of its pid namespace with it.
            drop(process.signal(libc::SIGKILL));
        }
        let cgroup = self.cgroup()?;
        tokio::task::spawn_blocking(move || cgroup.kill())
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| self.cgroup_error("kill its processes", source))
    }

    async fn destroy(&self) -> Result<(), DriverError> {
        const GRACE: Duration = Duration::from_secs(10);
        let killed = self.kill().await;
        if tokio::time::timeout(GRACE, self.wait()).await.is_err() {
            // The shim cannot finish. What it would have removed is removed below.
            let running =
                self.records.running().ok().filter(|running| running.boot_id == boot_id());
            let shim = running.and_then(|running| Process::open(running.shim).ok().flatten());
            if let Some(shim) = shim {
                drop(shim.signal(libc::SIGKILL));
                ended(&shim).await;
            }
        }
        let cgroup = self.cgroup()?;
        let removed = tokio::task::spawn_blocking(move || cgroup.remove())
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error)))
            .map_err(|source| self.cgroup_error("remove its cgroup", source));
        remove_dir(self.stored.clone()).await?;
        killed.and(removed)
    }
}
