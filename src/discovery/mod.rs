//! ◇ The catalogue of services, and DNS.
//!
//! Empty until its issue.
