//! ◇ How a task is told what to do, and how it tells how it is.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use super::event::Happening;
use super::lifecycle::Delay;
use super::restart::Ending;
use crate::client::alloc::lifecycle::Report;
use crate::client::error::ClientError;
use crate::driver::TaskHandle;
use crate::image::Digest;
use crate::model::{Allocation, TaskState};

/// What a task is told.
#[derive(Debug)]
pub(in crate::client) enum Order {
    /// It is its turn.
    Open,
    /// Stop for good.
    Kill(Delay),
    /// Record this.
    Tell(Happening),
    /// It will never be started.
    Fail(String),
    /// Stop, and wait for its turn again.
    StartOver(String),
    /// Stop and start again.
    Restart { reason: String, counted_as: Ending, reply: Reply },
    /// Send a signal.
    Signal { name: String, number: i32, reply: Reply },
    /// The servers changed the allocation in place.
    Update(Arc<Allocation>),
}

pub(in crate::client) type Reply = oneshot::Sender<Result<(), ClientError>>;

/// How a task is.
#[derive(Debug, Clone)]
pub(in crate::client) struct View {
    /// As the servers are told.
    pub state: TaskState,
    /// As the group's order needs it.
    pub report: Report,
    /// Its process, while there is one.
    pub handle: Option<TaskHandle>,
    /// Whether a signal, a restart or an exec session makes sense.
    pub running: bool,
    /// The image that is kept for it.
    pub image: Option<Digest>,
}

/// A task's mailbox, and how it is.
#[derive(Debug, Clone)]
pub(in crate::client) struct TaskLine {
    pub orders: mpsc::Sender<Order>,
    pub view: watch::Receiver<View>,
}

impl TaskLine {
    /// Tells the task; waits when its mailbox is full. A task that is no more needs no orders.
    pub(in crate::client) async fn tell(&self, order: Order) {
        drop(self.orders.send(order).await);
    }
}
