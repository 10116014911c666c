//! ◆ The job that `job init` writes for a start, with and without explanations.

/// An example that explains itself.
pub const EXAMPLE: &str = include_str!("init/example.nomad.hcl");

/// The same job without the explanations.
pub const SHORT_EXAMPLE: &str = include_str!("init/short.nomad.hcl");
