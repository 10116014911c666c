//! ◇ How an allocation is told what to do, and how it tells how it is.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::client::error::ClientError;
use crate::client::task::order::TaskLine;
use crate::model::Allocation;

/// What an allocation is told.
#[derive(Debug)]
pub(in crate::client) enum Order {
    /// The servers changed something of it.
    Update(Arc<Allocation>),
    /// Stop if it runs, and leave nothing of it.
    Destroy,
    /// Run all tasks again in order.
    StartOver { reason: String, reply: oneshot::Sender<Result<(), ClientError>> },
}

/// How an allocation is.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "answers to separate questions")]
pub(in crate::client) struct View {
    /// As the servers last gave it.
    pub alloc: Arc<Allocation>,
    /// Whether nothing of it runs and what its tasks shared is undone: it may be collected.
    pub ended: bool,
    /// Whether it is being stopped, or has ended.
    pub stopping: bool,
    /// Whether nothing of it is left.
    pub gone: bool,
}

/// An allocation's mailbox, how it is, and its tasks.
#[derive(Debug, Clone)]
pub(in crate::client) struct AllocLine {
    pub orders: mpsc::Sender<Order>,
    pub view: watch::Receiver<View>,
    pub tasks: BTreeMap<String, TaskLine>,
}

impl AllocLine {
    /// Tells the allocation; waits when its mailbox is full. One that is no more needs no orders.
    pub(in crate::client) async fn tell(&self, order: Order) {
        drop(self.orders.send(order).await);
    }
}
