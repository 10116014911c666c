//! ◆ An allocation: a group of a job, placed on a node.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Index;
use super::go;
use super::group::TaskGroup;
use super::id::{AllocId, DeploymentId, EvalId, JobKey, NodeId};
use super::job::Job;
use super::metric::AllocMetric;
use super::network::DnsConfig;
use super::resources::AllocatedResources;
use super::time::{self, Nanos, Timestamp};

/// A group of a job, placed on a node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Allocation {
    /// A UUID.
    #[serde(rename = "ID")]
    pub id: AllocId,
    /// The job's namespace.
    pub namespace: String,
    /// The evaluation that placed it.
    #[serde(rename = "EvalID")]
    pub eval_id: EvalId,
    /// `job.group[index]`.
    pub name: String,
    /// Its node.
    #[serde(rename = "NodeID")]
    pub node_id: NodeId,
    /// Its node's name.
    pub node_name: String,
    /// Its job.
    #[serde(rename = "JobID")]
    pub job_id: String,
    /// The job as it was when this was placed. In memory always there; in the log and on disk left out, and
    /// linked again by `job_version` ([`Allocation::detached`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<Arc<Job>>,
    /// Set only while `job` is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_version: Option<u64>,
    /// Set only while `job` is left out: which job of that ID, should it have been purged and made anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_create_index: Option<Index>,
    /// Its group.
    pub task_group: String,
    /// What it was given.
    pub allocated_resources: AllocatedResources,
    /// Why it is where it is.
    pub metrics: AllocMetric,
    /// What the servers want of it.
    pub desired_status: DesiredStatus,
    /// A sentence about that.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub desired_description: String,
    /// What is to be done with it at the next look.
    #[serde(skip_serializing_if = "DesiredTransition::is_none")]
    pub desired_transition: DesiredTransition,
    /// What its node says of it.
    pub client_status: ClientStatus,
    /// A sentence about that.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub client_description: String,
    /// Its tasks.
    #[serde(with = "go")]
    pub task_states: BTreeMap<String, TaskState>,
    /// When it became unknown and known again.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "go::deserialize")]
    pub alloc_states: Vec<AllocStateChange>,
    /// The one it replaces.
    #[serde(skip_serializing_if = "AllocId::is_empty")]
    pub previous_allocation: AllocId,
    /// The one that replaces it.
    #[serde(skip_serializing_if = "AllocId::is_empty")]
    pub next_allocation: AllocId,
    /// The deployment it belongs to.
    #[serde(rename = "DeploymentID", skip_serializing_if = "DeploymentId::is_empty")]
    pub deployment_id: DeploymentId,
    /// Its health in the deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_status: Option<AllocDeploymentStatus>,
    /// Earlier replacements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reschedule_tracker: Option<RescheduleTracker>,
    /// Its addresses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network_status: Option<AllocNetworkStatus>,
    /// The evaluation that will replace it later.
    #[serde(rename = "FollowupEvalID", skip_serializing_if = "EvalId::is_empty")]
    pub followup_eval_id: EvalId,
    /// What had to go for it.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "go::deserialize")]
    pub preempted_allocations: Vec<AllocId>,
    /// What it had to go for.
    #[serde(skip_serializing_if = "AllocId::is_empty")]
    pub preempted_by_allocation: AllocId,
    /// When it was placed.
    pub create_index: Index,
    /// When its row last changed.
    pub modify_index: Index,
    /// When a server (not its node) last changed it: what a node waits for.
    pub alloc_modify_index: Index,
    /// When it was placed.
    pub create_time: Timestamp,
    /// When it last changed.
    pub modify_time: Timestamp,
}

impl Allocation {
    /// The job it belongs to.
    pub fn job_key(&self) -> JobKey {
        JobKey::new(self.namespace.as_str(), self.job_id.as_str())
    }

    /// The version of the job it runs.
    pub fn version(&self) -> u64 {
        self.job.as_ref().map(|job| job.version).or(self.job_version).unwrap_or_default()
    }

    /// Its group as it was when it was placed.
    pub fn group(&self) -> Option<&TaskGroup> {
        self.job.as_ref()?.group(&self.task_group)
    }

    /// The number in its name; `None` when the name has none.
    pub fn index(&self) -> Option<u64> {
        let (_, rest) = self.name.rsplit_once('[')?;
        rest.strip_suffix(']')?.parse().ok()
    }

    /// The form for the log and the disk: without the job, which is linked again by version.
    #[must_use]
    pub fn detached(&self) -> Self {
        let created = self.job.as_ref().map(|job| job.create_index).or(self.job_create_index);
        let version = self.version();
        // The job is an `Arc`, so the clone that is thrown away with it costs nothing.
        Self { job: None, job_version: Some(version), job_create_index: created, ..self.clone() }
    }

    /// The form in memory.
    #[must_use]
    pub fn attached(mut self, job: Arc<Job>) -> Self {
        self.job = Some(job);
        self.job_version = None;
        self.job_create_index = None;
        self
    }

    /// Whether the servers want it gone.
    pub fn is_server_terminal(&self) -> bool {
        match self.desired_status {
            DesiredStatus::Stop | DesiredStatus::Evict => true,
            DesiredStatus::Run => false,
        }
    }

    /// Whether its node has ended it.
    pub fn is_client_terminal(&self) -> bool {
        self.client_status.is_terminal()
    }

