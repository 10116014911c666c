//! ◆ The job tree as clients send it: every field may be absent, `null` or in another case.
//!
//! One file per noun. Writing a shape gives exactly what `job run -output` prints: every key, `null` where
//! nothing was said. What each field means stands at the noun of the same name in [`crate::model`].

#![expect(
    missing_docs,
    reason = "the fields are those of `crate::model`, which tells what they mean"
)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub mod connect;
pub mod constraint;
pub mod group;
pub mod identity;
pub mod network;
pub mod policy;
pub mod resources;
pub mod service;
pub mod task;
pub mod template;
pub mod volume;

pub use connect::ConsulConnect;
pub use constraint::{Affinity, Constraint, Spread};
pub use group::TaskGroup;
pub use network::NetworkResource;
pub use resources::Resources;
pub use service::{Service, ServiceCheck};
pub use task::Task;

use policy::{
    MigrateStrategy, Multiregion, ParameterizedJobConfig, PeriodicConfig, ReschedulePolicy,
    UpdateStrategy,
};

use super::decode::{self, DecodeError};
use crate::model::{self, JobType};
use group::JobDefaults;

/// A list that may be absent.
pub type List<T> = Option<Vec<T>>;
/// A map that may be absent.
pub type Dict<T> = Option<BTreeMap<String, T>>;

/// A job as clients send it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Job {
    pub region: Option<String>,
    pub namespace: Option<String>,
    #[serde(rename = "ID")]
    pub id: Option<String>,
    pub name: Option<String>,
    #[serde(rename = "Type")]
    pub kind: Option<String>,
    pub priority: Option<i64>,
    pub all_at_once: Option<bool>,
    pub datacenters: List<String>,
    pub node_pool: Option<String>,
    pub constraints: List<Constraint>,
    pub affinities: List<Affinity>,
    pub task_groups: List<TaskGroup>,
    pub update: Option<UpdateStrategy>,
    pub multiregion: Option<Multiregion>,
    pub spreads: List<Spread>,
    pub periodic: Option<PeriodicConfig>,
    pub parameterized_job: Option<ParameterizedJobConfig>,
    pub reschedule: Option<ReschedulePolicy>,
    pub migrate: Option<MigrateStrategy>,
    pub meta: Dict<String>,
    #[serde(rename = "UI")]
    pub ui: Option<JobUi>,
    pub stop: Option<bool>,
    #[serde(rename = "ParentID")]
    pub parent_id: Option<String>,
    pub dispatched: bool,
    pub dispatch_idempotency_token: Option<String>,
    pub payload: Option<String>,
    pub consul_namespace: Option<String>,
    pub vault_namespace: Option<String>,
    #[serde(rename = "NomadTokenID")]
    pub nomad_token_id: Option<String>,
    pub status: Option<String>,
    pub status_description: Option<String>,
    pub stable: Option<bool>,
    pub version: Option<u64>,
    pub submit_time: Option<i64>,
    pub create_index: Option<u64>,
    pub modify_index: Option<u64>,
    pub job_modify_index: Option<u64>,
    pub version_tag: Option<JobVersionTag>,
}

/// A description and links for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobUi {
    pub description: String,
    pub links: List<JobUiLink>,
}

/// A link for people.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobUiLink {
    pub label: String,
    #[serde(rename = "URL")]
    pub url: String,
}

/// A name that somebody gave a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobVersionTag {
    pub name: String,
    pub description: String,
    pub tagged_time: i64,
}

impl Job {
    /// Reads a job, bare or inside `{"Job": …}`, as `-json` and the API take it. Keys it does not know are
    /// dropped; the second value tells which.
    pub fn decode(mut value: Value) -> Result<(Self, Vec<String>), DecodeError> {
        let wrapped = value.as_object_mut().and_then(|object| {
            let key = object.keys().find(|key| key.eq_ignore_ascii_case("job"))?.clone();
            object.remove(&key)
        });
        decode::from_value_noting(wrapped.unwrap_or(value))
    }
}

