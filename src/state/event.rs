//! What changed, as the event stream tells it. Kept as shared rows and written as JSON only for those who
//! listen.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Value, json};

use crate::model::event::Event;
use crate::model::{Allocation, Deployment, Evaluation, Index, Job, JobKey, Node};

use super::key::RowKey;
use super::row::Row;

/// The row that changed: as it is now, or as it was before it was removed.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the variants are Nomad's nouns")]
pub enum Object {
    Node(Arc<Node>),
    Job(Arc<Job>),
    Eval(Arc<Evaluation>),
    Alloc(Arc<Allocation>),
    Deployment(Arc<Deployment>),
    Row(Arc<Row>),
    /// Rows that nobody is told of.
    None,
}

/// A row that a command changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Which.
    pub row: RowKey,
    /// What it is now, or was.
    pub object: Object,
    /// Whether it is gone.
    pub is_removed: bool,
}

impl Change {
    /// The job it belongs to.
    pub fn job_key(&self) -> Option<JobKey> {
        match (&self.row, &self.object) {
            (RowKey::Job(key) | RowKey::Summary(key) | RowKey::Submission(key, _), _) => {
                Some(key.clone())
            }
            (RowKey::Version(key), _) => Some(key.job.clone()),
            (_, Object::Eval(eval)) => Some(eval.job_key()),
            (_, Object::Alloc(alloc)) => Some(alloc.job_key()),
            (_, Object::Deployment(deployment)) => Some(deployment.job_key()),
            (
                RowKey::Node(_)
                | RowKey::Eval(_)
                | RowKey::Alloc(_)
                | RowKey::Deployment(_)
                | RowKey::Row(..)
                | RowKey::ClusterId,
                Object::Node(_) | Object::Job(_) | Object::Row(_) | Object::None,
            ) => None,
        }
    }
}

/// Something that subscribers of the event stream are told.
#[derive(Debug, Clone, PartialEq)]
pub struct StateEvent {
    /// Nomad's type. Nomad: by the command that caused it, not by the row: an allocation that a scheduler
    /// made comes as `PlanResult`.
    pub kind: &'static str,
    /// Where it happened.
    pub index: Index,
    /// What changed.
    pub object: Object,
}

impl StateEvent {
    /// The event of a change, if it is one that subscribers are told of.
    pub(super) fn of(change: &Change, kind: &'static str, index: Index) -> Option<Self> {
        let told = match (&change.object, &change.row) {
            (Object::Row(_), RowKey::Row(super::command::RowTable::NodePools, _)) => true,
            (Object::Row(_) | Object::None, _) => false,
            // Nomad: removed evaluations, allocations and deployments are not told of.
            (Object::Eval(_) | Object::Alloc(_) | Object::Deployment(_), _) => !change.is_removed,
            (Object::Job(_), RowKey::Job(_)) | (Object::Node(_), _) => true,
            (Object::Job(_), _) => false,
        };
        told.then(|| Self { kind, index, object: change.object.clone() })
    }

    /// Its topic.
    pub fn topic(&self) -> &'static str {
        match self.object {
            Object::Node(_) => "Node",
            Object::Job(_) => "Job",
            Object::Eval(_) => "Evaluation",
            Object::Alloc(_) => "Allocation",
            Object::Deployment(_) => "Deployment",
            Object::Row(_) | Object::None => "NodePool",
        }
    }

    /// The id of what changed.
    pub fn key(&self) -> &str {
        match &self.object {
            Object::Node(node) => node.id.as_str(),
            Object::Job(job) => &job.id,
            Object::Eval(eval) => eval.id.as_str(),
            Object::Alloc(alloc) => alloc.id.as_str(),
            Object::Deployment(deployment) => deployment.id.as_str(),
            Object::Row(row) => row.value.get("Name").and_then(Value::as_str).unwrap_or_default(),
            Object::None => "",
        }
    }

    /// Its namespace; empty for what has none.
    pub fn namespace(&self) -> &str {
        match &self.object {
            Object::Job(job) => &job.namespace,
            Object::Eval(eval) => &eval.namespace,
            Object::Alloc(alloc) => &alloc.namespace,
            Object::Deployment(deployment) => &deployment.namespace,
            Object::Node(_) | Object::Row(_) | Object::None => "",
        }
    }

    /// Related ids that a subscription may name instead of the key. Nomad: an empty one stays in the list.
    pub fn filter_keys(&self) -> Vec<String> {
        match &self.object {
            Object::Eval(eval) => vec![eval.job_id.clone(), eval.deployment_id.to_string()],
            Object::Alloc(alloc) => vec![alloc.job_id.clone(), alloc.deployment_id.to_string()],
            Object::Deployment(deployment) => vec![deployment.job_id.clone()],
            Object::Node(_) | Object::Job(_) | Object::Row(_) | Object::None => Vec::new(),
        }
    }

    /// The event as subscribers get it.
    pub fn to_model(&self) -> Event {
        let row = match &self.object {
            Object::Node(node) => {
                // Its secret is nobody's business.
                value(&Node { secret_id: String::new(), ..Node::clone(node) })
            }
            Object::Job(job) => value(&**job),
            Object::Eval(eval) => value(&**eval),
            Object::Alloc(alloc) => value(&Allocation { job: None, ..Allocation::clone(alloc) }),
            Object::Deployment(deployment) => value(&**deployment),
            Object::Row(row) => row.value.clone(),
            Object::None => Value::Null,
        };
        Event {
            topic: self.topic().to_owned(),
            kind: self.kind.to_owned(),
            key: self.key().to_owned(),
            namespace: self.namespace().to_owned(),
            filter_keys: self.filter_keys(),
            index: self.index,
            payload: json!({ self.topic(): row }),
        }
    }
}

fn value<T: Serialize>(row: &T) -> Value {
    serde_json::to_value(row).unwrap_or_default()
}
