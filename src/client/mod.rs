//! ◇ The node: makes the allocations it was given run, and says how they are.

pub mod alloc;
pub mod reconcile;
pub mod task;
