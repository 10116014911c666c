//! ◆ Every intention that may enter the log. What the wire or a scheduler asked for has been validated
//! before; what depends on the state (does it exist, is the index as expected, is there room) is decided
//! when it is applied, the same on every replica.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::allocation::DesiredTransition;
use crate::model::job::JobSubmission;
use crate::model::node::{DrainMetadata, DrainStrategy, Eligibility, NodeEvent};
use crate::model::plan::DeploymentStatusUpdate;
use crate::model::{
    AllocId, Allocation, Deployment, DeploymentId, EvalId, Evaluation, Index, Job, JobKey, Node,
    NodeId, NodeStatus, Plan, PlanResult, Timestamp,
};

/// An intention, with the time at which it was proposed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Command {
    /// When it was proposed, by the proposer's clock.
    pub time: Timestamp,
    /// What.
    pub intent: Intent,
}

impl Command {
    /// The form for the log: allocations without their jobs, plans without theirs. Applying it gives the same.
    #[must_use]
    pub fn detached(mut self) -> Self {
        match &mut self.intent {
            Intent::ApplyPlan { plan, .. } => detach_plan(plan),
            Intent::UpdateAllocsFromClient { allocs, .. } => allocs.iter_mut().for_each(detach),
            Intent::Noop
            | Intent::RegisterJob { .. }
            | Intent::DeregisterJob { .. }
            | Intent::SetJobStability { .. }
            | Intent::TagJobVersion { .. }
            | Intent::ScaleJob { .. }
            | Intent::UpsertEvals(_)
            | Intent::Collect { .. }
            | Intent::UpdateDesiredTransitions { .. }
            | Intent::RegisterNode(_)
            | Intent::DeregisterNodes(_)
            | Intent::UpdateNodeStatus { .. }
            | Intent::UpdateNodeDrain { .. }
            | Intent::UpdateNodeEligibility { .. }
            | Intent::UpdateDeployment { .. }
            | Intent::PromoteDeployment { .. }
            | Intent::UpdateDeploymentAllocHealth { .. }
            | Intent::UpsertDeployment(_)
            | Intent::ReconcileSummaries
            | Intent::PutRow { .. }
            | Intent::DeleteRow { .. }
            | Intent::SetClusterId(_) => {}
        }
        self
    }
}

fn detach(alloc: &mut Allocation) {
    if let Some(job) = alloc.job.take() {
        alloc.job_version = Some(job.version);
        alloc.job_create_index = Some(job.create_index);
    }
}

fn detach_plan(plan: &mut Plan) {
    let job = plan.job.take();
    for alloc in plan.node_allocation.values_mut().flatten() {
        if alloc.job.is_none() && alloc.job_version.is_none() {
            alloc.job.clone_from(&job);
        }
        detach(alloc);
    }
    plan.node_update.values_mut().flatten().for_each(detach);
    plan.node_preemptions.values_mut().flatten().for_each(detach);
}

