//! ◆ The nouns: jobs, groups, tasks, evaluations, allocations, deployments, nodes, plans.
//!
//! Plain data with std and serde only. The JSON of a noun is the JSON that Nomad's servers answer, and the
//! same text is what the Raft log and the state rows hold: one shape from the wire to the disk. Input from
//! people has its own, all-optional shape in [`crate::api`], the one place of defaults and validation.
