//! ◇ Go templates with Nomad's functions, and what they depend on.
//!
//! Empty until its issue: a job with a `template` block gets a named warning.
