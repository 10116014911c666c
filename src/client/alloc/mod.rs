//! One allocation: what its tasks share, and the order in which they live and die.

pub mod dir;
pub mod health;
pub mod lifecycle;
pub mod status;
