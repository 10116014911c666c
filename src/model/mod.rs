//! ◆ The nouns: jobs, groups, tasks, evaluations, allocations, deployments, nodes, plans.
//!
//! Plain data with std and serde only. The JSON of a noun is the JSON that Nomad's servers answer, and the
//! same text is what the Raft log and the state rows hold: one shape from the wire to the disk, so
//! `sqlite3 state.db` shows people what they know. Fields are only ever added, each with a default, so a
//! newer binary reads an older state.
//!
//! What people send has its own, all-optional shape in `crate::api`, which fills the defaults and refuses
//! what is wrong: a [`Job`] that reaches the log went through it.
//!
//! Nomad: a Go slice or map that was never set is `null`, so empty ones are written as `null` here too
//! ([`go`]); durations are integers of nanoseconds.

#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod allocation;
pub mod constraint;
pub mod deployment;
pub mod evaluation;
pub mod event;
pub mod go;
pub mod group;
pub mod id;
pub mod job;
pub mod metric;
pub mod network;
pub mod node;
pub mod plan;
pub mod policy;
pub mod resources;
pub mod service;
pub mod task;
pub mod time;
pub mod usage;
pub mod volume;

pub use allocation::{Allocation, ClientStatus, DesiredStatus, TaskEvent, TaskState};
pub use constraint::{Affinity, Constraint, Spread, SpreadTarget};
pub use deployment::{Deployment, DeploymentStatus};
pub use evaluation::{EvalStatus, EvalTrigger, Evaluation};
pub use group::TaskGroup;
pub use id::{AllocId, DeploymentId, EvalId, JobKey, NodeId};
pub use job::{Job, JobStatus, JobType};
pub use metric::AllocMetric;
pub use network::{NetworkResource, Port};
pub use node::{Node, NodeStatus};
pub use plan::{Plan, PlanResult};
pub use resources::{AllocatedResources, Resources};
pub use service::{Service, ServiceCheck};
pub use task::Task;
pub use time::{Nanos, Timestamp};

/// The position of a change in the replicated log; every row remembers the one that created and last changed it.
pub type Index = u64;
