//! One allocation: what its tasks share, and the order in which they live and die.

pub mod lifecycle;
