//! Deployments: their status, their counts, their canaries.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::allocation::AllocDeploymentStatus;
use crate::model::deployment::DeploymentState;
use crate::model::plan::DeploymentStatusUpdate;
use crate::model::{
    AllocId, Allocation, Deployment, DeploymentId, DeploymentStatus, Evaluation, Index, Job, Nanos,
};
use crate::state::command::{Intent, Refusal, Reply};

use super::transaction::Transaction;
use super::{evaluation, job, status, version};

/// Nomad's sentence for a deployment that simply goes on.
const RUNNING: &str = "Deployment is running";

pub(super) fn carry_out(tx: &mut Transaction<'_>, intent: &Intent) -> Result<Reply, Refusal> {
    match intent {
        Intent::UpdateDeployment { update, revert, eval } => {
            let deployment = set_status(tx, update)?;
            Ok(follow(tx, &deployment, revert.as_deref(), eval.as_deref()))
        }
        Intent::PromoteDeployment { id, groups, eval } => {
            let deployment = promote(tx, id, groups.as_deref())?;
            Ok(follow(tx, &deployment, None, eval.as_deref()))
        }
        Intent::UpdateDeploymentAllocHealth { id, healthy, unhealthy, update, revert, eval } => {
            let mut deployment = set_health(tx, id, healthy, unhealthy)?;
            if let Some(update) = update {
                deployment = set_status(tx, update)?;
            }
            Ok(follow(tx, &deployment, revert.as_deref(), eval.as_deref()))
        }
        Intent::UpsertDeployment(deployment) => {
            let key = deployment.job_key();
            put(tx, Deployment::clone(deployment));
            status::refresh(tx, &key);
            Ok(Reply::Done)
        }
        Intent::Noop
        | Intent::RegisterJob { .. }
        | Intent::DeregisterJob { .. }
        | Intent::SetJobStability { .. }
        | Intent::TagJobVersion { .. }
        | Intent::ScaleJob { .. }
        | Intent::UpsertEvals(_)
        | Intent::Collect { .. }
        | Intent::ApplyPlan { .. }
        | Intent::UpdateAllocsFromClient { .. }
        | Intent::UpdateDesiredTransitions { .. }
        | Intent::RegisterNode(_)
        | Intent::DeregisterNodes(_)
        | Intent::UpdateNodeStatus { .. }
        | Intent::UpdateNodeDrain { .. }
        | Intent::UpdateNodeEligibility { .. }
        | Intent::ReconcileSummaries
        | Intent::PutRow { .. }
        | Intent::DeleteRow { .. }
        | Intent::SetClusterId(_) => Err(Refusal::Invalid("not about a deployment".to_owned())),
    }
}

/// Adds or changes a deployment as a whole. One that ended well makes its version of the job a stable one.
pub(super) fn put(tx: &mut Transaction<'_>, mut deployment: Deployment) {
    let existing = tx.state.deployment(&deployment.id).cloned();
    deployment.create_index = existing.as_ref().map_or(tx.index, |e| e.create_index);
    if deployment.create_time.is_never() {
        deployment.create_time = existing.as_ref().map_or(tx.time, |e| e.create_time);
    }
    deployment.modify_time = tx.time;
    if let Some(existing) = &existing {
        keep_counts(&mut deployment, existing);
    }
    mark_stable(tx, &deployment);
    tx.put_deployment(deployment);
}

/// What a scheduler or watcher writes was read from an older snapshot: the counts are the state's own.
fn keep_counts(deployment: &mut Deployment, existing: &Deployment) {
    for (name, group) in &mut deployment.task_groups {
        let Some(known) = existing.task_groups.get(name) else { continue };
        group.placed_allocs = known.placed_allocs;
        group.healthy_allocs = known.healthy_allocs;
        group.unhealthy_allocs = known.unhealthy_allocs;
        for id in &known.placed_canaries {
            if !group.placed_canaries.contains(id) {
                group.placed_canaries.push(id.clone());
            }
        }
    }
}

/// Gives a deployment a new status. One that has ended keeps the one it ended with.
pub(super) fn set_status(
    tx: &mut Transaction<'_>,
    update: &DeploymentStatusUpdate,
) -> Result<Deployment, Refusal> {
    let existing = active(tx, &update.deployment_id)?;
    let deployment = Deployment {
        status: update.status,
        status_description: update.status_description.clone(),
        modify_time: tx.time,
        ..Deployment::clone(&existing)
    };
    mark_stable(tx, &deployment);
    tx.put_deployment(deployment.clone());
    Ok(deployment)
}

