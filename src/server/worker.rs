//! ◇ A worker: takes an evaluation, looks at a snapshot, lets the scheduler decide, proposes the plan, and looks again
//! where a part of it was refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::error::ServerError;
use super::eval_broker::{Delivery, WaiterId};
use super::snapshot::Snapshot;
use super::{Server, evals, now, scheduler_config};
use crate::model::job::JobType;
use crate::model::{
    EvalId, EvalStatus, EvalTrigger, Evaluation, Index, Nanos, PlanResult, Timestamp,
};
use crate::scheduler::{Outcome, schedule};
use crate::state::{Intent, Reply};
use crate::sys::tasks::Stop;

/// Takes evaluations until it is told to stop.
pub(super) async fn run(
    server: Server,
    id: WaiterId,
    mut deliveries: mpsc::Receiver<Delivery>,
    broker: mpsc::Sender<evals::Event>,
    stop: Stop,
) {
    loop {
        if broker.send(evals::Event::Dequeue(id)).await.is_err() {
            return;
        }
        let delivery = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            // Dropping it loses nothing: a delivery is taken only when it returns.
            delivery = deliveries.recv() => delivery,
        };
        let Some(Delivery { eval, token }) = delivery else { return };
        let answer = match process(&server, &eval).await {
            Ok(()) => evals::Event::Ack(eval.id.clone(), token),
            Err(error) => {
                tracing::warn!(eval = %eval.id, job = %eval.job_id, %error, "an evaluation is tried again");
                evals::Event::Nack(eval.id.clone(), token)
            }
        };
        if broker.send(answer).await.is_err() {
            return;
        }
    }
}

/// How often a plan may be refused in a row before the evaluation waits.
fn attempts(eval: &Evaluation) -> u32 {
    match eval.kind.as_str() {
        "batch" | "sysbatch" => 2,
        _ => 5,
    }
}

async fn process(server: &Server, eval: &Arc<Evaluation>) -> Result<(), ServerError> {
    let mut left = attempts(eval);
    let mut at_least: Index = eval.modify_index;
    while left > 0 {
        let state = server.state_at(at_least).await;
        let Some(current) = state.eval(&eval.id).filter(|eval| !eval.is_terminal()).cloned() else {
            // It was cancelled or collected meanwhile.
            return Ok(());
        };
        let outcome = decide(server, &Snapshot(state), &current);
        match submit(server, &current, outcome).await? {
            None => return Ok(()),
            Some(result) => {
                at_least = result.refresh_index;
                let progress = !result.node_allocation.is_empty() || !result.node_update.is_empty();
                left = if progress { attempts(eval) } else { left - 1 };
            }
        }
    }
    give_up(server, eval).await
}

fn decide(server: &Server, snapshot: &Snapshot, eval: &Evaluation) -> Outcome {
    let config = scheduler_config(&snapshot.0);
    let input = snapshot.input(eval, &config, &server.inner.node_sets);
    let start = crate::sys::clock::monotonic();
    let mut outcome = schedule(&input, crate::sys::ids::random_u64(), now());
    stamp(&mut outcome, start.elapsed());
    outcome
}

/// Notes how long a placement took: the mean of all of this evaluation.
fn stamp(outcome: &mut Outcome, elapsed: Duration) {
    let placed =
        outcome.plan.node_allocation.values_mut().flatten().map(|alloc| &mut alloc.metrics);
    let all: Vec<_> = placed.chain(outcome.failed.values_mut()).collect();
    let count = u32::try_from(all.len()).unwrap_or(u32::MAX).max(1);
    let each = Nanos(i64::try_from((elapsed / count).as_nanos()).unwrap_or(i64::MAX));
    for metrics in all {
        metrics.allocation_time = each;
    }
}

