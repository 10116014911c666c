//! ◆ A task group as clients send it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::constraint::{Affinity, Constraint, Spread};
use super::identity::Consul;
use super::network::NetworkResource;
use super::policy::{
    DisconnectStrategy, MigrateStrategy, ReschedulePolicy, RestartPolicy, UpdateStrategy,
};
use super::service::{Owner, Service};
use super::task::Task;
use super::volume::VolumeRequest;
use super::{Dict, List, list};
use crate::model::{JobType, Nanos, group, policy};

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

/// What the job says for all its groups.
pub(super) struct JobDefaults<'a> {
    pub(super) namespace: &'a str,
    pub(super) job: &'a str,
    pub(super) kind: JobType,
    pub(super) update: Option<&'a UpdateStrategy>,
    pub(super) reschedule: Option<&'a ReschedulePolicy>,
    pub(super) migrate: Option<&'a MigrateStrategy>,
}

impl JobDefaults<'_> {
    fn update(&self, own: Option<UpdateStrategy>) -> Option<policy::UpdateStrategy> {
        let update = match (own, self.update) {
            (Some(own), Some(job)) => own.over(job.clone()),
            (Some(own), None) => own,
            (None, Some(job)) if !job.is_empty() => job.clone(),
            (None, _) => return None,
        };
        Some(update.canonical())
    }

    fn reschedule(&self, own: Option<ReschedulePolicy>) -> Option<policy::ReschedulePolicy> {
        let given = match (own, self.reschedule) {
            (Some(own), Some(job)) => Some(own.over(job.clone())),
            (own, job) => own.or_else(|| job.cloned()),
        };
        match self.kind {
            JobType::Service | JobType::Batch => {
                Some(given.unwrap_or_default().canonical(self.kind))
            }
            JobType::System | JobType::Sysbatch => given.map(|policy| policy.canonical(self.kind)),
        }
    }

    fn migrate(&self, own: Option<MigrateStrategy>) -> Option<policy::MigrateStrategy> {
        let given = match (own, self.migrate) {
            (Some(own), Some(job)) => Some(own.over(job.clone())),
            (own, job) => own.or_else(|| job.cloned()),
        };
        match self.kind {
            JobType::Service => Some(given.unwrap_or_default().canonical()),
            JobType::Batch | JobType::System | JobType::Sysbatch => {
                given.map(MigrateStrategy::canonical)
            }
        }
    }
}

impl TaskGroup {
    pub(super) fn canonical(self, job: &JobDefaults<'_>) -> group::TaskGroup {
        let name = self.name.unwrap_or_default();
        let owner = Owner { namespace: job.namespace, job: job.job, group: &name, task: None };
        let least = self.scaling.as_ref().and_then(|scaling| scaling.min);
        let count = self.count.or(least).unwrap_or(1);
        let restart =
            self.restart_policy.unwrap_or_default().over(RestartPolicy::standard(job.kind));
        let services = list(self.services, |service| service.canonical(owner));
        let tasks = list(self.tasks, |task| task.canonical(&restart, owner));
        let scaling = self.scaling.map(|scaling| scaling.canonical(owner, count));
        // Nomad: a volume of a kind it does not know vanishes without a word.
        let volumes = self.volumes.unwrap_or_default().into_iter();
        let volumes = volumes.filter(|(_, v)| v.kind == "host" || v.kind == "csi");
        group::TaskGroup {
            count,
            constraints: list(self.constraints, Constraint::canonical),
            affinities: list(self.affinities, Affinity::canonical),
            spreads: list(self.spreads, Spread::canonical),
            tasks,
            volumes: volumes.map(|(name, volume)| (name, volume.canonical())).collect(),
            restart_policy: restart.canonical(),
            disconnect: self.disconnect.map(DisconnectStrategy::canonical),
            reschedule_policy: job.reschedule(self.reschedule_policy),
            ephemeral_disk: self.ephemeral_disk.unwrap_or_default().canonical(),
            update: job.update(self.update),
            migrate: job.migrate(self.migrate),
            networks: list(self.networks, NetworkResource::canonical),
            meta: self.meta.unwrap_or_default(),
            services,
            shutdown_delay: self.shutdown_delay.map(Nanos),
            max_run_duration: self.max_run_duration.map(Nanos),
            // Nomad: read, warned about and forgotten.
            stop_after_client_disconnect: None,
            max_client_disconnect: None,
            prevent_reschedule_on_lost: false,
            scaling,
            consul: self.consul.map(Consul::canonical),
            name,
        }
    }
}

impl EphemeralDisk {
    fn canonical(self) -> group::EphemeralDisk {
        group::EphemeralDisk {
            sticky: self.sticky.unwrap_or_default(),
            size_mb: self.size_mb.unwrap_or(300),
            migrate: self.migrate.unwrap_or_default(),
        }
    }
}

impl ScalingPolicy {
    pub(super) fn canonical(self, owner: Owner<'_>, count: i64) -> group::ScalingPolicy {
        let mut target = BTreeMap::from([
            ("Namespace".to_owned(), owner.namespace.to_owned()),
            ("Job".to_owned(), owner.job.to_owned()),
            ("Group".to_owned(), owner.group.to_owned()),
        ]);
        if let Some(task) = owner.task {
            target.insert("Task".to_owned(), task.to_owned());
        }
        group::ScalingPolicy {
            id: self.id,
            kind: if self.kind.is_empty() { "horizontal".to_owned() } else { self.kind },
            target,
            policy: self.policy,
            min: self.min.unwrap_or(count),
            max: self.max.unwrap_or_default(),
            enabled: self.enabled.unwrap_or(true),
            create_index: 0,
            modify_index: 0,
        }
    }
}
