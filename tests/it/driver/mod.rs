//! Real tasks through the real binary as shim. As root, with cgroups; skipped by name otherwise.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking, say what they skip, and wait on tasks beside them"
)]

mod chroot;
mod container;
mod exec_session;
mod mock;
mod raw_exec;
mod support;
