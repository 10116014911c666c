//! ◆ The replicated state machine: a command changes rows and yields events.
//!
//! Immutable snapshots share structure; `disk.rs` (◇) writes the changed rows to SQLite.
