//! ◇ The node: makes the allocations it was given run, and says how they are.

pub mod alloc;
pub mod journal;
pub mod reconcile;
pub mod task;
pub mod upstream;