/// The canonical form of each element.
fn list<T, U>(given: List<T>, canonical: impl FnMut(T) -> U) -> Vec<U> {
    given.unwrap_or_default().into_iter().map(canonical).collect()
}

/// The job type of that name.
pub(crate) fn job_type(name: &str) -> Option<JobType> {
    [JobType::Service, JobType::Batch, JobType::System, JobType::Sysbatch]
        .into_iter()
        .find(|kind| kind.as_str() == name)
}

impl Job {
    /// Every default filled in. A type that does not exist becomes `service`: [`super::admission`] refuses it.
    pub(crate) fn canonical(self, default_priority: i64) -> model::Job {
        let or = |given: Option<String>, default: &str| {
            given.filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned())
        };
        let kind = self.kind.as_deref().and_then(job_type).unwrap_or_default();
        let namespace = or(self.namespace, "default");
        let id = self.id.unwrap_or_default();
        let name = self.name.unwrap_or_else(|| id.clone());
        let update = match kind {
            JobType::Service | JobType::System => {
                Some(self.update.unwrap_or_default().over(UpdateStrategy::standard()))
            }
            JobType::Batch | JobType::Sysbatch => self.update,
        };
        let defaults = JobDefaults {
            namespace: &namespace,
            job: &name,
            kind,
            update: update.as_ref(),
            reschedule: self.reschedule.as_ref(),
            migrate: self.migrate.as_ref(),
        };
        let mut task_groups = list(self.task_groups, |group| group.canonical(&defaults));
        for group in &mut task_groups {
            if let Some(policy) = &mut group.scaling {
                policy.target.insert("Job".to_owned(), id.clone());
            }
            for policy in group.tasks.iter_mut().flat_map(|task| &mut task.scaling_policies) {
                policy.target.insert("Job".to_owned(), id.clone());
            }
        }
        model::Job {
            stop: self.stop.unwrap_or_default(),
            region: or(self.region, "global"),
            parent_id: self.parent_id.unwrap_or_default(),
            kind,
            priority: self.priority.filter(|p| *p != 0).unwrap_or(default_priority),
            all_at_once: self.all_at_once.unwrap_or_default(),
            datacenters: self
                .datacenters
                .filter(|names| !names.is_empty())
                .unwrap_or_else(|| vec!["*".to_owned()]),
            node_pool: or(self.node_pool, "default"),
            constraints: list(self.constraints, Constraint::canonical),
            affinities: list(self.affinities, Affinity::canonical),
            spreads: list(self.spreads, Spread::canonical),
            task_groups,
            update: legacy_update(kind, update),
            multiregion: self.multiregion.and_then(|m| serde_json::to_value(m).ok()),
            periodic: self.periodic.map(PeriodicConfig::canonical),
            parameterized_job: self.parameterized_job.map(ParameterizedJobConfig::canonical),
            dispatched: self.dispatched,
            dispatch_idempotency_token: self.dispatch_idempotency_token.unwrap_or_default(),
            payload: self.payload,
            meta: self.meta.unwrap_or_default(),
            ui: self.ui.map(|ui| model::job::JobUi {
                description: ui.description,
                links: list(ui.links, |l| model::job::JobUiLink { label: l.label, url: l.url }),
            }),
            // Nomad: only Enterprise keeps it.
            consul_namespace: String::new(),
            vault_namespace: self.vault_namespace.unwrap_or_default(),
            nomad_token_id: String::new(),
            status_description: String::new(),
            job_modify_index: self.job_modify_index.unwrap_or_default(),
            id,
            name,
            namespace,
            ..model::Job::default()
        }
    }
}

/// Nomad: of the job's own strategy only two fields are kept, and none for batch jobs.
fn legacy_update(kind: JobType, update: Option<UpdateStrategy>) -> model::policy::UpdateStrategy {
    let full = update.unwrap_or_default().canonical();
    match kind {
        JobType::Service | JobType::System => model::policy::UpdateStrategy {
            stagger: full.stagger,
            max_parallel: full.max_parallel,
            ..model::policy::UpdateStrategy::default()
        },
        JobType::Batch | JobType::Sysbatch => model::policy::UpdateStrategy::default(),
    }
}
