//! Rows as text: what goes to disk and to other servers, and how a state is made of them again.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::model::{Allocation, Index, Job, JobKey};

use super::command::RowTable;
use super::key::{RowKey, Table, VersionKey};
use super::tables::{State, version_key};

/// A plain row: JSON with the indexes at which it was made and last changed, which it also holds itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The row, an object with `CreateIndex` and `ModifyIndex`.
    pub value: Value,
    /// When it was made.
    pub create_index: Index,
    /// When it last changed.
    pub modify_index: Index,
}

impl Row {
    /// A row of `value`; `None` when that is not an object.
    pub fn new(mut value: Value, create_index: Index, modify_index: Index) -> Option<Self> {
        let object = value.as_object_mut()?;
        object.insert("CreateIndex".to_owned(), create_index.into());
        object.insert("ModifyIndex".to_owned(), modify_index.into());
        Some(Self { value, create_index, modify_index })
    }

    /// The rows that are always there.
    pub(super) fn built_in() -> impl Iterator<Item = (RowTable, Arc<str>, Self)> {
        let pool = |name: &str, description: &str| json!({ "Name": name, "Description": description, "Meta": null, "SchedulerConfiguration": null });
        let rows = [
            (
                RowTable::Namespaces,
                "default",
                json!({ "Name": "default", "Description": "Default shared namespace", "Meta": null,
                        "Capabilities": null, "Quota": "", "NodePoolConfiguration": null }),
            ),
            (RowTable::NodePools, "all", pool("all", "Node pool with all nodes in the cluster.")),
            (RowTable::NodePools, "default", pool("default", "Default node pool.")),
        ];
        rows.into_iter().filter_map(|(table, key, value)| {
            Self::new(value, 1, 1).map(|row| (table, Arc::from(key), row))
        })
    }
}

/// A row that cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("row `{key}` of `{table}` cannot be read; the file was changed by something else")]
pub struct RowError {
    /// Its table.
    pub table: &'static str,
    /// Its key.
    pub key: String,
    /// Why.
    #[source]
    pub source: serde_json::Error,
}

impl State {
    /// The text of a row and when it last changed; `None` when it is not there (any more).
    ///
    /// A version is not there while it is the current one: the job's row has it.
    pub fn row_text(&self, key: &RowKey) -> Option<(String, Index)> {
        match key {
            RowKey::Node(id) => self.nodes.get(id).map(|r| (text(&**r), r.modify_index)),
            RowKey::Job(id) => self.jobs.get(id).map(|r| (text(&**r), r.modify_index)),
            RowKey::Version(id) if self.is_current(id) => None,
            RowKey::Version(id) => self.versions.get(id).map(|r| (text(&**r), r.modify_index)),
            RowKey::Submission(id, version) => self
                .submissions
                .get(&(id.clone(), *version))
                .map(|r| (text(&**r), r.job_modify_index)),
            RowKey::Summary(id) => self.summaries.get(id).map(|r| (text(&**r), r.modify_index)),
            RowKey::Eval(id) => self.evals.get(id).map(|r| (text(&**r), r.modify_index)),
            RowKey::Alloc(id) => self.allocs.get(id).map(|r| (text(&r.detached()), r.modify_index)),
            RowKey::Deployment(id) => {
                self.deployments.get(id).map(|r| (text(&**r), r.modify_index))
            }
            RowKey::Row(table, id) => {
                let row = self.rows.get(&(*table, Arc::clone(id)))?;
                Some((text(&row.value), row.modify_index))
            }
            RowKey::ClusterId => self.cluster_id.as_ref().map(|id| (text(id), 0)),
        }
    }

    fn is_current(&self, key: &VersionKey) -> bool {
        self.jobs.get(&key.job).is_some_and(|job| version_key(job) == *key)
    }

