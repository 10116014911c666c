//! The jobspec room against what Nomad answered, and against hostile input.

mod accepted;
mod functions;
mod hostile;
mod language;
mod refused;
mod support;
