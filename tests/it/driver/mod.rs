//! Real tasks through the real binary as shim. As root, with cgroups; skipped by name otherwise.

mod mock;
mod raw_exec;
mod support;
