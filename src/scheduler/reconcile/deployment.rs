//! ◆ The deployment a change of the job belongs to: which one counts, when there is a new one, when it is done.

use std::sync::Arc;

use super::{Reconciler, Set, status_update};
use crate::model::deployment::DeploymentState;
use crate::model::{Deployment, DeploymentId, DeploymentStatus, Job, TaskGroup};

pub(super) const STOPPED: &str = "Cancelled because job is stopped";
pub(super) const NEWER_JOB: &str = "Cancelled due to newer version of job";
pub(super) const RUNNING: &str = "Deployment is running";
pub(super) const NEEDS_PROMOTION: &str = "Deployment is running but requires manual promotion";
pub(super) const AUTO_PROMOTION: &str = "Deployment is running pending automatic promotion";
pub(super) const SUCCESSFUL: &str = "Deployment completed successfully";

impl Reconciler<'_, '_> {
    /// Takes the deployment as one of this version that goes on, or ends it.
    pub(super) fn adopt_deployment(&mut self) {
        let Some(deployment) = self.input.deployment.clone() else { return };
        let Some(job) = self.input.job.as_ref().filter(|job| !job.is_stopped()) else {
            if deployment.is_active() {
                let update = status_update(&deployment, DeploymentStatus::Cancelled, STOPPED);
                self.changes.deployment_updates.push(update);
            }
            return;
        };
        let same = deployment.job_create_index == job.create_index
            && deployment.job_version == job.version;
        if !same {
            if deployment.is_active() {
                let update = status_update(&deployment, DeploymentStatus::Cancelled, NEWER_JOB);
                self.changes.deployment_updates.push(update);
            }
            self.old_deployment = Some(deployment);
            return;
        }
        if deployment.status == DeploymentStatus::Successful {
            self.old_deployment = Some(deployment);
            return;
        }
        self.paused =
            matches!(deployment.status, DeploymentStatus::Paused | DeploymentStatus::Pending);
        self.failed = deployment.status == DeploymentStatus::Failed;
        self.deployment = Some(Arc::unwrap_or_clone(deployment));
    }

    /// The group's state in the deployment, and whether it was there before this evaluation.
    pub(super) fn group_state(&self, group: &TaskGroup) -> (DeploymentState, bool) {
        let known = self.deployment.as_ref().and_then(|d| d.task_groups.get(&group.name));
        if let Some(state) = known {
            return (state.clone(), true);
        }
        let mut state = DeploymentState::default();
        if let Some(update) = &group.update {
            state.auto_revert = update.auto_revert;
            state.auto_promote = update.auto_promote;
            state.progress_deadline = update.progress_deadline;
        }
        (state, false)
    }

    /// Puts the group into the deployment, which is made at the first.
    pub(super) fn extend_deployment(
        &mut self,
        job: &Job,
        group: &TaskGroup,
        state: DeploymentState,
        all: &Set,
        updates: usize,
    ) {
        let rolls = group.update.as_ref().is_some_and(|update| update.max_parallel > 0);
        if !rolls || state.desired_total == 0 {
            return;
        }
        let of_version = |alloc: &&Arc<crate::model::Allocation>| {
            alloc
                .job
                .as_ref()
                .is_some_and(|j| j.version == job.version && j.create_index == job.create_index)
        };
        if updates == 0 && all.iter().any(|alloc| of_version(&alloc)) {
            return;
        }
        if self.deployment.is_none() {
            self.deployment = Some(self.new_deployment(job));
            self.deployment_is_new = true;
        }
        if let Some(deployment) = &mut self.deployment {
            let mut state = state;
            if state.progress_deadline.0 > 0 {
                state.require_progress_by = self.now.plus(state.progress_deadline);
            }
            deployment.task_groups.insert(group.name.clone(), state);
        }
    }

    fn new_deployment(&mut self, job: &Job) -> Deployment {
        Deployment {
            id: DeploymentId::from(self.placer.fresh_id()),
            namespace: job.namespace.clone(),
            job_id: job.id.clone(),
            job_version: job.version,
            job_modify_index: job.modify_index,
            job_spec_modify_index: job.job_modify_index,
            job_create_index: job.create_index,
            status: DeploymentStatus::Running,
            status_description: RUNNING.to_owned(),
            eval_priority: self.input.eval.priority,
            create_time: self.now,
            modify_time: self.now,
            ..Deployment::default()
        }
    }

    /// The id that placements of this evaluation carry.
    pub(super) fn deployment_id(&self) -> DeploymentId {
        let active = self.deployment.as_ref().filter(|deployment| deployment.is_active());
        active.map(|deployment| deployment.id.clone()).unwrap_or_default()
    }

    /// Whether a group's part is done, given that nothing is left to do for it.
    pub(super) fn group_is_complete(&self, group: &TaskGroup) -> bool {
        let state = self.deployment.as_ref().and_then(|d| d.task_groups.get(&group.name));
        state.is_none_or(|state| {
            state.healthy_allocs >= state.desired_total.max(state.desired_canaries)
                && (state.desired_canaries == 0 || state.promoted)
        })
    }

    /// Hands the deployment out if it is new, and ends it when all is done.
    pub(super) fn settle_deployment(&mut self, complete: bool) {
        let Some(mut deployment) = self.deployment.take() else { return };
        if self.deployment_is_new {
            if deployment.requires_promotion() {
                let auto = deployment
                    .task_groups
                    .values()
                    .filter(|state| state.desired_canaries > 0)
                    .all(|state| state.auto_promote);
                let text = if auto { AUTO_PROMOTION } else { NEEDS_PROMOTION };
                text.clone_into(&mut deployment.status_description);
            }
            self.changes.deployment = Some(deployment);
        } else if complete && deployment.is_active() {
            let update = status_update(&deployment, DeploymentStatus::Successful, SUCCESSFUL);
            self.changes.deployment_updates.push(update);
        } else if self.canaries_changed {
            self.changes.deployment = Some(deployment);
        }
    }
}