    /// The names of all rows, in an order in which they can be read back.
    pub fn row_keys(&self) -> impl Iterator<Item = RowKey> + '_ {
        let plain = Table::ALL.into_iter().filter_map(Table::rows).flat_map(|table| {
            self.rows(table).map(move |(key, _)| RowKey::Row(table, Arc::clone(key)))
        });
        let former = self.versions.keys().filter(|key| !self.is_current(key)).cloned();
        self.cluster_id
            .iter()
            .map(|_| RowKey::ClusterId)
            .chain(plain)
            .chain(self.nodes.keys().cloned().map(RowKey::Node))
            .chain(self.jobs.keys().cloned().map(RowKey::Job))
            .chain(former.map(RowKey::Version))
            .chain(self.submissions.keys().cloned().map(|(job, v)| RowKey::Submission(job, v)))
            .chain(self.summaries.keys().cloned().map(RowKey::Summary))
            .chain(self.deployments.keys().cloned().map(RowKey::Deployment))
            .chain(self.evals.keys().cloned().map(RowKey::Eval))
            .chain(self.allocs.keys().cloned().map(RowKey::Alloc))
    }

    /// Adds a row that was read back. Tables come in the order of [`Table::ALL`], then
    /// [`State::restore_indexes`].
    pub fn restore_row(&mut self, table: Table, key: &str, value: &str) -> Result<(), RowError> {
        match table {
            Table::Nodes => drop(self.insert_node(parse(table, key, value)?)),
            Table::Jobs => drop(self.insert_job(parse(table, key, value)?)),
            Table::JobVersions => self.insert_version(Arc::new(parse::<Job>(table, key, value)?)),
            Table::JobSubmissions => {
                let row: crate::model::job::JobSubmission = parse(table, key, value)?;
                let job = JobKey::new(row.namespace.as_str(), row.job_id.as_str());
                self.submissions.insert((job, row.version), Arc::new(row));
            }
            Table::JobSummaries => {
                let row: crate::model::job::JobSummary = parse(table, key, value)?;
                let job = JobKey::new(row.namespace.as_str(), row.job_id.as_str());
                self.summaries.insert(job, Arc::new(row));
            }
            Table::Evals => drop(self.insert_eval(parse(table, key, value)?)),
            Table::Allocs => {
                let alloc: Allocation = parse(table, key, value)?;
                let linked = self.attach(alloc);
                self.insert_alloc(linked);
            }
            Table::Deployments => drop(self.insert_deployment(parse(table, key, value)?)),
            Table::ClusterMeta => {
                let id: String = parse(table, key, value)?;
                self.cluster_id = Some(id.into());
            }
            Table::Namespaces
            | Table::NodePools
            | Table::SchedulerConfig
            | Table::AutopilotConfig
            | Table::ScalingPolicies
            | Table::ScalingEvents => {
                let value: Value = parse(table, key, value)?;
                let number = |name| value.get(name).and_then(Value::as_u64).unwrap_or_default();
                let (created, modified) = (number("CreateIndex"), number("ModifyIndex"));
                if let (Some(plain), Some(row)) = (table.rows(), Row::new(value, created, modified))
                {
                    self.insert_row(plain, key.into(), row);
                }
            }
        }
        Ok(())
    }

    /// Sets the indexes of a state that was read back: its own, and each table's by name.
    pub fn restore_indexes<'a>(
        &mut self,
        index: Index,
        tables: impl IntoIterator<Item = (&'a str, Index)>,
    ) {
        self.index = index;
        for (name, index) in tables {
            if let Some(table) = Table::named(name) {
                self.table_indexes[table.slot()] = index;
            }
        }
    }

    /// Links an allocation with its version of the job, if that is known.
    pub(super) fn attach(&self, alloc: Allocation) -> Allocation {
        if alloc.job.is_some() {
            return alloc;
        }
        let key = alloc.job_key();
        let created = alloc
            .job_create_index
            .or_else(|| self.jobs.get(&key).map(|job| job.create_index))
            .unwrap_or_default();
        let version = VersionKey { job: key, created, version: alloc.version() };
        match self.versions.get(&version) {
            Some(job) => alloc.attached(Arc::clone(job)),
            None => alloc,
        }
    }
}

fn text<T: Serialize + ?Sized>(row: &T) -> String {
    // Fails only for maps whose keys are no strings and for floats that are no numbers; JSON came in, so
    // there are neither.
    serde_json::to_string(row).unwrap_or_default()
}

fn parse<T: DeserializeOwned>(table: Table, key: &str, value: &str) -> Result<T, RowError> {
    serde_json::from_str(value).map_err(|source| RowError {
        table: table.name(),
        key: key.to_owned(),
        source,
    })
}
