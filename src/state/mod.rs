//! ◆ The replicated state machine: a command changes rows and yields events.
//!
//! - [`command`]: every intention that may enter the log, one variant each. Ids and times come in it, so
//!   applying the same log gives the same state everywhere.
//! - [`State`]: the tables, as maps that share structure: a clone costs nothing, never blocks a writer and
//!   is what schedulers and readers look at. What it answers stands in `read.rs`.
//! - [`apply()`]: `(State, Command, Index) → Applied`, one file per noun under `apply/`. Never fails on content:
//!   a refused command is a refusal that is equal on every replica.
//! - `row.rs`: rows as text and back; `disk.rs` (◇) writes changed rows to `state.db`; `watch.rs` (◇) wakes
//!   blocking queries and feeds the event stream.
//!
//! An allocation holds its job as a shared pointer. In the log and on disk it is left out and linked again
//! by the job's creation and version, so a version is kept for as long as an allocation runs it, even after
//! the job was purged.
//!
//! ```text
//! Command ──apply──▶ State' (snapshot) ──▶ readers, schedulers
//!                    ├─ changes ──▶ disk (changed rows), watch (who waits for these rows)
//!                    └─ events ───▶ event stream
//! ```
//!
//! Only `raft` calls apply; `server`, `http` and the schedulers read snapshots. It imports no room but the
//! nouns (and `sys` for the clock of deadlines).

#![warn(missing_docs, clippy::wildcard_enum_match_arm)]

mod apply;
pub mod command;
pub mod disk;
mod event;
mod index;
mod key;
mod read;
mod row;
mod tables;
pub mod watch;

pub use apply::{Applied, apply};
pub use command::{Command, Intent, Refusal, Reply, RowTable};
pub use event::{Change, Object, StateEvent};
pub use key::{RowKey, Table, VersionKey};
pub use row::{Row, RowError};
pub use tables::State;
pub use watch::{EventBatch, Topic, Watch};
