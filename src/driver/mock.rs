//! ◇ `mock_driver`: a task that only pretends, for tests and benchmarks. Needs no root.
//!
//! It lives in the agent's memory, so a recovered one ended with the agent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::config::{Keys, Schema};
use super::context::TaskContext;
use super::handle::{ExitResult, StoredHandle, TaskHandle};
use super::plan::{MockPlan, Plan, Work};
use super::{DriverError, Fingerprint};
use crate::logs::Stream;
use crate::logs::rotate::{Policy, Writer};
use crate::sys::clock::unix_nanos;

const SCHEMA: Schema = Schema {
    driver: "mock_driver",
    known: &[
        "run_for",
        "exit_code",
        "exit_signal",
        "exit_err_msg",
        "start_error",
        "start_error_recoverable",
        "start_block_for",
        "kill_after",
        "signal_error",
        "stdout_string",
        "stdout_repeat",
    ],
    unsupported: &[],
};

pub(super) fn plan(config: &Map<String, Value>) -> Result<Plan, DriverError> {
    let keys = Keys::check(&SCHEMA, config)?;
    let work = MockPlan {
        run_for_ms: keys.duration_ms("run_for")?,
        exit_code: small(&keys, "exit_code")?,
        exit_signal: small(&keys, "exit_signal")?,
        exit_err: keys.text("exit_err_msg")?,
        start_error: keys.text("start_error")?,
        start_error_recoverable: keys.flag("start_error_recoverable")?,
        start_block_for_ms: keys.duration_ms("start_block_for")?.unwrap_or(0),
        kill_after_ms: keys.duration_ms("kill_after")?.unwrap_or(0),
        signal_error: keys.text("signal_error")?,
        stdout: keys.text("stdout_string")?.unwrap_or_default(),
        stdout_repeat: keys.natural("stdout_repeat")?.unwrap_or(0),
    };
    Ok(Plan::of(Work::Mock(work)))
}

fn small(keys: &Keys<'_>, key: &str) -> Result<i32, DriverError> {
    let number = keys.integer(key)?.unwrap_or(0);
    i32::try_from(number).map_err(|_| keys.invalid(key, "is out of range"))
}

pub(super) fn fingerprint() -> Fingerprint {
    Fingerprint {
        attributes: BTreeMap::from([("driver.mock_driver".to_owned(), "1".to_owned())]),
        detected: true,
        healthy: true,
        description: "Healthy".to_owned(),
    }
}

/// What was asked of a pretended task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Nothing,
    Signal(i32),
    Kill,
}

/// A task in memory.
#[derive(Debug, Clone)]
pub(super) struct MockTask {
    stored: StoredHandle,
    plan: Arc<MockPlan>,
    started_at: i64,
    started: tokio::time::Instant,
    asked: watch::Sender<Asked>,
    exited: watch::Sender<Option<ExitResult>>,
}

pub(super) async fn start(
    plan: MockPlan,
    stored: StoredHandle,
    context: &TaskContext,
) -> Result<TaskHandle, DriverError> {
    tokio::time::sleep(Duration::from_millis(plan.start_block_for_ms)).await;
    if let Some(reason) = &plan.start_error {
        return Err(DriverError::Start { task: stored.task, reason: reason.clone() });
    }
    if !plan.stdout.is_empty() {
        write_output(&plan, context).map_err(|source| DriverError::State {
            task: stored.task.clone(),
            doing: "write output to",
            path: context.dirs.logs.clone(),
            source,
        })?;
    }
    let task = MockTask {
        stored,
        plan: Arc::new(plan),
        started_at: unix_nanos(),
        started: tokio::time::Instant::from_std(crate::sys::clock::monotonic()),
        asked: watch::channel(Asked::Nothing).0,
        exited: watch::channel(None).0,
    };
    Ok(TaskHandle::of_mock(task))
}

