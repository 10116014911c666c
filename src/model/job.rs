//! ◆ A job: what somebody wants to run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Index;
use super::constraint::{Affinity, Constraint, Spread};
use super::go;
use super::group::TaskGroup;
use super::id::JobKey;
use super::policy::{ParameterizedJobConfig, PeriodicConfig, UpdateStrategy};
use super::time::Timestamp;

/// A job, validated and with every default filled in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[expect(clippy::struct_excessive_bools, reason = "Nomad's job has these flags")]
pub struct Job {
    /// Whether it should not run; a stopped job is kept until it is purged or collected.
    pub stop: bool,
    /// Its region, `global` unless configured.
    pub region: String,
    /// Its namespace.
    pub namespace: String,
    /// Its ID, unique in the namespace.
    #[serde(rename = "ID")]
    pub id: String,
    /// The job that launched or dispatched it; empty for most.
    #[serde(rename = "ParentID")]
    pub parent_id: String,
    /// Its name, usually the ID.
    pub name: String,
    /// Its scheduler.
    #[serde(rename = "Type")]
    pub kind: JobType,
    /// 1 to 100; a higher one is scheduled first.
    pub priority: i64,
    /// Whether a plan is applied whole or not at all.
    pub all_at_once: bool,
    /// Data centre patterns.
    #[serde(with = "go")]
    pub datacenters: Vec<String>,
    /// The pool its nodes are taken from.
    pub node_pool: String,
    /// Conditions for every group.
    #[serde(with = "go")]
    pub constraints: Vec<Constraint>,
    /// Wishes for every group.
    #[serde(with = "go")]
    pub affinities: Vec<Affinity>,
    /// Spreads for every group.
    #[serde(with = "go")]
    pub spreads: Vec<Spread>,
    /// Its groups, in the order of the job file.
    #[serde(with = "go")]
    pub task_groups: Vec<TaskGroup>,
    /// Nomad: the job-level strategy stays visible beside the groups' own; only the groups' have effect.
    pub update: UpdateStrategy,
    /// Enterprise; kept as given.
    pub multiregion: Option<Value>,
    /// When it is launched.
    pub periodic: Option<PeriodicConfig>,
    /// What a dispatch may give.
    pub parameterized_job: Option<ParameterizedJobConfig>,
    /// Whether it was made by a dispatch.
    pub dispatched: bool,
    /// The token that made its dispatch idempotent.
    pub dispatch_idempotency_token: String,
    /// What a dispatch gave, base64.
    pub payload: Option<String>,
    /// Free-form metadata.
    #[serde(with = "go")]
    pub meta: BTreeMap<String, String>,
    /// Description and links for people.
    #[serde(rename = "UI")]
    pub ui: Option<JobUi>,
    /// Legacy, kept as given.
    pub consul_namespace: String,
    /// Legacy, kept as given.
    pub vault_namespace: String,
    /// Who registered it.
    #[serde(rename = "NomadTokenID")]
    pub nomad_token_id: String,
    /// Derived by the state machine.
    pub status: JobStatus,
    /// A sentence about the status.
    pub status_description: String,
    /// Whether this version ran well once; what auto-revert goes back to.
    pub stable: bool,
    /// Counts changes of the specification, from 0.
    pub version: u64,
    /// When this version was submitted.
    pub submit_time: Timestamp,
    /// When it was first registered.
    pub create_index: Index,
    /// When its row last changed.
    pub modify_index: Index,
    /// When its specification last changed.
    pub job_modify_index: Index,
    /// A name somebody gave this version.
    pub version_tag: Option<JobVersionTag>,
}

impl Job {
    /// What identifies it.
    pub fn key(&self) -> JobKey {
        JobKey::new(self.namespace.as_str(), self.id.as_str())
    }

    /// The group of that name.
    pub fn group(&self, name: &str) -> Option<&TaskGroup> {
        self.task_groups.iter().find(|group| group.name == name)
    }

    /// Whether nothing of it should run.
    pub fn is_stopped(&self) -> bool {
        self.stop
    }

    /// Whether it is only a template for launches or dispatches.
    pub fn is_parent(&self) -> bool {
        self.periodic.is_some() || (self.parameterized_job.is_some() && !self.dispatched)
    }
}

/// Which scheduler places a job.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum JobType {
    /// Runs until it is stopped.
    #[default]
    Service,
    /// Runs until it is done.
    Batch,
    /// One on each node, until it is stopped.
    System,
    /// One on each node, until it is done.
    Sysbatch,
}

impl JobType {
    /// Nomad's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Batch => "batch",
            Self::System => "system",
            Self::Sysbatch => "sysbatch",
        }
    }
}

/// What became of a job, as its evaluations and allocations tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JobStatus {
    /// Nothing was placed yet.
    #[default]
    Pending,
    /// Something runs or should.
    Running,
    /// Nothing runs and nothing will.
    Dead,
}

/// A description and links for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobUi {
    /// Markdown.
    pub description: String,
    /// Links.
    #[serde(with = "go")]
    pub links: Vec<JobUiLink>,
}

/// A link for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobUiLink {
    /// Its text.
    pub label: String,
    /// Where it leads.
    pub url: String,
}

/// A name that somebody gave a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobVersionTag {
    /// The name.
    pub name: String,
    /// What for.
    pub description: String,
    /// When.
    pub tagged_time: Timestamp,
}

/// How many allocations of a job are in which state. Kept as a row of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobSummary {
    /// The job.
    #[serde(rename = "JobID")]
    pub job_id: String,
    /// Its namespace.
    pub namespace: String,
    /// By group name.
    pub summary: BTreeMap<String, GroupSummary>,
    /// For parents of launches and dispatches.
    pub children: Option<ChildrenSummary>,
    /// When it was made.
    pub create_index: Index,
    /// When it last changed.
    pub modify_index: Index,
}

/// How many allocations of a group are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct GroupSummary {
    /// Could not be placed.
    pub queued: i64,
    /// Ended well.
    pub complete: i64,
    /// Ended badly.
    pub failed: i64,
    /// Run.
    pub running: i64,
    /// Were placed and do not run yet.
    pub starting: i64,
    /// Were on a node that went down.
    pub lost: i64,
    /// Are on a node that is not heard of.
    pub unknown: i64,
}

/// How many children of a job are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ChildrenSummary {
    /// Not placed yet.
    pub pending: i64,
    /// Running.
    pub running: i64,
    /// Done.
    pub dead: i64,
}

/// What a job was submitted as: its source text and variables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobSubmission {
    /// The source text.
    pub source: String,
    /// `hcl2` or `json`.
    pub format: String,
    /// Values of simple variables.
    #[serde(with = "go")]
    pub variable_flags: BTreeMap<String, String>,
    /// Variable files, and complex values, as HCL.
    pub variables: String,
    /// The job's namespace.
    pub namespace: String,
    /// The job.
    #[serde(rename = "JobID")]
    pub job_id: String,
    /// The version it made.
    pub version: u64,
    /// When.
    pub job_modify_index: Index,
}
