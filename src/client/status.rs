//! ◇ How allocations are, on the way to the servers: at once when nothing is on the way, folded while something is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::upstream::Upstream;
use crate::model::{AllocId, Allocation, NodeId};
use crate::sys::report::{self, Kind};
use crate::sys::tasks::Stop;

/// The newest word on each allocation that the servers do not have yet.
#[derive(Debug, Default)]
pub struct StatusBoard {
    /// Locked for moments only.
    unsent: Mutex<BTreeMap<AllocId, Allocation>>,
    wake: Notify,
}

/// The waits between attempts to reach a server.
const RETRY: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

impl StatusBoard {
    /// Says how an allocation is. What was said of it before and not sent yet is of no interest any more.
    pub fn put(&self, alloc: Allocation) {
        self.lock().insert(alloc.id.clone(), alloc);
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AllocId, Allocation>> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Vec<Allocation> {
        std::mem::take(&mut *self.lock()).into_values().collect()
    }

    fn put_back(&self, allocs: Vec<Allocation>) {
        let mut unsent = self.lock();
        for alloc in allocs {
            unsent.entry(alloc.id.clone()).or_insert(alloc);
        }
    }

    /// Sends until told to stop.
    pub async fn run(self: Arc<Self>, node: NodeId, upstream: Arc<dyn Upstream>, stop: Stop) {
        let mut failures = 0;
        loop {
            let allocs = self.take();
            if allocs.is_empty() {
                tokio::select! {
                    biased;
                    () = stop.cancelled() => return,
                    () = self.wake.notified() => continue,
                }
            }
            let sent = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                // Dropped only by the stop: the next agent tells everything again.
                sent = upstream.update(&node, allocs.clone()) => sent,
            };
            let Err(error) = sent else {
                failures = 0;
                continue;
            };
            if error.kind == Kind::Invalid {
                // Nothing will make them accept it; keep the node's other news flowing.
                tracing::error!(error = %report::chain(&error), "servers refuse the state of allocations");
                continue;
            }
            tracing::warn!(error = %report::chain(&error), "state of allocations not delivered yet");
            self.put_back(allocs);
            let wait = RETRY.get(failures).or(RETRY.last()).copied().unwrap_or_default();
            failures += 1;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }
}
