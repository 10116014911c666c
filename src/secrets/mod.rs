//! ◇ Keyring, sealed variables, workload identity.
//!
//! Empty until its issue.
