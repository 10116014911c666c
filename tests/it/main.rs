//! The integration tests, in one binary. What needs root says so and is skipped by name otherwise.
mod api;
mod driver;
mod image;
mod jobspec;
mod scheduler;
