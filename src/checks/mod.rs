//! ◇ Service checks and health.
//!
//! Empty until its issue: checks parse and are kept, nothing runs them yet.
