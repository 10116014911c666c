//! ◆ What changes between two versions of a job, in the JSON that Nomad's clients read.
//!
//! Works on the JSON of the nouns: fields are compared as text by name, objects by rules of their own
//! ([`job`], [`group`], [`task`], [`service`]). Nomad: what it hides (spreads, `max_run_duration`,
//! lifecycles …) is hidden here, too; such a change shows as `Edited` with nothing beneath.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{self, go};

mod annotate;
mod field;
mod group;
mod job;
mod network;
mod service;
mod task;
pub mod text;

pub use annotate::annotate;

/// What became of something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DiffType {
    /// It is new.
    Added,
    /// It is gone.
    Deleted,
    /// It, or something in it, is another.
    Edited,
    /// It is the same.
    #[default]
    None,
}

/// The difference between two versions of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct JobDiff {
    /// What became of it.
    #[serde(rename = "Type")]
    pub kind: DiffType,
    /// The job.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its fields.
    #[serde(with = "go")]
    pub fields: Vec<FieldDiff>,
    /// Its blocks.
    #[serde(with = "go")]
    pub objects: Vec<ObjectDiff>,
    /// Its groups, by name.
    #[serde(with = "go")]
    pub task_groups: Vec<TaskGroupDiff>,
}

/// The difference between two versions of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskGroupDiff {
    /// What became of it.
    #[serde(rename = "Type")]
    pub kind: DiffType,
    /// Its name.
    pub name: String,
    /// Its fields.
    #[serde(with = "go")]
    pub fields: Vec<FieldDiff>,
    /// Its blocks.
    #[serde(with = "go")]
    pub objects: Vec<ObjectDiff>,
    /// Its tasks, by name.
    #[serde(with = "go")]
    pub tasks: Vec<TaskDiff>,
    /// How many allocations what happens to: `create`, `destroy`, `in-place update` … None where no plan was made.
    pub updates: Option<BTreeMap<String, u64>>,
}

/// The difference between two versions of a task.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct TaskDiff {
    /// What became of it.
    #[serde(rename = "Type")]
    pub kind: DiffType,
    /// Its name.
    pub name: String,
    /// Its fields.
    #[serde(with = "go")]
    pub fields: Vec<FieldDiff>,
    /// Its blocks.
    #[serde(with = "go")]
    pub objects: Vec<ObjectDiff>,
    /// `forces create/destroy update` …
    #[serde(with = "go")]
    pub annotations: Vec<String>,
}

/// The difference between two versions of a block.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ObjectDiff {
    /// What became of it.
    #[serde(rename = "Type")]
    pub kind: DiffType,
    /// What it is.
    pub name: String,
    /// Its fields.
    #[serde(with = "go")]
    pub fields: Vec<FieldDiff>,
    /// Blocks in it.
    #[serde(with = "go")]
    pub objects: Vec<ObjectDiff>,
}

/// The difference between two values of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct FieldDiff {
    /// What became of it.
    #[serde(rename = "Type")]
    pub kind: DiffType,
    /// Its name.
    pub name: String,
    /// Its old value as text; empty when it had none.
    pub old: String,
    /// Its new value as text; empty when it has none.
    pub new: String,
    /// `forces create`, `forces destroy`.
    #[serde(with = "go")]
    pub annotations: Vec<String>,
}

/// Compares two versions of one job; `None` for a job that does not exist.
pub fn between(old: Option<&model::Job>, new: Option<&model::Job>) -> JobDiff {
    let value = |job: Option<&model::Job>| {
        job.and_then(|job| serde_json::to_value(job).ok()).unwrap_or_default()
    };
    let id = new.or(old).map(|job| job.id.clone()).unwrap_or_default();
    job::diff(id, &value(old), &value(new))
}

/// As [`between`], without what is the same: how versions of a job are listed.
pub fn between_versions(old: &model::Job, new: &model::Job) -> JobDiff {
    let mut diff = between(Some(old), Some(new));
    shorten(&mut diff.fields, &mut diff.objects);
    for group in &mut diff.task_groups {
        shorten(&mut group.fields, &mut group.objects);
        for task in &mut group.tasks {
            shorten(&mut task.fields, &mut task.objects);
        }
    }
    diff
}

fn shorten(fields: &mut Vec<FieldDiff>, objects: &mut Vec<ObjectDiff>) {
    fields.retain(|field| field.kind != DiffType::None);
    objects.retain(|object| object.kind != DiffType::None);
    for object in objects {
        shorten(&mut object.fields, &mut object.objects);
    }
}

/// The name of an element of a list.
fn name_of(value: &Value) -> &str {
    value["Name"].as_str().unwrap_or_default()
}
