//! ◇ Host volumes and mounts.
//!
//! Empty until its issue: a job that asks for a volume is refused with a named reason.
