//! Real tasks through the real binary as shim. As root, with cgroups; skipped by name otherwise.

mod chroot;
mod container;
mod exec_session;
mod mock;
mod raw_exec;
mod support;