/// What is intended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Intent {
    /// A new leader's first entry; also a barrier.
    Noop,
    /// Registers a job, or a new version of it when its specification differs.
    RegisterJob {
        /// The job; indexes, version and status are set when it is applied.
        job: Box<Job>,
        /// Its source.
        submission: Option<Box<JobSubmission>>,
        /// Refuse unless the job's `job_modify_index` is this (0: unless it does not exist).
        enforce_index: Option<Index>,
        /// The evaluation that follows; its job index is set when it is applied. None for parents.
        eval: Option<Box<Evaluation>>,
    },
    /// Stops a job, or removes it with all its versions.
    DeregisterJob {
        /// Which.
        key: JobKey,
        /// Whether it is removed.
        purge: bool,
        /// The evaluation that follows.
        eval: Option<Box<Evaluation>>,
        /// Whether its allocations stop without their shutdown delay.
        no_shutdown_delay: bool,
    },
    /// Marks a version as one that ran well, or not.
    SetJobStability {
        /// Which job.
        key: JobKey,
        /// Which version.
        version: u64,
        /// Whether it ran well.
        stable: bool,
    },
    /// Names a version, or takes its name away.
    TagJobVersion {
        /// Which job.
        key: JobKey,
        /// The name.
        name: String,
        /// The version and a description; none to take the name away.
        tag: Option<(u64, String)>,
    },
    /// Changes a group's count.
    ScaleJob {
        /// Which job.
        key: JobKey,
        /// Which group.
        group: String,
        /// The new count; none records an event only.
        count: Option<i64>,
        /// The event, as the API shows it, without its indexes.
        event: Value,
        /// The evaluation that follows.
        eval: Option<Box<Evaluation>>,
    },
    /// Adds or changes evaluations.
    UpsertEvals(Vec<Evaluation>),
    /// Forgets evaluations and allocations.
    Collect {
        /// Evaluations.
        evals: Vec<EvalId>,
        /// Allocations.
        allocs: Vec<AllocId>,
        /// Deployments.
        deployments: Vec<DeploymentId>,
        /// Jobs, with all their versions.
        jobs: Vec<JobKey>,
        /// Nodes.
        nodes: Vec<NodeId>,
    },
    /// Carries out a plan. Capacity is checked again, node by node. New allocations come without their job.
    ApplyPlan {
        /// The plan.
        plan: Box<Plan>,
        /// Evaluations that follow, for jobs whose allocations had to go.
        preemption_evals: Vec<Evaluation>,
        /// Evaluations that are so when nothing of the plan was refused: the one it answers, done, and one that
        /// waits for room. Saves them an entry of their own.
        #[serde(default)]
        on_full: Vec<Evaluation>,
    },
    /// What a node says of its allocations: id, client status, task states, network, health.
    UpdateAllocsFromClient {
        /// The allocations; only what a node may change is taken.
        allocs: Vec<Allocation>,
        /// Evaluations that follow.
        evals: Vec<Evaluation>,
    },
    /// What is to be done with allocations at the next look.
    UpdateDesiredTransitions {
        /// By allocation.
        transitions: BTreeMap<AllocId, DesiredTransition>,
        /// Evaluations that follow.
        evals: Vec<Evaluation>,
    },
    /// Registers a node, or what changed of it.
    RegisterNode(Box<Node>),
    /// Removes nodes.
    DeregisterNodes(Vec<NodeId>),
    /// A node is heard of, or not.
    UpdateNodeStatus {
        /// Which.
        node: NodeId,
        /// How it is.
        status: NodeStatus,
        /// What happened.
        event: Option<NodeEvent>,
        /// Evaluations that follow.
        evals: Vec<Evaluation>,
    },
    /// Begins or ends the drain of nodes.
    UpdateNodeDrain {
        /// By node: the strategy (none ends it), whether it becomes eligible again, and the record of it.
        nodes: BTreeMap<NodeId, NodeDrain>,
        /// What happened.
        event: Option<NodeEvent>,
        /// Evaluations that follow.
        evals: Vec<Evaluation>,
    },
    /// Makes a node eligible or not.
    UpdateNodeEligibility {
        /// Which.
        node: NodeId,
        /// Whether.
        eligibility: Eligibility,
        /// What happened.
        event: Option<NodeEvent>,
        /// Evaluations that follow.
        evals: Vec<Evaluation>,
    },
    /// Changes a deployment's status, and what follows from it.
    UpdateDeployment {
        /// The status.
        update: DeploymentStatusUpdate,
        /// The version to go back to.
        revert: Option<Box<Job>>,
        /// The evaluation that follows.
        eval: Option<Box<Evaluation>>,
    },
    /// Promotes canaries.
    PromoteDeployment {
        /// Which.
        id: DeploymentId,
        /// The groups; none for all.
        groups: Option<Vec<String>>,
        /// The evaluation that follows.
        eval: Option<Box<Evaluation>>,
    },
    /// Tells a deployment of the health of its allocations.
    UpdateDeploymentAllocHealth {
        /// Which.
        id: DeploymentId,
        /// Healthy ones.
        healthy: Vec<AllocId>,
        /// The others.
        unhealthy: Vec<AllocId>,
        /// A status that follows.
        update: Option<DeploymentStatusUpdate>,
        /// The version to go back to.
        revert: Option<Box<Job>>,
        /// The evaluation that follows.
        eval: Option<Box<Evaluation>>,
    },
    /// Adds or changes a deployment as a whole (progress deadlines).
    UpsertDeployment(Box<Deployment>),
    /// Counts allocations by state again.
    ReconcileSummaries,
    /// Writes a row of a table that is plain JSON with `CreateIndex` and `ModifyIndex`: namespaces, node pools, the
    /// scheduler's configuration, autopilot's, scaling policies.
    PutRow {
        /// The table.
        table: RowTable,
        /// The key.
        key: String,
        /// The row.
        row: Value,
        /// Refuse unless the row's `ModifyIndex` is this (0: unless it does not exist).
        check_index: Option<Index>,
    },
    /// Removes such a row.
    DeleteRow {
        /// The table.
        table: RowTable,
        /// The key.
        key: String,
    },
    /// Sets the cluster's identity once; later ones are ignored.
    SetClusterId(String),
}

/// The drain of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeDrain {
    /// How; none ends it.
    pub strategy: Option<DrainStrategy>,
    /// Whether the node becomes eligible again when it ends.
    pub mark_eligible: bool,
    /// The record of it.
    pub metadata: Option<DrainMetadata>,
}

/// Tables whose rows are plain JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the variants are Nomad's nouns")]
pub enum RowTable {
    Namespaces,
    NodePools,
    SchedulerConfig,
    AutopilotConfig,
    ScalingPolicies,
    /// One row per job, `namespace/id`: the last scaling events of each group. Written by `ScaleJob` only.
    ScalingEvents,
}

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Reply {
    /// It was applied.
    Done,
    /// A job was registered, stopped or scaled.
    Job {
        /// The job's `job_modify_index` now.
        job_modify_index: Index,
        /// Its version now.
        version: u64,
        /// The evaluation that was made, if one was.
        eval_id: Option<EvalId>,
    },
    /// A plan was applied, perhaps not all of it.
    Plan(Arc<PlanResult>),
    /// It changed nothing, and here is why. Equal on every replica.
    Refused(Refusal),
}

/// Why a command changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is no such thing. The text names it, in the words of Nomad's API where clients match them.
    NotFound(String),
    /// It is in another state than was assumed.
    Conflict(String),
    /// It cannot be.
    Invalid(String),
}
