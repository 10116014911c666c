//! ◇ GPUs and other devices.
//!
//! Empty until its issue: a job that asks for a device finds no node that has one.
