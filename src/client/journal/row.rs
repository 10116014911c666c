//! ◆ The rows, as text and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JournalError, Key};
use crate::client::task::restart::Tracker;
use crate::driver::StoredHandle;
use crate::model::allocation::AllocDeploymentStatus;
use crate::model::{AllocId, Allocation, TaskState, Timestamp};

/// An allocation, and how far the node has come with it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AllocRow {
    /// As the servers gave it, with its job.
    pub alloc: Arc<Allocation>,
    /// The plan of its network; the network room reads it.
    pub network: Option<Value>,
    /// What was found of its health.
    pub health: Option<AllocDeploymentStatus>,
    /// When the node was given it.
    pub since: Timestamp,
    /// Whether its tasks are over and what they shared is undone; only its directory is left.
    pub ended: bool,
    /// Whether even that is to go. Set before the first removal.
    pub doomed: bool,
}

/// A task, and where its process can be found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskRow {
    /// As the servers are told.
    pub state: TaskState,
    /// Its restarts.
    pub tracker: Tracker,
    /// Where the driver finds it again. Written before it is started.
    pub handle: Option<StoredHandle>,
    /// The id of the image it runs, to be kept in the store.
    pub image: Option<String>,
    /// The signal that asks it to stop, as job, image and driver said when it was started.
    pub kill_signal: i32,
}

/// Something to write.
#[derive(Debug, Clone)]
pub enum Entry<'a> {
    /// An allocation.
    Alloc(&'a AllocRow),
    /// A task of an allocation.
    Task(&'a AllocId, &'a str, &'a TaskRow),
    /// Nothing of the allocation is left.
    Forget(&'a AllocId),
}

impl Entry<'_> {
    pub(super) fn encode(self) -> Result<(Key, Option<String>), JournalError> {
        match self {
            Self::Alloc(row) => {
                let id = row.alloc.id.to_string();
                Ok((Key::Alloc(id.clone()), Some(text(row, &id)?)))
            }
            Self::Task(id, name, row) => {
                Ok((Key::Task(id.to_string(), name.to_owned()), Some(text(row, name)?)))
            }
            Self::Forget(id) => Ok((Key::Alloc(id.to_string()), None)),
        }
    }
}

fn text(row: &impl Serialize, of: &str) -> Result<String, JournalError> {
    serde_json::to_string(row)
        .map_err(|error| JournalError::Encode { of: of.to_owned(), source: Arc::new(error) })
}

/// What an earlier agent left.
#[derive(Debug, Default)]
pub struct Recovered {
    /// Allocations with their tasks.
    pub allocs: BTreeMap<AllocId, (AllocRow, BTreeMap<String, TaskRow>)>,
    /// Rows that cannot be read, each with the reason. What they stood for is removed.
    pub damaged: BTreeMap<AllocId, String>,
}

impl Recovered {
    pub(super) fn add_alloc(&mut self, id: &str, body: &str) {
        match serde_json::from_str::<AllocRow>(body) {
            Ok(row) if row.alloc.id.as_str() == id && row.alloc.job.is_some() => {
                self.allocs.insert(id.into(), (row, BTreeMap::new()));
            }
            Ok(_) => {
                self.damaged.insert(id.into(), "the row is of another allocation".to_owned());
            }
            Err(error) => {
                self.damaged.insert(id.into(), error.to_string());
            }
        }
    }

    /// After all allocations. A task row that cannot be read is as good as none: the task is started again.
    pub(super) fn add_task(&mut self, alloc: &str, name: &str, body: &str) {
        if let Some((_, tasks)) = self.allocs.get_mut(alloc)
            && let Ok(row) = serde_json::from_str(body)
        {
            tasks.insert(name.to_owned(), row);
        }
    }
}
