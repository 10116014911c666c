//! One task: its life as a state machine, and the loop that acts for it.

pub mod duration;
pub mod env;
pub mod event;
pub mod interpolate;
pub mod lifecycle;
pub mod restart;
