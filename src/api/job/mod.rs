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