fn active(tx: &Transaction<'_>, id: &DeploymentId) -> Result<Arc<Deployment>, Refusal> {
    let Some(existing) = tx.state.deployment(id).cloned() else {
        return Err(Refusal::NotFound(format!("deployment \"{id}\" not found")));
    };
    if existing.is_active() {
        return Ok(existing);
    }
    let status = format!("{:?}", existing.status).to_lowercase();
    Err(Refusal::Conflict(format!("deployment \"{id}\" has terminal status \"{status}\"")))
}

fn mark_stable(tx: &mut Transaction<'_>, deployment: &Deployment) {
    if deployment.status == DeploymentStatus::Successful {
        let key = deployment.job_key();
        // A version that was purged meanwhile has nothing to be marked.
        let _purged = version::set_stability(tx, &key, deployment.job_version, true).is_err();
    }
}

/// What follows a change of a deployment: the job goes back to an older version, and an evaluation.
fn follow(
    tx: &mut Transaction<'_>,
    deployment: &Deployment,
    revert: Option<&Job>,
    eval: Option<&Evaluation>,
) -> Reply {
    let key = deployment.job_key();
    if let Some(revert) = revert {
        return job::register(tx, revert, None, eval);
    }
    let (job_modify_index, version) = tx
        .state
        .job(&key)
        .map_or((0, deployment.job_version), |job| (job.job_modify_index, job.version));
    let eval_id = evaluation::follow(tx, eval, job_modify_index);
    status::refresh(tx, &key);
    Reply::Job { job_modify_index, version, eval_id }
}

/// Promotes the canaries of `groups`, or of all; refused unless enough of them are healthy.
fn promote(
    tx: &mut Transaction<'_>,
    id: &DeploymentId,
    groups: Option<&[String]>,
) -> Result<Deployment, Refusal> {
    let existing = active(tx, id)?;
    let is_meant = |name: &str| groups.is_none_or(|groups| groups.iter().any(|g| g == name));
    let canaries: Vec<Arc<Allocation>> = tx
        .state
        .allocs_by_deployment(id)
        .filter(|alloc| is_meant(&alloc.task_group) && is_healthy_canary(&existing, alloc))
        .cloned()
        .collect();
    let mut healthy: BTreeMap<&str, i64> = BTreeMap::new();
    for canary in &canaries {
        *healthy.entry(&canary.task_group).or_default() += 1;
    }
    let lacking: Vec<String> = existing
        .task_groups
        .iter()
        .filter(|(name, _)| is_meant(name))
        .filter_map(|(name, group)| {
            let (needed, got) =
                (group.desired_canaries, healthy.get(name.as_str()).copied().unwrap_or_default());
            (got < needed)
                .then(|| format!("Task group \"{name}\" has {got}/{needed} healthy allocations"))
        })
        .collect();
    if !lacking.is_empty() {
        return Err(Refusal::Conflict(lacking.join("; ")));
    }
    let mut deployment = Deployment { modify_time: tx.time, ..Deployment::clone(&existing) };
    for (name, group) in &mut deployment.task_groups {
        if is_meant(name) {
            group.promoted = true;
            if group.progress_deadline > Nanos::ZERO && !group.require_progress_by.is_never() {
                group.require_progress_by = tx.time.plus(group.progress_deadline);
            }
        }
    }
    if !deployment.requires_promotion() && deployment.status == DeploymentStatus::Running {
        RUNNING.clone_into(&mut deployment.status_description);
    }
    tx.put_deployment(deployment.clone());
    for canary in canaries {
        let mut promoted = Allocation::clone(&canary);
        let health = promoted.deployment_status.get_or_insert_default();
        health.canary = false;
        health.modify_index = tx.index;
        promoted.alloc_modify_index = tx.index;
        promoted.modify_time = tx.time;
        tx.put_alloc(promoted);
    }
    Ok(deployment)
}

