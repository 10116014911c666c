//! The node, with servers made of memory.

mod asks;
mod recovery;
mod runs;
mod support;
