//! ◇ The one way into the log, and who is told of it.

use std::sync::atomic::Ordering;

use super::error::ServerError;
use super::evals;
use super::leader::Loops;
use super::nodes;
use super::rollouts;
use super::touched::{Touched, expect};
use super::{Server, scheduler_config};
use crate::model::{DeploymentId, EvalId, Index};
use crate::state::{Intent, Reply, State};

/// What became of an intention.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposed {
    /// The state's index with it.
    pub index: Index,
    /// What the state machine said.
    pub reply: Reply,
}

impl Proposed {
    /// The job's index, version and the evaluation, if the reply is about a job.
    pub(super) fn job(&self) -> (Index, u64, Option<EvalId>) {
        match &self.reply {
            Reply::Job { job_modify_index, version, eval_id } => {
                (*job_modify_index, *version, eval_id.clone())
            }
            Reply::Done | Reply::Plan(_) | Reply::Refused(_) => (0, 0, None),
        }
    }
}

impl Server {
    /// Proposes `intent`, waits until it is applied, and tells the loops what it touched. A refusal is an error.
    pub async fn propose(&self, intent: Intent) -> Result<Proposed, ServerError> {
        let expected = expect(&intent);
        let (index, reply) = self.inner.raft.propose(intent).await.map_err(ServerError::Propose)?;
        if let Reply::Refused(refusal) = reply {
            return Err(refusal.into());
        }
        if let Some(loops) = self.loops() {
            let state = self.state();
            self.tell(&loops, expected.settle(&reply, &state), &state).await;
        }
        Ok(Proposed { index, reply })
    }

    /// Tells the loops. Waits where a mailbox is full: a hint is never lost.
    async fn tell(&self, loops: &Loops, touched: Touched, state: &State) {
        let mut events: Vec<evals::Event> = Vec::new();
        if let Some(key) = touched.purged {
            events.push(evals::Event::Purged(key));
        }
        let known = touched.evals.iter().filter_map(|id| state.eval(id).cloned());
        events.extend(known.map(evals::Event::Eval));
        for id in &touched.gained {
            if let Some(node) = state.node(id).filter(|node| node.is_ready()) {
                let class = node.computed_class.clone();
                events.push(evals::Event::Gained(class, state.index()));
            }
        }
        if touched.settings {
            let paused = scheduler_config(state).pause_eval_broker;
            events.push(evals::Event::Settings { paused });
        }
        // A loop that has ended needs no hints: its successor looks at everything.
        for event in events {
            let _ended = loops.evals.send(event).await.is_err();
        }
        for id in touched.nodes {
            let known = state.node(&id).map(|node| node.status);
            let _ended = loops.nodes.send(nodes::Event::Changed(id, known)).await.is_err();
        }
        for id in dedup(touched.deployments) {
            let _ended = loops.rollouts.send(rollouts::Event::Look(id)).await.is_err();
        }
        let flags = &loops.flags;
        if touched.begins_drain {
            flags.draining.store(true, Ordering::Release);
        }
        if touched.drains && flags.draining.load(Ordering::Acquire) {
            // One that is waiting is as good as another.
            let _full = loops.drains.try_send(()).is_err();
        }
        if touched.garbage && !flags.collecting.load(Ordering::Acquire) {
            let _full = loops.garbage.try_send(()).is_err();
        }
    }
}

fn dedup(mut ids: Vec<DeploymentId>) -> Vec<DeploymentId> {
    ids.sort();
    ids.dedup();
    ids
}