    /// Whether it takes no room any more: it ended, or is wanted gone.
    /// Nomad: room is freed only when the node has ended it ([`Allocation::is_client_terminal`]).
    pub fn is_terminal(&self) -> bool {
        self.is_server_terminal() || self.is_client_terminal()
    }
}

/// What the servers want of an allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DesiredStatus {
    /// It should run.
    #[default]
    Run,
    /// It should stop.
    Stop,
    /// It had to go for another.
    Evict,
}

/// What a node says of an allocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientStatus {
    /// Not started.
    #[default]
    Pending,
    /// Runs.
    Running,
    /// Ended well.
    Complete,
    /// Ended badly.
    Failed,
    /// Its node went down.
    Lost,
    /// Its node is not heard of.
    Unknown,
}

impl ClientStatus {
    /// Whether it has ended.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Complete | Self::Failed | Self::Lost => true,
            Self::Pending | Self::Running | Self::Unknown => false,
        }
    }
}

/// What is to be done with an allocation at the next look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DesiredTransition {
    /// Move it to another node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrate: Option<bool>,
    /// Replace it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reschedule: Option<bool>,
    /// Replace it even if its policy would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_reschedule: Option<bool>,
    /// Stop it without its shutdown delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_shutdown_delay: Option<bool>,
    /// Stop it and place nothing instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub migrate_disable_placement: Option<bool>,
}

impl DesiredTransition {
    /// Whether nothing is to be done.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether it should move.
    pub fn should_migrate(&self) -> bool {
        self.migrate == Some(true)
    }

    /// Whether it should be replaced.
    pub fn should_reschedule(&self) -> bool {
        self.reschedule == Some(true)
    }

    /// Whether it should be replaced even if its policy would not.
    pub fn should_force_reschedule(&self) -> bool {
        self.force_reschedule == Some(true)
    }
}

/// A task as its node tells it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskState {
    /// Where it stands.
    pub state: TaskPhase,
    /// Whether it ended badly.
    pub failed: bool,
    /// How often it was started again.
    pub restarts: u64,
    /// When it was last started again.
    #[serde(with = "time::rfc3339_or_null")]
    pub last_restart: Timestamp,
    /// When it was last started.
    #[serde(with = "time::rfc3339_or_null")]
    pub started_at: Timestamp,
    /// When it ended for good.
    #[serde(with = "time::rfc3339_or_null")]
    pub finished_at: Timestamp,
    /// The last ten events.
    #[serde(with = "go")]
    pub events: Vec<TaskEvent>,
    /// Enterprise.
    pub paused: String,
}

impl TaskState {
    /// How many events are kept.
    pub const KEPT_EVENTS: usize = 10;

    /// Appends an event and forgets the oldest when there are too many.
    pub fn push(&mut self, event: TaskEvent) {
        self.events.push(event);
        if self.events.len() > Self::KEPT_EVENTS {
            self.events.remove(0);
        }
    }

    /// Whether it ended well.
    pub fn is_successful(&self) -> bool {
        self.state == TaskPhase::Dead && !self.failed
    }
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskPhase {
    /// Not started, or about to be started again.
    #[default]
    Pending,
    /// Runs.
    Running,
    /// Ended for good.
    Dead,
}

/// Something that happened to a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskEvent {
    /// One of Nomad's types, as text: plugins and templates make their own.
    #[serde(rename = "Type")]
    pub kind: String,
    /// When.
    pub time: Timestamp,
    /// A sentence for people.
    pub display_message: String,
    /// The facts.
    #[serde(deserialize_with = "go::deserialize")]
    pub details: BTreeMap<String, String>,
    /// Legacy form of the fact `message`.
    pub message: String,
}

/// When an allocation became unknown and known again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocStateChange {
    /// Which field.
    pub field: String,
    /// Its value.
    pub value: String,
    /// When.
    #[serde(with = "time::rfc3339")]
    pub time: Timestamp,
}

/// An allocation's health in its deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocDeploymentStatus {
    /// Not known yet, healthy or not.
    pub healthy: Option<bool>,
    /// When that was found.
    #[serde(with = "time::rfc3339")]
    pub timestamp: Timestamp,
    /// Whether it is a canary.
    pub canary: bool,
    /// When it last changed.
    pub modify_index: Index,
}

/// Earlier replacements of an allocation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RescheduleTracker {
    /// The last five.
    #[serde(with = "go")]
    pub events: Vec<RescheduleEvent>,
    /// `ok` or `no placement`.
    pub last_reschedule: String,
}

/// A replacement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct RescheduleEvent {
    /// When.
    pub reschedule_time: Timestamp,
    /// What was replaced.
    #[serde(rename = "PrevAllocID")]
    pub prev_alloc_id: AllocId,
    /// Where it was.
    #[serde(rename = "PrevNodeID")]
    pub prev_node_id: NodeId,
    /// The wait that was applied.
    pub delay: Nanos,
}

/// An allocation's addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct AllocNetworkStatus {
    /// The interface inside.
    pub interface_name: String,
    /// Its IPv4 address.
    pub address: String,
    /// Its IPv6 address.
    #[serde(rename = "AddressIPv6")]
    pub address_ipv6: String,
    /// Its resolver.
    #[serde(rename = "DNS")]
    pub dns: Option<DnsConfig>,
}
