//! ◆ The replicated state machine: a command changes rows and yields events.
//!
//! - [`command`]: every intention that may enter the log, one variant each. Ids and times come in it, so
//!   applying the same log gives the same state everywhere.
//! - [`State`]: the tables, as maps that share structure: a clone costs nothing, never blocks a writer and
//!   is what schedulers and readers look at.
//! - `apply/<noun>.rs`: `(State, Command, Index) → Applied`. Never fails on content: a refused command is a
//!   refusal that is equal on every replica.
//! - `disk.rs` (◇) writes changed rows to `state.db`; `watch.rs` (◇) wakes blocking queries.
//!
//! Only `raft` calls apply; `server`, `http` and the schedulers read snapshots.

#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

pub mod command;

pub use command::{Command, Refusal, Reply};
