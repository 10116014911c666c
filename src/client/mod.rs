//! ◇ The node: makes the allocations it was given run, and says how they are.

pub mod alloc;
mod error;
pub mod journal;
pub mod reconcile;
pub mod site;
pub mod status;
pub mod task;
pub mod upstream;

pub use error::ClientError;
