//! A server over a log in memory, with nodes that obey: what happens from registering a job to its allocations.

mod crowd;

mod lifecycle;
mod nodes;
mod rollouts;
mod speed;
