//! Images: made here from hand-written archives and busybox, served by a real registry and by one that lies.

mod commands;
mod fake;
mod fixture;
mod local;
mod overlay;
mod pull;
mod registry;
mod store;
