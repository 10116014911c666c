//! The node, with servers made of memory.

mod runs;
mod support;
