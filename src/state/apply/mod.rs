//! A command changes rows, gives a reply and yields events: `(State, Command, Index) → Applied`.
//!
//! One file per noun. Everything that is decided here is decided from the state, the command and the index,
//! so every replica decides the same. Nothing fails: what cannot be is a [`Refusal`], and a refused command
//! has changed no row.

mod allocation;
mod collect;
mod deployment;
mod evaluation;
mod job;
mod node;
mod plan;
mod row;
mod scale;
mod status;
mod summary;
mod transaction;
mod version;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(super) use tests::random_log;

use crate::model::Index;

use super::command::{Command, Intent, Refusal, Reply};
use super::event::{Change, StateEvent};
use super::tables::State;
use transaction::Transaction;

/// What became of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// What the proposer is told.
    pub reply: Reply,
    /// What subscribers are told.
    pub events: Vec<StateEvent>,
    /// The rows that changed, each once.
    pub changes: Vec<Change>,
}

/// Applies `command`, which stands at `index` in the log. Indexes only rise.
pub fn apply(state: &mut State, command: &Command, index: Index) -> Applied {
    state.index = index;
    let mut tx = Transaction::new(state, index, command.time);
    let reply = carry_out(&mut tx, &command.intent).unwrap_or_else(Reply::Refused);
    let changes = tx.into_changes();
    let kind = event_kind(&command.intent);
    let events = changes.iter().filter_map(|change| StateEvent::of(change, kind, index)).collect();
    Applied { reply, events, changes }
}

fn carry_out(tx: &mut Transaction<'_>, intent: &Intent) -> Result<Reply, Refusal> {
    match intent {
        Intent::Noop => Ok(Reply::Done),
        Intent::RegisterJob { job, submission, enforce_index, eval } => {
            job::check_index(tx, &job.key(), *enforce_index)?;
            Ok(job::register(tx, job, submission.as_deref(), eval.as_deref()))
        }
        Intent::DeregisterJob { key, purge: true, eval, .. } => {
            job::purge(tx, key, eval.as_deref())
        }
        Intent::DeregisterJob { key, purge: false, eval, no_shutdown_delay } => {
            let reply = job::stop(tx, key, eval.as_deref())?;
            if *no_shutdown_delay {
                allocation::skip_shutdown_delay(tx, key);
            }
            Ok(reply)
        }
        Intent::SetJobStability { key, version, stable } => {
            version::set_stability(tx, key, *version, *stable)
        }
        Intent::TagJobVersion { key, name, tag: Some((version, description)) } => {
            version::tag(tx, key, name, *version, description)
        }
        Intent::TagJobVersion { key, name, tag: None } => version::untag(tx, key, name),
        Intent::ScaleJob { key, group, count, event, eval } => {
            scale::scale(tx, &scale::Scale { key, group, count: *count, event }, eval.as_deref())
        }
        Intent::UpsertEvals(evals) => {
            evaluation::upsert(tx, evals);
            Ok(Reply::Done)
        }
        Intent::Collect { evals, allocs, deployments, jobs, nodes } => {
            collect::allocs(tx, allocs);
            collect::evals(tx, evals);
            collect::others(tx, deployments, jobs, nodes);
            Ok(Reply::Done)
        }
        Intent::ApplyPlan { plan, preemption_evals, on_full } => {
            let result = plan::apply(tx, plan);
            evaluation::upsert(tx, preemption_evals);
            if result.is_full() {
                evaluation::upsert(tx, on_full);
            }
            Ok(Reply::Plan(result))
        }
        Intent::UpdateAllocsFromClient { allocs, evals } => {
            allocation::update_from_client(tx, allocs);
            evaluation::upsert(tx, evals);
            Ok(Reply::Done)
        }
        Intent::UpdateDesiredTransitions { transitions, evals } => {
            allocation::set_transitions(tx, transitions);
            evaluation::upsert(tx, evals);
            Ok(Reply::Done)
        }
        Intent::RegisterNode(_)
        | Intent::DeregisterNodes(_)
        | Intent::UpdateNodeStatus { .. }
        | Intent::UpdateNodeDrain { .. }
        | Intent::UpdateNodeEligibility { .. } => node::carry_out(tx, intent),
        Intent::UpdateDeployment { .. }
        | Intent::PromoteDeployment { .. }
        | Intent::UpdateDeploymentAllocHealth { .. }
        | Intent::UpsertDeployment(_) => deployment::carry_out(tx, intent),
        Intent::ReconcileSummaries => Ok(summary::recount(tx)),
        Intent::PutRow { table, key, row, check_index } => {
            row::put(tx, *table, key, row, *check_index)
        }
        Intent::DeleteRow { table, key } => row::delete(tx, *table, key),
        Intent::SetClusterId(id) => Ok(row::set_cluster_id(tx, id)),
    }
}

/// Nomad's type of the events that a command causes.
fn event_kind(intent: &Intent) -> &'static str {
    match intent {
        Intent::Noop | Intent::SetClusterId(_) | Intent::ReconcileSummaries => "",
        Intent::RegisterJob { .. }
        | Intent::SetJobStability { .. }
        | Intent::TagJobVersion { .. }
        | Intent::ScaleJob { .. } => "JobRegistered",
        Intent::DeregisterJob { .. } => "JobDeregistered",
        Intent::UpsertEvals(_) => "EvaluationUpdated",
        Intent::Collect { .. } => "JobBatchDeregistered",
        Intent::ApplyPlan { .. } => "PlanResult",
        Intent::UpdateAllocsFromClient { .. } => "AllocationUpdated",
        Intent::UpdateDesiredTransitions { .. } => "AllocationUpdateDesiredStatus",
        Intent::RegisterNode(_) => "NodeRegistration",
        Intent::DeregisterNodes(_) => "NodeDeregistration",
        Intent::UpdateNodeStatus { .. } => "NodeStreamEvent",
        Intent::UpdateNodeDrain { .. } => "NodeDrain",
        Intent::UpdateNodeEligibility { .. } => "NodeEligibility",
        Intent::UpdateDeployment { .. } | Intent::UpsertDeployment(_) => "DeploymentStatusUpdate",
        Intent::PromoteDeployment { .. } => "DeploymentPromotion",
        Intent::UpdateDeploymentAllocHealth { .. } => "DeploymentAllocHealth",
        Intent::PutRow { .. } => "NodePoolUpserted",
        Intent::DeleteRow { .. } => "NodePoolDeleted",
    }
}
