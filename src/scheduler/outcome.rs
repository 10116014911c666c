//! ◆ What a decision is.

use std::collections::BTreeMap;

use crate::model::{AllocMetric, DeploymentId, Evaluation, Plan};

/// What was decided about an evaluation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// What is to be changed. New allocations come without their job; its version is in them.
    pub plan: Plan,
    /// Groups of which something could not be placed, with the reason.
    pub failed: BTreeMap<String, AllocMetric>,
    /// How many allocations of each group could not be placed.
    pub queued: BTreeMap<String, i64>,
    /// Evaluations with a time. They must be there before the plan is applied, which refers to them.
    pub follow_ups: Vec<Evaluation>,
    /// The one that waits for room. When it has the evaluation's own id, that one goes on waiting.
    pub blocked: Option<Evaluation>,
    /// The deployment the job is in, new or old.
    pub deployment_id: DeploymentId,
}

impl Outcome {
    /// Whether everything that was wanted has a place.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }
}
