//! ◇ What a scheduler is given of a snapshot.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::usage::NodeUse;
use crate::model::{AllocId, Allocation, Evaluation, Index, Job, JobKey, Node, NodeId};
use crate::scheduler::{Config, Input, Lookup, NodeSet};
use crate::state::{State, Table};

/// One thing of a snapshot at a time.
#[derive(Debug, Clone)]
pub(super) struct Snapshot(pub(super) Arc<State>);

impl Lookup for Snapshot {
    fn node(&self, id: &NodeId) -> Option<Arc<Node>> {
        self.0.node(id).cloned()
    }

    fn usage(&self, id: &NodeId) -> Arc<NodeUse> {
        self.0.node_use(id)
    }

    fn alloc(&self, id: &AllocId) -> Option<Arc<Allocation>> {
        self.0.alloc(id).cloned()
    }

    fn allocs_on(&self, id: &NodeId) -> Vec<Arc<Allocation>> {
        self.0.allocs_by_node(id).filter(|alloc| !alloc.is_client_terminal()).cloned().collect()
    }

    fn job_version(&self, key: &JobKey, version: u64) -> Option<Arc<Job>> {
        self.0.job_version(key, version).cloned()
    }
}

impl Snapshot {
    /// Everything a decision about `eval` may depend on.
    pub(super) fn input<'a>(
        &'a self,
        eval: &'a Evaluation,
        config: &'a Config,
        nodes: &NodeSets,
    ) -> Input<'a> {
        let state = &self.0;
        let key = eval.job_key();
        let job = state.job(&key).cloned();
        Input {
            eval,
            allocs: state.allocs_by_job(&key).cloned().collect(),
            deployment: state.latest_deployment(&key).cloned(),
            nodes: nodes.of(state, job.as_deref()),
            job,
            config,
            snapshot_index: state.index(),
            lookup: self,
        }
    }
}

type SetKey = (String, Vec<String>);
/// With the index of the nodes' table they were made from.
type Sets = (Index, HashMap<SetKey, Arc<NodeSet>>);

/// The sets of ready nodes, kept while no node changes.
#[derive(Debug, Default)]
pub(super) struct NodeSets {
    /// By pool and data centres.
    sets: Mutex<Sets>,
}

impl NodeSets {
    /// Where `job` may run.
    pub(super) fn of(&self, state: &State, job: Option<&Job>) -> Arc<NodeSet> {
        let Some(job) = job else { return Arc::default() };
        let index = state.table_index(Table::Nodes);
        let key = (job.node_pool.clone(), job.datacenters.clone());
        {
            let mut known = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
            if known.0 < index {
                *known = (index, HashMap::new());
            }
            if known.0 == index
                && let Some(set) = known.1.get(&key)
            {
                return Arc::clone(set);
            }
        }
        let set = Arc::new(NodeSet::new(state.nodes(), &key.0, &key.1));
        let mut known = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if known.0 == index {
            known.1.insert(key, Arc::clone(&set));
        }
        set
    }
}
