//! ◇ Config to running process to shutdown; the one room that sees both client and server.

pub mod config;

pub use config::Options;
