//! The scheduler on a world of its own: no server, no clock.

mod world;

mod constraints;
mod oracle;
mod placement;
mod properties;
mod rolling;
mod scoring;
mod systems;
