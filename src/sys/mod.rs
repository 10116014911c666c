//! ◇ What touches the machine and has no room of its own.
//!
//! - [`clock`]: the only reader of the clocks.
//! - [`tasks`]: the only spawner; every task has a name, an owner and a way to stop.
//! - [`command`]: the only place that runs other programs.
//! - [`fs`]: atomic writes, and opening paths that somebody hostile may control.
//! - [`ids`]: fresh random identifiers.
//! - [`report`]: kinds of errors, and an error with its causes on one line.
//!
//! It imports no other room, so every ◇ room may use it.

pub mod clock;
pub mod command;
pub mod fs;
pub mod ids;
pub mod report;
pub mod tasks;
