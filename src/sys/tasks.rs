//! ◇ The only spawner. A [`Tasks`] owns what it spawned: each task has a name, is told to stop by one
//! token, is awaited, and what happens when it ends by itself is said where it is spawned.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Told to every task: finish now. Cheap to clone; a child stops with its parent, not the other way round.
pub type Stop = CancellationToken;

/// The tasks of one owner.
#[derive(Debug, Clone)]
pub struct Tasks {
    owner: Arc<str>,
    tracker: TaskTracker,
    stop: Stop,
}

impl Tasks {
    /// An empty set of tasks that stops when `parent` does.
    pub fn new(owner: &str, parent: &Stop) -> Self {
        Self { owner: owner.into(), tracker: TaskTracker::new(), stop: parent.child_token() }
    }

    /// The token every task of this owner watches.
    pub fn stop_token(&self) -> Stop {
        self.stop.clone()
    }

    /// Runs `future` until it ends. It must watch the stop token itself. A panic ends that task only, and is logged.
    pub fn spawn<F>(&self, name: &str, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let span = tracing::info_span!("task", owner = %self.owner, name = %name);
        let (owner, name) = (Arc::clone(&self.owner), name.to_owned());
        let guarded = async move {
            let caught =
                futures::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(future)).await;
            if let Err(panic) = caught {
                let text = panic
                    .downcast_ref::<&str>()
                    .map(|s| (*s).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_default();
                tracing::error!(%owner, %name, panic = %text, "task panicked");
            }
        };
        drop(self.tracker.spawn(guarded.instrument(span)));
    }

    /// Tells every task to stop and waits until all have ended, at most `grace`.
    /// Returns whether all ended in time.
    pub async fn shutdown(&self, grace: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}
