//! # stead
//!
//! One binary that turns a single box into a production orchestrator and grows with its owner. It speaks
//! Nomad's jobspec, HTTP API and command line.
//!
//! The rooms below stand in the order in which a job flows through them, so a reader who follows the list
//! never doubles back:
//!
//! HCL —[`jobspec`]→ `api::Job` —[`api`]→ [`model::Job`] —[`server`]→ `state::Command` —[`raft`]→ log —[`state`]→ rows and
//! an `Evaluation` → a worker takes a snapshot → `scheduler::Input` —[`scheduler`]→ `Plan` → plan applier →
//! `Command` → `Allocation` —[`client`]→ alloc runner → task runner → [`driver`], [`network`], [`image`], [`logs`] →
//! status goes back as commands → [`http`], [`cli`].
//!
//! ◆ rooms decide: no clock, randomness, I/O, lock or async; those are arguments or results. ◇ rooms act.
//! `tests/tidy.rs` holds the allowed arrows between the rooms and enforces them.

pub mod model;

pub mod api;
pub mod jobspec;

pub mod scheduler;
pub mod state;

pub mod raft;
pub mod server;

pub mod client;
pub mod driver;
pub mod image;
pub mod logs;
pub mod network;

pub mod artifact;
pub mod autoscaler;
pub mod checks;
pub mod device;
pub mod discovery;
pub mod secrets;
pub mod template;
pub mod volume;

pub mod agent;
pub mod cli;
pub mod http;

pub mod sys;
