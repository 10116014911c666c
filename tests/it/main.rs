//! The integration tests, in one binary. What needs root says so and is skipped by name otherwise.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test stops where it goes wrong, and says where or why it skips"
)]
mod api;
mod client;
mod driver;
mod image;
mod jobspec;
mod network;
mod scheduler;

mod raft;
