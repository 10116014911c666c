//! The integration tests, in one binary. What needs root says so and is skipped by name otherwise.
#![recursion_limit = "256"]
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
