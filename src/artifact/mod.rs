//! ◇ Artifacts a task downloads before it starts.
//!
//! Empty until its issue: a job with an `artifact` block gets a named warning.
