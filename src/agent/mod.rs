//! ◇ Config to running process to shutdown; the one room that sees both client and server.
//!
//! ```text
//! files, flags ──config ◆──▶ Config ──build──▶ Built ──run──▶ … a signal … ──shutdown──▶ end
//! ```
//!
//! - [`config`] settles what the agent is to be; wrong settings end it before anything is touched.
//! - [`build`] opens the log, the state, the client and the listener, in the order in which they need each other.
//! - [`mod@run`] waits for a signal; the shutdown goes the other way: listener, leader's loops, client's loops
//!   (workloads stay), log. A second signal ends the process at once.
//! - [`upstream`] is how the client reaches the servers on one box: a call; [`rpc`] is what agents say to each
//!   other. [`facts`] is what the API tells of
//!   the agent itself.

pub mod build;
pub mod config;
mod facts;
mod images;
mod local;
mod logging;
pub mod login;
mod notify;
mod rpc;
pub mod run;
mod upstream;

pub use config::Options;
pub use run::run;
