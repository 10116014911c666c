//! ◆ What a command may set in motion: which loops should look at what. Read from the intention before it goes its way
//! ([`expect`]), and made certain when it is applied ([`Expected::settle`]).

use crate::model::{
    AllocId, ClientStatus, DeploymentId, EvalId, Evaluation, JobKey, NodeId, PlanResult,
};
use crate::state::{Intent, Reply, RowTable, State};

/// What a command touched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each wakes another loop")]
pub struct Touched {
    /// Evaluations that are new or changed.
    pub evals: Vec<EvalId>,
    /// Deployments that may need something.
    pub deployments: Vec<DeploymentId>,
    /// Nodes that may have gained room.
    pub gained: Vec<NodeId>,
    /// Nodes that are heard of by other means than a heartbeat, or are gone.
    pub nodes: Vec<NodeId>,
    /// A job that is gone.
    pub purged: Option<JobKey>,
    /// Whether drains may go on.
    pub drains: bool,
    /// Whether a drain may have begun.
    pub begins_drain: bool,
    /// Whether the scheduler's settings changed.
    pub settings: bool,
    /// Whether something may be over.
    pub garbage: bool,
}

/// What a command will touch, if it is not refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    touched: Touched,
    on_full: Vec<EvalId>,
    allocs: Vec<(AllocId, ClientStatus)>,
}

impl Expected {
    /// What it touched, given the reply and the state after it.
    pub fn settle(self, reply: &Reply, state: &State) -> Touched {
        let Self { mut touched, on_full, allocs } = self;
        match reply {
            Reply::Refused(_) => return Touched::default(),
            Reply::Plan(result) => {
                touched.plan(result, state);
                if result.is_full() {
                    touched.evals.extend(on_full);
                }
            }
            Reply::Done | Reply::Job { .. } => {}
        }
        for (id, status) in allocs {
            touched.alloc(&id, status, state);
        }
        touched
    }
}

/// What `intent` will touch.
#[expect(clippy::too_many_lines, reason = "a table: one arm for each intention")]
pub fn expect(intent: &Intent) -> Expected {
    let mut expected = Expected::default();
    let touched = &mut expected.touched;
    match intent {
        Intent::RegisterJob { eval, .. } | Intent::ScaleJob { eval, .. } => {
            touched.eval(eval.as_deref());
        }
        Intent::DeregisterJob { key, purge, eval, .. } => {
            touched.eval(eval.as_deref());
            touched.purged = purge.then(|| key.clone());
            touched.garbage = true;
        }
        Intent::UpsertEvals(evals) => {
            touched.evals(evals);
            touched.garbage = true;
        }
        Intent::ApplyPlan { preemption_evals, on_full, .. } => {
            touched.evals(preemption_evals);
            touched.drains = true;
            touched.garbage = true;
            expected.on_full = on_full.iter().map(|eval| eval.id.clone()).collect();
        }
        Intent::UpdateAllocsFromClient { allocs, evals } => {
            touched.evals(evals);
            touched.drains = true;
            expected.allocs =
                allocs.iter().map(|told| (told.id.clone(), told.client_status)).collect();
        }
        Intent::UpdateDesiredTransitions { evals, .. } => touched.evals(evals),
        Intent::RegisterNode(node) => {
            touched.gained.push(node.id.clone());
            touched.nodes.push(node.id.clone());
        }
        Intent::DeregisterNodes(ids) => {
            touched.nodes.clone_from(ids);
            touched.drains = true;
        }
        Intent::UpdateNodeStatus { node, evals, .. }
        | Intent::UpdateNodeEligibility { node, evals, .. } => {
            touched.evals(evals);
            touched.gained.push(node.clone());
            touched.nodes.push(node.clone());
            touched.drains = true;
            touched.garbage = true;
        }
        Intent::UpdateNodeDrain { nodes, evals, .. } => {
            touched.evals(evals);
            touched.gained.extend(nodes.keys().cloned());
            touched.drains = true;
            touched.begins_drain = true;
        }
        Intent::UpdateDeployment { update, eval, .. } => {
            touched.eval(eval.as_deref());
            touched.deployments.push(update.deployment_id.clone());
        }
        Intent::PromoteDeployment { id, eval, .. }
        | Intent::UpdateDeploymentAllocHealth { id, eval, .. } => {
            touched.eval(eval.as_deref());
            touched.deployments.push(id.clone());
        }
        Intent::UpsertDeployment(deployment) => touched.deployments.push(deployment.id.clone()),
        Intent::PutRow { table: RowTable::SchedulerConfig, .. }
        | Intent::DeleteRow { table: RowTable::SchedulerConfig, .. } => touched.settings = true,
        Intent::Noop
        | Intent::SetJobStability { .. }
        | Intent::TagJobVersion { .. }
        | Intent::Collect { .. }
        | Intent::ReconcileSummaries
        | Intent::PutRow { .. }
        | Intent::DeleteRow { .. }
        | Intent::SetClusterId(_) => {}
    }
    expected
}

impl Touched {
    fn eval(&mut self, eval: Option<&Evaluation>) {
        self.evals.extend(eval.map(|eval| eval.id.clone()));
    }

    fn evals(&mut self, evals: &[Evaluation]) {
        self.evals.extend(evals.iter().map(|eval| eval.id.clone()));
    }

    fn plan(&mut self, result: &PlanResult, state: &State) {
        self.deployments.extend(result.deployment.as_ref().map(|d| d.id.clone()));
        let ended = result.deployment_updates.iter().map(|update| update.deployment_id.clone());
        self.deployments.extend(ended);
        for stopped in result.node_update.values().flatten() {
            self.alloc(&stopped.id, stopped.client_status, state);
        }
    }

    fn alloc(&mut self, id: &AllocId, status: ClientStatus, state: &State) {
        let Some(alloc) = state.alloc(id) else { return };
        if status.is_terminal() {
            self.gained.push(alloc.node_id.clone());
            self.garbage = true;
        }
        if !alloc.deployment_id.is_empty() {
            self.deployments.push(alloc.deployment_id.clone());
        }
    }
}
