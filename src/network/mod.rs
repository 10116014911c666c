//! ◇ Bridge networking, ports and rules, decided in pure cores and made with netlink.

pub mod files;
pub mod ipam;
pub mod plan;
pub mod ports;
pub mod request;
pub mod rules;