/// Proposes what was decided. Returns the result if a part of it was refused.
async fn submit(
    server: &Server,
    eval: &Evaluation,
    outcome: Outcome,
) -> Result<Option<Arc<PlanResult>>, ServerError> {
    let settled = settled(eval, &outcome, now());
    let Outcome { plan, follow_ups, blocked, .. } = outcome;
    let mut on_full: Vec<Evaluation> = Vec::new();
    // One that goes on waiting is written once, as it waits.
    let waits_on = blocked.as_ref().is_some_and(|blocked| blocked.id == eval.id);
    on_full.extend(blocked);
    if !waits_on {
        on_full.push(settled);
    }
    if plan.is_no_op() {
        on_full.extend(follow_ups);
        server.propose(Intent::UpsertEvals(on_full)).await?;
        return Ok(None);
    }
    if !follow_ups.is_empty() {
        // What the plan refers to is there before it.
        server.propose(Intent::UpsertEvals(follow_ups)).await?;
    }
    let preemption_evals = preemption_evals(&plan, eval);
    let intent = Intent::ApplyPlan { plan: Box::new(plan), preemption_evals, on_full };
    match server.propose(intent).await?.reply {
        Reply::Plan(result) if !result.is_full() => {
            tracing::debug!(eval = %eval.id, rejected = ?result.rejected_nodes, "a plan was refused in part");
            Ok(Some(result))
        }
        Reply::Plan(_) | Reply::Done | Reply::Job { .. } | Reply::Refused(_) => Ok(None),
    }
}

/// Jobs whose allocations have to go are looked at again.
fn preemption_evals(plan: &crate::model::Plan, eval: &Evaluation) -> Vec<Evaluation> {
    let mut jobs: Vec<_> = plan
        .node_preemptions
        .values()
        .flatten()
        .map(|alloc| (alloc.job_key(), alloc.job.clone()))
        .collect();
    jobs.sort_by(|a, b| a.0.cmp(&b.0));
    jobs.dedup_by(|a, b| a.0 == b.0);
    let follow = |(key, job): (crate::model::JobKey, Option<Arc<crate::model::Job>>)| Evaluation {
        id: EvalId::from(crate::sys::ids::uuid()),
        namespace: key.namespace.to_string(),
        job_id: key.id.to_string(),
        priority: job.as_ref().map_or(50, |job| job.priority),
        kind: job.map_or(JobType::Service, |job| job.kind).as_str().to_owned(),
        triggered_by: EvalTrigger::Preemption,
        previous_eval: eval.id.clone(),
        ..Evaluation::default()
    };
    jobs.into_iter().map(follow).collect()
}

/// The evaluation once it is done.
fn settled(eval: &Evaluation, outcome: &Outcome, now: Timestamp) -> Evaluation {
    let blocked = outcome.blocked.as_ref().map(|blocked| blocked.id.clone());
    Evaluation {
        status: EvalStatus::Complete,
        status_description: String::new(),
        failed_tg_allocs: outcome.failed.clone(),
        queued_allocations: outcome.queued.clone(),
        plan_annotations: outcome.plan.annotations.clone(),
        deployment_id: if outcome.deployment_id.is_empty() {
            eval.deployment_id.clone()
        } else {
            outcome.deployment_id.clone()
        },
        blocked_eval: blocked.unwrap_or_default(),
        snapshot_index: outcome.plan.snapshot_index,
        modify_time: now,
        ..eval.clone()
    }
}

/// Too many conflicts: fails, and another waits a minute.
async fn give_up(server: &Server, eval: &Evaluation) -> Result<(), ServerError> {
    let now = now();
    let blocked = Evaluation {
        id: EvalId::from(crate::sys::ids::uuid()),
        status: EvalStatus::Blocked,
        triggered_by: EvalTrigger::MaxPlanAttempts,
        status_description: "created due to placement conflicts".to_owned(),
        previous_eval: eval.id.clone(),
        snapshot_index: server.state().index(),
        create_time: now,
        modify_time: now,
        ..eval.clone()
    };
    let failed = Evaluation {
        status: EvalStatus::Failed,
        status_description: format!("maximum attempts reached ({})", attempts(eval)),
        blocked_eval: blocked.id.clone(),
        modify_time: now,
        ..eval.clone()
    };
    server.propose(Intent::UpsertEvals(vec![blocked, failed])).await.map(drop)
}

impl Server {
    /// A snapshot that has seen `index`.
    async fn state_at(&self, index: Index) -> Arc<crate::state::State> {
        let state = self.state();
        if state.index() >= index {
            return state;
        }
        let mut follow = self.watch().follow();
        // Ends only when the log does, and then this snapshot is as good as there is.
        match follow.wait_for(|state| state.index() >= index).await {
            Ok(state) => Arc::clone(&state),
            Err(_) => state,
        }
    }
}
