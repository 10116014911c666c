//! One command at work: the state, where it stands in the log, and what it has changed so far.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::job::{JobSubmission, JobSummary};
use crate::model::{
    AllocId, Allocation, Deployment, DeploymentId, EvalId, Evaluation, Index, Job, JobKey, Node,
    NodeId, Timestamp,
};
use crate::state::command::RowTable;
use crate::state::event::{Change, Object};
use crate::state::key::{RowKey, VersionKey};
use crate::state::row::Row;
use crate::state::tables::{State, version_key};

/// Every `put_` stamps the row's modify index; every change is noted.
pub(super) struct Transaction<'a> {
    pub(super) state: &'a mut State,
    pub(super) index: Index,
    pub(super) time: Timestamp,
    changes: Vec<Change>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(state: &'a mut State, index: Index, time: Timestamp) -> Self {
        Self { state, index, time, changes: Vec::new() }
    }

    /// What changed, each row once, as it is at the end.
    pub(super) fn into_changes(self) -> Vec<Change> {
        let mut seen = HashSet::new();
        let mut changes: Vec<Change> = self
            .changes
            .into_iter()
            .rev()
            .filter(|change| seen.insert(change.row.clone()))
            .collect();
        changes.reverse();
        changes
    }

    fn note(&mut self, row: RowKey, object: Object) {
        self.state.touch(row.table());
        self.changes.push(Change { row, object, is_removed: false });
    }

    fn note_removed(&mut self, row: RowKey, object: Object) {
        self.state.touch(row.table());
        self.changes.push(Change { row, object, is_removed: true });
    }

    /// Makes `job` the current version, or changes it when it is.
    pub(super) fn put_job(&mut self, mut job: Job) -> Arc<Job> {
        job.modify_index = self.index;
        let key = job.key();
        let former = self.state.job(&key).map(|old| version_key(old));
        let job = self.state.insert_job(job);
        if let Some(former) = former.filter(|former| *former != version_key(&job)) {
            // On disk it was in the job's own row until now.
            self.note(RowKey::Version(former), Object::None);
        }
        self.note(RowKey::Job(key), Object::Job(Arc::clone(&job)));
        job
    }

    /// Changes a version that is not the current one.
    pub(super) fn put_version(&mut self, mut job: Job) {
        job.modify_index = self.index;
        let key = version_key(&job);
        self.state.insert_version(Arc::new(job));
        self.note(RowKey::Version(key), Object::None);
    }

    pub(super) fn remove_version(&mut self, key: VersionKey) {
        self.state.versions.remove(&key);
        self.note_removed(RowKey::Version(key), Object::None);
    }

    /// Removes the job's row; its versions are removed or kept one by one.
    pub(super) fn remove_job(&mut self, key: &JobKey) -> Option<Arc<Job>> {
        let job = self.state.remove_job(key)?;
        self.note_removed(RowKey::Job(key.clone()), Object::Job(Arc::clone(&job)));
        // It moves out of the job's row, should it be kept.
        self.note(RowKey::Version(version_key(&job)), Object::None);
        Some(job)
    }

    pub(super) fn put_submission(&mut self, key: &JobKey, submission: JobSubmission) {
        let version = submission.version;
        let id = (key.clone(), version);
        self.state.submissions.insert(id, Arc::new(submission));
        self.note(RowKey::Submission(key.clone(), version), Object::None);
    }

    pub(super) fn remove_submission(&mut self, key: &JobKey, version: u64) {
        if self.state.submissions.remove(&(key.clone(), version)).is_some() {
            self.note_removed(RowKey::Submission(key.clone(), version), Object::None);
        }
    }

    pub(super) fn put_summary(&mut self, key: &JobKey, mut summary: JobSummary) {
        summary.modify_index = self.index;
        self.state.summaries.insert(key.clone(), Arc::new(summary));
        self.note(RowKey::Summary(key.clone()), Object::None);
    }

    pub(super) fn remove_summary(&mut self, key: &JobKey) {
        if self.state.summaries.remove(key).is_some() {
            self.note_removed(RowKey::Summary(key.clone()), Object::None);
        }
    }

    pub(super) fn put_eval(&mut self, mut eval: Evaluation) {
        eval.modify_index = self.index;
        let eval = self.state.insert_eval(eval);
        self.note(RowKey::Eval(eval.id.clone()), Object::Eval(eval));
    }

    pub(super) fn remove_eval(&mut self, id: &EvalId) -> Option<Arc<Evaluation>> {
        let eval = self.state.remove_eval(id)?;
        self.note_removed(RowKey::Eval(id.clone()), Object::Eval(Arc::clone(&eval)));
        Some(eval)
    }

    pub(super) fn put_alloc(&mut self, mut alloc: Allocation) {
        alloc.modify_index = self.index;
        let alloc = self.state.insert_alloc(alloc);
        self.note(RowKey::Alloc(alloc.id.clone()), Object::Alloc(alloc));
    }

    pub(super) fn remove_alloc(&mut self, id: &AllocId) -> Option<Arc<Allocation>> {
        let alloc = self.state.remove_alloc(id)?;
        self.note_removed(RowKey::Alloc(id.clone()), Object::Alloc(Arc::clone(&alloc)));
        Some(alloc)
    }

    pub(super) fn put_deployment(&mut self, mut deployment: Deployment) {
        deployment.modify_index = self.index;
        let deployment = self.state.insert_deployment(deployment);
        self.note(RowKey::Deployment(deployment.id.clone()), Object::Deployment(deployment));
    }

    pub(super) fn remove_deployment(&mut self, id: &DeploymentId) -> Option<Arc<Deployment>> {
        let deployment = self.state.remove_deployment(id)?;
        let object = Object::Deployment(Arc::clone(&deployment));
        self.note_removed(RowKey::Deployment(id.clone()), object);
        Some(deployment)
    }

    pub(super) fn put_node(&mut self, mut node: Node) {
        node.modify_index = self.index;
        let node = self.state.insert_node(node);
        self.note(RowKey::Node(node.id.clone()), Object::Node(node));
    }

    pub(super) fn remove_node(&mut self, id: &NodeId) -> Option<Arc<Node>> {
        let node = self.state.remove_node(id)?;
        self.note_removed(RowKey::Node(id.clone()), Object::Node(Arc::clone(&node)));
        Some(node)
    }

    pub(super) fn put_row(&mut self, table: RowTable, key: Arc<str>, row: Row) {
        self.state.insert_row(table, Arc::clone(&key), row);
        if let Some(row) = self.state.rows.get(&(table, Arc::clone(&key))).cloned() {
            self.note(RowKey::Row(table, key), Object::Row(row));
        }
    }

    pub(super) fn remove_row(&mut self, table: RowTable, key: &Arc<str>) -> Option<Arc<Row>> {
        let row = self.state.rows.remove(&(table, Arc::clone(key)))?;
        let object = Object::Row(Arc::clone(&row));
        self.note_removed(RowKey::Row(table, Arc::clone(key)), object);
        Some(row)
    }

    pub(super) fn set_cluster_id(&mut self, id: &str) {
        self.state.cluster_id = Some(id.into());
        self.note(RowKey::ClusterId, Object::None);
    }
}
