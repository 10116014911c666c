//! Agents of one role each, on machines of their own: the real binary in network namespaces on one wire, with
//! certificates of an authority that the test makes.

mod away;
mod joined;
mod refused;
mod world;
