//! What a snapshot answers. Lists come in the order of their ids.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::job::{JobSubmission, JobSummary};
use crate::model::usage::NodeUse;
use crate::model::{
    AllocId, Allocation, Deployment, DeploymentId, EvalId, Evaluation, Index, Job, JobKey, Node,
    NodeId,
};

use super::command::RowTable;
use super::key::{Table, VersionKey};
use super::row::Row;
use super::tables::State;

impl State {
    /// The last command it saw.
    pub fn index(&self) -> Index {
        self.index
    }

    /// The last command that changed something in `table`; 0 when none did.
    pub fn table_index(&self, table: Table) -> Index {
        self.table_indexes[table.slot()]
    }

    /// The greatest of several tables' indexes, for lists that join them.
    pub fn tables_index(&self, tables: &[Table]) -> Index {
        tables.iter().map(|table| self.table_index(*table)).max().unwrap_or_default()
    }

    /// The cluster's identity, once it has one.
    pub fn cluster_id(&self) -> Option<&str> {
        self.cluster_id.as_deref()
    }

    /// A job's current version.
    pub fn job(&self, key: &JobKey) -> Option<&Arc<Job>> {
        self.jobs.get(key)
    }

    /// All jobs, by namespace and ID.
    pub fn jobs(&self) -> impl Iterator<Item = &Arc<Job>> {
        self.jobs.values()
    }

    /// Jobs of a namespace whose ID begins with `prefix`.
    pub fn jobs_by_prefix<'a>(
        &'a self,
        namespace: &'a str,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Job>> + 'a {
        self.jobs
            .range(JobKey::new(namespace, prefix)..)
            .take_while(move |(key, _)| &*key.namespace == namespace && key.id.starts_with(prefix))
            .map(|(_, job)| job)
    }

