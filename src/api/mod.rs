//! ◆ Nomad's JSON as clients send it: all-optional shapes, defaults, validation, diffs and filters.
//!
//! Turns what came over the wire into [`crate::model`] nouns, or says why not. Knows no socket: `client.rs` (◇)
//! is the HTTP client that the command line uses.
//!
//! - [`decode`] reads JSON with Go's manners; [`job`] is the job tree as clients send it.

#![warn(missing_docs)]

pub mod admission;
pub mod client;
pub mod decode;
pub mod diff;
pub mod duration;
pub mod filter;
pub mod job;
pub mod number;
pub mod regexp;
pub mod size;
