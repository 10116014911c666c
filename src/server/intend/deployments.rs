//! ◇ Deployments: promote, pause, fail, and somebody's word on health.

use std::sync::Arc;

use crate::model::plan::DeploymentStatusUpdate;
use crate::model::{
    AllocId, Deployment, DeploymentId, DeploymentStatus, EvalId, EvalTrigger, Evaluation, Index,
};
use crate::server::deployments::rollback;
use crate::server::propose::Proposed;
use crate::server::{Server, ServerError};
use crate::state::Intent;

/// What became of a deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentChanged {
    /// The state's index with it.
    pub index: Index,
    /// The evaluation that follows; empty when there is none.
    pub eval_id: EvalId,
    /// When that was made.
    pub eval_create_index: Index,
    /// The version the job went back to.
    pub reverted_to: Option<u64>,
}

/// Somebody's word on the health of a deployment's allocations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Healthy ones.
    pub healthy: Vec<AllocId>,
    /// The others.
    pub unhealthy: Vec<AllocId>,
}

impl Server {
    /// Promotes the canaries of `groups`, or of all groups.
    pub async fn promote_deployment(
        &self,
        id: &DeploymentId,
        groups: Option<Vec<String>>,
    ) -> Result<DeploymentChanged, ServerError> {
        let deployment = self.active_deployment(id, "promote")?;
        let eval = self.deployment_eval(&deployment);
        let intent = Intent::PromoteDeployment { id: id.clone(), groups, eval };
        self.propose(intent).await.map(|proposed| changed(&proposed, None))
    }

    /// Stops the progress of a deployment, or lets it go on.
    pub async fn pause_deployment(
        &self,
        id: &DeploymentId,
        pause: bool,
    ) -> Result<DeploymentChanged, ServerError> {
        let deployment = self.active_deployment(id, if pause { "pause" } else { "resume" })?;
        let (status, text) = match pause {
            true => (DeploymentStatus::Paused, "Deployment is paused"),
            false if deployment.requires_promotion() => {
                (DeploymentStatus::Running, "Deployment is running but requires manual promotion")
            }
            false => (DeploymentStatus::Running, "Deployment is running"),
        };
        let update = update(&deployment, status, text);
        // A paused deployment is not looked at.
        let eval = if pause { None } else { self.deployment_eval(&deployment) };
        let intent = Intent::UpdateDeployment { update, revert: None, eval };
        self.propose(intent).await.map(|proposed| changed(&proposed, None))
    }

    /// Gives a deployment up; where a group says so the job goes back to its last stable version.
    pub async fn fail_deployment(
        &self,
        id: &DeploymentId,
    ) -> Result<DeploymentChanged, ServerError> {
        let deployment = self.active_deployment(id, "fail")?;
        let text = "Deployment marked as failed";
        let reverts = deployment.task_groups.values().any(|group| group.auto_revert);
        let state = self.state();
        let versions: Vec<_> =
            state.job_versions(&deployment.job_key()).into_iter().cloned().collect();
        let (text, revert) =
            if reverts { rollback(&deployment, &versions, text) } else { (text.to_owned(), None) };
        let stable = versions.iter().find(|job| job.stable && job.version < deployment.job_version);
        let reverted = revert.as_ref().and(stable).map(|job| job.version);
        let update = update(&deployment, DeploymentStatus::Failed, &text);
        let eval = self.deployment_eval(&deployment);
        let intent = Intent::UpdateDeployment { update, revert: revert.map(Box::new), eval };
        self.propose(intent).await.map(|proposed| changed(&proposed, reverted))
    }

    /// Takes somebody's word on the health of allocations.
    pub async fn set_deployment_health(
        &self,
        id: &DeploymentId,
        health: Health,
    ) -> Result<DeploymentChanged, ServerError> {
        let Health { healthy, unhealthy } = health;
        if healthy.is_empty() && unhealthy.is_empty() {
            let text = "must specify at least one healthy/unhealthy allocation ID";
            return Err(ServerError::Invalid(text.to_owned()));
        }
        let deployment = self.active_deployment(id, "set health of allocations for a")?;
        let eval = self.deployment_eval(&deployment);
        let intent = Intent::UpdateDeploymentAllocHealth {
            id: id.clone(),
            healthy,
            unhealthy,
            update: None,
            revert: None,
            eval,
        };
        self.propose(intent).await.map(|proposed| changed(&proposed, None))
    }

    fn active_deployment(
        &self,
        id: &DeploymentId,
        verb: &str,
    ) -> Result<Arc<Deployment>, ServerError> {
        let state = self.state();
        let Some(deployment) = state.deployment(id).cloned() else {
            return Err(ServerError::NotFound("deployment not found".to_owned()));
        };
        if !deployment.is_active() {
            return Err(ServerError::Conflict(format!("can't {verb} terminal deployment")));
        }
        Ok(deployment)
    }

    fn deployment_eval(&self, deployment: &Deployment) -> Option<Box<Evaluation>> {
        let eval = self.job_eval(&deployment.job_key(), EvalTrigger::DeploymentWatcher)?;
        Some(Box::new(Evaluation { deployment_id: deployment.id.clone(), ..eval }))
    }
}

fn update(deployment: &Deployment, status: DeploymentStatus, text: &str) -> DeploymentStatusUpdate {
    DeploymentStatusUpdate {
        deployment_id: deployment.id.clone(),
        status,
        status_description: text.to_owned(),
    }
}

fn changed(proposed: &Proposed, reverted_to: Option<u64>) -> DeploymentChanged {
    let (_, _, eval_id) = proposed.job();
    DeploymentChanged {
        index: proposed.index,
        eval_create_index: if eval_id.is_some() { proposed.index } else { 0 },
        eval_id: eval_id.unwrap_or_default(),
        reverted_to,
    }
}
