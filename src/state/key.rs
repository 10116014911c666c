//! What a row is called: its table and its key, in memory, on disk and to those who wait for it.

use std::sync::Arc;

use crate::model::{AllocId, DeploymentId, EvalId, Index, JobKey, NodeId};

use super::command::RowTable;

/// A table of the state. Each has its own last index, which blocking queries on lists wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are Nomad's nouns")]
pub enum Table {
    Nodes,
    Jobs,
    JobVersions,
    JobSubmissions,
    JobSummaries,
    Evals,
    Allocs,
    Deployments,
    Namespaces,
    NodePools,
    SchedulerConfig,
    AutopilotConfig,
    ScalingPolicies,
    ScalingEvents,
    ClusterMeta,
}

impl Table {
    /// Every table, in an order in which rows can be read back: what others refer to comes first.
    pub const ALL: [Self; 15] = [
        Self::ClusterMeta,
        Self::Namespaces,
        Self::NodePools,
        Self::SchedulerConfig,
        Self::AutopilotConfig,
        Self::Nodes,
        Self::Jobs,
        Self::JobVersions,
        Self::JobSubmissions,
        Self::JobSummaries,
        Self::ScalingPolicies,
        Self::ScalingEvents,
        Self::Deployments,
        Self::Evals,
        Self::Allocs,
    ];

    /// Its name on disk.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Jobs => "jobs",
            Self::JobVersions => "job_versions",
            Self::JobSubmissions => "job_submissions",
            Self::JobSummaries => "job_summaries",
            Self::Evals => "evals",
            Self::Allocs => "allocs",
            Self::Deployments => "deployments",
            Self::Namespaces => "namespaces",
            Self::NodePools => "node_pools",
            Self::SchedulerConfig => "scheduler_config",
            Self::AutopilotConfig => "autopilot_config",
            Self::ScalingPolicies => "scaling_policies",
            Self::ScalingEvents => "scaling_events",
            Self::ClusterMeta => "cluster_meta",
        }
    }

    /// The table of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// The kind of plain rows it holds, if it holds such.
    pub fn rows(self) -> Option<RowTable> {
        match self {
            Self::Namespaces => Some(RowTable::Namespaces),
            Self::NodePools => Some(RowTable::NodePools),
            Self::SchedulerConfig => Some(RowTable::SchedulerConfig),
            Self::AutopilotConfig => Some(RowTable::AutopilotConfig),
            Self::ScalingPolicies => Some(RowTable::ScalingPolicies),
            Self::ScalingEvents => Some(RowTable::ScalingEvents),
            Self::Nodes
            | Self::Jobs
            | Self::JobVersions
            | Self::JobSubmissions
            | Self::JobSummaries
            | Self::Evals
            | Self::Allocs
            | Self::Deployments
            | Self::ClusterMeta => None,
        }
    }

    pub(super) fn slot(self) -> usize {
        self as usize
    }
}

impl From<RowTable> for Table {
    fn from(table: RowTable) -> Self {
        match table {
            RowTable::Namespaces => Self::Namespaces,
            RowTable::NodePools => Self::NodePools,
            RowTable::SchedulerConfig => Self::SchedulerConfig,
            RowTable::AutopilotConfig => Self::AutopilotConfig,
            RowTable::ScalingPolicies => Self::ScalingPolicies,
            RowTable::ScalingEvents => Self::ScalingEvents,
        }
    }
}

/// A version of a job. The index of its creation tells it from an earlier job of the same ID that was purged.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct VersionKey {
    /// The job.
    pub job: JobKey,
    /// When the job was first registered.
    pub created: Index,
    /// The version.
    pub version: u64,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the variants are Nomad's nouns")]
pub enum RowKey {
    Node(NodeId),
    Job(JobKey),
    Version(VersionKey),
    Submission(JobKey, u64),
    Summary(JobKey),
    Eval(EvalId),
    Alloc(AllocId),
    Deployment(DeploymentId),
    Row(RowTable, Arc<str>),
    ClusterId,
}

impl RowKey {
    /// The table it is in.
    pub fn table(&self) -> Table {
        match self {
            Self::Node(_) => Table::Nodes,
            Self::Job(_) => Table::Jobs,
            Self::Version(_) => Table::JobVersions,
            Self::Submission(..) => Table::JobSubmissions,
            Self::Summary(_) => Table::JobSummaries,
            Self::Eval(_) => Table::Evals,
            Self::Alloc(_) => Table::Allocs,
            Self::Deployment(_) => Table::Deployments,
            Self::Row(table, _) => (*table).into(),
            Self::ClusterId => Table::ClusterMeta,
        }
    }

    /// Its key on disk: unique in its table, readable, and only ever written; what a row is called when it
    /// is read back stands in the row itself.
    pub fn text(&self) -> String {
        match self {
            Self::Node(id) => id.as_str().to_owned(),
            Self::Job(key) | Self::Summary(key) => job_text(key),
            Self::Version(key) => format!("{}@{}.{}", job_text(&key.job), key.created, key.version),
            Self::Submission(key, version) => format!("{}@{version}", job_text(key)),
            Self::Eval(id) => id.as_str().to_owned(),
            Self::Alloc(id) => id.as_str().to_owned(),
            Self::Deployment(id) => id.as_str().to_owned(),
            Self::Row(_, key) => key.as_ref().to_owned(),
            Self::ClusterId => "id".to_owned(),
        }
    }
}

/// `namespace/job`. A job's ID may hold slashes, so those of the namespace (which should have none) are escaped.
fn job_text(key: &JobKey) -> String {
    format!("{}/{}", key.namespace.replace('%', "%25").replace('/', "%2F"), key.id)
}
