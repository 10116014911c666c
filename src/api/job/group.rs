//! ◆ A task group as clients send it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::constraint::{Affinity, Constraint, Spread};
use super::identity::Consul;
use super::network::NetworkResource;
use super::policy::{
    DisconnectStrategy, MigrateStrategy, ReschedulePolicy, RestartPolicy, UpdateStrategy,
};
use super::service::Service;
use super::task::Task;
use super::volume::VolumeRequest;
use super::{Dict, List};

/// Tasks that are placed together on one node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskGroup {
    pub name: Option<String>,
    pub count: Option<i64>,
    pub constraints: List<Constraint>,
    pub affinities: List<Affinity>,
    pub tasks: List<Task>,
    pub spreads: List<Spread>,
    pub volumes: Dict<VolumeRequest>,
    pub restart_policy: Option<RestartPolicy>,
    pub disconnect: Option<DisconnectStrategy>,
    pub reschedule_policy: Option<ReschedulePolicy>,
    pub ephemeral_disk: Option<EphemeralDisk>,
    pub update: Option<UpdateStrategy>,
    pub migrate: Option<MigrateStrategy>,
    pub networks: List<NetworkResource>,
    pub meta: Dict<String>,
    pub services: List<Service>,
    pub shutdown_delay: Option<i64>,
    pub stop_after_client_disconnect: Option<i64>,
    pub max_client_disconnect: Option<i64>,
    pub prevent_reschedule_on_lost: Option<bool>,
    pub max_run_duration: Option<i64>,
    pub scaling: Option<ScalingPolicy>,
    pub consul: Option<Consul>,
}

/// The disk a group's tasks share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EphemeralDisk {
    pub sticky: Option<bool>,
    pub migrate: Option<bool>,
    #[serde(rename = "SizeMB")]
    pub size_mb: Option<i64>,
}

/// How a group or task may be scaled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ScalingPolicy {
    pub min: Option<i64>,
    pub max: Option<i64>,
    pub policy: Option<Map<String, Value>>,
    pub enabled: Option<bool>,
    #[serde(rename = "Type")]
    pub kind: String,
    #[serde(rename = "ID")]
    pub id: String,
    pub namespace: String,
    pub target: Dict<String>,
    pub create_index: u64,
    pub modify_index: u64,
}