fn write_output(plan: &MockPlan, context: &TaskContext) -> std::io::Result<()> {
    if context.logs.disabled {
        return Ok(());
    }
    let policy = Policy {
        max_files: context.logs.max_files.into(),
        max_file_size: u64::from(context.logs.max_file_size_mb) << 20,
    };
    let mut log = Writer::open(&context.dirs.logs, &context.task, Stream::Stdout, policy)?;
    (0..=plan.stdout_repeat).try_for_each(|_| log.write(plan.stdout.as_bytes()))
}

/// A pretended task does not outlive the agent that pretended.
pub(super) fn recover(stored: StoredHandle) -> TaskHandle {
    let exited = ExitResult {
        exit_code: 1,
        signal: 0,
        oom_killed: false,
        err: Some("mock tasks end with the agent".to_owned()),
        finished_at: unix_nanos(),
    };
    TaskHandle::of_mock(MockTask {
        stored,
        plan: Arc::default(),
        started_at: 0,
        started: tokio::time::Instant::from_std(crate::sys::clock::monotonic()),
        asked: watch::channel(Asked::Nothing).0,
        exited: watch::channel(Some(exited)).0,
    })
}

impl MockTask {
    pub(super) fn stored(&self) -> StoredHandle {
        self.stored.clone()
    }

    pub(super) fn started_at(&self) -> i64 {
        self.started_at
    }

    pub(super) fn signal(&self, signal: i32) -> Result<(), DriverError> {
        let task = self.stored.task.clone();
        if let Some(reason) = &self.plan.signal_error {
            let source = std::io::Error::other(reason.clone());
            return Err(DriverError::Signal { task, signal, source });
        }
        if self.exited.borrow().is_some() {
            return Err(DriverError::NotRunning { task });
        }
        self.asked.send_replace(Asked::Signal(signal));
        Ok(())
    }

    pub(super) fn kill(&self) {
        self.asked.send_replace(Asked::Kill);
    }

    /// Whoever waits lives the task's life; the first to see its end tells the others.
    pub(super) async fn wait(&self) -> ExitResult {
        let known = self.exited.borrow().clone();
        if let Some(exited) = known {
            return exited;
        }
        let mut asked = self.asked.subscribe();
        let mut exited = self.exited.subscribe();
        let end = self.plan.run_for_ms.map(|ms| self.started + Duration::from_millis(ms));
        let natural = async {
            match end {
                Some(end) => tokio::time::sleep_until(end).await,
                None => std::future::pending().await,
            }
        };
        let result = tokio::select! {
            Ok(told) = exited.wait_for(Option::is_some) => return told.clone().unwrap_or_else(|| self.result(0)),
            () = natural => self.result(0),
            signal = self.stopped(&mut asked) => self.result(signal),
        };
        self.exited.send_if_modified(|told| {
            let first = told.is_none();
            told.get_or_insert_with(|| result.clone());
            first
        });
        self.exited.borrow().clone().unwrap_or(result)
    }

    async fn stopped(&self, asked: &mut watch::Receiver<Asked>) -> i32 {
        let wanted = asked.wait_for(|asked| *asked != Asked::Nothing).await.map(|asked| *asked);
        let signal = match wanted {
            Ok(Asked::Signal(signal)) => signal,
            Ok(Asked::Kill | Asked::Nothing) | Err(_) => libc::SIGKILL,
        };
        if signal != libc::SIGKILL {
            tokio::time::sleep(Duration::from_millis(self.plan.kill_after_ms)).await;
        }
        signal
    }

    fn result(&self, killed_by: i32) -> ExitResult {
        let (exit_code, signal) = match killed_by {
            0 => (self.plan.exit_code, self.plan.exit_signal),
            // Nomad: a mock that obeys its stop signal succeeds.
            signal if signal != libc::SIGKILL => (0, 0),
            signal => (128 + signal, signal),
        };
        ExitResult {
            exit_code,
            signal,
            oom_killed: false,
            err: self.plan.exit_err.clone().filter(|_| killed_by == 0),
            finished_at: unix_nanos(),
        }
    }
}
