//! ◆ A task group: tasks that are placed together on one node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Index;
use super::constraint::{Affinity, Constraint, Spread};
use super::go;
use super::network::NetworkResource;
use super::policy::{
    DisconnectStrategy, MigrateStrategy, ReschedulePolicy, RestartPolicy, UpdateStrategy,
};
use super::service::Service;
use super::task::{Consul, Task};
use super::time::Nanos;
use super::volume::VolumeRequest;

/// Tasks that are placed together on one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskGroup {
    /// Its name, unique in the job.
    pub name: String,
    /// How many allocations of it there should be.
    pub count: i64,
    /// Conditions.
    #[serde(with = "go")]
    pub constraints: Vec<Constraint>,
    /// Wishes.
    #[serde(with = "go")]
    pub affinities: Vec<Affinity>,
    /// Spreads.
    #[serde(with = "go")]
    pub spreads: Vec<Spread>,
    /// Its tasks, in the order of the job file.
    #[serde(with = "go")]
    pub tasks: Vec<Task>,
    /// Volumes by name.
    #[serde(with = "go")]
    pub volumes: BTreeMap<String, VolumeRequest>,
    /// The policy its tasks start from.
    pub restart_policy: RestartPolicy,
    /// What happens when its node is not heard of.
    pub disconnect: Option<DisconnectStrategy>,
    /// When a failed allocation is replaced; none for system jobs.
    pub reschedule_policy: Option<ReschedulePolicy>,
    /// The disk its tasks share.
    pub ephemeral_disk: EphemeralDisk,
    /// How a change is rolled out; none for batch jobs.
    pub update: Option<UpdateStrategy>,
    /// How it leaves a drained node; service jobs only.
    pub migrate: Option<MigrateStrategy>,
    /// Its network: none or one.
    #[serde(with = "go")]
    pub networks: Vec<NetworkResource>,
    /// Free-form metadata, over the job's.
    #[serde(with = "go")]
    pub meta: BTreeMap<String, String>,
    /// Services of the group.
    #[serde(with = "go")]
    pub services: Vec<Service>,
    /// The wait between leaving the catalogue and the first kill.
    pub shutdown_delay: Option<Nanos>,
    /// How long a batch allocation may run.
    pub max_run_duration: Option<Nanos>,
    /// Deprecated and ignored.
    pub stop_after_client_disconnect: Option<Nanos>,
    /// Deprecated and ignored.
    pub max_client_disconnect: Option<Nanos>,
    /// Deprecated and ignored.
    pub prevent_reschedule_on_lost: bool,
    /// How it may be scaled.
    pub scaling: Option<ScalingPolicy>,
    /// Kept as given.
    pub consul: Option<Consul>,
}

impl TaskGroup {
    /// The task of that name.
    pub fn task(&self, name: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.name == name)
    }
}

/// The disk a group's tasks share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EphemeralDisk {
    /// Whether a replacement should get the data, on the same node if it can.
    pub sticky: bool,
    /// MiB that are reserved.
    #[serde(rename = "SizeMB")]
    pub size_mb: i64,
    /// Whether the data is copied to another node.
    pub migrate: bool,
}

/// How a group or task may be scaled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ScalingPolicy {
    /// A UUID.
    #[serde(rename = "ID")]
    pub id: String,
    /// `horizontal`, `vertical_cpu` or `vertical_mem`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// Namespace, Job, Group, Task.
    #[serde(with = "go")]
    pub target: BTreeMap<String, String>,
    /// Opaque to the servers.
    pub policy: Option<Map<String, Value>>,
    /// The least count.
    pub min: i64,
    /// The greatest count.
    pub max: i64,
    /// Whether it is in force.
    pub enabled: bool,
    /// When it was made.
    pub create_index: Index,
    /// When it last changed.
    pub modify_index: Index,
}
