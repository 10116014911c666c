//! ◇ Signals, restarts and removal, by request.

use tokio::sync::oneshot;

use super::Local;
use crate::client::alloc::order::Order as AllocOrder;
use crate::client::error::ClientError;
use crate::client::task::order::{Order, TaskLine};
use crate::client::task::restart::Ending;
use crate::client::task::signal;

impl Local {
    /// Sends a signal to a task, or to every task. Nomad: with several tasks, all failures are told in its list's form.
    pub async fn signal(
        &self,
        alloc: &str,
        task: Option<&str>,
        name: &str,
    ) -> Result<(), ClientError> {
        let line = self.line(alloc)?;
        let number =
            signal::number(name).ok_or_else(|| ClientError::UnknownSignal(name.to_owned()))?;
        let send = async |line: &TaskLine| {
            let name = name.to_owned();
            ask(alloc, line, |reply| Order::Signal { name, number, reply }).await
        };
        if let Some(task) = task {
            let line = line.tasks.get(task).ok_or(ClientError::TaskNotFound)?;
            return send(line).await;
        }
        let mut failures = Vec::new();
        for (task, line) in &line.tasks {
            if let Err(error) = send(line).await {
                failures.push(format!("Failed to signal task: {task}, err: {error}"));
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(ClientError::Several(failures)) }
    }

    /// Restarts a task, or every task that runs.
    pub async fn restart(&self, alloc: &str, task: Option<&str>) -> Result<(), ClientError> {
        let line = self.line(alloc)?;
        if line.view.borrow().stopping {
            return Err(ClientError::ShouldNotRun);
        }
        let restart = async |line: &TaskLine| {
            let reason = "User requested task to restart".to_owned();
            let counted_as = Ending::Asked;
            ask(alloc, line, |reply| Order::Restart { reason, counted_as, reply }).await
        };
        if let Some(task) = task {
            let unknown = || ClientError::UnknownTask(task.to_owned());
            return restart(line.tasks.get(task).ok_or_else(unknown)?).await;
        }
        for line in line.tasks.values().filter(|line| line.view.borrow().running) {
            match restart(line).await {
                // It ended in this moment.
                Ok(()) | Err(ClientError::NotRunning) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Stops all tasks and runs them again in the order of their hooks.
    pub async fn restart_all(&self, alloc: &str) -> Result<(), ClientError> {
        let line = self.line(alloc)?;
        let (reply, answer) = oneshot::channel();
        let reason = "User requested all tasks to restart".to_owned();
        let order = AllocOrder::StartOver { reason, reply };
        line.orders.try_send(order).map_err(|_| ClientError::Busy(alloc.to_owned()))?;
        answer.await.unwrap_or_else(|_| Err(ClientError::Stopping(alloc.to_owned())))
    }

    /// Removes an allocation that has ended, with its logs. One that was removed already is no error.
    pub async fn collect(&self, alloc: &str) -> Result<(), ClientError> {
        let line = self.line(alloc)?;
        let mut view = line.view.clone();
        if !view.borrow().ended {
            return Err(ClientError::NotCollectable);
        }
        line.tell(AllocOrder::Destroy).await;
        // The sender goes when the allocation is gone.
        drop(view.wait_for(|view| view.gone).await);
        Ok(())
    }

    /// Removes every allocation that has ended.
    pub async fn collect_all(&self) {
        let ids: Vec<String> = self.lines.borrow().keys().map(ToString::to_string).collect();
        for id in ids {
            match self.collect(&id).await {
                Ok(()) | Err(ClientError::NotCollectable | ClientError::UnknownAlloc(_)) => {}
                Err(error) => tracing::warn!(alloc = %id, %error, "not collected"),
            }
        }
    }
}

/// Asks a task; at once `Busy` when its mailbox is full.
async fn ask(
    alloc: &str,
    line: &TaskLine,
    order: impl FnOnce(oneshot::Sender<Result<(), ClientError>>) -> Order,
) -> Result<(), ClientError> {
    let (reply, answer) = oneshot::channel();
    line.orders.try_send(order(reply)).map_err(|_| ClientError::Busy(alloc.to_owned()))?;
    answer.await.unwrap_or_else(|_| Err(ClientError::Stopping(alloc.to_owned())))
}