    /// Jobs that `parent` launched or dispatched.
    pub fn children<'a>(&'a self, parent: &JobKey) -> impl Iterator<Item = &'a Arc<Job>> + use<'a> {
        let namespace = Arc::clone(&parent.namespace);
        self.children.of(parent).filter_map(move |id| {
            self.jobs.get(&JobKey::new(Arc::clone(&namespace), Arc::clone(id)))
        })
    }

    /// A version of a job that was not purged.
    pub fn job_version(&self, key: &JobKey, version: u64) -> Option<&Arc<Job>> {
        let created = self.jobs.get(key)?.create_index;
        self.versions.get(&VersionKey { job: key.clone(), created, version })
    }

    /// The versions of a job that are kept, newest first.
    pub fn job_versions(&self, key: &JobKey) -> Vec<&Arc<Job>> {
        let Some(created) = self.jobs.get(key).map(|job| job.create_index) else {
            return Vec::new();
        };
        let mut found = self.versions_of(key, created);
        found.reverse();
        found
    }

    /// The versions of one creation of a job, oldest first.
    pub(super) fn versions_of(&self, key: &JobKey, created: Index) -> Vec<&Arc<Job>> {
        let version = |version| VersionKey { job: key.clone(), created, version };
        self.versions.range(version(0)..=version(u64::MAX)).map(|(_, job)| job).collect()
    }

    /// What a version of a job was submitted as.
    pub fn job_submission(&self, key: &JobKey, version: u64) -> Option<&Arc<JobSubmission>> {
        self.submissions.get(&(key.clone(), version))
    }

    /// How many allocations of a job are in which state.
    pub fn job_summary(&self, key: &JobKey) -> Option<&Arc<JobSummary>> {
        self.summaries.get(key)
    }

    /// An evaluation.
    pub fn eval(&self, id: &EvalId) -> Option<&Arc<Evaluation>> {
        self.evals.get(id)
    }

    /// All evaluations.
    pub fn evals(&self) -> impl Iterator<Item = &Arc<Evaluation>> {
        self.evals.values()
    }

    /// Evaluations whose ID begins with `prefix`.
    pub fn evals_by_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Evaluation>> + 'a {
        self.evals
            .range(EvalId::from(prefix)..)
            .take_while(move |(id, _)| id.as_str().starts_with(prefix))
            .map(|(_, eval)| eval)
    }

    /// Evaluations of a job.
    pub fn evals_by_job<'a>(
        &'a self,
        key: &JobKey,
    ) -> impl Iterator<Item = &'a Arc<Evaluation>> + use<'a> {
        self.evals_of_job.of(key).filter_map(|id| self.evals.get(id))
    }

    /// An allocation.
    pub fn alloc(&self, id: &AllocId) -> Option<&Arc<Allocation>> {
        self.allocs.get(id)
    }

    /// All allocations.
    pub fn allocs(&self) -> impl Iterator<Item = &Arc<Allocation>> {
        self.allocs.values()
    }

    /// Allocations whose ID begins with `prefix`.
    pub fn allocs_by_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Allocation>> + 'a {
        self.allocs
            .range(AllocId::from(prefix)..)
            .take_while(move |(id, _)| id.as_str().starts_with(prefix))
            .map(|(_, alloc)| alloc)
    }

    /// Allocations of a job, also those of an earlier job of that ID.
    pub fn allocs_by_job<'a>(
        &'a self,
        key: &JobKey,
    ) -> impl Iterator<Item = &'a Arc<Allocation>> + use<'a> {
        self.allocs_of_job.of(key).filter_map(|id| self.allocs.get(id))
    }

    /// Allocations that an evaluation placed.
    pub fn allocs_by_eval<'a>(
        &'a self,
        id: &EvalId,
    ) -> impl Iterator<Item = &'a Arc<Allocation>> + use<'a> {
        self.allocs_of_eval.of(id).filter_map(|id| self.allocs.get(id))
    }

    /// Allocations of a deployment.
    pub fn allocs_by_deployment<'a>(
        &'a self,
        id: &DeploymentId,
    ) -> impl Iterator<Item = &'a Arc<Allocation>> + use<'a> {
        self.allocs_of_deployment.of(id).filter_map(|id| self.allocs.get(id))
    }

    /// Allocations of a node: what it should look at.
    pub fn allocs_by_node<'a>(
        &'a self,
        id: &NodeId,
    ) -> impl Iterator<Item = &'a Arc<Allocation>> + use<'a> {
        self.allocs_of_node.of(id).filter_map(|id| self.allocs.get(id))
    }

    /// Allocations of a node that are not terminal: what takes room on it. Costs nothing for the others.
    pub fn allocs_by_node_non_terminal<'a>(
        &'a self,
        id: &NodeId,
    ) -> impl Iterator<Item = &'a Arc<Allocation>> + use<'a> {
        self.live_of_node.of(id).filter_map(|id| self.allocs.get(id))
    }

    /// What is taken on a node, by allocations that it has not ended. Kept up, never summed.
    pub fn node_use(&self, id: &NodeId) -> Arc<NodeUse> {
        self.node_use.get(id).cloned().unwrap_or_default()
    }

    /// Allocations of a job that are not terminal. Costs nothing for the others.
    pub fn allocs_by_job_non_terminal<'a>(
        &'a self,
        key: &JobKey,
    ) -> impl Iterator<Item = &'a Arc<Allocation>> + use<'a> {
        self.live_of_job.of(key).filter_map(|id| self.allocs.get(id))
    }

    /// A deployment.
    pub fn deployment(&self, id: &DeploymentId) -> Option<&Arc<Deployment>> {
        self.deployments.get(id)
    }

    /// All deployments.
    pub fn deployments(&self) -> impl Iterator<Item = &Arc<Deployment>> {
        self.deployments.values()
    }

    /// Deployments whose ID begins with `prefix`.
    pub fn deployments_by_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Deployment>> + 'a {
        self.deployments
            .range(DeploymentId::from(prefix)..)
            .take_while(move |(id, _)| id.as_str().starts_with(prefix))
            .map(|(_, deployment)| deployment)
    }

    /// Deployments of a job, also those of an earlier job of that ID.
    pub fn deployments_by_job<'a>(
        &'a self,
        key: &JobKey,
    ) -> impl Iterator<Item = &'a Arc<Deployment>> + use<'a> {
        self.deployments_of_job.of(key).filter_map(|id| self.deployments.get(id))
    }

    /// The deployment of a job that was made last.
    pub fn latest_deployment(&self, key: &JobKey) -> Option<&Arc<Deployment>> {
        self.deployments_by_job(key)
            .max_by(|a, b| (a.create_index, &a.id).cmp(&(b.create_index, &b.id)))
    }

    /// A node.
    pub fn node(&self, id: &NodeId) -> Option<&Arc<Node>> {
        self.nodes.get(id)
    }

    /// All nodes.
    pub fn nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values()
    }

    /// Nodes whose ID begins with `prefix`.
    pub fn nodes_by_prefix<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Node>> + 'a {
        self.nodes
            .range(NodeId::from(prefix)..)
            .take_while(move |(id, _)| id.as_str().starts_with(prefix))
            .map(|(_, node)| node)
    }

    /// Nodes that take new allocations.
    pub fn ready_nodes(&self) -> impl Iterator<Item = &Arc<Node>> {
        self.nodes.values().filter(|node| node.is_ready())
    }

    /// A plain row.
    pub fn row(&self, table: RowTable, key: &str) -> Option<&Arc<Row>> {
        self.rows.get(&(table, Arc::from(key)))
    }

    /// The rows of a plain table, by key.
    pub fn rows(&self, table: RowTable) -> impl Iterator<Item = (&Arc<str>, &Arc<Row>)> {
        self.rows
            .range((table, Arc::from(""))..)
            .take_while(move |((other, _), _)| *other == table)
            .map(|((_, key), row)| (key, row))
    }

    /// How many rows each table has.
    pub fn counts(&self) -> HashMap<Table, usize> {
        let mut counts = HashMap::from([
            (Table::Nodes, self.nodes.len()),
            (Table::Jobs, self.jobs.len()),
            (Table::JobVersions, self.versions.len()),
            (Table::JobSubmissions, self.submissions.len()),
            (Table::JobSummaries, self.summaries.len()),
            (Table::Evals, self.evals.len()),
            (Table::Allocs, self.allocs.len()),
            (Table::Deployments, self.deployments.len()),
        ]);
        for ((table, _), _) in &self.rows {
            *counts.entry((*table).into()).or_default() += 1;
        }
        counts
    }
}
