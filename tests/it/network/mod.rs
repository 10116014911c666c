//! The network room with real links, in namespaces that each test makes for itself: a "host" in which the room is
//! opened, and a "client" machine beside it that is also the host's way to the world.

mod drop_policy;
mod hold;
mod reach;
mod repair;
mod restart;
mod teardown;
mod world;
