//! One task: its life as a state machine, and the loop that acts for it.
//!
//! - [`lifecycle`] ◆ what follows from what; [`restart`] ◆ whether it is started again.
//! - [`mod@env`], [`interpolate`], [`event`], [`signal`], [`duration`] ◆ what a task and people are told.
//! - [`prepare`] ◇ makes the driver's context, `image` ◇ brings its image; `runner` ◇ waits, steps, acts; `order` is what it is told.

pub mod duration;
pub mod env;
pub mod event;
mod image;
pub mod interpolate;
pub mod lifecycle;
pub(in crate::client) mod order;
pub mod prepare;
pub mod restart;
pub(in crate::client) mod runner;
pub mod signal;
