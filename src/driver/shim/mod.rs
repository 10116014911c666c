//! ◇ The shim: one single-threaded process per task, between the agent and the task.
//!
//! libcontainer clones with raw clone3, allocates in the child, changes directory and writes to the caller's own
//! /proc entries: in a process with threads that deadlocks. So the agent runs this same binary again as
//! `stead __shim run <state dir>`, decided in `main()` before any runtime exists, and never calls it itself.
//!
//! ```text
//!  agent ──spawn──► shim run ──start──► task                            (files in the state directory)
//!    │                │ reads task.json ◄────────────── agent wrote it
//!    │◄──one line─────┤ writes run.json: pids with start times, boot id
//!    │                │ drains stdout.fifo, stderr.fifo into rotated logs
//!    │                │ task ends: kills what is left of it, drains, counts OOM kills,
//!    │                │ writes exit.json (fsync), deletes container and cgroup
//!    │◄──pidfd────────┘ exits
//!
//!  shim killed:  agent sees its pidfd, finds no exit.json ──spawn──► shim adopt: the same from "drains" on
//! ```
//!
//! The shim has no socket and serves no requests. The agent signals the task through a pidfd, kills it through
//! its cgroup, runs commands in it through a process of its own ([`exec`]), and learns of its end by the shim's
//! pidfd and the record: all of that works whether or not this shim, or an earlier agent, is alive.
//!
//! Output goes through fifos that the task holds open for reading too: without a shim the task blocks on a full
//! pipe instead of dying of SIGPIPE, and the next shim reads on where the last one stopped. The agent holds the
//! fifos open too, so the last words of a task that dies together with its shim are not lost.
//!
//! How a task ended is known exactly while shim or agent live (the agent is a subreaper: a killed shim's
//! task becomes its child, and the zombie keeps the status until the adopting shim has read it). If both
//! were gone, Linux 6.15 still knows ([`super::process`]); before that the record says that it is unknown.

mod exec;
pub mod launch;
pub(super) mod records;
mod relay;
mod run;
mod spawn;
pub(super) mod streams;
mod supervise;
pub(super) mod wire;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// What a process started as `stead __shim …` does, given the words after `__shim`.
///
/// Must be called before any thread exists. Nobody types this.
#[must_use]
pub fn main(mut words: impl Iterator<Item = OsString>) -> ExitCode {
    let (verb, dir) = (words.next().unwrap_or_default(), words.next().map(PathBuf::from));
    let result = match (verb.to_str(), dir) {
        (Some("run"), Some(dir)) => run::run(&dir),
        (Some("adopt"), Some(dir)) => run::adopt(&dir),
        (Some("exec"), Some(dir)) => exec::exec(&dir),
        _ => return ExitCode::from(64),
    };
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
