//! ◇ The loop of garbage: looks from time to time while something is over, and sleeps when nothing is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::error::ServerError;
use super::gc::{Thresholds, garbage};
use super::leader::Flags;
use super::{Server, drive};
use crate::model::{NodeStatus, Timestamp};
use crate::state::State;
use crate::sys::tasks::Tasks;

/// Runs the loop.
pub(super) async fn run(
    server: Server,
    tasks: Tasks,
    hints: mpsc::Receiver<()>,
    flags: Arc<Flags>,
) {
    let every = server.inner.config.collect_every;
    let mut next: Option<Timestamp> = None;
    let turn = |_: Vec<()>, now: Timestamp| {
        if next.is_some_and(|at| at <= now) {
            next = None;
            let (server, keep) = (server.clone(), server.inner.config.keep);
            tasks.spawn("collect", async move {
                if let Err(error) = server.collect(&keep).await {
                    tracing::warn!(%error, "garbage could not be collected");
                }
            });
        }
        if next.is_none() && is_any_over(&server.state()) {
            next = Some(now.plus(every));
        }
        flags.collecting.store(next.is_some(), Ordering::Release);
        next
    };
    drive::drive(hints, tasks.stop_token(), turn).await;
}

/// Whether there is anything that will be garbage some day without anything else happening.
fn is_any_over(state: &Arc<State>) -> bool {
    state.evals().any(|eval| eval.is_terminal())
        || state.nodes().any(|node| node.status == NodeStatus::Down)
        || state.allocs().any(|alloc| alloc.is_terminal())
}

impl Server {
    /// Forgets what is over for longer than `keep` says.
    pub(super) async fn collect(&self, keep: &Thresholds) -> Result<(), ServerError> {
        let found = garbage(&self.state(), keep, super::now());
        if found.is_empty() {
            return Ok(());
        }
        self.propose(found.intent()).await.map(drop)
    }

    /// Forgets everything that is over, at once.
    pub async fn force_collect(&self) -> Result<(), ServerError> {
        // What was only kept by something that went in the first round goes in the next ones.
        for _ in 0..3 {
            self.collect(&Thresholds::FORCE).await?;
        }
        Ok(())
    }
}
