//! ◇ Scaling policies, strategies, metric sources.
//!
//! Empty until its issue.
