//! ◆ Decides which allocations of a job should exist and where: `(Input, seed, now) → Outcome`.
//!
//! ```text
//! Evaluation + Job + its Allocations + its Deployment + Nodes
//!    │ reconcile   what is there against what is wanted → place, stop, update, migrate, reschedule, ignore
//!    │ feasible    may this node run the group at all? once per class of equal nodes
//!    │ rank        how well does it fit? bin packing, spread, affinity, anti-affinity, penalties
//!    │ assign      which ports and cores exactly
//!    ▼
//! Outcome: a Plan without any choice left, what could not be placed and why, evaluations that follow
//! ```
//!
//! It never looks at all allocations of the cluster: what is taken on a node is handed in as a sum
//! ([`Lookup::usage`]), so an evaluation costs what its own job costs. Randomness is a seed, time an argument: the same
//! input gives the same plan, ids included. [`audit`] says what holds for any plan.
//!
//! `server`'s workers call [`schedule`]; nobody else does.

#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod assign;
pub mod audit;
pub mod constraint;
pub mod distinct;
pub mod feasible;
pub mod generic;
pub mod input;
pub mod outcome;
pub mod placer;
pub mod preempt;
pub mod rank;
pub mod reconcile;
pub mod reschedule;
pub mod seed;
pub mod spread;
pub mod system;
pub mod updated;
pub mod version;

pub use input::{Algorithm, Config, Input, Lookup, NodeSet};
pub use outcome::Outcome;

use crate::model::Timestamp;
use crate::model::job::JobType;

/// Decides what is to be done about `input.eval`.
pub fn schedule(input: &Input<'_>, seed: u64, now: Timestamp) -> Outcome {
    match input.kind() {
        JobType::Service | JobType::Batch => generic::schedule(input, seed, now),
        JobType::System | JobType::Sysbatch => system::schedule(input, seed, now),
    }
}
