//! The tables, and how rows go in and out of them with every index kept in step.

use std::sync::Arc;

use imbl::OrdMap;

use crate::model::job::{JobSubmission, JobSummary};
use crate::model::usage::NodeUse;
use crate::model::{
    AllocId, Allocation, Deployment, DeploymentId, EvalId, Evaluation, Index, Job, JobKey, Node,
    NodeId,
};

use super::command::RowTable;
use super::index::Grouped;
use super::key::{Table, VersionKey};
use super::row::Row;

/// Everything the servers agree on. A clone shares all rows, costs next to nothing, and never changes: it is
/// a snapshot. Only [`super::apply()`] makes the next one.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub(super) index: Index,
    pub(super) table_indexes: [Index; Table::ALL.len()],
    pub(super) cluster_id: Option<Arc<str>>,
    pub(super) nodes: OrdMap<NodeId, Arc<Node>>,
    pub(super) jobs: OrdMap<JobKey, Arc<Job>>,
    /// Every version that is kept, the current one too.
    pub(super) versions: OrdMap<VersionKey, Arc<Job>>,
    pub(super) submissions: OrdMap<(JobKey, u64), Arc<JobSubmission>>,
    pub(super) summaries: OrdMap<JobKey, Arc<JobSummary>>,
    pub(super) evals: OrdMap<EvalId, Arc<Evaluation>>,
    pub(super) allocs: OrdMap<AllocId, Arc<Allocation>>,
    pub(super) deployments: OrdMap<DeploymentId, Arc<Deployment>>,
    pub(super) rows: OrdMap<(RowTable, Arc<str>), Arc<Row>>,
    pub(super) children: Grouped<JobKey, Arc<str>>,
    pub(super) evals_of_job: Grouped<JobKey, EvalId>,
    pub(super) deployments_of_job: Grouped<JobKey, DeploymentId>,
    pub(super) allocs_of_job: Grouped<JobKey, AllocId>,
    pub(super) allocs_of_eval: Grouped<EvalId, AllocId>,
    pub(super) allocs_of_deployment: Grouped<DeploymentId, AllocId>,
    pub(super) allocs_of_node: Grouped<NodeId, AllocId>,
    /// Of those the ones that are not terminal.
    pub(super) live_of_node: Grouped<NodeId, AllocId>,
    pub(super) live_of_job: Grouped<JobKey, AllocId>,
    /// What is taken on each node, by allocations that their node has not ended.
    pub(super) node_use: OrdMap<NodeId, Arc<NodeUse>>,
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    /// The state before the first command: nothing but the namespace `default` and the pools `all` and
    /// `default`, which are always there.
    pub fn new() -> Self {
        let mut state = Self {
            index: 0,
            table_indexes: [0; Table::ALL.len()],
            cluster_id: None,
            nodes: OrdMap::new(),
            jobs: OrdMap::new(),
            versions: OrdMap::new(),
            submissions: OrdMap::new(),
            summaries: OrdMap::new(),
            evals: OrdMap::new(),
            allocs: OrdMap::new(),
            deployments: OrdMap::new(),
            rows: OrdMap::new(),
            children: Grouped::default(),
            evals_of_job: Grouped::default(),
            deployments_of_job: Grouped::default(),
            allocs_of_job: Grouped::default(),
            allocs_of_eval: Grouped::default(),
            allocs_of_deployment: Grouped::default(),
            allocs_of_node: Grouped::default(),
            live_of_node: Grouped::default(),
            live_of_job: Grouped::default(),
            node_use: OrdMap::new(),
        };
        for (table, key, row) in Row::built_in() {
            state.insert_row(table, key, row);
            state.table_indexes[Table::from(table).slot()] = 1;
        }
        state
    }

    pub(super) fn touch(&mut self, table: Table) {
        self.table_indexes[table.slot()] = self.index;
    }

    pub(super) fn insert_node(&mut self, node: Node) -> Arc<Node> {
        let node = Arc::new(node);
        self.nodes.insert(node.id.clone(), Arc::clone(&node));
        node
    }

    pub(super) fn remove_node(&mut self, id: &NodeId) -> Option<Arc<Node>> {
        self.nodes.remove(id)
    }

    /// Makes `job` the current version.
    pub(super) fn insert_job(&mut self, job: Job) -> Arc<Job> {
        let job = Arc::new(job);
        let key = job.key();
        if let Some(parent) = parent_key(&job) {
            self.children.insert(parent, Arc::clone(&key.id));
        }
        self.versions.insert(version_key(&job), Arc::clone(&job));
        self.jobs.insert(key, Arc::clone(&job));
        job
    }

    /// Takes the job out, but not its versions.
    pub(super) fn remove_job(&mut self, key: &JobKey) -> Option<Arc<Job>> {
        let job = self.jobs.remove(key)?;
        if let Some(parent) = parent_key(&job) {
            self.children.remove(parent, Arc::clone(&key.id));
        }
        Some(job)
    }

    /// Adds a version that is not the current one.
    pub(super) fn insert_version(&mut self, job: Arc<Job>) {
        self.versions.insert(version_key(&job), job);
    }

    pub(super) fn insert_eval(&mut self, eval: Evaluation) -> Arc<Evaluation> {
        let eval = Arc::new(eval);
        self.evals_of_job.insert(eval.job_key(), eval.id.clone());
        self.evals.insert(eval.id.clone(), Arc::clone(&eval));
        eval
    }

    pub(super) fn remove_eval(&mut self, id: &EvalId) -> Option<Arc<Evaluation>> {
        let eval = self.evals.remove(id)?;
        self.evals_of_job.remove(eval.job_key(), id.clone());
        Some(eval)
    }

    pub(super) fn insert_deployment(&mut self, deployment: Deployment) -> Arc<Deployment> {
        let deployment = Arc::new(deployment);
        self.deployments_of_job.insert(deployment.job_key(), deployment.id.clone());
        self.deployments.insert(deployment.id.clone(), Arc::clone(&deployment));
        deployment
    }

    pub(super) fn remove_deployment(&mut self, id: &DeploymentId) -> Option<Arc<Deployment>> {
        let deployment = self.deployments.remove(id)?;
        self.deployments_of_job.remove(deployment.job_key(), id.clone());
        Some(deployment)
    }

    pub(super) fn insert_alloc(&mut self, alloc: Allocation) -> Arc<Allocation> {
        let alloc = Arc::new(alloc);
        if let Some(old) = self.allocs.insert(alloc.id.clone(), Arc::clone(&alloc)) {
            self.unlink_alloc(&old);
        }
        let id = &alloc.id;
        let key = alloc.job_key();
        if !alloc.is_terminal() {
            self.live_of_node.insert(alloc.node_id.clone(), id.clone());
            self.live_of_job.insert(key.clone(), id.clone());
        }
        if !alloc.deployment_id.is_empty() {
            self.allocs_of_deployment.insert(alloc.deployment_id.clone(), id.clone());
        }
        self.count_use(&alloc, NodeUse::add);
        self.allocs_of_eval.insert(alloc.eval_id.clone(), id.clone());
        self.allocs_of_node.insert(alloc.node_id.clone(), id.clone());
        self.allocs_of_job.insert(key, id.clone());
        alloc
    }

    pub(super) fn remove_alloc(&mut self, id: &AllocId) -> Option<Arc<Allocation>> {
        let alloc = self.allocs.remove(id)?;
        self.unlink_alloc(&alloc);
        Some(alloc)
    }

    fn unlink_alloc(&mut self, alloc: &Allocation) {
        let id = &alloc.id;
        let key = alloc.job_key();
        self.count_use(alloc, NodeUse::remove);
        self.live_of_node.remove(alloc.node_id.clone(), id.clone());
        self.live_of_job.remove(key.clone(), id.clone());
        self.allocs_of_deployment.remove(alloc.deployment_id.clone(), id.clone());
        self.allocs_of_eval.remove(alloc.eval_id.clone(), id.clone());
        self.allocs_of_node.remove(alloc.node_id.clone(), id.clone());
        self.allocs_of_job.remove(key, id.clone());
    }

    fn count_use(&mut self, alloc: &Allocation, count: fn(&mut NodeUse, &Allocation)) {
        if alloc.is_client_terminal() {
            return;
        }
        let known = self.node_use.remove(&alloc.node_id);
        let mut usage = known.unwrap_or_default();
        count(Arc::make_mut(&mut usage), alloc);
        if !usage.is_empty() {
            self.node_use.insert(alloc.node_id.clone(), usage);
        }
    }

    pub(super) fn insert_row(&mut self, table: RowTable, key: Arc<str>, row: Row) {
        self.rows.insert((table, key), Arc::new(row));
    }
}

/// What a version of a job is called.
pub(super) fn version_key(job: &Job) -> VersionKey {
    VersionKey { job: job.key(), created: job.create_index, version: job.version }
}

/// The job that launched or dispatched it.
pub(super) fn parent_key(job: &Job) -> Option<JobKey> {
    (!job.parent_id.is_empty()).then(|| JobKey::new(job.namespace.as_str(), job.parent_id.as_str()))
}
