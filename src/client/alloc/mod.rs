//! One allocation: what its tasks share, and the order in which they live and die.
//!
//! - [`lifecycle`] ◆ the order; [`status`] ◆ what the servers are told; [`health`] ◆ whether a deployment may go on.
//! - [`network`] ◆ what it wants of the network room, and what the servers are told of it.
//! - [`dir`] ◇ the directories; `attach` ◇ directories and network, made and undone; `runner` ◇ waits, steps, acts.

mod attach;
pub mod dir;
pub mod health;
pub mod lifecycle;
pub mod network;
pub(in crate::client) mod order;
pub(in crate::client) mod runner;
pub mod status;