fn is_healthy_canary(deployment: &Deployment, alloc: &Allocation) -> bool {
    let is_canary = deployment
        .task_groups
        .get(&alloc.task_group)
        .is_some_and(|group| group.placed_canaries.contains(&alloc.id));
    is_canary && !alloc.is_terminal() && healthy(alloc) == Some(true)
}

/// Takes over somebody's word on the health of allocations.
fn set_health(
    tx: &mut Transaction<'_>,
    id: &DeploymentId,
    healthy: &[AllocId],
    unhealthy: &[AllocId],
) -> Result<Deployment, Refusal> {
    active(tx, id)?;
    let told: Vec<(&AllocId, bool)> =
        healthy.iter().map(|id| (id, true)).chain(unhealthy.iter().map(|id| (id, false))).collect();
    for (alloc, _) in &told {
        match tx.state.alloc(alloc) {
            None => return Err(Refusal::NotFound(format!("unknown alloc \"{alloc}\""))),
            Some(known) if known.deployment_id != *id => {
                return Err(Refusal::Invalid(format!(
                    "alloc \"{alloc}\" not part of deployment \"{id}\""
                )));
            }
            Some(_) => {}
        }
    }
    for (alloc, is_healthy) in told {
        let Some(existing) = tx.state.alloc(alloc).cloned() else { continue };
        let mut updated = Allocation::clone(&existing);
        let known = updated.deployment_status.get_or_insert_default();
        *known = AllocDeploymentStatus {
            healthy: Some(is_healthy),
            timestamp: tx.time,
            canary: known.canary,
            modify_index: tx.index,
        };
        updated.modify_time = tx.time;
        count_alloc(tx, &updated, Some(&existing));
        tx.put_alloc(updated);
    }
    let known = tx.state.deployment(id).cloned();
    known
        .map(|deployment| Deployment::clone(&deployment))
        .ok_or_else(|| Refusal::NotFound(format!("deployment \"{id}\" not found")))
}

fn healthy(alloc: &Allocation) -> Option<bool> {
    alloc.deployment_status.as_ref()?.healthy
}

/// Counts an allocation that was placed in a deployment, or whose health changed.
pub(super) fn count_alloc(
    tx: &mut Transaction<'_>,
    alloc: &Allocation,
    before: Option<&Allocation>,
) {
    if alloc.deployment_id.is_empty() {
        return;
    }
    let Some(existing) = tx.state.deployment(&alloc.deployment_id).cloned() else { return };
    let mut deployment = Deployment::clone(&existing);
    let Some(group) = deployment.task_groups.get_mut(&alloc.task_group) else { return };
    let before = before.filter(|before| before.deployment_id == alloc.deployment_id);
    count(group, alloc, before);
    if deployment != *existing {
        deployment.modify_time = tx.time;
        tx.put_deployment(deployment);
    }
}

fn count(group: &mut DeploymentState, alloc: &Allocation, before: Option<&Allocation>) {
    let is_placed = before.is_none();
    group.placed_allocs += i64::from(is_placed);
    let (was, is) = (before.and_then(healthy), healthy(alloc));
    if was != is {
        group.healthy_allocs += i64::from(is == Some(true)) - i64::from(was == Some(true));
        group.unhealthy_allocs += i64::from(is == Some(false)) - i64::from(was == Some(false));
    }
    let health = alloc.deployment_status.as_ref();
    if health.is_some_and(|health| health.canary) && !group.placed_canaries.contains(&alloc.id) {
        group.placed_canaries.push(alloc.id.clone());
    }
    if group.progress_deadline == Nanos::ZERO {
        return;
    }
    if is_placed && group.require_progress_by.is_never() {
        // By the time of the change and not of the placement: an allocation may be updated in place.
        group.require_progress_by = alloc.modify_time.plus(group.progress_deadline);
    } else if was != Some(true) && is == Some(true) {
        let since = health.map(|health| health.timestamp).unwrap_or_default();
        group.require_progress_by =
            group.require_progress_by.max(since.plus(group.progress_deadline));
    }
}

/// Whether a job's rollout still goes on; scaling waits for it.
pub(super) fn is_active(tx: &Transaction<'_>, job: &Job) -> bool {
    let key = job.key();
    let created: Index = job.create_index;
    let latest = tx.state.latest_deployment(&key);
    latest
        .is_some_and(|deployment| deployment.job_create_index == created && deployment.is_active())
}
