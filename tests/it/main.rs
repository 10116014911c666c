//! The integration tests, in one binary. What needs root says so and is skipped by name otherwise.
#![recursion_limit = "256"]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "tests stop where something is not as it must be, say why they skip, and run what users run"
)]

mod agent;
mod api;
mod client;
mod driver;
mod e2e;
mod http;
mod image;
mod jobspec;
mod network;
mod raft;
mod scheduler;
mod server;
