//! ◇ Plain rows: namespaces, node pools, settings. And what an operator asks of the state as a whole.

use serde_json::Value;

use crate::model::{EvalId, Index};
use crate::scheduler::Config;
use crate::server::{SCHEDULER_CONFIG, Server, ServerError};
use crate::state::{Intent, RowTable};

impl Server {
    /// Writes a row. With `check_index`, refuses unless the row's `ModifyIndex` is that (0: unless it does not exist).
    pub async fn put_row(
        &self,
        table: RowTable,
        key: &str,
        row: Value,
        check_index: Option<Index>,
    ) -> Result<Index, ServerError> {
        let intent = Intent::PutRow { table, key: key.to_owned(), row, check_index };
        self.propose(intent).await.map(|proposed| proposed.index)
    }

    /// Removes a row.
    pub async fn delete_row(&self, table: RowTable, key: &str) -> Result<Index, ServerError> {
        let intent = Intent::DeleteRow { table, key: key.to_owned() };
        self.propose(intent).await.map(|proposed| proposed.index)
    }

    /// Sets the scheduler's settings; see [`Server::put_row`] for `check_index`.
    pub async fn set_scheduler_config(
        &self,
        config: &Config,
        check_index: Option<Index>,
    ) -> Result<Index, ServerError> {
        let row = serde_json::to_value(config)
            .map_err(|error| ServerError::Invalid(error.to_string()))?;
        self.put_row(RowTable::SchedulerConfig, SCHEDULER_CONFIG, row, check_index).await
    }

    /// Counts the allocations of all jobs again.
    pub async fn reconcile_summaries(&self) -> Result<Index, ServerError> {
        self.propose(Intent::ReconcileSummaries).await.map(|proposed| proposed.index)
    }

    /// Forgets evaluations. Only while the broker is paused, or a worker may have one in its hands.
    pub async fn delete_evals(&self, evals: Vec<EvalId>) -> Result<Index, ServerError> {
        if !self.scheduler_config().pause_eval_broker {
            let text = "eval broker is enabled; eval broker must be paused to delete evals";
            return Err(ServerError::Conflict(text.to_owned()));
        }
        let state = self.state();
        if evals.iter().any(|id| state.eval(id).is_none()) {
            return Err(ServerError::NotFound("eval not found".to_owned()));
        }
        let intent = Intent::Collect {
            evals,
            allocs: Vec::new(),
            deployments: Vec::new(),
            jobs: Vec::new(),
            nodes: Vec::new(),
        };
        self.propose(intent).await.map(|proposed| proposed.index)
    }
}
